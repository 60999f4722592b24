"""Transports: what carries whole messages between a client and a server."""

from pyelevator.transports.base import Transport
from pyelevator.transports.curve import Curve
from pyelevator.transports.endpoints import IpcTransport, TcpTransport
from pyelevator.transports.fake import FakeTransport
from pyelevator.transports.libzmq.listener import Listener
from pyelevator.transports.url import Target, parse_url

__all__ = ["Curve", "FakeTransport", "IpcTransport", "Listener", "Target", "TcpTransport", "Transport", "parse_url"]
