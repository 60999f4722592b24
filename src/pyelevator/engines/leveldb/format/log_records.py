"""The records of write-ahead logs and manifests."""

import struct
from collections.abc import Iterator
from typing import Final, TypeAlias

from attrs import frozen

from pyelevator.engines.leveldb.format import ForeignFormat, FormatError
from pyelevator.engines.leveldb.format.checksums import masked_crc

BLOCK_SIZE: Final = 32768
"""Bytes of a block of a log; no fragment of a record crosses the end of a block."""
HEADER: Final = struct.Struct("<IHB")
"""The header of each fragment: its checksum, the length of its data, and its type."""
_FULL, _FIRST, _MIDDLE, _LAST = 1, 2, 3, 4
RECORD_TYPES: Final = (_FULL, _FIRST, _MIDDLE, _LAST)
"""The types of fragments: which part of a record they are."""

_Fragment: TypeAlias = tuple[int, bytes]
"""The stored checksum, and the bytes that it covers: the type and the data."""


@frozen
class LogRecord:
    """A record of a log or a manifest, assembled from its fragments."""

    fragments: tuple[_Fragment, ...]

    @property
    def payload(self) -> bytes:
        """The bytes that were logged."""
        return b"".join([covered[1:] for _, covered in self.fragments])

    def is_sound(self) -> bool:
        """Return True if the checksums are right. It takes about 0.1 ms per KiB."""
        return all(masked_crc(covered) == crc for crc, covered in self.fragments)


def read_records(data: bytes) -> Iterator[LogRecord]:
    """Yield the records, without those that are truncated at the end, as LevelDB does. Checksums are not verified.

    Raises:
        ForeignFormat: a sound record of a type that LevelDB does not know.
        FormatError: the bytes are not a record.
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


def is_truncated(data: bytes) -> bool:
    """Return True if a log ends within a record, or in garbage, which LevelDB silently skips."""
    end = 0
    try:
        for _, covered, end in _fragments(data):  # noqa: B007 - the last one counts
            last = covered[0]
    except FormatError:
        return True
    return any(data[end:]) or (end > 0 and last not in (_FULL, _LAST))


def complete_length(data: bytes) -> int:
    """Return the bytes up to the end of the last record that is not truncated."""
    complete = 0
    for _, covered, end in _fragments(data):
        if covered[0] in (_FULL, _LAST):
            complete = end
    return complete


def _fragments(data: bytes) -> Iterator[tuple[int, bytes, int]]:
    """Yield the fragments, each with the offset of its end."""
    at, end = 0, len(data)
    while at + HEADER.size <= end:
        block_rest = BLOCK_SIZE - at % BLOCK_SIZE
        if block_rest < HEADER.size:
            at += block_rest
            continue
        crc, length, kind = HEADER.unpack_from(data, at)
        if kind == 0 and length == 0:  # space that was allocated and never written
            at += block_rest
            continue
        start, at = at + HEADER.size, at + HEADER.size + length
        if HEADER.size + length > block_rest:
            raise FormatError("a log record that is longer than its block")
        if at > end:
            return
        yield crc, data[start - 1 : at], at


def starts_with_record(head: bytes) -> bool:
    """Return True if a file with this beginning holds a log record."""
    if len(head) < HEADER.size:
        return False
    _, length, kind = HEADER.unpack_from(head)
    return kind in (_FULL, _FIRST) and 0 < length <= BLOCK_SIZE - HEADER.size


def is_text(head: bytes) -> bool:
    """Return True if a file with this beginning is text, which LevelDB never writes into numbered files."""
    return bool(head) and not any(byte < 32 and byte not in b"\t\n\r" for byte in head)
