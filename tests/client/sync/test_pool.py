"""The pool of a sync client: never more connections than there may be, whatever comes in between."""

from typing import Any

import pytest

from pyelevator.client.sync.pool import ConnectionPool
from pyelevator.deadlines import Deadline
from pyelevator.errors import PoolTimeout


class Idle:
    """Stands for a connection: the pool only keeps it."""


def test_a_connection_that_is_opened_while_another_one_is_counts():
    opened: list[Any] = []

    def open_connection():
        if not opened:
            opened.append(None)  # a signal handler, or another thread, comes in between
            opened.append(pool.acquire(Deadline.after(5)))
        return Idle()

    pool = ConnectionPool(open_connection, size=1)
    with pytest.raises(PoolTimeout):
        pool.acquire(Deadline.after(0.05))
    assert pool.connections() == opened[1:]
