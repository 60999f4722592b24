"""Tables: sorted blocks of keys and values, and their index."""

import os
import struct
from collections.abc import Iterator
from itertools import islice
from typing import Final

from attrs import frozen

from pyelevator.engines.leveldb.format import ForeignFormat, FormatError
from pyelevator.engines.leveldb.format.checksums import masked_crc
from pyelevator.engines.leveldb.format.snappy import decompress_prefix
from pyelevator.engines.leveldb.format.varints import read_varint

_FOOTER: Final = 48
_MAGIC: Final = 0xDB4775248B80FB57
_ROCKSDB_MAGICS: Final = frozenset({0x88E241B785F4CFF7, 0x8242229663BF9564, 0x7A8B29F5A2B0A4F9})
_TRAILER: Final = struct.Struct("<BI")
_INDEX_PREFIX: Final = 1 << 14
"""Bytes of an index that are read where a few of its entries will do."""

NO_COMPRESSION, SNAPPY = 0, 1
"""The types of blocks that every LevelDB reads."""


@frozen
class BlockHandle:
    """Where a block lies in its table, without the trailer."""

    offset: int
    size: int


class Table:
    """A table file, open for reading.

    Args:
        descriptor: of the open file, which stays the caller's.

    Raises:
        ForeignFormat: the footer is RocksDB's.
        FormatError: it has no footer.
    """

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor
        self.size: Final = os.fstat(descriptor).st_size
        footer = os.pread(descriptor, _FOOTER, max(0, self.size - _FOOTER))
        if len(footer) < _FOOTER:
            raise FormatError("it is too short for a table")
        magic = int.from_bytes(footer[-8:], "little")
        if magic in _ROCKSDB_MAGICS:
            raise ForeignFormat("a table of RocksDB's")
        if magic != _MAGIC:
            raise FormatError("it does not end as a table does")
        try:
            _, at = _handle(footer, 0)
            self._index, _ = _handle(footer, at)
        except IndexError:
            raise FormatError("its footer is damaged") from None

    def block_type(self, handle: BlockHandle) -> int:
        """Return how the block is compressed.

        Raises:
            FormatError: no block lies there.
        """
        end = handle.offset + handle.size
        if end + _TRAILER.size > self.size:
            raise FormatError("a block lies behind the end")
        return os.pread(self._descriptor, 1, end)[0]

    def is_sound(self, handle: BlockHandle) -> bool:
        """Return whether the block's checksum is right. This takes about 0.1 ms for each KiB."""
        block = os.pread(self._descriptor, handle.size + _TRAILER.size, handle.offset)
        return masked_crc(block[:-4]) == int.from_bytes(block[-4:], "little")

    def content(self, handle: BlockHandle) -> bytes:
        """Return what a block holds, without its compression; what is damaged ends it.

        Raises:
            FormatError: it is compressed in another way than LevelDB's.
        """
        kind = self.block_type(handle)
        if kind not in _BLOCK_READERS:
            raise FormatError(f"a block of type {kind}")
        content: bytes = _BLOCK_READERS[kind](os.pread(self._descriptor, handle.size, handle.offset), None)
        return content

    def blocks(self, most: int | None = None) -> list[BlockHandle]:
        """Return the handles of the index and of the first ``most`` data blocks, or of all.

        An index that cannot be read has no data blocks.

        Raises:
            FormatError: there is no index where the footer says.
        """
        kind = self.block_type(self._index)
        if kind not in _BLOCK_READERS:
            return [self._index]
        length = self._index.size if most is None else min(self._index.size, _INDEX_PREFIX)
        raw = os.pread(self._descriptor, length, self._index.offset)
        content = _BLOCK_READERS[kind](raw, None if most is None else _INDEX_PREFIX)
        return [self._index, *islice(_handles(content, whole=len(raw) == self._index.size and most is None), most)]


def _handle(data: bytes, at: int) -> tuple[BlockHandle, int]:
    offset, at = read_varint(data, at)
    size, at = read_varint(data, at)
    return BlockHandle(offset, size), at


def _handles(content: bytes, *, whole: bool) -> Iterator[BlockHandle]:
    """The handles in the entries of an index, or of the beginning of one."""
    for _, value in entries(content, whole=whole):
        try:
            handle, behind = _handle(value, 0)
        except IndexError:
            return
        if behind != len(value):
            return
        yield handle


def entries(content: bytes, *, whole: bool = True) -> Iterator[tuple[bytes, bytes]]:
    """Yield the keys and values of a block, or of its beginning; what is damaged ends them.

    >>> list(entries(bytes([0, 2, 1]) + b"abX" + bytes([1, 1, 1]) + b"cY" + bytes([0, 0, 0, 0, 1, 0, 0, 0])))
    [(b'ab', b'X'), (b'ac', b'Y')]
    """
    end = len(content)
    if whole and end >= 4:
        end -= 4 + 4 * int.from_bytes(content[-4:], "little")
    at, key = 0, b""
    try:
        while at < end:
            shared, at = read_varint(content, at)
            fresh, at = read_varint(content, at)
            length, at = read_varint(content, at)
            key = key[:shared] + content[at : at + fresh]
            value, at = content[at + fresh : at + fresh + length], at + fresh + length
            if at > end:
                return
            yield key, value
    except IndexError:
        return


_BLOCK_READERS: Final = {NO_COMPRESSION: lambda data, _: data, SNAPPY: decompress_prefix}
"""Type of a block -> what reads it, up to so many bytes or more."""
