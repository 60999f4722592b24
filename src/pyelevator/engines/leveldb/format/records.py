"""The records of write-ahead logs and manifests."""

import struct
from collections.abc import Iterator
from typing import Final, TypeAlias

from attrs import frozen

from pyelevator.engines.leveldb.format import ForeignFormat, FormatError
from pyelevator.engines.leveldb.format.checksums import masked_crc

BLOCK: Final = 32768
"""Bytes of a block of a log; no record's fragment goes beyond one."""
HEADER: Final = struct.Struct("<IHB")
"""Before each fragment: its checksum, the length of its data, and its type."""
_FULL, _FIRST, _MIDDLE, _LAST = 1, 2, 3, 4
RECORD_TYPES: Final = (_FULL, _FIRST, _MIDDLE, _LAST)
"""Which part of a record a fragment is."""

_Fragment: TypeAlias = tuple[int, bytes]
"""The stored checksum, and the bytes that it covers: the type and the data."""


@frozen
class LogRecord:
    """A record of a log or a manifest, put together from its fragments."""

    fragments: tuple[_Fragment, ...]

    @property
    def payload(self) -> bytes:
        """The bytes that were logged."""
        return b"".join([covered[1:] for _, covered in self.fragments])

    def is_sound(self) -> bool:
        """Return whether the checksums are right. This takes about 0.1 ms for each KiB."""
        return all(masked_crc(covered) == crc for crc, covered in self.fragments)


def read_records(data: bytes) -> Iterator[LogRecord]:
    """Yield the records; a record that is cut off at the end is none, as for LevelDB. Checksums are not verified.

    Raises:
        ForeignFormat: a sound record of a type that LevelDB does not know.
        FormatError: what stands there is no record.
    """
    parts: list[_Fragment] = []
    for crc, covered, _ in _fragments(data):
        kind = covered[0]
        if kind not in RECORD_TYPES:
            error = ForeignFormat if masked_crc(covered) == crc else FormatError
            raise error(f"a log record of type {kind}")
        if kind in (_FULL, _FIRST):
            parts = []
        elif not parts:
            raise FormatError("a log record without a beginning")
        parts.append((crc, covered))
        if kind in (_FULL, _LAST):
            yield LogRecord(tuple(parts))


def is_cut_off(data: bytes) -> bool:
    """Return whether a log ends within a record, or in rubbish, which LevelDB passes over without a word."""
    end = 0
    try:
        for _, covered, end in _fragments(data):  # noqa: B007 - the last one counts
            last = covered[0]
    except FormatError:
        return True
    return any(data[end:]) or (end > 0 and last not in (_FULL, _LAST))


def _fragments(data: bytes) -> Iterator[tuple[int, bytes, int]]:
    """The fragments, each with where it ends."""
    at, end = 0, len(data)
    while at + HEADER.size <= end:
        room = BLOCK - at % BLOCK
        if room < HEADER.size:
            at += room
            continue
        crc, length, kind = HEADER.unpack_from(data, at)
        if kind == 0 and length == 0:  # space that was allocated and never written
            at += room
            continue
        start, at = at + HEADER.size, at + HEADER.size + length
        if HEADER.size + length > room:
            raise FormatError("a log record that is longer than its block")
        if at > end:
            return
        yield crc, data[start - 1 : at], at


def begins_as_log(head: bytes) -> bool:
    """Return whether a file with this beginning holds a log record."""
    if len(head) < HEADER.size:
        return False
    _, length, kind = HEADER.unpack_from(head)
    return kind in (_FULL, _FIRST) and 0 < length <= BLOCK - HEADER.size


def is_text(head: bytes) -> bool:
    """Return whether a file with this beginning is text, which nothing that LevelDB writes into numbered files is."""
    return bool(head) and not any(byte < 32 and byte not in b"\t\n\r" for byte in head)
