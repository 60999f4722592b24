"""What the pools of sync and async clients share: the check of their size, and the error for a call that got none."""

from pyelevator.deadlines import Deadline
from pyelevator.errors import PoolTimeout, UsageError


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
