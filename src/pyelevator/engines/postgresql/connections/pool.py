"""A pool of connections that are alike, with a share for each of its users."""

import threading
from collections import Counter
from collections.abc import Callable, Hashable, Iterator
from contextlib import contextmanager
from time import monotonic
from typing import Final

from psycopg.pq.abc import PGresult

from pyelevator.engines.base import EngineUnavailable
from pyelevator.engines.postgresql.connections.errors import UNAVAILABLE, LostConnection
from pyelevator.engines.postgresql.connections.libpq import Connection

_MAX_IDLE: Final = 300.0
"""Seconds after which an idle connection is closed instead of used."""


class Pool:
    """Provides connections, the one that was used last first.

    No user has more than ``share`` of them at once, so that one database that is blocked leaves some to the others.

    Args:
        connect: opens one until a point in time, and waits for a server that there is none of.
        size: connections at once.
        share: connections of one user at once.
        is_current: returns False for a connection that leads to a server which is not the primary any more.
    """

    def __init__(
        self,
        connect: Callable[[float], Connection],
        size: int,
        share: int,
        is_current: Callable[[Connection], bool] = lambda _: True,
    ) -> None:
        self._connect, self._size, self._share, self._is_current = connect, size, share, is_current
        self._idle: list[tuple[float, Connection]] = []
        self._in_use: Counter[Hashable] = Counter()
        self._count = 0
        self._closed = False
        self._changed = threading.Condition()

    @contextmanager
    def connection(self, user: Hashable, until: float) -> Iterator[Connection]:
        """Provide a connection for the block; see :meth:`acquire`."""
        connection = self.acquire(user, until)
        try:
            yield connection
        except LostConnection:
            self._drop_idle()  # what ended one of them has mostly ended all
            raise
        finally:
            self.release(user, connection)

    def begin(self, user: Hashable, opening: bytes, until: float) -> tuple[Connection, PGresult]:
        """Execute statements that begin a transaction on a connection, on another one if that ends.

        Returns:
            The connection, which the caller releases, and the result of the last statement.
        """
        for _ in range(2):
            connection = self.acquire(user, until)
            try:
                return connection, connection.script(opening, until)
            except BaseException as error:
                connection.send_later(b"ROLLBACK")
                self.release(user, connection)
                if not isinstance(error, LostConnection):
                    raise
                failure = error
        raise EngineUnavailable(UNAVAILABLE) from failure

    def acquire(self, user: Hashable, until: float) -> Connection:
        """Return a connection on behalf of a user.

        Raises:
            EngineUnavailable: there was none in time.
        """
        with self._changed:
            while not self._may_acquire(user):
                if not self._changed.wait(max(0.0, until - monotonic())) and not self._may_acquire(user):
                    raise EngineUnavailable(f"all {self._size} connections to the database are in use; try again")
            self._in_use[user] += 1
            connection = self._pop_idle()
            if connection is not None:
                return connection
            self._count += 1
        try:
            return self._connect(until)
        except BaseException:
            with self._changed:
                self._count -= 1
                self._uncount(user)
            raise

    def release(self, user: Hashable, connection: Connection) -> None:
        """Release a connection; one that is broken is closed. It never waits."""
        with self._changed:
            self._uncount(user)
            if connection.is_broken or self._closed or not connection.is_idle or not self._is_current(connection):
                self._count -= 1
                connection.close()
            else:
                self._idle.append((monotonic(), connection))

    def has_free(self, user: Hashable) -> bool:
        """Return True if a connection could be had without waiting for another user."""
        with self._changed:
            return self._may_acquire(user)

    def close(self) -> None:
        """Close the idle connections, and the others when they are released."""
        with self._changed:
            self._closed = True
        self._drop_idle()

    def _may_acquire(self, user: Hashable) -> bool:
        return self._in_use[user] < self._share and (bool(self._idle) or self._count < self._size)

    def _pop_idle(self) -> Connection | None:
        oldest = monotonic() - _MAX_IDLE
        while self._idle:
            used_at, connection = self._idle.pop()
            if used_at >= oldest and not connection.is_broken and self._is_current(connection):
                return connection
            self._count -= 1
            connection.close()
        return None

    def _uncount(self, user: Hashable) -> None:
        self._in_use[user] -= 1
        if not self._in_use[user]:
            del self._in_use[user]
        self._changed.notify_all()

    def _drop_idle(self) -> None:
        with self._changed:
            idle, self._idle = self._idle, []
            self._count -= len(idle)
        for _, connection in idle:
            connection.close()
