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

from pyelevator.dumps.binary import (
    COMPRESSIONS as COMPRESSIONS,
    BinaryReader as BinaryReader,
    BinaryWriter as BinaryWriter,
)
from pyelevator.dumps.dumping import dump as dump
from pyelevator.dumps.loading import LoadOptions as LoadOptions, load as load
from pyelevator.dumps.positions import PositionFiles as PositionFiles
from pyelevator.dumps.reading import check_dump as check_dump, open_dump as open_dump
from pyelevator.dumps.records import (
    DumpError as DumpError,
    DumpReader as DumpReader,
    DumpTotals as DumpTotals,
    DumpWriter as DumpWriter,
)
from pyelevator.dumps.text import JsonLinesReader as JsonLinesReader, JsonLinesWriter as JsonLinesWriter
