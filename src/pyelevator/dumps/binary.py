"""The binary format of dumps: msgpack records with checksums, and pairs compressed (docs/dump-format.md)."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import cache, partial
from itertools import chain
from typing import IO, Any, Final
from zlib import crc32

import msgpack
from attrs import frozen

from pyelevator.codec import Limits, lz4
from pyelevator.dumps.records import (
    DatabaseEnd,
    DatabaseStart,
    DumpEnd,
    DumpError,
    DumpReader,
    DumpStart,
    DumpWriter,
    Pair,
    Pairs,
    Record,
)
from pyelevator.errors import MissingExtra, ProtocolError

MAGIC: Final = b"\x93\xadelevator-dump"
"""What a binary dump begins with: its first record."""

_VERSION: Final = 1
_MAX_RECORD: Final = 1 << 30
"""Bytes of a record, and of its pairs: more than a message of any server may have."""

_LIMITS: Final = Limits(content_bytes=_MAX_RECORD)

_pack: Final[Callable[[object], bytes]] = msgpack.Packer(use_bin_type=True, unicode_errors="surrogateescape").pack
_unpack: Final[Callable[[bytes], Any]] = partial(msgpack.unpackb, raw=False, unicode_errors="surrogateescape")


@cache
def _zstd() -> Any:
    try:
        import zstandard
    except ImportError as error:
        raise MissingExtra("zstd needs zstandard; install it with: pip install 'pyelevator[zstd]'") from error
    return zstandard


def _compress_lz4(data: bytes) -> bytes:
    try:
        return lz4.compress(data)
    except MissingExtra as error:
        raise MissingExtra(
            "lz4 needs lz4; install it with: pip install 'pyelevator[lz4]', or use --compression none"
        ) from error


def _decompress_zstd(data: bytes) -> bytes:
    library = _zstd()
    try:
        if library.frame_content_size(data) > _MAX_RECORD:
            raise DumpError("the dump is damaged: a record is too large")
        content: bytes = library.ZstdDecompressor().decompress(data)
    except library.ZstdError as error:
        raise DumpError(f"the dump is damaged: {error}") from error
    return content


@frozen
class Compression:
    """A compression of pairs."""

    compress: Callable[[bytes], bytes]
    decompress: Callable[[bytes], bytes]


COMPRESSIONS: Final[Mapping[str, Compression]] = {
    "lz4": Compression(_compress_lz4, lambda data: lz4.decompress(data, _LIMITS)),
    "zstd": Compression(lambda data: _zstd().ZstdCompressor().compress(data), _decompress_zstd),
    "none": Compression(lambda data: data, lambda data: data),
}
"""Name -> the compression."""


class BinaryWriter(DumpWriter):
    """Writes a dump in the binary format.

    Args:
        file: open for writing, in binary.
        compression: a key of ``COMPRESSIONS``.
    """

    def __init__(self, file: IO[bytes], compression: str = "lz4") -> None:
        self._file, self._compression = file, compression
        self._compress = COMPRESSIONS[compression].compress
        self._checksum = 0

    def _write(self, kind: str, *content: object) -> None:
        body = _pack(content)
        self._checksum = crc32(body, self._checksum)
        self._file.write(_pack((kind, body, self._checksum)))

    def write(self, record: Record) -> None:
        match record:
            case DumpStart(id):
                self._compress(b"")  # which raises if the extra is missing, before anything is written
                self._write("elevator-dump", _VERSION, id, self._compression)
            case DatabaseStart(name):
                self._write("database", name)
            case Pairs(count, read):
                self._write("pairs", count, self._compress(_pack(list(chain.from_iterable(read())))))
            case DatabaseEnd(pairs):
                self._write("database-end", pairs)
            case DumpEnd(databases):
                self._write("dump-end", databases)
                self._file.flush()


class BinaryReader(DumpReader):
    """Reads a dump in the binary format.

    Args:
        file: open for reading, in binary; a pipe will do.
    """

    def __init__(self, file: IO[bytes]) -> None:
        self._file = file
        self._decompress = COMPRESSIONS["none"].decompress

    def _records(self) -> Iterator[Record]:
        reader = msgpack.Unpacker(
            self._file,
            raw=False,
            unicode_errors="surrogateescape",
            read_size=1 << 18,
            max_buffer_size=_MAX_RECORD,
            max_array_len=3,
        )
        try:
            for record in reader:
                yield self._open(record)
        except (ValueError, TypeError, LookupError, msgpack.UnpackException) as error:
            raise DumpError(f"the dump is damaged: {error or type(error).__name__}") from error

    def _open(self, record: Sequence[Any]) -> Record:
        kind, body, checksum = record
        self.checksum = crc32(body, self.checksum)
        if checksum != self.checksum:
            raise DumpError("the dump is damaged: a checksum is wrong; fetch it again, or make it again")
        return _OPENERS[kind](self, *_unpack(body))

    def _open_start(self, version: int, id: str, compression: str, *_: object) -> Record:
        if version != _VERSION:
            raise DumpError(f"the dump is of version {version} of the format, which a later elevator has; use that one")
        if compression not in COMPRESSIONS:
            raise DumpError(f"the dump has the compression {compression}, which this elevator does not know")
        self._decompress = COMPRESSIONS[compression].decompress
        return DumpStart(id)

    def _read_pairs(self, count: int, data: bytes) -> Sequence[Pair]:
        try:
            items = _unpack(self._decompress(data))
        except (ValueError, msgpack.UnpackException, ProtocolError) as error:
            raise DumpError(f"the dump is damaged: {error or type(error).__name__}") from error
        if type(items) is not list or len(items) != 2 * count or not set(map(type, items)) <= {bytes}:
            raise DumpError("the dump is damaged: a record holds something else than its pairs")
        each = iter(items)
        return list(zip(each, each, strict=True))


_OPENERS: Final[Mapping[str, Callable[..., Record]]] = {
    "elevator-dump": BinaryReader._open_start,
    "database": lambda _, name, *__: DatabaseStart(name),
    "pairs": lambda reader, count, data, *_: Pairs(count, partial(reader._read_pairs, count, data)),
    "database-end": lambda _, pairs, *__: DatabaseEnd(pairs),
    "dump-end": lambda _, databases, *__: DumpEnd(databases),
}
"""Kind of a record -> what makes it of the body's values; further ones are those of a later version."""
