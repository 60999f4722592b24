"""The options of a proxy and of its core."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated, TypedDict

from pyelevator._options import Default
from pyelevator.codec import Codec, Limits
from pyelevator.transports.options import MAX_UNREAD, SocketFileOptions

if TYPE_CHECKING:
    from pyelevator.transports.authentication import CurveServer


class CoreOptions(TypedDict, total=False):
    """The options of a proxy's core; what they mean is said there."""

    timeout: Annotated[float, Default(30.0)]
    capacity: Annotated[int, Default(10_000)]
    limits: Annotated[Limits | None, Default(None)]
    codecs: Annotated[Sequence[Codec], Default(())]


class ProxyOptions(CoreOptions, SocketFileOptions, total=False):
    """The options of a proxy; what they mean is said there."""

    unread: Annotated[int, Default(MAX_UNREAD)]
    curve: Annotated["CurveServer | None", Default(None)]
