"""The listener of servers and proxies: which one the system can have."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Unpack

from pyelevator.errors import UsageError
from pyelevator.transports.base import Listener
from pyelevator.transports.options import ListenerOptions
from pyelevator.transports.sockets.listener.listener import SUPPORTED, ZmtpListener

if TYPE_CHECKING:
    from pyelevator.transports.authentication import CurveServer


def open_listener(
    urls: Sequence[str], curve: "CurveServer | None" = None, **options: Unpack[ListenerOptions]
) -> Listener:
    """Listen on URLs; by libzmq only where the system has no epoll, and then without keys.

    Args:
        urls: what to bind.
        curve: keys to ask clients for.
        options: as of a listener's class.

    Returns:
        A listener, to be closed by the caller.

    Raises:
        UsageError: a URL cannot be bound.
        MissingExtra: keys are asked for, and PyNaCl is missing.
    """
    if SUPPORTED:
        return ZmtpListener(*urls, curve=curve, **options)
    if curve is not None:
        raise UsageError("this system has no epoll, and a listener that asks for keys needs it")
    from pyelevator.transports.libzmq.listener import ZmqListener

    return ZmqListener(*urls, **options)
