"""Common parts of the sessions of sync and async clients: their settings, and the texts of errors."""

from collections import deque
from typing import Any, Final

from pyelevator.arguments import positive_integer
from pyelevator.codec import Codec
from pyelevator.deadlines import Deadline
from pyelevator.errors import PoolTimeout
from pyelevator.transports import Transport

UNASKED: Final = "what came instead answers no request of this connection"
"""What the text of a RequestTimeout ends with, where the server did send something."""


class BaseSession:
    """The connections of one client to its server, sync or async.

    Attributes:
        transport, codec: of its connections.
        dropped: the pagers of abandoned scans, whose cursors are given back with the next request.
    """

    def __init__(
        self, transport: Transport, codec: Codec, max_connections: int, pool_timeout: float | None = None
    ) -> None:
        self.transport, self.codec = transport, codec
        self._max_connections = positive_integer(max_connections, "max_connections")
        self._pool_timeout = pool_timeout
        self.dropped: deque[Any] = deque()


def pool_timeout_error(max_connections: int, deadline: Deadline) -> PoolTimeout:
    """Return the error for a call that got no connection."""
    return PoolTimeout(
        f"all {max_connections} connections of the client were busy for {deadline}; raise max_connections= or timeout="
    )
