"""Opening a dump of either format, and checking one."""

import io
from typing import IO

from pyelevator.dumps.binary import MAGIC, BinaryReader
from pyelevator.dumps.records import DatabaseStart, DumpError, DumpReader, DumpTotals, Pairs
from pyelevator.dumps.text import JsonLinesReader


def open_dump(file: IO[bytes]) -> DumpReader:
    """Return a reader of the dump in a file, whose format its first bytes tell.

    Args:
        file: open for reading, in binary; a pipe will do.

    Raises:
        DumpError: it is no dump.
    """
    buffered = file if isinstance(file, io.BufferedReader) else io.BufferedReader(file)  # type: ignore[type-var]
    beginning = buffered.peek(len(MAGIC))[: len(MAGIC)]
    if beginning == MAGIC:
        return BinaryReader(buffered)
    if beginning.lstrip()[:1] == b"{":
        return JsonLinesReader(buffered)
    what = "it is empty" if not beginning else "it begins with something else"
    raise DumpError(f"this is no dump of `elevator dump`: {what}")


def check_dump(reader: DumpReader) -> DumpTotals:
    """Read a dump to its end, and return what it adds up to; the bytes are not counted.

    Args:
        reader: of either format, at its beginning.

    Raises:
        DumpError: it is damaged or incomplete.
    """
    databases = pairs = 0
    for record in reader:
        databases += isinstance(record, DatabaseStart)
        pairs += record.count if isinstance(record, Pairs) else 0
    return DumpTotals(databases, pairs)
