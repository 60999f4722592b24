"""Transports: carry messages between a client and a server."""

from typing import TYPE_CHECKING

from pyelevator._lazy import lazy_names
from pyelevator.transports.base import (
    AsyncTransport as AsyncTransport,
    Listener as Listener,
    Receiver as Receiver,
    Transport as Transport,
)

if TYPE_CHECKING:
    from pyelevator.transports.curve import Curve as Curve
    from pyelevator.transports.fake import FakeTransport as FakeTransport
    from pyelevator.transports.sockets.endpoints import IpcTransport as IpcTransport, TcpTransport as TcpTransport
    from pyelevator.transports.url import ParsedUrl as ParsedUrl, parse_url as parse_url


_LAZY = {
    "curve": ("Curve",),
    "sockets.endpoints": ("IpcTransport", "TcpTransport"),
    "fake": ("FakeTransport",),
    "url": ("ParsedUrl", "parse_url"),
}
"""Module -> the names in it that are loaded when they are first used."""

if not TYPE_CHECKING:
    __getattr__, __all__ = lazy_names(globals(), _LAZY)
