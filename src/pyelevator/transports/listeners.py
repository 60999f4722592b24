"""What servers and proxies listen with."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from pyelevator.errors import UsageError
from pyelevator.transports.libzmq.bounded import BoundedListener
from pyelevator.transports.sockets.listener import AVAILABLE, OpenListener

if TYPE_CHECKING:
    from pyelevator.transports.authentication import CurveServer


def listener_on(
    urls: Sequence[str], curve: "CurveServer | None" = None, **bounds: int
) -> BoundedListener | OpenListener:
    """A listener on the URLs; over libzmq only where the system has no epoll, and then without keys.

    Raises:
        UsageError: a URL cannot be bound.
        MissingExtra: keys are asked for, and PyNaCl is missing.
    """
    if AVAILABLE:
        return OpenListener(*urls, curve=curve, **bounds)
    if curve is not None:
        raise UsageError("this system has no epoll, and a listener that asks for keys needs it")
    return BoundedListener(*urls, **bounds)
