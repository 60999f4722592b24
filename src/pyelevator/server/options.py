"""The options of a server, and the limits on what it holds in memory at once."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated

from attrs import frozen

from pyelevator._options import Default
from pyelevator.codec import Codec, Limits
from pyelevator.flows import Interceptor
from pyelevator.transports.options import MAX_CONNECTIONS, MAX_UNREAD, SocketFileOptions

if TYPE_CHECKING:
    from pyelevator.auth import ClientAuth


@frozen
class ServerLimits:
    """Limits on what is in a server's memory at one moment. At a limit the server reads less from its clients.

    Attributes:
        max_requests: requests received and not answered. At that number the server reads nothing until a worker is
            done.
        max_request_bytes: bytes of those requests, with the same effect.
        max_unsent_bytes: bytes of responses that clients have not received, over all clients. A client that has more
            of them on their way than are left is not served until it has read some.
        max_blocked_bytes: bytes of requests of one such client. Above that its connection is closed.
        max_connections: connections at once. Further ones are closed.
    """

    max_requests: int = 10_000
    max_request_bytes: int = 256 << 20
    max_unsent_bytes: int = MAX_UNREAD
    max_blocked_bytes: int = 16 << 20
    max_connections: int = MAX_CONNECTIONS


class ServerOptions(SocketFileOptions, total=False):
    """The options of a server; what they mean is said there."""

    limits: Annotated[Limits | None, Default(None)]
    workers: Annotated[int, Default(4)]
    server_limits: Annotated[ServerLimits | None, Default(None)]
    grace: Annotated[float, Default(10.0)]
    auth: Annotated["ClientAuth | None", Default(None)]
    interceptors: Annotated[Sequence[Interceptor], Default(())]
    codecs: Annotated[Sequence[Codec], Default(())]
