"""Dumps: databases written to a stream, each as of one moment, and loaded from it (docs/dump-format.md).

>>> import io
>>> from pyelevator import (Elevator)
>>> with Elevator.from_url("fake://", encoding=None) as E:
...     E.Put("abc", "123")
...     file = io.BytesIO()
...     dump(E, BinaryWriter(file, compression="none"), ["default"])
...     E.Delete("abc")
...     _ = file.seek(0)
...     load(E, open_dump(file))
...     E.Get("abc")
DumpTotals(databases=1, pairs=1, nbytes=6)
DumpTotals(databases=1, pairs=1, nbytes=6)
b'123'
"""

from pyelevator.dumps.binary import COMPRESSIONS, BinaryReader, BinaryWriter
from pyelevator.dumps.dumping import dump
from pyelevator.dumps.loading import LoadOptions, load
from pyelevator.dumps.positions import PositionFiles
from pyelevator.dumps.reading import check_dump, open_dump
from pyelevator.dumps.records import DumpError, DumpReader, DumpTotals, DumpWriter
from pyelevator.dumps.text import JsonLinesReader, JsonLinesWriter

__all__ = [
    "COMPRESSIONS",
    "BinaryReader",
    "BinaryWriter",
    "DumpError",
    "DumpReader",
    "DumpTotals",
    "DumpWriter",
    "JsonLinesReader",
    "JsonLinesWriter",
    "LoadOptions",
    "PositionFiles",
    "check_dump",
    "dump",
    "load",
    "open_dump",
]
