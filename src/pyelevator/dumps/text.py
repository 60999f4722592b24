"""Dumps as JSON lines, for people and their tools: a line for each pair (docs/dump-format.md)."""

import base64
import binascii
import json
from collections.abc import Callable, Iterator, Mapping
from typing import IO, Any, Final
from zlib import crc32

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

_DEFAULT: Final = "default"
_GROUP_PAIRS: Final = 1000
_GROUP_BYTES: Final = 1 << 20
"""After so many pairs or bytes of lines, what was read is a record."""

_MAX_LINE: Final = 1 << 30


def _encode(name: str, data: bytes) -> tuple[str, str]:
    """Return the member of an object for bytes: text where it is UTF-8, else base64."""
    try:
        return name, data.decode()
    except UnicodeDecodeError:
        return f"{name}_base64", base64.b64encode(data).decode()


def _decode(name: str, line: Mapping[str, Any]) -> bytes:
    """Return the bytes of a member.

    Raises:
        ValueError, LookupError, TypeError, AttributeError: there is none.
    """
    if name in line:
        return line[name].encode()  # type: ignore[no-any-return]
    return base64.b64decode(line[f"{name}_base64"], validate=True)


class JsonLinesWriter(DumpWriter):
    """Writes a dump as JSON lines.

    Args:
        file: open for writing, in binary.
    """

    def __init__(self, file: IO[bytes]) -> None:
        self._file = file

    def _write(self, **content: str | int) -> None:
        self._file.write(json.dumps(content, ensure_ascii=False).encode() + b"\n")

    def write(self, record: Record) -> None:
        match record:
            case DumpStart(id):
                self._write(dump=id)
            case DatabaseStart(name):
                self._write(**dict([_encode("database", name.encode("utf-8", "surrogateescape"))]))
            case Pairs():
                for key, value in record.read():
                    self._write(**dict([_encode("key", key), _encode("value", value)]))
            case DatabaseEnd(pairs):
                self._write(database_end=pairs)
            case DumpEnd(databases):
                self._write(dump_end=databases)
                self._file.flush()


class JsonLinesReader(DumpReader):
    """Reads a dump of JSON lines; lines of pairs alone are the pairs of one database.

    Args:
        file: open for reading, in binary; a pipe will do.
    """

    def __init__(self, file: IO[bytes]) -> None:
        self._file = file
        self._line_number = 0
        self._pairs = self._databases = 0

    def _records(self) -> Iterator[Record]:
        pending: list[Pair] = []
        nbytes, has_ends = 0, True
        for line in self._lines():
            if self._line_number == 1 and "dump" not in line:
                has_ends = False
                yield from (DumpStart(""), DatabaseStart(_DEFAULT))
            record = self._parse(line)
            if isinstance(record, tuple):
                pending.append(record)
                nbytes += len(record[0]) + len(record[1])
            if pending and (len(pending) >= _GROUP_PAIRS or nbytes >= _GROUP_BYTES or not isinstance(record, tuple)):
                yield Pairs.of(pending)
                pending, nbytes = [], 0
            if not isinstance(record, tuple):
                yield record
        if pending:
            yield Pairs.of(pending)
        if not has_ends:
            yield from (DatabaseEnd(self._pairs), DumpEnd(1))

    def _lines(self) -> Iterator[dict[str, Any]]:
        while text := self._file.readline(_MAX_LINE):
            self._line_number += 1
            self.checksum = crc32(text, self.checksum)
            if not text.strip():
                continue
            try:
                line = json.loads(text)
            except (ValueError, RecursionError) as error:
                raise self._error("is not JSON") from error
            if not isinstance(line, dict):
                raise self._error("is not an object")
            yield line

    def _error(self, what: str) -> DumpError:
        return DumpError(f"line {self._line_number:,} of the dump {what}")

    def _parse(self, line: dict[str, Any]) -> Record | tuple[bytes, bytes]:
        try:
            if "key" in line or "key_base64" in line:
                self._pairs += 1
                return _decode("key", line), _decode("value", line)
            return next(parse for member, parse in _PARSERS.items() if member in line)(self, line)
        except (LookupError, AttributeError, TypeError, ValueError, StopIteration, binascii.Error) as error:
            raise self._error("holds neither a pair, key and value, nor a beginning or an end") from error

    def _start_database(self, line: dict[str, Any]) -> Record:
        self._pairs = 0
        self._databases += 1
        return DatabaseStart(_decode("database", line).decode("utf-8", "surrogateescape"))


_PARSERS: Final[Mapping[str, Callable[[JsonLinesReader, dict[str, Any]], Record]]] = {
    "dump": lambda _, line: DumpStart(str(line["dump"])),
    "database": JsonLinesReader._start_database,
    "database_base64": JsonLinesReader._start_database,
    "database_end": lambda reader, _: DatabaseEnd(reader._pairs),
    "dump_end": lambda reader, _: DumpEnd(reader._databases),
}
"""Member -> what makes the record of a line that has it."""
