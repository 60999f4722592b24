r"""Bytes as text that people can read and type: what is not printable UTF-8 is ``\xNN``, and a backslash is ``\\``."""

import re
from typing import Final

from pyelevator.errors import UsageError

_ESCAPE: Final = re.compile(rb"\\(x[0-9a-fA-F]{2}|[\\nrt]|.?)", re.DOTALL)
_SHORT: Final = {b"\\": b"\\", b"n": b"\n", b"r": b"\r", b"t": b"\t"}


def escape(data: bytes, keep: str = "") -> str:
    r"""Return bytes as text; :func:`unescape` gives back the same bytes. The characters to ``keep`` stay as they are.

    >>> escape(b"user:\xff\n"), escape("\u00e9\\".encode())
    ('user:\\xff\\x0a', 'é\\\\')
    """
    text = data.decode("utf-8", "surrogateescape")
    return text if text.isprintable() and "\\" not in text else "".join(_escape_one(each, keep) for each in text)


def _escape_one(character: str, keep: str) -> str:
    if character == "\\":
        return "\\\\"
    if character.isprintable() or character in keep:
        return character
    return "".join(f"\\x{byte:02x}" for byte in character.encode("utf-8", "surrogateescape"))


def unescape(text: str) -> bytes:
    r"""Return the bytes of a text with escapes; ``\n``, ``\r`` and ``\t`` are understood as well.

    Raises:
        UsageError: there is an escape that means nothing, or half of a surrogate pair.

    >>> unescape("user:\\xff\\n")
    b'user:\xff\n'
    """
    try:
        return _ESCAPE.sub(_unescape_one, text.encode())
    except UnicodeEncodeError as error:
        raise UsageError("the text has half of a surrogate pair; write bytes as \\xNN") from error


def _unescape_one(match: re.Match[bytes]) -> bytes:
    escaped: bytes = match[1]
    if escaped in _SHORT:
        return _SHORT[escaped]
    if len(escaped) != 3:
        shown = match[0].decode("utf-8", "replace")
        raise UsageError(f"{shown} is no escape; write a backslash as \\\\ and a byte as \\xNN")
    return bytes.fromhex(escaped[1:].decode())
