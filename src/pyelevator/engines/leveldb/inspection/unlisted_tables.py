"""The sequence numbers of the writes in tables and logs, which tell whether a table that no manifest names was in use.

A killed process leaves tables that its manifest does not name yet, and everything in them is in the logs or in other
tables as well. A copy whose manifest is older than its tables has some whose logs are gone.
"""

from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Final

from pyelevator.engines.leveldb.format import FormatError
from pyelevator.engines.leveldb.format.records import read_records
from pyelevator.engines.leveldb.format.tables import Table, entries

_MOST: Final = 64 << 20
"""Bytes of tables that are looked into; there are more only in copies."""


def holds_others(path: Path, last: int, logs: Iterable[Path]) -> bool:
    """Return whether a table holds writes after the sequence number ``last`` that are in none of the logs.

    Raises:
        OSError: a file cannot be read.
    """
    with path.open("rb") as file:
        later = {number for number in _in_table(file.fileno()) if number > last}
    ranges = [_in_log(log) for log in logs] if later else []
    return any(not any(number in some for some in ranges) for number in later)


def _in_table(descriptor: int) -> Iterator[int]:
    with suppress(FormatError):  # a table that was not written to its end
        table = Table(descriptor)
        left = _MOST
        for handle in table.blocks()[1:]:
            left -= handle.size
            if left < 0:
                return
            for key, _ in entries(table.content(handle)):
                yield int.from_bytes(key[-8:], "little") >> 8


def _in_log(path: Path) -> Sequence[int]:
    """From the first to the last, as far as the log can be read; they are consecutive."""
    first, end = 0, 0
    with suppress(FormatError):
        for record in read_records(path.read_bytes()):
            head = record.payload[:12]
            start = int.from_bytes(head[:8], "little")
            first, end = first or start, start + int.from_bytes(head[8:], "little")
    return range(first, end)
