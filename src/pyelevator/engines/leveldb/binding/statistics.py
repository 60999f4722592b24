"""Statistics of an open database, from LevelDB's properties."""

import re
from collections.abc import Iterator
from typing import Any, Final

from pyelevator.engines.leveldb.binding.library import LAST_KEY
from pyelevator.monitoring import LevelStats

_PROPERTIES: Final = ("leveldb.stats", "leveldb.approximate-memory-usage")
"""Not ``leveldb.sstables``, which holds keys."""

_LEVEL: Final = re.compile(r"^ *(\d+) +(\d+) +(\d+) ", re.MULTILINE)
"""A line of ``leveldb.stats``: level, number of tables, megabytes."""


def read_properties(source: Any) -> dict[str, str]:
    """Return LevelDB's properties by name."""
    values = {name: source.get_property(name.encode()) for name in _PROPERTIES}
    return {name: value.decode("utf-8", "replace") for name, value in values.items() if value is not None}


def parse_levels(properties: dict[str, str]) -> Iterator[LevelStats]:
    """Yield the levels with tables.

    >>> list(parse_levels({"leveldb.stats": "Level  Files Size(MB)\\n---\\n  1        3       12   0   1   2 \\n"}))
    [LevelStats(level=1, tables=3, bytes=12582912)]
    """
    for level, tables, megabytes in _LEVEL.findall(properties.get("leveldb.stats", "")):
        if int(tables):
            yield LevelStats(int(level), int(tables), int(megabytes) << 20)


def size_of_tables(source: Any) -> int:
    """Return LevelDB's estimate of the bytes of all tables."""
    return int(source.approximate_size(b"", LAST_KEY))
