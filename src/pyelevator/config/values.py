"""Parsers of setting values.

Each takes text, as command lines, environment variables and ``elevator.conf`` have it, or the value that TOML has. Its
ValueError says what the value must be.
"""

import logging
import math
import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final, TypeVar

from attrs import frozen

from pyelevator.engines.base import EngineError
from pyelevator.engines.options import OPTIONS
from pyelevator.engines.urls import engine_schemes, scheme_of
from pyelevator.errors import UsageError
from pyelevator.paths import exists
from pyelevator.transports.bind import parse_bind_url, split_address
from pyelevator.transports.url import looks_like_key

T = TypeVar("T")

ENGINES: Final = ("leveldb", "memory")

LOG_FORMATS: Final = ("text", "json")

_CENTURY_MINUTES: Final = 100 * 366 * 24 * 60.0

_USER_OF_URL: Final = re.compile(r"(?!ipc:)\b([A-Za-z][\w+.-]*:/*).*@", re.DOTALL)
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
    return _PARAMETER.sub(r"\1...", _USER_OF_URL.sub(r"\1...@", text))


def quoted(value: object) -> str:
    """Return a wrong value as an error may quote it: without secrets, and nothing of what looks like a key."""
    return repr("...") if looks_like_key(value) else without_secrets(repr(value))


class EntryError(ValueError):
    """An entry of a table is invalid; the message names the key and the value."""


@frozen
class TableParser:
    """A parser of tables with known keys, each of which has a parser."""

    readers: Mapping[str, Callable[[object], Any]]

    def __call__(self, value: object) -> dict[str, Any]:
        if not isinstance(value, dict):
            raise ValueError("must be a table")  # noqa: TRY004 - a mistake in the file
        return {key: self._read(key, entry) for key, entry in value.items()}

    def _read(self, key: str, value: object) -> Any:
        if key not in self.readers:
            raise EntryError(self._unknown(key, value))
        try:
            return self.readers[key](value)
        except EntryError:
            raise
        except ValueError as error:
            raise EntryError(f"{key} = {quoted(value)}: {error}") from error

    def _unknown(self, key: str, value: object) -> str:
        sections = [name for name, reader in self.readers.items() if isinstance(reader, TableParser)]
        if isinstance(value, dict) and sections:
            return f"there is no section [{key}]; there are {', '.join(sections)}"
        return f"there is no key {key!r} here; there are {', '.join(self.readers)}"


def text(value: object) -> str:
    """Parse text that is not empty."""
    if isinstance(value, str) and value:
        return value
    raise ValueError("must be text")


def address(value: object) -> str:
    """Parse ``host:port``; a host of IPv6 is in brackets."""
    split_address(text(value))
    return str(value)


def _choice(choices: Mapping[str, T], text: str) -> Callable[[object], T]:
    """Make a parser of names in lower or upper case, each of which stands for a value."""

    def read(value: object) -> T:
        """Parse one of the names."""
        if str(value).lower() in choices:
            return choices[str(value).lower()]
        raise ValueError(f"must be {text}")

    return read


_FLAG_WORDS: Final = dict.fromkeys(("true", "yes", "on", "1"), True) | dict.fromkeys(("false", "no", "off", "0"), False)
_LEVELS: Final = dict.fromkeys(("DEBUG", "FINEST", "FINE", "TRACE"), logging.DEBUG) | {
    name: logging.getLevelNamesMapping()[name] for name in ("INFO", "WARNING", "ERROR", "CRITICAL")
}
"""The levels of the ``logging`` module, and the names that both old servers have for them."""

flag: Final = _choice(_FLAG_WORDS, "true or false")
log_format: Final = _choice({name: name for name in LOG_FORMATS}, f"one of {', '.join(LOG_FORMATS)}")
log_level: Final = _choice({name.lower(): level for name, level in _LEVELS.items()}, f"one of {', '.join(_LEVELS)}")
transport: Final = _choice({"tcp": "tcp", "ipc": "ipc"}, "tcp or ipc")


def path(value: object) -> Path:
    """Parse a path; ``~`` is the home directory. A key is refused: what fails with a path says which."""
    given = text(value)
    if looks_like_key(given) and not exists(given):
        raise ValueError("must be a path, and this looks like a key")
    return Path(given).expanduser()


def each(read: Callable[[object], Any]) -> Callable[[object], tuple[Any, ...]]:
    """Make a parser of a list, or of a single value instead."""
    return lambda value: tuple([read(item) for item in (value if isinstance(value, list) else [value])])


def integer(minimum: int, maximum: int | None = None) -> Callable[[object], int]:
    """Make a parser of integers within a range."""

    def read(value: object) -> int:
        """Parse an integer of the range."""
        try:
            number = int(value) if isinstance(value, str) else value
        except ValueError:
            number = None
        if type(number) is int and number >= minimum and (maximum is None or number <= maximum):
            return number
        raise ValueError(f"must be an integer from {minimum}" + ("" if maximum is None else f" to {maximum}"))

    return read


def mode(value: object) -> int:
    """Parse a file mode in octal; it must be text, so that 600 is not taken for a decimal number."""
    if isinstance(value, str) and re.fullmatch("0?[0-7]{3}", value):
        return int(value, 8)
    raise ValueError('must be the mode of a file, as text: "0600"')


def _number(what: str, is_allowed: Callable[[float], bool]) -> Callable[[object], float]:
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


def compression(value: object) -> Any:
    """Parse a LevelDB compression by name, or whether there is one."""
    return value if value in ("snappy", "none") else flag(value)


def engine_option(name: str, parse: Callable[[object], Any] = lambda value: value) -> Callable[[object], Any]:
    """Make a parser of the engine option of this name; ``parse`` converts text to what the engines take."""

    def read(value: object) -> Any:
        try:
            return OPTIONS[name](name, parse(value))
        except EngineError as error:
            raise ValueError(str(error)) from error

    return read


def bind_url(value: object) -> str:
    """Parse a URL to listen on."""
    try:
        parse_bind_url(text(value))
    except UsageError as error:
        raise ValueError(str(error)) from error
    return str(value)


def engine(value: object) -> str:
    """Parse the name or the URL of an engine."""
    if value in ENGINES or (isinstance(value, str) and scheme_of(value) in engine_schemes()):
        return str(value)
    urls = ", ".join([f"{scheme}://..." for scheme in engine_schemes()])
    raise ValueError(f"must be one of {', '.join(ENGINES)}, or the URL of an engine: {urls}")
