"""Values as people read them: text, JSON, msgpack or hex, whichever fits, in colors."""

import io
from collections.abc import Callable, Iterable, Mapping
from typing import Final

from rich.console import Console
from rich.highlighter import JSONHighlighter
from rich.text import Text

from pyelevator.cli.calls.encodings import Encoding, encode
from pyelevator.cli.calls.layouts import Cell, Row, Screen
from pyelevator.cli.logs import printable
from pyelevator.console.formats import FORMATS, indent_json, join_json, preferred_formats
from pyelevator.errors import ProtocolError

_CELL: Final = 400
"""Characters of a value that a row shows."""

_HEX_LINE: Final = 16
_JSON: Final = JSONHighlighter()


def guess(data: bytes) -> tuple[str, str]:
    r"""Return what a value seems to be, and its text.

    >>> guess(b'{"a":1}'), guess(b"a"), guess(b"\x91\x01"), guess(b"\xff")
    (('json', '{\n  "a": 1\n}'), ('text', 'a'), ('msgpack', '[\n  1\n]'), ('hex', 'ff'))
    """
    for name in preferred_formats(data):
        try:
            return name, _READERS[name](data)
        except (ValueError, ProtocolError):
            continue
    return "hex", data.hex()


def _read_text(data: bytes) -> str:
    FORMATS["text"].render(data.replace(b"\r", b""))
    return data.decode()


def _read_msgpack(data: bytes) -> str:
    text = FORMATS["msgpack"].render(data)
    if text.lstrip("-").isdigit():
        raise ValueError("every single byte would be a number")
    return text


_READERS: Final[Mapping[str, Callable[[bytes], str]]] = {
    "json": FORMATS["json"].render,
    "text": _read_text,
    "msgpack": _read_msgpack,
}


class Highlighted(Screen):
    """A layout for a terminal that shows what a value seems to be, in colors."""

    def value(self, data: bytes) -> bytes:
        if self.encoding is not Encoding.TEXT:
            return _ansi([Text(encode(data, self.encoding).decode("ascii"), "green")])
        kind, text = guess(data)
        return _ansi(_FULL_TEXTS[kind](text))

    def row(self, row: Row) -> bytes:
        cells = [self._shorten(name, cell) for name, cell in row.items()]
        return _ansi([Text("\t").join(cells)])

    def result(self, result: object) -> bytes:
        return _ansi([_JSON(Text(super().result(result).decode("utf-8", "backslashreplace").rstrip("\n")))])

    def _shorten(self, name: str, cell: Cell) -> Text:
        if not isinstance(cell, bytes) or self.encoding is not Encoding.TEXT:
            return Text(printable(self._cell(cell)), _STYLES.get(name, ""))
        if name == "key":
            return Text(printable(cell), _STYLES["key"])
        kind, content = guess(cell)
        text = _ROW_TEXTS[kind](content)
        return text if len(text) <= _CELL else Text.assemble(text[:_CELL], (f"... {len(cell):,} bytes", "dim"))


_STYLES: Final = {"key": "cyan", "name": "cyan"}


def _pretty(text: str) -> Text:
    return _JSON(Text(printable(indent_json(text), keep="\n")))


def _dump(digits: str) -> Iterable[Text]:
    """Return the lines of a hex dump."""
    data = bytes.fromhex(digits)
    for first in range(0, len(data), _HEX_LINE):
        line = data[first : first + _HEX_LINE]
        letters = "".join([chr(byte) if 32 <= byte < 127 else "." for byte in line])
        yield Text.assemble((f"{first:08x}  ", "dim"), f"{line.hex(' '):<47}  ", (letters, "green"))


_FULL_TEXTS: Final[Mapping[str, Callable[[str], Iterable[Text]]]] = {
    "json": lambda text: [_pretty(text)],
    "text": lambda text: [Text(printable(text, keep="\n\t"), "green")],
    "msgpack": lambda text: [Text("msgpack", "dim"), _pretty(text)],
    "hex": _dump,
}
"""Kind -> how a value is shown by itself."""

_ROW_TEXTS: Final[Mapping[str, Callable[[str], Text]]] = {
    "json": lambda text: _JSON(Text(printable(join_json(text)))),
    "text": lambda text: Text(printable(text), "green"),
    "msgpack": lambda text: Text.assemble(("msgpack ", "dim"), _JSON(Text(printable(join_json(text))))),
    "hex": lambda digits: Text.assemble(("hex ", "dim"), digits),
}
"""Kind -> how a value is shown in a row."""


def _ansi(lines: Iterable[Text]) -> bytes:
    """Return lines with the terminal's codes for their colors, without any if ``NO_COLOR`` is set."""
    console = Console(file=io.StringIO(), force_terminal=True, width=10_000, highlight=False, legacy_windows=False)
    with console.capture() as captured:
        for line in lines:
            console.print(line, soft_wrap=True)
    return captured.get().encode("utf-8", "backslashreplace")
