"""Snapshots: transactions that are kept open, each for as many snapshots of its moment as there are."""

import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from itertools import count
from time import monotonic
from typing import Any, Final, TypeVar

from pyelevator.engines.base import Bounds, EngineError, EngineUnavailable, ReadView, SnapshotLost
from pyelevator.engines.postgresql.connections.errors import LostConnection, MissingRelation
from pyelevator.engines.postgresql.connections.libpq import Connection, rows_of
from pyelevator.engines.postgresql.connections.pool import Pool
from pyelevator.engines.postgresql.tables.scans import Row, fetch, iterate_cursor, open_cursor
from pyelevator.engines.postgresql.tables.statements import PairsTable

T = TypeVar("T")

_BEGIN: Final = b"BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY; SELECT pg_current_snapshot()"
_USER: Final = "snapshots"
_LOST: Final = "the database's primary was replaced or could not be reached; start the iteration again"


class SharedTransaction:
    """A read transaction, with the snapshots that show its moment.

    Attributes:
        number: rises with each opening; all that was answered before an opening began is in it.
        moment: as PostgreSQL writes it. Two transactions with the same one show the same pairs.
        users: snapshots that use it.
        finished: cursors that are no longer fetched from; the next scan closes them on its way.
    """

    def __init__(self, connection: Connection, moment: bytes, number: int) -> None:
        self.connection, self.moment, self.number = connection, moment, number
        self.users = 1
        self.finished: list[str] = []
        self._lock = threading.Lock()
        self._cursors = count()

    def run(self, call: Callable[[Connection, float], T], seconds: float) -> T:
        """Execute something in the transaction.

        Raises:
            SnapshotLost: the connection has ended, and the moment with it.
        """
        until = monotonic() + seconds
        if not self._lock.acquire(timeout=seconds):
            raise EngineUnavailable("other readers of this snapshot took too long; try again")
        try:
            return call(self.connection, until)
        except LostConnection as error:
            raise SnapshotLost(_LOST) from error
        finally:
            self._lock.release()

    def open_cursor(self, table: str, bounds: Bounds) -> tuple[str, bytes]:
        """Return a name for a cursor in it, and the statements that open it and fetch its first rows."""
        name = f"scan_{next(self._cursors)}"
        closing = "".join([f"CLOSE {self.finished.pop()}; " for _ in range(len(self.finished))])
        return name, closing.encode() + open_cursor(name, table, bounds)


class Snapshots:
    """The open transactions.

    Each holds a connection, so there are few. Snapshots that are asked for at the same time share one, and so does a
    later one if nothing was written in the cluster meanwhile.
    """

    def __init__(self, pool: Pool, seconds: float) -> None:
        self._pool, self._seconds = pool, seconds
        self._started = 0
        self._is_opening = False
        self._latest: SharedTransaction | None = None
        self._open: set[SharedTransaction] = set()
        self._changed = threading.Condition()

    def acquire(self, read_moment: Callable[[], bytes]) -> SharedTransaction:
        """Return a transaction of this moment, or of one since the call began.

        Args:
            read_moment: asks for the present moment over a connection that is not for snapshots.

        Raises:
            EngineUnavailable: there are too many different moments.
        """
        until = monotonic() + self._seconds
        with self._changed:
            wanted = self._started + 1  # an opening that is under way may have started before the latest write
            while True:
                latest = self._latest
                if latest is not None and latest.number >= wanted and latest.users and not latest.connection.is_broken:
                    latest.users += 1
                    return latest
                if not self._is_opening:
                    break
                if not self._changed.wait(max(0.0, until - monotonic())) and self._is_opening:
                    raise EngineUnavailable("no snapshot could be made in time; nothing was done")
            self._is_opening = True
            self._started += 1
            number = self._started
        return self._open_one(number, until, read_moment)

    def share(self, transaction: SharedTransaction) -> SharedTransaction:
        """Return a transaction for one more snapshot, while the caller has one of it."""
        with self._changed:
            transaction.users += 1
        return transaction

    def release(self, transaction: SharedTransaction) -> None:
        """Note that a snapshot is closed; the last one ends the transaction, without waiting for that."""
        with self._changed:
            transaction.users -= 1
            if transaction.users:
                return
            self._open.discard(transaction)
        transaction.connection.send_later(b"ROLLBACK")
        self._pool.release(_USER, transaction.connection)

    def close(self) -> None:
        """Close the connections that are not in use."""
        self._pool.close()

    def _open_one(self, number: int, until: float, read_moment: Callable[[], bytes]) -> SharedTransaction:
        transaction = None
        try:
            transaction = self._find_same(read_moment) or self._begin(until)
        finally:
            with self._changed:
                self._is_opening = False
                if transaction is not None:
                    transaction.number = number
                    self._open.add(transaction)
                    self._latest = transaction
                self._changed.notify_all()
        return transaction

    def _find_same(self, read_moment: Callable[[], bytes]) -> SharedTransaction | None:
        if not self._open:
            return None
        moment = read_moment()
        with self._changed:
            same = next(
                (one for one in tuple(self._open) if one.moment == moment and not one.connection.is_broken), None
            )
            if same is not None:
                same.users += 1
            return same

    def _begin(self, until: float) -> SharedTransaction:
        if not self._pool.has_free(_USER):
            raise EngineUnavailable(
                "too many snapshots of different moments are open; close iterators that are no longer needed, or raise "
                "snapshot_pool_size in the engine's URL"
            )
        connection, result = self._pool.begin(_USER, _BEGIN, until)
        return SharedTransaction(connection, result.get_value(0, 0) or b"", 0)


class SharedSnapshot(ReadView):
    """A database at one moment; ``missing`` returns the error if its table is not there."""

    def __init__(
        self,
        table: PairsTable,
        snapshots: Snapshots,
        transaction: SharedTransaction,
        seconds: float,
        missing: Callable[[], EngineError],
    ) -> None:
        self._table, self._snapshots, self._seconds, self._missing = table, snapshots, seconds, missing
        self._transaction: SharedTransaction | None = transaction

    def check_existence(self) -> None:
        """Check that the database exists at this moment.

        Raises:
            MissingRelation: it does not, or has another table.
        """
        if not self._require_open().run(self._table.exists, self._seconds):
            raise MissingRelation

    def get(self, key: bytes) -> bytes | None:
        return self._run(lambda connection, until: self._table.get(connection, key, until))

    def multi_get(self, keys: Sequence[bytes], *, fill_cache: bool = False) -> list[bytes | None]:  # noqa: ARG002
        return self._run(lambda connection, until: self._table.multi_get(connection, keys, until))

    def scan(self, bounds: Bounds) -> Iterator[Any]:
        transaction = self._require_open()
        name, opening = transaction.open_cursor(self._table.pairs, bounds)
        return iterate_cursor(
            self._execute(opening),
            lambda wanted: self._execute(fetch(name, wanted)),
            lambda: transaction.finished.append(name),
            bounds.parts,
        )

    def close(self) -> None:
        transaction, self._transaction = self._transaction, None
        if transaction is not None:
            self._snapshots.release(transaction)

    def __del__(self) -> None:
        with suppress(Exception):
            self.close()

    def _execute(self, sql: bytes) -> list[Row]:
        return self._run(lambda connection, until: rows_of(connection.script(sql, until)))

    def _run(self, call: Callable[[Connection, float], T]) -> T:
        try:
            return self._require_open().run(call, self._seconds)
        except MissingRelation as error:
            raise self._missing() from error

    def _require_open(self) -> SharedTransaction:
        if self._transaction is None:
            raise EngineError("the snapshot is closed")
        return self._transaction
