"""Common parts of the pools of sync and async clients: the check of their size, and the texts of errors."""

from typing import Final

from pyelevator.deadlines import Deadline
from pyelevator.errors import PoolTimeout, UsageError

UNASKED: Final = "what came instead answers no request of this connection"
"""What the text of a RequestTimeout ends with, where the server did send something."""


def check_max_connections(max_connections: int) -> None:
    """Refuse a limit that leaves no connection.

    Raises:
        UsageError: it is not an int of 1 or more.
    """
    if isinstance(max_connections, bool) or not isinstance(max_connections, int) or max_connections < 1:
        raise UsageError(f"max_connections must be 1 or more, not {max_connections!r:.40}")


def pool_timeout_error(max_connections: int, deadline: Deadline) -> PoolTimeout:
    """Return the error for a call that got no connection."""
    return PoolTimeout(
        f"all {max_connections} connections of the client were busy for {deadline}; raise max_connections= or timeout="
    )
