"""A read view of a transaction that is going to write."""

from collections.abc import Iterator, Sequence
from itertools import count
from typing import Any

from pyelevator.engines.base import Bounds, ReadView
from pyelevator.engines.base.chunks import ChunkedScan
from pyelevator.engines.postgresql.connections.connection import Connection
from pyelevator.engines.postgresql.tables.scans import FIRST_FETCH, CursorScan, Rows, declare, iterate
from pyelevator.engines.postgresql.tables.statements import Table


class TransactionView(ReadView):
    """A database within a transaction, which ends the view.

    Args:
        table: of the database.
        connection: that is in the transaction.
        until: when to give up.
    """

    def __init__(self, table: Table, connection: Connection, until: float) -> None:
        self._table, self._connection, self._until = table, connection, until
        self._numbers = count()

    def get(self, key: bytes) -> bytes | None:
        return self._table.get(self._connection, key, self._until)

    def multi_get(self, keys: Sequence[bytes], *, fill_cache: bool = False) -> list[bytes | None]:  # noqa: ARG002
        return self._table.multi_get(self._connection, keys, self._until)

    def scan(self, bounds: Bounds) -> Iterator[Any]:
        return iterate(self._rows(bounds))

    def chunks(self, bounds: Bounds) -> ChunkedScan:
        return CursorScan(self._rows(bounds), bounds.parts)

    def close(self) -> None:
        """Do nothing: the transaction ends it."""

    def _rows(self, bounds: Bounds) -> Rows:
        name = f"scan_{next(self._numbers)}"
        opening = declare(name, self._table.pairs, bounds) + b"; " + FIRST_FETCH + name.encode()
        return Rows(
            self._execute(opening),
            lambda wanted: self._execute(f"FETCH {wanted} FROM {name}".encode()),
            lambda: None,  # cursors end with the transaction
            bounds.parts,
        )

    def _execute(self, sql: bytes) -> list[tuple[Any, ...]]:
        return self._connection.rows(self._connection.script(sql, self._until))
