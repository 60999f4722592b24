"""The client that the databases of one storage share: its connections, and the rules for calls that fail."""

import logging
from collections.abc import Callable, Hashable
from contextlib import AbstractContextManager
from time import monotonic
from typing import Final, TypeVar

from pyelevator.engines.base import EngineUnavailable
from pyelevator.engines.call_deadline import call_deadline
from pyelevator.engines.postgresql.connections.cluster import Cluster
from pyelevator.engines.postgresql.connections.errors import UNAVAILABLE, LostConnection, SerializationFailure
from pyelevator.engines.postgresql.connections.libpq import Connection, Watchdog
from pyelevator.engines.postgresql.connections.pool import Pool
from pyelevator.engines.postgresql.connections.settings import PostgreSqlSettings
from pyelevator.engines.postgresql.shared_snapshots import Snapshots
from pyelevator.engines.postgresql.tables.migrations import migrate

T = TypeVar("T")

_log: Final = logging.getLogger("pyelevator.engines.postgresql")

_FIRST_SHARE: Final = 0.6
"""The part of the time that a first attempt has; the rest is for a second one, or for finding out what it did."""

_ROWS_PER_SECOND: Final = 20_000
_BYTES_PER_SECOND: Final = 8 << 20
"""The speed of a slow cluster; calls with more than a few rows have as much more time."""


class ClusterClient:
    """The connections of one storage to its cluster."""

    def __init__(self, settings: PostgreSqlSettings) -> None:
        self.settings = settings
        self._watchdog = Watchdog()
        self.cluster = Cluster(settings, self._watchdog)
        share = max(1, settings.pool_size // 2)
        self.pool = Pool(self.cluster.connect, settings.pool_size, share, self._is_current)
        size = settings.snapshot_pool_size
        self.snapshots = Snapshots(
            Pool(self.cluster.connect, size, size, self._is_current), settings.call_timeout * _FIRST_SHARE
        )
        self._is_ready = False

    def deadline(self, rows: int = 1, size: int = 0) -> float:
        """Return when a call has to end that reads or writes so many rows and bytes, on the monotonic clock."""
        now = monotonic()
        end = min(now + self.settings.call_timeout, call_deadline(now + self.settings.call_timeout))
        return end + extra_seconds(rows, size)

    def step_deadline(self, rows: int) -> float:
        """Return when a further step of a call has to end, on the monotonic clock; what came before it was answered."""
        return monotonic() + self.settings.call_timeout + extra_seconds(rows, 0)

    def connection(self, user: Hashable, until: float) -> AbstractContextManager[Connection]:
        """Provide a connection for a block, as ``Pool.connection`` does.

        However long a large call may take, a connection is waited for as long as for a small one.
        """
        return self.pool.connection(user, min(until, monotonic() + self.settings.call_timeout))

    def read(self, user: Hashable, call: Callable[[Connection, float], T], until: float | None = None) -> T:
        """Execute something that changes nothing; if the connection ends before the answer, once more on another.

        Raises:
            EngineUnavailable: there was no answer in time.
        """
        until = until or self.deadline()
        self.prepare(until)
        try:
            with self.connection(user, until) as connection:
                return call(connection, first_attempt(until))
        except (LostConnection, SerializationFailure):
            pass
        try:
            with self.connection(user, until) as connection:
                return call(connection, until)
        except (LostConnection, SerializationFailure) as error:
            _log.warning("a read has had no answer (%s)", error)
            raise EngineUnavailable(UNAVAILABLE) from error

    def prepare(self, until: float) -> None:
        """Create the tables, if that was not done yet."""
        if not self._is_ready:
            try:
                with self.connection("schema", until) as connection:
                    migrate(connection, self.settings.schema, until)
            except LostConnection as error:
                raise EngineUnavailable(UNAVAILABLE) from error
            self._is_ready = True

    def close(self) -> None:
        """Close all idle connections, and end the threads."""
        self.pool.close()
        self.snapshots.close()
        self.cluster.close()
        self._watchdog.stop()

    def _is_current(self, connection: Connection) -> bool:
        return connection.timeline >= self.cluster.timeline


def extra_seconds(rows: int, size: int) -> float:
    """Return how much longer a call may take for the rows that it reads or writes, and their bytes."""
    return rows / _ROWS_PER_SECOND + size / _BYTES_PER_SECOND


def first_attempt(until: float) -> float:
    """Return when the first of two attempts has to end."""
    now = monotonic()
    return now + max(0.0, until - now) * _FIRST_SHARE
