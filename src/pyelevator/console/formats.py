"""The formats in which a value is shown and edited: text, text with escapes, JSON, msgpack and hexadecimal digits."""

import json
import re
from collections.abc import Callable, Mapping, Sequence
from typing import Final, NoReturn

from attrs import frozen

from pyelevator.codec.msgpack_text import msgpack_to_text, text_to_msgpack
from pyelevator.console.escapes import escape, unescape
from pyelevator.errors import ProtocolError, UsageError

_BYTES_PER_LINE: Final = 16
_TEXT_CONTROLS: Final = str.maketrans("", "", "\n\t")
_CONTAINERS: Final = (b"{", b"[")


@frozen
class Format:
    """A way to show bytes as text, and to read them back.

    ``render`` raises a ValueError or ProtocolError for bytes that are not of this format, and ``parse`` a UsageError.
    """

    render: Callable[[bytes], str]
    parse: Callable[[str], bytes]


def _render_text(data: bytes) -> str:
    text = data.decode()
    if not text.translate(_TEXT_CONTROLS).isprintable():
        raise ValueError("there are characters that cannot be seen")
    return text


def _parse_text(text: str) -> bytes:
    try:
        return text.encode()
    except UnicodeEncodeError as error:
        raise UsageError("the text has half of a surrogate pair") from error


def _render_msgpack(data: bytes) -> str:
    if data[:1] < b"\x80":
        raise ValueError("a small number, if anything; more likely text")
    return msgpack_to_text(data)


def _render_hex(data: bytes) -> str:
    lines = (data[start : start + _BYTES_PER_LINE] for start in range(0, len(data), _BYTES_PER_LINE))
    return "\n".join(line.hex(" ") for line in lines)


def _parse_hex(text: str) -> bytes:
    try:
        return bytes.fromhex(text)
    except ValueError as error:
        raise UsageError(f"not pairs of hexadecimal digits: {error}") from error


# JSON is laid out by its tokens and never rebuilt from what it means: digits, duplicates and order stay as they are.

_TOKEN: Final = re.compile(r'"(?:[^"\\]|\\.)*"|[{}\[\],:]|[^\s{}\[\],:"]+')


_MAX_INDENTS: Final = 32


def _checked(text: str) -> str:
    try:
        json.loads(text, parse_constant=_refuse_constant)
    except RecursionError as error:
        raise UsageError("not JSON: nested too deeply") from error
    except ValueError as error:
        raise UsageError(f"not JSON: {error}") from error
    return text


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is no JSON value")


def indent_json(text: str) -> str:
    """Lay JSON out by lines; in one line what is nested so deeply that the indents would be many times the text."""
    tokens = _TOKEN.findall(text)
    parts: list[str] = []
    depth = 0
    for before, each in zip(["", *tokens], tokens, strict=False):
        closes = each in ("}", "]")
        depth -= closes
        opened = before in ("{", "[")
        if opened != closes or before == ",":
            parts.append("\n" + "  " * depth)
        depth += each in ("{", "[")
        if depth > _MAX_INDENTS:
            return "".join(tokens)
        parts.append(": " if each == ":" else each)
    return "".join(parts)


def join_json(text: str) -> str:
    """Lay JSON out in one line with spaces."""
    return "".join([f"{token} " if token in (",", ":") else token for token in _TOKEN.findall(text)])


_JSON_LAYOUTS: Final = (lambda text: "".join(_TOKEN.findall(text)), join_json, indent_json)
"""The layouts of JSON: in one line, in one line with spaces, and indented."""


def _lay_out_like(text: str, original: bytes) -> str:
    """Return a JSON text in the layout of an earlier value, if that has one that is known."""
    try:
        known = _checked(original.decode())
    except ValueError:
        return text
    return next((layout(text) for layout in _JSON_LAYOUTS if layout(known) == known), text)


FORMATS: Final[Mapping[str, Format]] = {
    "text": Format(_render_text, _parse_text),
    "json": Format(
        lambda data: indent_json(_checked(data.decode())),
        lambda text: _parse_text(_checked(text)),
    ),
    "msgpack": Format(_render_msgpack, text_to_msgpack),
    "escaped": Format(lambda data: escape(data, "\n\t"), unescape),
    "hex": Format(_render_hex, _parse_hex),
}
"""Name -> format. Every value has the last two."""


def render(data: bytes) -> dict[str, str]:
    """Return the texts of a value in all formats that fit it, by their names."""
    found = {}
    for name, each in FORMATS.items():
        try:
            found[name] = each.render(data)
        except (ValueError, ProtocolError):
            continue
    return found


def preferred_formats(data: bytes) -> Sequence[str]:
    """Return the names of formats for people, of which the first that fits a value is shown first."""
    return ("json", "text", "msgpack") if data.lstrip().startswith(_CONTAINERS) else ("text", "msgpack")


def best_format(data: bytes, texts: Mapping[str, str]) -> str:
    """Return the name of the format in which a value is shown first."""
    for name in preferred_formats(data):
        if name in texts:
            return name
    try:
        data.decode()
    except ValueError:
        return "hex"
    return "escaped"


def parse(name: str, text: str, original: bytes | None = None) -> bytes:
    """Return the bytes of an edited text of a format; JSON keeps the layout of the ``original`` value.

    Raises:
        UsageError: there is no such format, or the text is none of it.
    """
    if name not in FORMATS:
        raise UsageError(f"there is no format {name!r:.40}; choose one of {', '.join(FORMATS)}")
    data = FORMATS[name].parse(text)
    return _parse_text(_lay_out_like(text, original)) if name == "json" and original is not None else data
