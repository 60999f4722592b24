"""Scans: a cursor of PostgreSQL's, from which rows are fetched in growing numbers."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import chain
from typing import Any, Final, TypeAlias

from pyelevator.engines.base import Bounds

_FIRST: Final = 64
"""Rows of the first fetch; most scans are short."""

_MAX_FETCH_ROWS: Final = 5000
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

Row: TypeAlias = tuple[bytes, ...]
"""A row of a cursor; without keys and values, it is one NULL."""


def declare(name: str, table: str, bounds: Bounds) -> bytes:
    """Return the statement that opens a cursor on a scan; the keys stand in it in hexadecimal."""
    order = "DESC" if bounds.reverse else "ASC"
    return (
        f"DECLARE {name} BINARY NO SCROLL CURSOR FOR SELECT {_COLUMNS[bounds.parts]} FROM {table} "
        f"WHERE {_conditions(bounds)} ORDER BY key {order}; "
    ).encode()


def open_cursor(name: str, table: str, bounds: Bounds) -> bytes:
    """Return the statements that open a cursor on a scan, and fetch its first rows."""
    return declare(name, table, bounds) + fetch(name, _FIRST)


def fetch(name: str, rows: int) -> bytes:
    """Return the statement that fetches the next rows of a cursor."""
    return f"FETCH {rows} FROM {name}".encode()


def measure(table: str, bounds: Bounds) -> bytes:
    """Return the statement that adds up the bytes of the pairs of a range."""
    size = "coalesce(sum(octet_length(key) + octet_length(value)), 0)"
    return f"SELECT {size}::bigint FROM {table} WHERE {_conditions(bounds)}".encode()


def find_part_end(table: str, bounds: Bounds) -> bytes:
    """Return the statement that finds the key behind the first ``PART_ROWS`` of a range, if there are so many."""
    return f"SELECT key FROM {table} WHERE {_conditions(bounds)} ORDER BY key OFFSET {PART_ROWS} LIMIT 1".encode()


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


def iterate_cursor(
    first: Sequence[Row], fetch: Callable[[int], Sequence[Row]], release: Callable[[], None], parts: tuple[bool, bool]
) -> Iterator[Any]:
    """Return the items of a cursor, whose rows are fetched when they are asked for.

    Args:
        first: the rows that came with the opening of the cursor.
        fetch: returns the next rows, at most so many.
        release: called once, when no more rows are wanted, or when the iterator goes.
        parts: see ``Bounds.parts``.
    """
    batches = _batches(first, fetch, release, all(parts))
    next(batches)  # a generator that has not begun would end without releasing anything
    return chain.from_iterable(batches)


def _batches(
    rows: Sequence[Row], fetch: Callable[[int], Sequence[Row]], release: Callable[[], None], as_pairs: bool
) -> Iterator[Sequence[Any]]:
    wanted = _FIRST
    try:
        yield ()
        while rows:
            yield rows if as_pairs else [row[0] for row in rows]
            if len(rows) < wanted:
                break
            sample = rows[-_FIRST:]
            size = sum([len(part) for row in sample for part in row if part is not None]) // len(sample)
            wanted = max(8, min(_MAX_FETCH_ROWS, _FETCH_BYTES // (size + 1)))
            rows = fetch(wanted)
    finally:
        release()
