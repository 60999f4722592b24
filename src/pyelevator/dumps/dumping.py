"""Writing databases to a dump, each as of one moment."""

from collections.abc import Callable, Iterable, Sequence
from secrets import token_hex
from typing import Any, Final, TypeAlias

from pyelevator.arguments import Data
from pyelevator.client import Elevator
from pyelevator.codec import UnsupportedByDialect
from pyelevator.dumps.records import DumpError, DumpTotals, DumpWriter

OnProgress: TypeAlias = Callable[[str, int, int], object]
"""Called with the name of a database, and how many pairs and bytes of it have been read or written so far."""

_RECORD_BYTES: Final = 1 << 20
"""About how many bytes of keys and values a record has: what a load writes in one batch."""

_RECORD_PAIRS: Final = 10_000


def dump(
    client: Elevator[bytes],
    writer: DumpWriter,
    databases: Sequence[str],
    *,
    prefix: Data | None = None,
    snapshot: bool = True,
    timeout: float | None = None,
    on_progress: OnProgress = lambda *_: None,
) -> DumpTotals:
    """Write databases to a dump; memory is needed for a few pages.

    Args:
        client: with ``encoding=None``; it is connected to one database after the other.
        writer: of the dump.
        databases: their names; one that is named twice is written once.
        prefix: only keys that start with it.
        snapshot: write each as of one moment, which takes a server with cursors; False writes each page as of its own.
        timeout: seconds for each page; the client's if None.
        on_progress: called from time to time.

    Returns:
        What was written.

    Raises:
        DumpError: the server keeps no snapshots, and one was asked for.
        DatabaseError: there is no such database.
    """
    names = list(dict.fromkeys(databases))
    writer.begin(token_hex(16))
    pairs = nbytes = 0
    for name in names:
        client.connect(name, timeout=timeout)
        writer.begin_database(name)
        rows = client.RangeIter(prefix=prefix, consistent=snapshot, timeout=timeout)
        try:
            with rows:
                count, size = _write_rows(rows, writer, lambda *done, name=name: on_progress(name, *done))
        except UnsupportedByDialect as error:
            if not snapshot:
                raise
            raise DumpError(
                f"{error}; --no-snapshot dumps the pages as they are when they are read, which is the same while "
                "nothing is written"
            ) from error
        writer.end_database(count)
        pairs, nbytes = pairs + count, nbytes + size
    writer.end(len(names))
    return DumpTotals(len(names), pairs, nbytes)


def _write_rows(rows: Iterable[Any], writer: DumpWriter, on_progress: Callable[[int, int], object]) -> tuple[int, int]:
    """Write rows in records; return how many there were, and their bytes."""
    items: list[bytes] = []
    pairs = nbytes = size = 0
    for key, value in rows:
        items += (key, value)
        size += len(key) + len(value)
        if size >= _RECORD_BYTES or len(items) >= 2 * _RECORD_PAIRS:
            pairs, nbytes = pairs + len(items) // 2, nbytes + size
            writer.write_pairs(items)
            on_progress(pairs, nbytes)
            items, size = [], 0
    if items:
        writer.write_pairs(items)
    return pairs + len(items) // 2, nbytes + size
