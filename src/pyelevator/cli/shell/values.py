"""Values as people read them: text, JSON, msgpack or hex, whichever fits, in colors."""

import io
import json
from collections.abc import Callable, Iterable, Mapping
from itertools import chain
from typing import Any, Final

from rich.console import Console
from rich.highlighter import JSONHighlighter
from rich.text import Text

from pyelevator.cli.calls.encodings import Encoding, dump_json, encode
from pyelevator.cli.calls.layouts import Row, Screen
from pyelevator.cli.logs import printable
from pyelevator.codec.msgpack_text import msgpack_to_text
from pyelevator.errors import ProtocolError

_CELL: Final = 400
"""Characters of a value that a row shows."""

_HEX_LINE: Final = 16
_MAX_INDENTS: Final = 32
_JSON: Final = JSONHighlighter()
_FIRST_CONTAINER: Final = b"\x80"  # of msgpack
_CONTAINERS: Final = (b"{", b"[")


def guess(data: bytes) -> tuple[str, Any]:
    r"""Return what a value seems to be, and its content.

    >>> guess(b'{"a": 1}'), guess(b"a"), guess(b"\x81\xa1a\x01"), guess(b"\xff")
    (('json', {'a': 1}), ('text', 'a'), ('msgpack', {'a': 1}), ('hex', b'\xff'))
    """
    for name, read in _READERS.items():
        try:
            return name, read(data)
        except (ValueError, RecursionError, ProtocolError):
            continue
    return "hex", data


def _read_json(data: bytes) -> Any:
    if not data.lstrip().startswith(_CONTAINERS):
        raise ValueError("a number or a string is shown as the text that it is")
    return json.loads(data.decode("utf-8"))


def _read_text(data: bytes) -> str:
    text = data.decode("utf-8")
    if not all(char.isprintable() or char in "\n\t\r" for char in text):
        raise ValueError("control characters")
    return text


def _read_msgpack(data: bytes) -> Any:
    if data[:1] < _FIRST_CONTAINER:
        raise ValueError("a small number, if anything; more likely text")
    value = json.loads(msgpack_to_text(data))
    if type(value) is int:
        raise ValueError("every single byte would be a number")
    return value


_READERS: Final[Mapping[str, Callable[[bytes], Any]]] = {
    "json": _read_json,
    "text": _read_text,
    "msgpack": _read_msgpack,
}


class Highlighted(Screen):
    """A layout for a terminal that shows what a value seems to be, in colors."""

    def value(self, data: bytes) -> bytes:
        if self.encoding is not Encoding.TEXT:
            return _ansi([Text(encode(data, self.encoding).decode("ascii"), "green")])
        kind, content = guess(data)
        return _ansi(_SHOWN[kind](content))

    def row(self, row: Row) -> bytes:
        cells = [self._shorten(name, cell) for name, cell in row.items()]
        return _ansi([Text("\t").join(cells)])

    def result(self, result: Any) -> bytes:
        return _ansi([_JSON(Text(super().result(result).decode("utf-8", "backslashreplace").rstrip("\n")))])

    def _shorten(self, name: str, cell: bytes | str | int | None) -> Text:
        if not isinstance(cell, bytes) or self.encoding is not Encoding.TEXT:
            return Text(printable(self._cell(cell)), _STYLES.get(name, ""))
        if name == "key":
            return Text(printable(cell), _STYLES["key"])
        kind, content = guess(cell)
        text = _LINES[kind](content)
        return text if len(text) <= _CELL else Text.assemble(text[:_CELL], (f"... {len(cell):,} bytes", "dim"))


_STYLES: Final = {"key": "cyan", "name": "cyan"}


def _is_deep(content: Any) -> bool:
    """Return True if a value is nested so deeply that indents would be many times its text."""
    level = [content]
    for _ in range(_MAX_INDENTS):
        parts = [each.values() if isinstance(each, dict) else each for each in level if isinstance(each, (dict, list))]
        level = list(chain.from_iterable(parts))
    return any(isinstance(each, (dict, list)) for each in level)


def _pretty(content: Any) -> Text:
    text = dump_json(content) if _is_deep(content) else json.dumps(content, indent=2, ensure_ascii=False)
    return _JSON(Text(printable(text, keep="\n")))


def _dump(data: bytes) -> Iterable[Text]:
    """Return the lines of a hex dump."""
    for first in range(0, len(data), _HEX_LINE):
        line = data[first : first + _HEX_LINE]
        letters = "".join([chr(byte) if 32 <= byte < 127 else "." for byte in line])
        yield Text.assemble((f"{first:08x}  ", "dim"), f"{line.hex(' '):<47}  ", (letters, "green"))


_SHOWN: Final[Mapping[str, Callable[[Any], Iterable[Text]]]] = {
    "json": lambda content: [_pretty(content)],
    "text": lambda content: [Text(printable(content, keep="\n\t"), "green")],
    "msgpack": lambda content: [Text("msgpack", "dim"), _pretty(content)],
    "hex": _dump,
}
"""Kind -> how a value is shown by itself."""

_LINES: Final[Mapping[str, Callable[[Any], Text]]] = {
    "json": lambda content: _JSON(Text(dump_json(content))),
    "text": lambda content: Text(printable(content), "green"),
    "msgpack": lambda content: Text.assemble(("msgpack ", "dim"), _JSON(Text(dump_json(content)))),
    "hex": lambda data: Text.assemble(("hex ", "dim"), data.hex()),
}
"""Kind -> how a value is shown in a row."""


def _ansi(lines: Iterable[Text]) -> bytes:
    """Return lines with the terminal's codes for their colors, without any if ``NO_COLOR`` is set."""
    console = Console(file=io.StringIO(), force_terminal=True, width=10_000, highlight=False, legacy_windows=False)
    with console.capture() as captured:
        for line in lines:
            console.print(line, soft_wrap=True)
    return captured.get().encode("utf-8", "backslashreplace")
