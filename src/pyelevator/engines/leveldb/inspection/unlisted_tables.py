"""Tables that no manifest names: the sequence numbers of their writes show if they were in use.

A killed process leaves tables that its manifest does not name yet, but everything in them is also in the logs or in
other tables. A copy whose manifest is older than its tables has tables whose logs are gone.
"""

from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Final

from pyelevator.engines.leveldb.format import FormatError
from pyelevator.engines.leveldb.format.log_records import read_records
from pyelevator.engines.leveldb.format.table_files import TableFile, read_entries

_MAX_BYTES: Final = 64 << 20
"""Bytes of a table that are read; more are found only in copies."""


def has_unlogged_writes(path: Path, last: int, logs: Iterable[Path]) -> bool:
    """Return True if a table has writes after the sequence number ``last`` that are in none of the logs."""
    with path.open("rb") as file:
        later = {number for number in _read_table_sequences(file.fileno()) if number > last}
    ranges = [_read_log_sequences(log) for log in logs] if later else []
    return any(not any(number in logged for logged in ranges) for number in later)


def _read_table_sequences(descriptor: int) -> Iterator[int]:
    with suppress(FormatError):  # a table that was not written to its end
        table = TableFile(descriptor)
        remaining = _MAX_BYTES
        for handle in table.blocks()[1:]:
            remaining -= handle.size
            if remaining < 0:
                return
            for key, _ in read_entries(table.content(handle)):
                yield int.from_bytes(key[-8:], "little") >> 8


def _read_log_sequences(path: Path) -> Sequence[int]:
    """Return the sequence numbers in a log, as far as it can be read; they are consecutive."""
    first, end = 0, 0
    with suppress(FormatError):
        for record in read_records(path.read_bytes()):
            head = record.payload[:12]
            start = int.from_bytes(head[:8], "little")
            first, end = first or start, start + int.from_bytes(head[8:], "little")
    return range(first, end)
