"""Whether the tables that an open LevelDB counts on are there: point reads take their keys for missing.

A file that is not there is NotFound to LevelDB, and so is a key. Iterators do not make that mistake.
"""

import errno
import os
import re
import time
from typing import Any, Final

from pyelevator.engines.leveldb.directory_handle import DirectoryHandle
from pyelevator.engines.leveldb.format.file_names import FileKind, parse_file_name

_LIVE: Final = re.compile(r"^ ([0-9]+):", re.MULTILINE)

_SETTLED: Final = 1_000_000_000
"""Nanoseconds after which a directory that changes again has another time of its last change, for certain."""


class LiveTables:
    """The tables of an open database. As long as its directory has not changed, a check takes about a microsecond.

    Args:
        source: the binding's database.
        directory: in which it is open.
    """

    def __init__(self, source: Any, directory: DirectoryHandle) -> None:
        self._source = source
        self._directory = directory
        self._descriptor = directory.descriptor
        self._checked = 0

    def check(self) -> None:
        """Check that all are there.

        Raises:
            FileNotFoundError: one is gone.
            OSError: the directory cannot be read.
        """
        changed = os.fstat(self._descriptor).st_mtime_ns
        if changed != self._checked:
            self._compare()
            if time.time_ns() - changed > _SETTLED:
                self._checked = changed

    def _compare(self) -> None:
        live = self._live()
        files = map(parse_file_name, os.listdir(self._directory.name))  # noqa: PTH208 - names are all that is needed
        missing = live - {file.number for file in files if file and file.kind is FileKind.TABLE}
        if missing:
            missing &= self._live()  # a compaction may have replaced them meanwhile
        if missing:
            name = f"{self._directory.name}/{min(missing):06}.ldb"
            raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), name)

    def _live(self) -> set[int]:
        """The numbers of the tables of the current version; such a number is never used again."""
        return set(map(int, _LIVE.findall(self._source.get_property(b"leveldb.sstables").decode("latin-1"))))
