"""Checks that the tables of an open LevelDB exist, because point reads take the keys of a lost table for missing.

LevelDB has one status, NotFound, for a missing file and for a missing key. Iterators do not confuse them.
"""

import os
import re
import time
from typing import Any, Final

from pyelevator.engines.leveldb.directories.handle import DirectoryHandle
from pyelevator.engines.leveldb.format.file_names import FileKind, list_files, missing_file

_LIVE: Final = re.compile(r"^ ([0-9]+):", re.MULTILINE)

_SETTLED: Final = 1_000_000_000
"""Nanoseconds after which a further change of a directory certainly has another modification time."""


class LiveTables:
    """The tables of an open database. A check takes about a microsecond while the directory has not changed."""

    def __init__(self, source: Any, directory: DirectoryHandle) -> None:
        self._source = source
        self._directory = directory
        self._descriptor = directory.descriptor
        self._check = 0

    def check(self) -> None:
        """Raise FileNotFoundError if one is missing."""
        changed = os.fstat(self._descriptor).st_mtime_ns
        if changed != self._check:
            self._check_directory()
            if time.time_ns() - changed > _SETTLED:
                self._check = changed

    def _check_directory(self) -> None:
        live = self._read_live_numbers()
        missing = live - {file.number for file in list_files(self._directory.name) if file.kind is FileKind.TABLE}
        if missing:
            missing &= self._read_live_numbers()  # a compaction may have replaced them since
        if missing:
            raise missing_file(f"{self._directory.name}/{min(missing):06}.ldb")

    def _read_live_numbers(self) -> set[int]:
        """Return the numbers of the tables of the current version; such a number is never used again."""
        return set(map(int, _LIVE.findall(self._source.get_property(b"leveldb.sstables").decode("latin-1"))))
