"""Data that arguments are made of: keys and values as str or bytes-like, which become bytes, and numbers.

Each converter raises ArgumentTypeError for a type and UsageError for a value that no command can carry.
"""

from functools import singledispatch
from typing import TypeAlias, TypeGuard

from pyelevator.errors import ArgumentTypeError, UsageError

Data: TypeAlias = str | bytes | bytearray | memoryview
"""What callers may give as a key or a value; str is encoded as UTF-8, with surrogateescape."""

KeyRange: TypeAlias = Data | tuple[Data | None, Data | None]
"""A range of keys: a prefix, or the first key and the one behind the last, None for an open end."""

OptionValue: TypeAlias = bool | int | float | str | None
"""The value of one LevelDB option."""


@singledispatch
def kind_of(value: object) -> str:
    """Return the name of a value's type for error texts; modules with further types register them."""
    return type(value).__name__


def is_integer(value: object) -> TypeGuard[int]:
    """Tell whether a value is an int; True and False are none."""
    return isinstance(value, int) and not isinstance(value, bool)


def is_number(value: object) -> TypeGuard[float]:
    """Tell whether a value is an int or a float; True and False are none."""
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def positive_integer(value: int, name: str) -> int:
    """Return ``value`` itself, an int of 1 or more.

    Raises:
        ArgumentTypeError: it is no int; the message names the argument.
        UsageError: it is less.
    """
    if not is_integer(value):
        raise ArgumentTypeError(f"{name} must be a whole number, not {kind_of(value)}")
    if value < 1:
        raise UsageError(f"{name} must be 1 or more, not {value!r:.40}")
    return value


def to_bytes(value: Data, name: str = "value") -> bytes:
    """Return ``value`` as bytes.

    Raises:
        ArgumentTypeError: not str or bytes-like; the message names the argument.
        UsageError: str with a surrogate that stands for no byte.
    """
    if type(value) is bytes:
        return value
    try:
        if isinstance(value, str):
            return value.encode("utf-8", "surrogateescape")
    except UnicodeEncodeError as error:
        raise UsageError(f"{name} holds the lone surrogate {value[error.start]!r}; give bytes instead") from error
    if isinstance(value, bytes):
        return value
    if isinstance(value, (bytearray, memoryview)):
        return bytes(value)
    raise ArgumentTypeError(f"{name} must be str or bytes, not {kind_of(value)}")


def to_text(value: Data, name: str = "value") -> str:
    """Return ``value`` as str, UTF-8 with surrogateescape; raise as :func:`to_bytes` does."""
    return to_bytes(value, name).decode("utf-8", "surrogateescape")


def prefix_successor(prefix: bytes) -> bytes | None:
    r"""Return the smallest key that follows every key with the prefix; None if there is none.

    >>> prefix_successor(b"user:"), prefix_successor(b"a\xff"), prefix_successor(b"\xff")
    (b'user;', b'b', None)
    """
    kept = prefix.rstrip(b"\xff")
    return kept[:-1] + bytes([kept[-1] + 1]) if kept else None
