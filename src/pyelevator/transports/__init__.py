"""Transports: carry messages between a client and a server."""

from pyelevator.transports.base import AsyncTransport, Listener, Receiver, Transport
from pyelevator.transports.curve import Curve
from pyelevator.transports.endpoints import IpcTransport, TcpTransport
from pyelevator.transports.fake import FakeTransport
from pyelevator.transports.url import ParsedUrl, parse_url

__all__ = [
    "AsyncTransport",
    "Curve",
    "FakeTransport",
    "IpcTransport",
    "Listener",
    "ParsedUrl",
    "Receiver",
    "TcpTransport",
    "Transport",
    "parse_url",
]
