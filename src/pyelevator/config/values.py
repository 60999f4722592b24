"""Parsers of setting values.

Each takes text, as command lines, environment variables and ``elevator.conf`` have it, or the value that TOML has. Its
ValueError says what the value must be.
"""

import logging
import math
import re
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from attrs import frozen

from pyelevator.arguments import is_integer
from pyelevator.engines.base import EngineError
from pyelevator.engines.options import OPTIONS
from pyelevator.engines.urls import engine_schemes, scheme_of
from pyelevator.errors import UsageError
from pyelevator.paths import exists
from pyelevator.transports.bind import parse_bind_url
from pyelevator.transports.url import looks_like_key

ENGINES: Final = ("leveldb", "memory")

LOG_FORMATS: Final = ("text", "json")

_CENTURY_MINUTES: Final = 100 * 366 * 24 * 60.0

_USER: Final = re.compile(r"(?!ipc:)\b([A-Za-z][\w+.-]*:/*).*@", re.DOTALL)
"""All up to the last ``@``, as it is unknown where a password ends that is not escaped."""
_PARAMETER: Final = re.compile(
    r"(?<=[?&\s'\"])([^=&?\s'\"]*(?:pass(?!file)|pwd|secret|token|curve_key|%)[^=&?\s]*\s*=)[^&]*?(?=&|['\"\]})]*$)",
    re.IGNORECASE,
)


def without_secrets(text: str) -> str:
    """Return a setting as it may be shown: without the passwords of its URLs, even of one that is mistyped.

    >>> without_secrets("postgresql://ann:secret@db.example/data?password=secret")
    'postgresql://...@db.example/data?password=...'
    """
    return _PARAMETER.sub(r"\1...", _USER.sub(r"\1...@", text))


def quoted(value: object) -> str:
    """Return a wrong value as an error may quote it: without secrets, and nothing of what looks like a key."""
    return repr("...") if looks_like_key(value) else without_secrets(repr(value))


class EntryError(ValueError):
    """An entry of a table is invalid; the message names the key and the value."""


@frozen
class Table:
    """A parser of tables with known keys.

    Attributes:
        readers: the parser of each key.
    """

    readers: Mapping[str, Callable[[Any], Any]]

    def __call__(self, value: Any) -> dict[str, Any]:
        if not isinstance(value, dict):
            raise ValueError("must be a table")  # noqa: TRY004 - a mistake in the file
        return {key: self._read(key, entry) for key, entry in value.items()}

    def _read(self, key: str, value: Any) -> Any:
        if key not in self.readers:
            raise EntryError(self._unknown(key, value))
        try:
            return self.readers[key](value)
        except EntryError:
            raise
        except ValueError as error:
            raise EntryError(f"{key} = {quoted(value)}: {error}") from error

    def _unknown(self, key: str, value: Any) -> str:
        sections = [name for name, reader in self.readers.items() if isinstance(reader, Table)]
        if isinstance(value, dict) and sections:
            return f"there is no section [{key}]; there are {', '.join(sections)}"
        return f"there is no key {key!r} here; there are {', '.join(self.readers)}"


def text(value: Any) -> str:
    """Parse text that is not empty."""
    if isinstance(value, str) and value:
        return value
    raise ValueError("must be text")


def address(value: Any) -> str:
    """Parse ``host:port``; a host of IPv6 is in brackets."""
    split_address(text(value))
    return str(value)


def split_address(value: str) -> tuple[str, int]:
    """Return the host and the port of ``host:port``.

    >>> split_address("127.0.0.1:9141"), split_address("[::1]:0")
    (('127.0.0.1', 9141), ('::1', 0))

    Raises:
        ValueError: it is something else.
    """
    host, _, port = value.rpartition(":")
    is_bracketed = host.startswith("[") and host.endswith("]")
    if not host or (":" in host and not is_bracketed) or not (port.isascii() and port.isdigit()) or int(port) > 65535:
        raise ValueError("must be HOST:PORT, for instance 127.0.0.1:9141")
    return host[1:-1] if is_bracketed else host, int(port)


def _one_of(names: Sequence[str], text: str) -> Callable[[Any], str]:
    """Make a parser of names."""

    def read(value: Any) -> str:
        """Parse one of the names."""
        if value in names:
            return str(value)
        raise ValueError(f"must be {text}")

    return read


log_format: Final = _one_of(LOG_FORMATS, f"one of {', '.join(LOG_FORMATS)}")
transport: Final = _one_of(("tcp", "ipc"), "tcp or ipc")


def path(value: Any) -> Path:
    """Parse a path; ``~`` is the home directory. A key is refused: what fails with a path says which."""
    if looks_like_key(value) and not exists(value):
        raise ValueError("must be a path, and this looks like a key")
    return Path(text(value)).expanduser()


def each(read: Callable[[Any], Any]) -> Callable[[Any], tuple[Any, ...]]:
    """Make a parser of a list, or of a single value instead."""
    return lambda value: tuple([read(item) for item in (value if isinstance(value, list) else [value])])


def integer(minimum: int, maximum: int | None = None) -> Callable[[Any], int]:
    """Make a parser of integers within a range."""

    def read(value: Any) -> int:
        """Parse an integer of the range."""
        try:
            number = int(value) if isinstance(value, str) else value
        except ValueError:
            number = None
        if is_integer(number) and number >= minimum and (maximum is None or number <= maximum):
            return number
        raise ValueError(f"must be an integer from {minimum}" + ("" if maximum is None else f" to {maximum}"))

    return read


def mode(value: Any) -> int:
    """Parse a file mode in octal; it must be text, so that 600 is not taken for a decimal number."""
    if isinstance(value, str) and re.fullmatch("0?[0-7]{3}", value):
        return int(value, 8)
    raise ValueError('must be the mode of a file, as text: "0600"')


def _number(what: str, is_allowed: Callable[[float], bool]) -> Callable[[Any], float]:
    """Make a parser of numbers, with fractions."""

    def read(value: Any) -> float:
        """Parse a number that is allowed."""
        try:
            number = math.nan if isinstance(value, bool) else float(value)
        except (TypeError, ValueError):
            number = math.nan
        if not is_allowed(number):
            raise ValueError(f"must be a number of {what}")
        return number

    return read


minutes: Final = _number("minutes, or 0 for never", lambda number: 0 <= number <= _CENTURY_MINUTES)
milliseconds: Final = _number("milliseconds, or 0 for never", lambda number: number >= 0)
seconds: Final = _number("seconds above 0", lambda number: number > 0)

_FLAGS: Final = dict.fromkeys(("true", "yes", "on", "1"), True) | dict.fromkeys(("false", "no", "off", "0"), False)


def flag(value: Any) -> bool:
    """Parse true or false, also in the words of the old files."""
    word = str(value).lower()
    if word in _FLAGS:
        return _FLAGS[word]
    raise ValueError("must be true or false")


def compression(value: Any) -> Any:
    """Parse a LevelDB compression by name, or whether there is one."""
    return value if value in ("snappy", "none") else flag(value)


def engine_option(name: str, parse: Callable[[Any], Any] = lambda value: value) -> Callable[[Any], Any]:
    """Make a parser of the engine option of this name.

    Args:
        name: of the option.
        parse: converts text to what the engines take.
    """

    def read(value: Any) -> Any:
        try:
            return OPTIONS[name](name, parse(value))
        except EngineError as error:
            raise ValueError(str(error)) from error

    return read


def bind_url(value: Any) -> str:
    """Parse a URL to listen on."""
    try:
        parse_bind_url(text(value))
    except UsageError as error:
        raise ValueError(str(error)) from error
    return str(value)


def engine(value: Any) -> str:
    """Parse the name or the URL of an engine."""
    if value in ENGINES or (isinstance(value, str) and scheme_of(value) in engine_schemes()):
        return str(value)
    urls = ", ".join([f"{scheme}://..." for scheme in engine_schemes()])
    raise ValueError(f"must be one of {', '.join(ENGINES)}, or the URL of an engine: {urls}")


_LEVELS: Final = dict.fromkeys(("DEBUG", "FINEST", "FINE", "TRACE"), logging.DEBUG) | {
    name: logging.getLevelNamesMapping()[name] for name in ("INFO", "WARNING", "ERROR", "CRITICAL")
}


def log_level(value: Any) -> int:
    """Parse a log level of the ``logging`` module, also by the names of both old servers."""
    if str(value).upper() in _LEVELS:
        return _LEVELS[str(value).upper()]
    raise ValueError(f"must be one of {', '.join(_LEVELS)}")
