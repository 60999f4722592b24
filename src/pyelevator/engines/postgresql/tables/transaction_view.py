"""A read view of a transaction that is going to write."""

from collections.abc import Iterator, Sequence
from itertools import count
from typing import Any

from pyelevator.engines.base import Bounds, ReadView
from pyelevator.engines.postgresql.connections.libpq import Connection, rows_of
from pyelevator.engines.postgresql.tables.scans import Row, fetch, iterate_cursor, open_cursor
from pyelevator.engines.postgresql.tables.statements import PairsTable


class TransactionView(ReadView):
    """A database within a transaction, which ends the view."""

    def __init__(self, table: PairsTable, connection: Connection, until: float) -> None:
        self._table, self._connection, self._until = table, connection, until
        self._numbers = count()

    def get(self, key: bytes) -> bytes | None:
        return self._table.get(self._connection, key, self._until)

    def multi_get(self, keys: Sequence[bytes], *, fill_cache: bool = False) -> list[bytes | None]:  # noqa: ARG002
        return self._table.multi_get(self._connection, keys, self._until)

    def scan(self, bounds: Bounds) -> Iterator[Any]:
        name = f"scan_{next(self._numbers)}"
        return iterate_cursor(
            self._execute(open_cursor(name, self._table.pairs, bounds)),
            lambda wanted: self._execute(fetch(name, wanted)),
            lambda: None,  # cursors end with the transaction
            bounds.parts,
        )

    def close(self) -> None:
        """Do nothing: the transaction ends it."""

    def _execute(self, sql: bytes) -> list[Row]:
        return rows_of(self._connection.script(sql, self._until))
