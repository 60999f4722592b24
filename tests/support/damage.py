"""Damage to the files of a LevelDB, byte by byte, at places that are looked up in the files themselves."""

import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TypeVar

from pyelevator.engines.leveldb.format.checksums import masked_crc
from pyelevator.engines.leveldb.format.log_records import HEADER
from pyelevator.engines.leveldb.format.table_files import BlockHandle, TableFile


def flip(file: Path, place: Callable[[Path], int], bit: int = 0) -> None:
    """Changes one bit of the byte at a place of the file."""
    at = place(file)
    content = bytearray(file.read_bytes())
    content[at] ^= 1 << bit
    file.write_bytes(content)


def blocks(table: Path) -> Sequence[BlockHandle]:
    """The index block of a table, and its data blocks."""
    return _of_table(table, lambda open_table: open_table.blocks())


T = TypeVar("T")


def _of_table(table: Path, call: Callable[[TableFile], T]) -> T:
    descriptor = os.open(table, os.O_RDONLY)
    try:
        return call(TableFile(descriptor))
    finally:
        os.close(descriptor)


def first_block(table: Path) -> int:
    """In the first data block of a table."""
    return blocks(table)[1].offset + 10


def middle_block(table: Path) -> int:
    """In the data block in the middle of a table."""
    data = blocks(table)[1:]
    return data[(len(data) - 1) // 2].offset + 10


def last_block(table: Path) -> int:
    """In the last data block of a table."""
    return blocks(table)[-1].offset + 10


def index_block(table: Path) -> int:
    """In the index of a table."""
    return blocks(table)[0].offset + 10


def filter_block(table: Path) -> int:
    """In the filter of a table, which comes right behind its data."""
    last = blocks(table)[-1]
    return last.offset + last.size + 5 + 10


def footer(table: Path) -> int:
    """In the number that marks a table."""
    return table.stat().st_size - 1


def record(file: Path) -> int:
    """In the data of the second record of a log or a manifest."""
    return _second_header(file) + HEADER.size


def record_length(file: Path) -> int:
    """In the length of the second record of a log or a manifest: in the higher byte of two."""
    return _second_header(file) + 5


def _second_header(file: Path) -> int:
    return HEADER.size + int(HEADER.unpack_from(file.read_bytes())[1])


def retype(table: Path, kind: int) -> None:
    """Gives the data blocks a type that LevelDB does not know, with the checksums that belong to it."""
    content = bytearray(table.read_bytes())
    for block in blocks(table)[1:]:
        end = block.offset + block.size
        content[end] = kind
        content[end + 1 : end + 5] = masked_crc(bytes(content[block.offset : end + 1])).to_bytes(4, "little")
    table.write_bytes(content)


def zero(file: Path, place: Callable[[Path], int], count: int) -> None:
    """Puts zeros in place of some bytes, from the header of a record on."""
    start = place(file) - HEADER.size
    content = bytearray(file.read_bytes())
    content[start : start + count] = bytes(count)
    file.write_bytes(content)
