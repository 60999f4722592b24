"""An open database of a PostgreSQL cluster."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from functools import partial
from itertools import chain, repeat
from time import monotonic
from typing import Any, Final, TypeAlias, TypeVar

from attrs import evolve
from psycopg.pq.abc import PGresult

from pyelevator.commands import BatchOp
from pyelevator.engines.base import (
    Bounds,
    Decision,
    Engine,
    EngineBusy,
    EngineError,
    EngineGone,
    EngineUnavailable,
    OnValues,
    ReadView,
    chunks_of,
)
from pyelevator.engines.postgresql.cluster_client import ClusterClient
from pyelevator.engines.postgresql.connections.errors import INCOMPLETE, UNAVAILABLE, LostConnection, MissingRelation
from pyelevator.engines.postgresql.connections.libpq import Connection, rows_of, value_of
from pyelevator.engines.postgresql.shared_snapshots import SharedSnapshot, SharedTransaction
from pyelevator.engines.postgresql.tables.changes import Changes
from pyelevator.engines.postgresql.tables.scans import (
    PART_ROWS,
    Row,
    declare,
    fetch,
    find_part_end,
    iterate_cursor,
    measure,
    open_cursor,
)
from pyelevator.engines.postgresql.tables.statements import PairsTable
from pyelevator.engines.postgresql.writes import Writer

T = TypeVar("T")
Execute: TypeAlias = Callable[[bytes], PGresult]
"""Executes a statement and returns its result."""

_ONE_STATEMENT: Final = 2048
"""Keys that are read in one statement; more are read in a transaction, and counted on the way."""

_BEGIN: Final = b"BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY; "
_COMPACTION_SECONDS: Final = 3600.0

_MOMENT: Final = b"SELECT pg_current_snapshot()::text::bytea"


class PostgreSqlEngine(Engine):
    """One open database.

    Args:
        client: the connections.
        find_table: returns the database's present table; None if it was dropped.
        table: the same, when it was opened.
        on_close: called once.
    """

    def __init__(
        self,
        client: ClusterClient,
        find_table: Callable[[], PairsTable | None],
        table: PairsTable,
        on_close: Callable[[], None],
    ) -> None:
        self._client, self._find_table, self._on_close = client, find_table, on_close
        self._writer = Writer(client)
        self._table, self._is_closed = table, False

    def get(self, key: bytes) -> bytes | None:
        return self._read(lambda table, connection, until: table.get(connection, key, until))

    def multi_get(self, keys: Sequence[bytes], *, fill_cache: bool = False) -> list[bytes | None]:  # noqa: ARG002
        until = self._client.deadline(len(keys))
        return self._read(lambda table, connection, until: table.multi_get(connection, keys, until), until)

    def collect(
        self, keys: Sequence[bytes], on_values: OnValues = lambda _: None, *, fill_cache: bool = False
    ) -> Sequence[bytes | None]:
        if len(keys) <= _ONE_STATEMENT:
            values = self.multi_get([key for chunk in chunks_of(keys) for key in chunk], fill_cache=fill_cache)
            on_values(values)
            return values
        return self._read(
            lambda table, connection, until: _collect(
                table, connection, keys, on_values, lambda rows: min(until, self._client.step_deadline(rows))
            ),
            self._client.deadline(len(keys)),
        )

    def scan(self, bounds: Bounds) -> Iterator[Any]:
        """Open a cursor in a transaction of its own, which ends with the scan."""
        return self._on_table(lambda table: self._scan(table, bounds))

    def _scan(self, table: PairsTable, bounds: Bounds) -> Iterator[Any]:
        until = self._client.deadline()
        self._client.prepare(until)
        opening = b"BEGIN READ ONLY; " + open_cursor("scan", table.pairs, bounds)
        connection, first = self._client.pool.begin(table.relation, opening, until)

        def fetch_more(wanted: int) -> list[Row]:
            try:
                return rows_of(connection.script(fetch("scan", wanted), self._client.step_deadline(wanted)))
            except LostConnection as error:
                raise EngineUnavailable(UNAVAILABLE) from error

        def release() -> None:
            connection.send_later(b"ROLLBACK")
            self._client.pool.release(table.relation, connection)

        return iterate_cursor(rows_of(first), fetch_more, release, bounds.parts)

    def write(self, ops: Sequence[BatchOp], *, sync: bool = False, wait: bool = True) -> None:  # noqa: ARG002
        self._require_open()
        if not wait:
            raise EngineBusy("a write to a cluster always waits")
        changes = Changes.fold(ops)
        if changes.count:
            self._on_table(lambda table: self._writer.write(table, changes))

    def update(self, decide: Callable[[ReadView], Decision[T]], *, sync: bool = False, wait: bool = True) -> T:  # noqa: ARG002
        self._require_open()
        if not wait:
            raise EngineBusy("a write to a cluster always waits")
        return self._on_table(lambda table: self._writer.update(table, decide))

    def snapshot(self) -> ReadView:
        return self._snapshots_of([self])[0]

    def snapshots_with(self, others: Sequence[Engine]) -> Sequence[ReadView] | None:
        engines = [one for one in others if isinstance(one, PostgreSqlEngine) and one._client is self._client]
        return self._snapshots_of([self, *engines]) if len(engines) == len(others) else None

    def _snapshots_of(self, engines: Sequence["PostgreSqlEngine"]) -> Sequence[ReadView]:
        self._require_open()
        self._client.prepare(self._client.deadline())
        snapshots = self._client.snapshots
        transaction = snapshots.acquire(self._read_moment)
        views: list[ReadView] = []
        with ExitStack() as closing:
            closing.callback(snapshots.release, transaction)
            with ExitStack() as failing:
                for engine in engines:
                    views.append(failing.enter_context(engine._on_table(partial(engine._view, transaction))))
                failing.pop_all()
        return views

    def _view(self, transaction: SharedTransaction, table: PairsTable) -> SharedSnapshot:
        snapshots = self._client.snapshots
        seconds = self._client.settings.call_timeout
        snapshot = SharedSnapshot(
            table, snapshots, snapshots.share(transaction), seconds, partial(self._missing, table)
        )
        try:
            snapshot.check_existence()
        except BaseException:
            snapshot.close()
            raise
        return snapshot

    def compact(self) -> None:
        until = monotonic() + _COMPACTION_SECONDS
        self._read(lambda table, connection, _: table.vacuum(connection, until), until)

    def approximate_size(self) -> int:
        return self._read(lambda table, connection, until: table.size(connection, until))

    def count(self, bounds: Bounds, checkpoint: Callable[[], None] = lambda: None) -> int:
        def count_rows(table: PairsTable, execute: Execute) -> int:
            counted = evolve(bounds, include_key=False, include_value=False)
            total, opening = 0, declare("counted", table.pairs, counted)
            while True:
                rows = execute(opening + b"MOVE %d FROM counted" % PART_ROWS).command_tuples or 0
                total, opening = total + rows, b""
                if rows < PART_ROWS:
                    return total
                checkpoint()

        return self._read_parts(count_rows)

    def range_size(self, start: bytes | None, stop: bytes | None) -> int:
        def measure_rows(table: PairsTable, execute: Execute) -> int:
            total, rest = 0, Bounds(start, stop, include_stop=False)
            while True:
                end = value_of(execute(find_part_end(table.pairs, rest)))
                part = rest if end is None else evolve(rest, stop=end)
                total += int(value_of(execute(measure(table.pairs, part))))
                if end is None:
                    return total
                rest = evolve(rest, start=end)

        return self._read_parts(measure_rows)

    def _read_parts(self, read: Callable[[PairsTable, Execute], int]) -> int:
        """Call with what executes statements at one moment, each of which has the time of a call for a part.

        So a range of any size may be read, and yet a server that does not answer is noticed soon.
        """

        def call(table: PairsTable, connection: Connection, until: float) -> int:
            prefixes = chain([_BEGIN], repeat(b""))
            deadlines = chain([until], iter(lambda: self._client.step_deadline(PART_ROWS), None))
            try:
                return read(table, lambda sql: connection.script(next(prefixes) + sql, next(deadlines)))
            finally:
                connection.send_later(b"ROLLBACK")

        return self._read(call, self._client.deadline(PART_ROWS))

    def backup(self, path: str) -> None:  # noqa: ARG002
        raise EngineError(
            "the databases of a cluster are backed up there, all at one moment (pg_basebackup, pg_dump); "
            "a copy of one database in a file of this server's machine is not made"
        )

    def close(self) -> None:
        if not self._is_closed:
            self._is_closed = True
            self._on_close()

    def _require_open(self) -> PairsTable:
        if self._is_closed:
            raise EngineError("the database is closed")
        return self._table

    def _read(self, call: Callable[[PairsTable, Connection, float], T], until: float | None = None) -> T:
        return self._on_table(
            lambda table: self._client.read(
                table.relation, lambda connection, until: call(table, connection, until), until
            )
        )

    def _on_table(self, call: Callable[[PairsTable], T]) -> T:
        """Call with the database's table; once more if another server has emptied the database, and so replaced it."""
        table = self._require_open()
        try:
            return call(table)
        except MissingRelation:
            found = self._find_table()
        if found is None:
            raise EngineGone(table.gone)
        try:
            result = call(found)
        except MissingRelation as error:
            raise self._missing(found) from error
        self._table = found
        return result

    def _missing(self, table: PairsTable) -> EngineError:
        """Return the error for a table that was not found: the database was dropped, or something is not as it was."""
        found = self._find_table()
        is_gone = found is None or found.relation != table.relation
        return EngineGone(table.gone) if is_gone else EngineError(INCOMPLETE)

    def _read_moment(self) -> bytes:
        return self._client.read(
            "moments", lambda connection, until: connection.query(_MOMENT, (), until).get_value(0, 0) or b""
        )


def _collect(
    table: PairsTable,
    connection: Connection,
    keys: Sequence[bytes],
    on_values: OnValues,
    deadline: Callable[[int], float],
) -> list[bytes | None]:
    """Read many keys in one transaction, a part of them with each statement, so that memory is bounded."""
    values: list[bytes | None] = []
    connection.script(_BEGIN, deadline(0))
    try:
        for chunk in chunks_of(keys):
            first, count = 0, 256
            while first < len(chunk):
                found = table.multi_get(connection, chunk[first : first + count], deadline(count))
                on_values(found)
                values += found
                first += count
                count = _next_count(found)
    finally:
        connection.send_later(b"ROLLBACK")
    return values


def _next_count(values: Sequence[bytes | None]) -> int:
    """Return how many keys to read next, by the size of the values of the latest."""
    size = sum(map(len, filter(None, values))) // len(values)
    return max(16, min(8192, (8 << 20) // (size + 1)))
