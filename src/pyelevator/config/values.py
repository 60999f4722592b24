"""How the values of a configuration file are read.

Each reader takes text, as an ``elevator.conf`` has it, or the value that TOML has. Its ValueError says what it must be.
"""

import logging
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

from pyelevator.engines.base import EngineError
from pyelevator.engines.options import OPTIONS
from pyelevator.errors import UsageError
from pyelevator.transports.bind import parse_bind_url

ENGINES: Final = ("leveldb", "memory")

_A_CENTURY: Final = 100 * 366 * 24 * 60.0
"""In minutes."""


def text(value: Any) -> str:
    """Text that is not empty."""
    if isinstance(value, str) and value:
        return value
    raise ValueError("must be text")


def path(value: Any) -> Path:
    """A path; ``~`` is the home directory."""
    return Path(text(value)).expanduser()


def each(read: Callable[[Any], Any]) -> Callable[[Any], tuple[Any, ...]]:
    """A reader of a list, or of a single value instead, whose elements ``read`` reads."""
    return lambda value: tuple([read(item) for item in (value if isinstance(value, list) else [value])])


def integer(least: int, most: int | None = None) -> Callable[[Any], int]:
    """A reader of whole numbers."""

    def read(value: Any) -> int:
        try:
            number = int(value) if isinstance(value, str) else value
        except ValueError:
            number = None
        if type(number) is int and number >= least and (most is None or number <= most):
            return number
        raise ValueError(f"must be a whole number from {least}" + ("" if most is None else f" to {most}"))

    return read


def mode(value: Any) -> int:
    """The mode of a file, in octal digits; as text, so that nobody's 600 is taken for a decimal number."""
    if isinstance(value, str) and re.fullmatch("0?[0-7]{3}", value):
        return int(value, 8)
    raise ValueError('must be the mode of a file, as text: "0600"')


def minutes(value: Any) -> float:
    """Minutes, with fractions; 0 means never."""
    try:
        number = float(value)
    except (TypeError, ValueError):
        number = -1.0
    if not 0 <= number <= _A_CENTURY:  # also what is no number at all
        raise ValueError("must be a number of minutes, or 0 for never")
    return number


_WORDS: Final = {
    "true": True,
    "yes": True,
    "on": True,
    "1": True,
    "false": False,
    "no": False,
    "off": False,
    "0": False,
}


def flag(value: Any) -> bool:
    """True or false, in the words that the old files have."""
    word = str(value).lower()
    if word in _WORDS:
        return _WORDS[word]
    raise ValueError("must be true or false")


def compression(value: Any) -> Any:
    """A LevelDB compression by name, or whether there is one."""
    return value if value in ("snappy", "none") else flag(value)


def option(name: str, before: Callable[[Any], Any] = lambda value: value) -> Callable[[Any], Any]:
    """A reader of the option of this name, as the engines take it; text is read by ``before``."""

    def read(value: Any) -> Any:
        try:
            return OPTIONS[name](name, before(value))
        except EngineError as error:
            raise ValueError(str(error)) from error

    return read


def bind_url(value: Any) -> str:
    """A URL to listen on."""
    try:
        parse_bind_url(text(value))
    except UsageError as error:
        raise ValueError(str(error)) from error
    return str(value)


def engine(value: Any) -> str:
    """The name of an engine."""
    if value in ENGINES:
        return str(value)
    raise ValueError(f"must be one of {', '.join(ENGINES)}")


def transport(value: Any) -> str:
    """Read what a classic server listens on."""
    if value in ("tcp", "ipc"):
        return str(value)
    raise ValueError("must be tcp or ipc")


_LEVELS: Final = {
    "DEBUG": logging.DEBUG,
    "FINEST": logging.DEBUG,
    "FINE": logging.DEBUG,
    "TRACE": logging.DEBUG,
    "INFO": logging.INFO,
    "WARNING": logging.WARNING,
    "ERROR": logging.ERROR,
    "CRITICAL": logging.CRITICAL,
}


def log_level(value: Any) -> int:
    """A level as the ``logging`` module counts, by the names of both old servers."""
    if str(value).upper() in _LEVELS:
        return _LEVELS[str(value).upper()]
    raise ValueError(f"must be one of {', '.join(_LEVELS)}")
