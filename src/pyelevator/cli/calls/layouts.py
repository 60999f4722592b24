"""The layouts of results: lines, items that end with NUL, JSON, or what a terminal can show."""

from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping
from typing import TypeAlias

from attrs import frozen

from pyelevator.cli.calls.encodings import Encoding, dump_json, encode, to_json, to_member
from pyelevator.cli.logs import printable

Cell: TypeAlias = bytes | str | int | None
Row: TypeAlias = Mapping[str, Cell]
"""The parts of a row by name, in order: ``{"key": b"a", "value": b"1"}``."""


@frozen
class Layout(ABC):
    """A way to write results as bytes, with keys and values in an encoding."""

    encoding: Encoding = Encoding.TEXT

    @abstractmethod
    def value(self, data: bytes) -> bytes:
        """Return the text of one value."""

    @abstractmethod
    def row(self, row: Row) -> bytes:
        """Return the text of one row."""

    @abstractmethod
    def result(self, result: object) -> bytes:
        """Return the text of a number, a truth value or a report."""

    def rows(self, rows: Iterable[Row]) -> Iterable[bytes]:
        """Return the texts of rows, one after the other as they come."""
        return map(self.row, rows)

    def _cell(self, cell: Cell) -> bytes:
        if cell is None:
            return b""
        if isinstance(cell, bytes):
            return encode(cell, self.encoding)
        return str(cell).encode("utf-8", "surrogateescape")


@frozen
class Lines(Layout):
    """One line for each result, with a separator between the parts of a row, and the bytes as they are."""

    separator: bytes = b"\t"
    end: bytes = b"\n"

    def value(self, data: bytes) -> bytes:
        return self._cell(data) + self.end

    def row(self, row: Row) -> bytes:
        return self.separator.join([self._cell(cell) for cell in row.values()]) + self.end

    def result(self, result: object) -> bytes:
        if isinstance(result, Mapping):
            lines = [f"{name.replace('_', ' ')}: {_in_words(part)}" for name, part in result.items()]
            return b"".join([line.encode("utf-8", "surrogateescape") + self.end for line in lines])
        return _in_words(result).encode() + self.end


class Screen(Lines):
    """Lines for a terminal: what could move its cursor, or is not UTF-8, is escaped."""

    def value(self, data: bytes) -> bytes:
        return printable(self._cell(data), keep="\n\t").encode() + b"\n"

    def row(self, row: Row) -> bytes:
        return "\t".join([printable(self._cell(cell)) for cell in row.values()]).encode() + b"\n"


class Json(Layout):
    """JSON: one document for a result, one in a line for each row; a row of one part is that part."""

    def value(self, data: bytes) -> bytes:
        return self.result(to_json(data, self.encoding))

    def row(self, row: Row) -> bytes:
        if len(row) == 1:
            (cell,) = row.values()
            return self.result(to_json(cell, self.encoding) if isinstance(cell, bytes) else cell)
        return self.result(
            dict(
                [
                    (to_member(name, cell, self.encoding) if isinstance(cell, bytes) else (name, cell))
                    for name, cell in row.items()
                ]
            )
        )

    def result(self, result: object) -> bytes:
        return dump_json(result).encode("utf-8") + b"\n"


def _in_words(result: object) -> str:
    """Return a result as text: ``true``, ``3``, ``a, b``.

    >>> _in_words(True), _in_words(3), _in_words(("a", "b")), _in_words(())
    ('true', '3', 'a, b', '')
    """
    if isinstance(result, (list, tuple)):
        return ", ".join([str(part) for part in result])
    return dump_json(result) if isinstance(result, bool) else str(result)
