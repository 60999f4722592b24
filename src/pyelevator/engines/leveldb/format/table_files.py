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
"""Bytes of an index that are read if a few of its entries are enough."""

NO_COMPRESSION, SNAPPY = 0, 1
"""The types of blocks that every LevelDB can read."""


@frozen
class BlockHandle:
    """The position of a block in its table, without its trailer."""

    offset: int
    size: int


class TableFile:
    """A table file, open for reading.

    Args:
        descriptor: of the open file, which the caller closes.

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
            _, at = _read_handle(footer, 0)
            self._index, _ = _read_handle(footer, at)
        except IndexError:
            raise FormatError("its footer is damaged") from None

    def block_type(self, handle: BlockHandle) -> int:
        """Return the type of the block, which is its compression.

        Raises:
            FormatError: there is no block at that position.
        """
        end = handle.offset + handle.size
        if end + _TRAILER.size > self.size:
            raise FormatError("a block is past the end")
        return os.pread(self._descriptor, 1, end)[0]

    def is_sound(self, handle: BlockHandle) -> bool:
        """Return True if the block's checksum is right. It takes about 0.1 ms per KiB."""
        block = os.pread(self._descriptor, handle.size + _TRAILER.size, handle.offset)
        return masked_crc(block[:-4]) == int.from_bytes(block[-4:], "little")

    def content(self, handle: BlockHandle) -> bytes:
        """Return the decompressed content of a block, up to the first damage.

        Raises:
            FormatError: it is compressed in a way that LevelDB does not know.
        """
        kind = self.block_type(handle)
        if kind not in _BLOCK_READERS:
            raise FormatError(f"a block of type {kind}")
        content: bytes = _BLOCK_READERS[kind](os.pread(self._descriptor, handle.size, handle.offset), None)
        return content

    def blocks(self, max_count: int | None = None) -> list[BlockHandle]:
        """Return the handles of the index and of the first ``max_count`` data blocks, or of all.

        An index that cannot be read has no data blocks.

        Raises:
            FormatError: there is no index at the position in the footer.
        """
        kind = self.block_type(self._index)
        if kind not in _BLOCK_READERS:
            return [self._index]
        length = self._index.size if max_count is None else min(self._index.size, _INDEX_PREFIX)
        raw = os.pread(self._descriptor, length, self._index.offset)
        content = _BLOCK_READERS[kind](raw, None if max_count is None else _INDEX_PREFIX)
        is_complete = len(raw) == self._index.size and max_count is None
        return [self._index, *islice(_read_handles(content, complete=is_complete), max_count)]


def _read_handle(data: bytes, at: int) -> tuple[BlockHandle, int]:
    offset, at = read_varint(data, at)
    size, at = read_varint(data, at)
    return BlockHandle(offset, size), at


def _read_handles(content: bytes, *, complete: bool) -> Iterator[BlockHandle]:
    """Yield the handles in the entries of an index, or of its beginning."""
    for _, value in read_entries(content, complete=complete):
        try:
            handle, end = _read_handle(value, 0)
        except IndexError:
            return
        if end != len(value):
            return
        yield handle


def read_entries(content: bytes, *, complete: bool = True) -> Iterator[tuple[bytes, bytes]]:
    """Yield the keys and values of a block, or of its beginning, up to the first damage.

    >>> list(read_entries(bytes([0, 2, 1]) + b"abX" + bytes([1, 1, 1]) + b"cY" + bytes([0, 0, 0, 0, 1, 0, 0, 0])))
    [(b'ab', b'X'), (b'ac', b'Y')]
    """
    end = len(content)
    if complete and end >= 4:
        end -= 4 + 4 * int.from_bytes(content[-4:], "little")
    at, key = 0, b""
    try:
        while at < end:
            shared, at = read_varint(content, at)
            unshared, at = read_varint(content, at)
            length, at = read_varint(content, at)
            key = key[:shared] + content[at : at + unshared]
            value, at = content[at + unshared : at + unshared + length], at + unshared + length
            if at > end:
                return
            yield key, value
    except IndexError:
        return


_BLOCK_READERS: Final = {NO_COMPRESSION: lambda data, _: data, SNAPPY: decompress_prefix}
"""Type of a block -> the function that reads at least so many bytes of it."""
