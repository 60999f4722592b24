"""Scans: a cursor of PostgreSQL's, from which rows are fetched in growing numbers."""

from collections.abc import Callable, Iterator, Mapping
from itertools import chain
from typing import Any, Final

from pyelevator.engines.base import Bounds
from pyelevator.engines.base.chunks import ChunkedScan

_FIRST: Final = 64
"""Rows of the first fetch; most scans are short."""

_MOST: Final = 5000
"""Rows of a fetch; more are not quicker."""

_FETCH_BYTES: Final = 4 << 20
"""About how many bytes a fetch has."""

_COLUMNS: Final[Mapping[tuple[bool, bool], str]] = {
    (True, True): "key, value",
    (True, False): "key",
    (False, True): "value",
    (False, False): "NULL::bytea",
}

PART_ROWS: Final = 20_000
"""Rows of a part of a range that is counted or measured: some 10 ms of work."""

Fetch = Callable[[int], list[tuple[Any, ...]]]
"""Returns the next rows of a cursor, at most so many."""


def declare(name: str, table: str, bounds: Bounds) -> bytes:
    """Return the statement that opens a cursor on a scan; the keys stand in it in hexadecimal."""
    order = "DESC" if bounds.reverse else "ASC"
    return (
        f"DECLARE {name} BINARY NO SCROLL CURSOR FOR SELECT {_COLUMNS[bounds.parts]} FROM {table} "
        f"WHERE {_conditions(bounds)} ORDER BY key {order}"
    ).encode()


def measure(table: str, bounds: Bounds) -> bytes:
    """Return the statement that adds up the bytes of the pairs of a range."""
    size = "coalesce(sum(octet_length(key) + octet_length(value)), 0)"
    return f"SELECT {size}::bigint FROM {table} WHERE {_conditions(bounds)}".encode()


def find_part_end(table: str, bounds: Bounds) -> bytes:
    """Return the statement that finds the key behind the first ``PART_ROWS`` of a range; see :func:`parse_key`."""
    part = f"{table} WHERE {_conditions(bounds)} ORDER BY key OFFSET {PART_ROWS} LIMIT 1"
    return f"SELECT encode(key, 'hex') FROM {part}".encode()


def parse_key(result: Any) -> bytes | None:
    """Return the key that :func:`find_part_end` has found; None if the range ends before."""
    return bytes.fromhex(result.get_value(0, 0).decode()) if result.ntuples else None


def _conditions(bounds: Bounds) -> str:
    start, stop, include_stop = bounds.interval()
    conditions = ["true"]
    if start is not None:
        conditions.append(f"key >= {_literal(start)}")
    if stop is not None:
        conditions.append(f"key {'<=' if include_stop else '<'} {_literal(stop)}")
    return " AND ".join(conditions)


def _literal(key: bytes) -> str:
    return f"'\\x{key.hex()}'::bytea"


class Rows:
    """The items of a scan, fetched when they are asked for.

    Args:
        first: the rows that came with the opening of the cursor.
        fetch: the next ones.
        release: called once, when no more rows are wanted.
        parts: see ``Bounds.parts``.
    """

    def __init__(
        self, first: list[tuple[Any, ...]], fetch: Fetch, release: Callable[[], None], parts: tuple[bool, bool]
    ) -> None:
        self._next, self._fetch, self._release = first, fetch, release
        self._as_pairs = all(parts)
        self._wanted = _FIRST
        self._is_released = False

    def __iter__(self) -> Iterator[Any]:
        return chain.from_iterable(self._batches())

    def _batches(self) -> Iterator[list[Any]]:
        while rows := self._next:
            self._next = []
            yield rows if self._as_pairs else [row[0] for row in rows]
            if len(rows) < self._wanted:
                break
            self._wanted = _next_count(rows)
            self._next = [] if self._is_released else self._fetch(self._wanted)
        self.close()

    def close(self) -> None:
        """End the scan; closing twice is fine."""
        if not self._is_released:
            self._is_released = True
            self._release()

    __del__ = close


FIRST_FETCH: Final = b"FETCH %d FROM " % _FIRST


def _next_count(rows: list[tuple[Any, ...]]) -> int:
    """Return how many rows to fetch next, by the size of the latest."""
    sample = rows[-_FIRST:]
    size = sum([len(part) for row in sample for part in row if part is not None]) // len(sample)
    return max(8, min(_MOST, _FETCH_BYTES // (size + 1)))


class CursorScan(ChunkedScan):
    """The rows of a cursor, in chunks."""

    def __init__(self, rows: Rows, parts: tuple[bool, bool]) -> None:
        super().__init__(iter(rows), parts)
        self._cursor = rows

    def close(self) -> None:
        super().close()
        self._cursor.close()


def iterate(rows: Rows) -> Iterator[Any]:
    """Yield the items, and end the scan when the iterator goes."""
    try:
        yield from rows
    finally:
        rows.close()
