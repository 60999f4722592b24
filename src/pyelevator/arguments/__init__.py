"""Arguments: the converters of the commands, which accept str or bytes-like and return bytes.

Each one raises ArgumentTypeError for a type and UsageError for a value that no command can carry; the message names
the argument. The fields of commands tell their converters their names (see :mod:`pyelevator._attrs`).
"""

from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from typing import Final

from pyelevator.arguments.batches import checks as checks, is_checked, ops as ops
from pyelevator.arguments.data import (
    Data,
    KeyRange,
    OptionValue,
    is_integer as is_integer,
    is_number as is_number,
    kind_of,
    positive_integer as positive_integer,
    prefix_successor,
    to_bytes as to_bytes,
    to_text as to_text,
)
from pyelevator.errors import ArgumentTypeError, UsageError

MAX_NAME: Final = 4096
"""Characters of a database's name or a path, as long as systems take; to look up a very long one would take minutes."""


def optional_bytes(value: Data | None, name: str = "value") -> bytes | None:
    """Return ``value`` as bytes; None stands for nothing, such as an open end of a scan."""
    return None if value is None else to_bytes(value, name)


def flag(value: bool, name: str = "value") -> bool:
    """Check a bool."""
    if isinstance(value, bool):
        return value
    raise ArgumentTypeError(f"{name} must be bool, not {kind_of(value)}")


def integer(value: int, name: str = "value") -> int:
    """Check an integer of 64 bits."""
    if not is_integer(value):
        raise ArgumentTypeError(f"{name} must be int, not {kind_of(value)}")
    if not -(1 << 63) <= value < 1 << 63:
        raise UsageError(f"{name} must fit into 64 bits")
    return value


def optional_integer(value: int | None, name: str = "value") -> int | None:
    """Check an integer of 64 bits; None stands for no limit."""
    return None if value is None else integer(value, name)


def cursor(value: Data | bool) -> bytes | bool:
    """Convert the id of a cursor; True is a new one, False none."""
    return value if isinstance(value, bool) else to_bytes(value, "cursor")


def path(value: Data, name: str = "value") -> str:
    """Convert a path on the server, or the name of a database, which may be one."""
    text = to_text(value, name)
    if len(text) > MAX_NAME:
        raise UsageError(f"a {name} of {len(text):,} characters is over the limit of {MAX_NAME:,}")
    return text


def uids(values: Iterable[Data]) -> tuple[str, ...]:
    """Convert the uids of databases, in a list or a tuple."""
    if not isinstance(values, (list, tuple)):
        raise ArgumentTypeError(f"uids must be a list or a tuple, not {kind_of(values)}")
    return tuple([to_text(uid, f"uids[{i}]") for i, uid in enumerate(values)])


def ranges(values: Iterable[KeyRange]) -> tuple[tuple[bytes | None, bytes | None], ...]:
    """Convert ranges of keys: a prefix is one, and so is the first key and the one behind the last, None for open ends.

    >>> ranges(["user:", ("a", None)])
    ((b'user:', b'user;'), (b'a', None))
    """
    if not isinstance(values, (list, tuple)):
        raise ArgumentTypeError(f"ranges must be a list or a tuple, not {kind_of(values)}")
    return tuple([_range(value, f"ranges[{i}]") for i, value in enumerate(values)])


def _range(value: KeyRange, where: str) -> tuple[bytes | None, bytes | None]:
    if isinstance(value, (list, tuple)):
        if len(value) != 2:
            raise ArgumentTypeError(f"{where} must be a prefix, or (start, stop), not {len(value)} elements")
        return optional_bytes(value[0], f"{where}[0]"), optional_bytes(value[1], f"{where}[1]")
    prefix = to_bytes(value, where)
    return prefix or None, prefix_successor(prefix)


def keys(values: Iterable[Data]) -> Sequence[bytes]:
    """Convert many keys, in a list or a tuple."""
    if is_checked(values):
        return values  # type: ignore[return-value]
    if not isinstance(values, (list, tuple)):
        raise ArgumentTypeError(f"keys must be a list or a tuple, not {kind_of(values)}")
    kinds = set(map(type, values))
    if kinds <= {bytes}:
        return tuple(values)
    if kinds == {str}:
        with suppress(UnicodeEncodeError):  # then it is said which one
            return tuple([value.encode("utf-8", "surrogateescape") for value in values])
    return tuple([to_bytes(key, f"keys[{i}]") for i, key in enumerate(values)])


def options(values: Mapping[str, OptionValue] | None) -> dict[str, OptionValue]:
    """Convert LevelDB options: names and plain values."""
    if values is None:
        return {}
    if not isinstance(values, Mapping):
        raise ArgumentTypeError(f"options must be a mapping, not {kind_of(values)}")
    return {to_text(name, "the name of an option"): _option(value, name) for name, value in values.items()}


def _option(value: OptionValue, name: Data) -> OptionValue:
    where = f"options[{to_text(name, 'name')!r}]"
    if value is None or isinstance(value, (bool, float)):
        return value
    if isinstance(value, int):
        return integer(value, where)
    if isinstance(value, (str, bytes)):
        return to_text(value, where)
    raise ArgumentTypeError(f"{where} must be a number, a bool or str, not {kind_of(value)}")
