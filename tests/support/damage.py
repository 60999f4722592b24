"""Damage to the files of a LevelDB, byte by byte, at places that are looked up in the files themselves."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Final

_FOOTER: Final = 48
"""Bytes at the end of each table: where its metaindex and its index are, and a magic number."""


def flip(file: Path, place: Callable[[bytes], int], bit: int = 0) -> None:
    """Changes one bit of the byte at a place of the file."""
    content = bytearray(file.read_bytes())
    content[place(bytes(content))] ^= 1 << bit
    file.write_bytes(content)


def metaindex(table: bytes) -> int:
    """Where the metaindex block of a table begins: behind its data, and the filter if there is one."""
    return _varint(table[-_FOOTER:], 0)[0]


def index(table: bytes) -> int:
    """Where the index block of a table begins."""
    footer = table[-_FOOTER:]
    _, after = _varint(footer, 0)
    _, after = _varint(footer, after)
    return _varint(footer, after)[0]


def _varint(content: bytes, at: int) -> tuple[int, int]:
    """The number at a place, and the place behind it."""
    value = shift = 0
    while True:
        byte = content[at]
        value |= (byte & 0x7F) << shift
        at, shift = at + 1, shift + 7
        if byte < 0x80:
            return value, at


def first_block(_: bytes) -> int:
    """In the first data block of a table."""
    return 10


def middle_block(table: bytes) -> int:
    """In a data block in the middle of a table."""
    return metaindex(table) // 2


def last_block(table: bytes) -> int:
    """In the last data block of a table, which must have no filter."""
    return metaindex(table) - 10


TABLE_PLACES: Final[Mapping[str, Callable[[bytes], int]]] = {
    "first data block": first_block,
    "middle data block": middle_block,
    "last data block": last_block,
    "index block": lambda table: index(table) + 5,
    "footer": lambda table: len(table) - 1,
}
"""Part of a table -> a place in it."""
