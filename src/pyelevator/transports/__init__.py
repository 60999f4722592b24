"""Transports: carry messages between a client and a server."""

from typing import TYPE_CHECKING

from pyelevator._lazy import lazy_names
from pyelevator.transports.base import AsyncTransport, Listener, Receiver, Transport

if TYPE_CHECKING:
    from pyelevator.transports.curve import Curve
    from pyelevator.transports.fake import FakeTransport
    from pyelevator.transports.sockets.endpoints import IpcTransport, TcpTransport
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

_LAZY = {
    "curve": ("Curve",),
    "sockets.endpoints": ("IpcTransport", "TcpTransport"),
    "fake": ("FakeTransport",),
    "url": ("ParsedUrl", "parse_url"),
}
"""Module -> the names in it that are loaded when they are first used."""

if not TYPE_CHECKING:
    __getattr__ = lazy_names(__name__, _LAZY)
