"""The signs by which files of other programs are recognized."""

import re
from collections.abc import Mapping, Sequence
from typing import Final

ROCKSDB: Final = "made by RocksDB"

FOREIGN_NAMES: Final[Sequence[tuple[re.Pattern[str], str]]] = (
    (re.compile(r"OPTIONS-[0-9]+(\.dbtmp)?"), ROCKSDB),
    (re.compile(r"IDENTITY"), ROCKSDB),
)
"""Name of a file that LevelDB never creates -> what it shows."""

POINTERS: Final[Sequence[tuple[re.Pattern[bytes], str]]] = (
    (
        re.compile(rb"version https://git-lfs\.github\.com/"),
        "a git-lfs pointer, not the data; fetch it with: git lfs pull",
    ),
    (
        re.compile(rb"[./\\]*(\.git/|/)annex/objects/"),
        "a git-annex pointer, not the data; fetch it with: git annex get",
    ),
    (re.compile(rb"<{7} "), "two versions between git's merge markers; check one of them out"),
)
"""Beginning of a file that is a placeholder for the data -> what it is."""

COMPARATORS: Final[Mapping[str, str]] = {"idb_cmp1": "Chromium's IndexedDB"}
"""Comparator -> the program that it belongs to."""

COMPRESSIONS: Final[Mapping[int, str]] = {2: "zstd, or Mojang's zlib", 4: "Mojang's raw zlib, or LZ4"}
"""Type of a block that not every LevelDB can read -> its compression."""
