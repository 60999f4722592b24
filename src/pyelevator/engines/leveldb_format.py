"""The files of a LevelDB directory as bytes: names, log records, manifests and tables.

It only reads, and needs no library; so a directory can be judged before LevelDB is let in, which rotates its LOG,
rewrites its logs and deletes what it takes for obsolete.
"""

import enum
import os
import re
import struct
from collections.abc import Iterator, Mapping
from functools import cache
from itertools import islice
from typing import Final, TypeAlias

from attrs import define, field, frozen


class FormatError(ValueError):
    """The bytes are not what LevelDB writes: damaged, cut off, or another program's."""


class ForeignFormat(FormatError):
    """The bytes are sound, and another program's."""


# Names


class FileKind(enum.Enum):
    """What LevelDB takes a file for, by its name."""

    CURRENT = "CURRENT"
    LOCK = "LOCK"
    INFO_LOG = "LOG"
    MANIFEST = "MANIFEST"
    TABLE = "table"
    LOG = "log"
    TEMPORARY = "temporary"


_FIXED: Final[Mapping[str, FileKind]] = {
    "CURRENT": FileKind.CURRENT,
    "LOCK": FileKind.LOCK,
    "LOG": FileKind.INFO_LOG,
    "LOG.old": FileKind.INFO_LOG,
}
_SUFFIXES: Final[Mapping[str, FileKind]] = {
    "log": FileKind.LOG,
    "sst": FileKind.TABLE,
    "ldb": FileKind.TABLE,
    "dbtmp": FileKind.TEMPORARY,
}
_NUMBERED: Final = re.compile(r"(MANIFEST-)?([0-9]+)(?:\.(log|sst|ldb|dbtmp))?")
_MAX_NUMBER: Final = (1 << 64) - 1


@frozen
class FileName:
    """A name that LevelDB takes for one of its own.

    Attributes:
        name: as it is in the directory.
        kind: what LevelDB takes it for.
        number: the number in it; 0 without one.
        canonical: whether LevelDB itself would have written it so, with six digits or as many as it needs.
    """

    name: str
    kind: FileKind
    number: int = 0
    canonical: bool = True


def parse_file_name(name: str) -> FileName | None:
    """Return what LevelDB takes the file for; None for a name that it leaves alone.

    >>> parse_file_name("000012.ldb")
    FileName(name='000012.ldb', kind=<FileKind.TABLE: 'table'>, number=12, canonical=True)
    >>> parse_file_name("7.log").canonical
    False
    >>> parse_file_name("notes.txt")
    """
    if name in _FIXED:
        return FileName(name, _FIXED[name])
    match = _NUMBERED.fullmatch(name)
    if match is None or (match[1] is None) == (match[3] is None):
        return None
    number = int(match[2])
    if number > _MAX_NUMBER:
        return None
    return FileName(name, _SUFFIXES.get(match[3], FileKind.MANIFEST), number, match[2] == f"{number:06}")


# Checksums


@cache
def _crc_table() -> tuple[int, ...]:
    table = []
    for value in range(256):
        for _ in range(8):
            value = (value >> 1) ^ (0x82F63B78 if value & 1 else 0)  # noqa: PLW2901 - bit by bit
        table.append(value)
    return tuple(table)


def masked_crc(data: bytes) -> int:
    """Return the checksum of ``data`` as LevelDB stores it: CRC-32C, rotated, plus a constant.

    >>> hex(masked_crc(b"123456789"))
    '0xc78ab0e5'
    """
    table, crc = _crc_table(), 0xFFFFFFFF
    for byte in data:
        crc = table[(crc ^ byte) & 255] ^ (crc >> 8)
    crc ^= 0xFFFFFFFF
    return (((crc >> 15) | (crc << 17)) + 0xA282EAD8) & 0xFFFFFFFF


def prefix_of_crc(data: bytes, masked: int) -> int | None:
    """Return the length of the shortest prefix of ``data`` with the checksum, as LevelDB stores it; None without one.

    >>> prefix_of_crc(b"123456789abc", 0xc78ab0e5), prefix_of_crc(b"abc", 0xc78ab0e5)
    (9, None)
    """
    rotated = (masked - 0xA282EAD8) & 0xFFFFFFFF
    wanted = ((rotated >> 17) | (rotated << 15)) & 0xFFFFFFFF ^ 0xFFFFFFFF
    table, crc = _crc_table(), 0xFFFFFFFF
    for length, byte in enumerate(data, 1):
        crc = table[(crc ^ byte) & 255] ^ (crc >> 8)
        if crc == wanted:
            return length
    return None


# Log records: write-ahead logs and manifests

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


def log_records(data: bytes) -> Iterator[LogRecord]:
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


# Manifests

BYTEWISE: Final = "leveldb.BytewiseComparator"


@define
class Manifest:
    """What a manifest says of its database.

    Attributes:
        comparator: the name of the order of the keys; empty where it says none.
        log_number: the oldest log whose records are not in tables; 0 for all that there are.
        previous_log_number: one older log that is needed as well; 0 for none.
        next_file_number: numbers from this one on had not been used.
        last_sequence: the sequence number of the last write then.
        tables: the numbers of the tables.
    """

    comparator: str = ""
    log_number: int = 0
    previous_log_number: int = 0
    next_file_number: int = 0
    last_sequence: int = 0
    tables: set[int] = field(factory=set)


def read_manifest(data: bytes) -> Manifest:
    """Return what the manifest says.

    Raises:
        ForeignFormat: a sound record that LevelDB would not write.
        FormatError: it is damaged, or no manifest.
    """
    manifest = Manifest()
    empty = True
    for record in log_records(data):
        empty = False
        try:
            _apply(manifest, record.payload)
        except FormatError as error:
            raise (ForeignFormat if record.is_sound() else FormatError)(str(error)) from None
        except (IndexError, UnicodeDecodeError):
            raise FormatError("a record that ends early") from None
        if manifest.comparator not in ("", BYTEWISE) and not record.is_sound():
            raise FormatError("a record with a wrong checksum")
    if empty:
        raise FormatError("no record")
    return manifest


_NUMBERS: Final[Mapping[int, str]] = {
    2: "log_number",
    3: "next_file_number",
    4: "last_sequence",
    9: "previous_log_number",
}
_COMPARATOR, _COMPACT_POINTER, _DELETED_FILE, _NEW_FILE = 1, 5, 6, 7


def _apply(manifest: Manifest, edit: bytes) -> None:
    """Apply one version edit: tags, each with what belongs to it."""
    at, end = 0, len(edit)
    while at < end:
        tag, at = _varint(edit, at)
        if tag in _NUMBERS:
            value, at = _varint(edit, at)
            setattr(manifest, _NUMBERS[tag], value)
        elif tag == _NEW_FILE:
            at = _new_file(manifest, edit, at)
        elif tag == _DELETED_FILE:
            _, at = _varint(edit, at)
            number, at = _varint(edit, at)
            manifest.tables.discard(number)
        elif tag == _COMPARATOR:
            name, at = _prefixed(edit, at)
            manifest.comparator = name.decode()
        elif tag == _COMPACT_POINTER:
            _, at = _varint(edit, at)
            _, at = _prefixed(edit, at)
        else:
            raise FormatError(f"an entry of kind {tag}")


def _new_file(manifest: Manifest, edit: bytes, at: int) -> int:
    _, at = _varint(edit, at)
    number, at = _varint(edit, at)
    _, at = _varint(edit, at)
    _, at = _prefixed(edit, at)
    _, at = _prefixed(edit, at)
    manifest.tables.add(number)
    return at


def _varint(data: bytes, at: int) -> tuple[int, int]:
    """The number that stands there, and where it ends."""
    value = data[at]
    if value < 0x80:
        return value, at + 1
    value, shift = value & 0x7F, 7
    while True:
        at += 1
        byte = data[at]
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, at + 1
        shift += 7
        if shift > 63:
            raise IndexError(at)


def _prefixed(data: bytes, at: int) -> tuple[bytes, int]:
    length, at = _varint(data, at)
    if at + length > len(data):
        raise IndexError(at)
    return data[at : at + length], at + length


# Tables

_FOOTER: Final = 48
_MAGIC: Final = 0xDB4775248B80FB57
_ROCKSDB_MAGICS: Final = frozenset({0x88E241B785F4CFF7, 0x8242229663BF9564, 0x7A8B29F5A2B0A4F9})
_TRAILER: Final = struct.Struct("<BI")
_INDEX_PREFIX: Final = 1 << 14
"""Bytes of an index that are read where a few of its entries will do."""

NO_COMPRESSION, SNAPPY = 0, 1
"""The types of blocks that every LevelDB reads."""


@frozen
class Handle:
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

    def block_type(self, handle: Handle) -> int:
        """Return how the block is compressed.

        Raises:
            FormatError: no block lies there.
        """
        end = handle.offset + handle.size
        if end + _TRAILER.size > self.size:
            raise FormatError("a block lies behind the end")
        return os.pread(self._descriptor, 1, end)[0]

    def is_sound(self, handle: Handle) -> bool:
        """Return whether the block's checksum is right. This takes about 0.1 ms for each KiB."""
        block = os.pread(self._descriptor, handle.size + _TRAILER.size, handle.offset)
        return masked_crc(block[:-4]) == int.from_bytes(block[-4:], "little")

    def content(self, handle: Handle) -> bytes:
        """Return what a block holds, without its compression; what is damaged ends it.

        Raises:
            FormatError: it is compressed in another way than LevelDB's.
        """
        kind = self.block_type(handle)
        if kind not in _BLOCK_READERS:
            raise FormatError(f"a block of type {kind}")
        content: bytes = _BLOCK_READERS[kind](os.pread(self._descriptor, handle.size, handle.offset), None)
        return content

    def blocks(self, most: int | None = None) -> list[Handle]:
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


def _handle(data: bytes, at: int) -> tuple[Handle, int]:
    offset, at = _varint(data, at)
    size, at = _varint(data, at)
    return Handle(offset, size), at


def _handles(content: bytes, *, whole: bool) -> Iterator[Handle]:
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
            shared, at = _varint(content, at)
            fresh, at = _varint(content, at)
            length, at = _varint(content, at)
            key = key[:shared] + content[at : at + fresh]
            value, at = content[at + fresh : at + fresh + length], at + fresh + length
            if at > end:
                return
            yield key, value
    except IndexError:
        return


def snappy_prefix(data: bytes, most: int | None) -> bytes:
    """Return what a Snappy block holds, or at least its first ``most`` bytes; what is damaged ends it.

    >>> snappy_prefix(bytes([6, 4, 97, 98, 1, 2]), None)
    b'ababab'
    """
    out = bytearray()
    try:
        length, at = _varint(data, 0)
        wanted = length if most is None else min(most, length)
        while len(out) < wanted and at < len(data):
            at = _element(data, at, out)
    except IndexError:
        pass
    return bytes(out)


def _element(data: bytes, at: int, out: bytearray) -> int:
    """Read one literal or copy, and return where it ends."""
    tag = data[at]
    kind, high = tag & 3, tag >> 2
    at += 1
    if kind == 0:
        extra = max(0, high - 59)
        length = (int.from_bytes(data[at : at + extra], "little") if extra else high) + 1
        out += data[at + extra : at + extra + length]
        return at + extra + length
    if kind == 1:
        length, offset, at = (high & 7) + 4, (high >> 3) << 8 | data[at], at + 1
    else:
        width = 2 if kind == 2 else 4
        length, offset, at = high + 1, int.from_bytes(data[at : at + width], "little"), at + width
    if not 0 < offset <= len(out):
        raise IndexError(offset)
    source = bytes(out[-offset:])
    out += (source * (length // offset + 1))[:length]
    return at


_BLOCK_READERS: Final = {NO_COMPRESSION: lambda data, _: data, SNAPPY: snappy_prefix}
"""Type of a block -> what reads it, up to so many bytes or more."""
