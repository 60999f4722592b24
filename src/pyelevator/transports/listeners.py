"""What servers and proxies listen with."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from pyelevator.transports.bounded import BoundedListener
from pyelevator.transports.open_listener import AVAILABLE, OpenListener

if TYPE_CHECKING:
    from pyelevator.transports.zap import CurveServer


def listener_on(
    urls: Sequence[str], curve: "CurveServer | None" = None, **bounds: int
) -> BoundedListener | OpenListener:
    """A listener on the URLs: who asks for keys needs libzmq for it, and nobody else does.

    Raises:
        UsageError: a URL cannot be bound.
    """
    return BoundedListener(*urls, curve=curve, **bounds) if curve or not AVAILABLE else OpenListener(*urls, **bounds)
