"""The words of a line, as the shell and the files of batches have them: quotes, and escapes for any byte."""

import re
from typing import Final

from pyelevator.errors import UsageError

_WORD_PART: Final = re.compile(
    r"""\s+ | (?P<double> " (?: [^"\\] | \\. )* " ) | (?P<single> ' [^']* ' ) | (?P<plain> [^\s"']+ )""",
    re.VERBOSE | re.DOTALL,
)
_QUOTED_ESCAPE: Final = re.compile(rb"\\(x[0-9a-fA-F]{2}|.)", re.DOTALL)
_CONTROL: Final = {b"n": b"\n", b"t": b"\t", b"r": b"\r", b"0": b"\0"}
_NEEDS_QUOTES: Final = re.compile(r"[\s\"'\\#]|^-|^$")


class UnclosedQuote(UsageError):
    """A quote begins and does not end, with the character ``quote``: more may follow."""

    def __init__(self, quote: str) -> None:
        super().__init__(f"the quote {quote} does not end")
        self.quote = quote


def split_words(line: str) -> list[str]:
    r"""Return the words of a line.

    Within single quotes everything is what it is. Within double quotes, ``\n``, ``\t``, ``\r``, ``\0`` and ``\xff``
    are characters and bytes, and any other character behind a backslash is itself. A ``#`` in front of a word hides the
    rest of the line. A quote that does not end is an UnclosedQuote.

    >>> split_words(r'''put "a \"b\"" 'c\d' # more''')
    ['put', 'a "b"', 'c\\d']
    """
    words: list[str] = []
    position, is_inside = 0, False
    while position < len(line):
        if line[position] == "#" and not is_inside:
            position += len(line[position:].partition("\n")[0])
            continue
        match = _WORD_PART.match(line, position)
        if match is None:
            raise UnclosedQuote(line[position])
        part = _unquoted(match)
        if part is not None:
            words[len(words) - is_inside :] = [(words[-1] if is_inside else "") + part]
        is_inside, position = part is not None, match.end()
    return words


def _unquoted(match: re.Match[str]) -> str | None:
    """Return the text of a part of a word; None for white space."""
    if match["double"] is not None:
        return unescape(match["double"][1:-1])
    return match["single"][1:-1] if match["single"] is not None else match["plain"]


def unescape(text: str) -> str:
    r"""Return a text with its escapes resolved; bytes that are not UTF-8 become surrogates.

    >>> unescape(r"a\tb\\"), unescape(r"\xff"), unescape(r"\xc3\xa9")
    ('a\tb\\', '\udcff', 'é')
    """
    data = _QUOTED_ESCAPE.sub(_character, text.encode("utf-8", "surrogateescape"))
    return data.decode("utf-8", "surrogateescape")


def _character(match: re.Match[bytes]) -> bytes:
    mark = match[1]
    return bytes([int(mark[1:], 16)]) if len(mark) == 3 else _CONTROL.get(mark, mark)


def quote(data: bytes) -> str:
    r"""Return a word that stands for the bytes.

    >>> quote(b"abc"), quote(b"a b"), quote(bytes([255, 10, 34])), quote(b"")
    ('abc', '"a b"', '"\\xff\\n\\""', '""')
    """
    text = data.decode("utf-8", "surrogateescape")
    if text.isprintable() and not _NEEDS_QUOTES.search(text):
        return text
    return f'"{"".join(map(_escaped, text))}"'


def _escaped(char: str) -> str:
    if char in '"\\':
        return f"\\{char}"
    named = {"\n": "\\n", "\t": "\\t", "\r": "\\r"}
    if char.isprintable():
        return char
    return named.get(char) or "".join([f"\\x{byte:02x}" for byte in char.encode("utf-8", "surrogateescape")])
