"""Arguments: the converters of the commands, which accept str or bytes-like and return bytes.

Each one raises ArgumentTypeError for a type and UsageError for a value that no command can carry; the message names
the argument.
"""

from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from typing import Any, Final

from pyelevator.arguments.batches import (
    MISSING,
    PRESENT,
    BadSignal,
    BatchOp,
    Expected,
    KeyCheck,
    checks,
    is_checked,
    make_check,
    ops,
)
from pyelevator.arguments.data import (
    Data,
    KeyRange,
    OptionValue,
    kind_of,
    prefix_successor,
    to_bytes,
    to_text,
)
from pyelevator.errors import ArgumentTypeError, UsageError

MAX_NAME: Final = 4096
"""Characters of a database's name or a path, as long as systems take; to look up a very long one would take minutes."""


def _optional(value: Data | None, name: str) -> bytes | None:
    return None if value is None else to_bytes(value, name)


def _flag(value: bool, name: str) -> bool:
    if isinstance(value, bool):
        return value
    raise ArgumentTypeError(f"{name} must be bool, not {kind_of(value)}")


def integer(value: int, name: str) -> int:
    """Check an integer of 64 bits."""
    if not isinstance(value, int) or isinstance(value, bool):
        raise ArgumentTypeError(f"{name} must be int, not {kind_of(value)}")
    if not -(1 << 63) <= value < 1 << 63:
        raise UsageError(f"{name} must fit into 64 bits")
    return value


# One converter per argument name: attrs wants named functions, and the messages name the argument.
def key(value: Data) -> bytes:
    """Convert a key."""
    return value if type(value) is bytes else to_bytes(value, "key")


def value(value: Data) -> bytes:
    """Convert a value."""
    return value if type(value) is bytes else to_bytes(value, "value")


def start(value: Data | None) -> bytes | None:
    """Convert the first key of a scan; None is an open end."""
    return _optional(value, "start")


def stop(value: Data | None) -> bytes | None:
    """Convert the last key of a scan; None is an open end."""
    return _optional(value, "stop")


def prefix(value: Data | None) -> bytes | None:
    """Convert the prefix of all keys of a scan; None is any."""
    return _optional(value, "prefix")


def include_key(value: bool) -> bool:
    """Check whether a scan answers the keys."""
    return _flag(value, "include_key")


def include_value(value: bool) -> bool:
    """Check whether a scan answers the values."""
    return _flag(value, "include_value")


def fill_cache(value: bool) -> bool:
    """Check whether the server keeps in its caches what it reads."""
    return _flag(value, "fill_cache")


def sync(value: bool) -> bool:
    """Check whether a write is answered only when it survives a crash of the machine."""
    return _flag(value, "sync")


def uids(values: Iterable[Data]) -> tuple[str, ...]:
    """Convert the uids of databases, in a list or a tuple."""
    if not isinstance(values, (list, tuple)):
        raise ArgumentTypeError(f"uids must be a list or a tuple, not {kind_of(values)}")
    return tuple([to_text(uid, f"uids[{i}]") for i, uid in enumerate(values)])


def create(value: bool) -> bool:
    """Check whether a database is created if it is missing."""
    return _flag(value, "create")


def report(value: bool) -> bool:
    """Check whether a repair reports what it did."""
    return _flag(value, "report")


def force(value: bool) -> bool:
    """Check whether a database is dropped that was there before the server."""
    return _flag(value, "force")


def tolerant(value: bool) -> bool:
    """Check whether options that do not exist are passed over."""
    return _flag(value, "tolerant")


def lazy(value: bool) -> bool:
    """Check whether pages may stay encoded for now."""
    return _flag(value, "lazy")


def reverse(value: bool) -> bool:
    """Check whether a scan goes from the last key down to the first."""
    return _flag(value, "reverse")


def exclusive(value: bool) -> bool:
    """Check whether a slice leaves out the key that it starts from."""
    return _flag(value, "exclusive")


def cursor(value: Data | bool) -> bytes | bool:
    """Convert the id of a cursor; True is a new one, False none."""
    return value if isinstance(value, bool) else to_bytes(value, "cursor")


def count(value: int) -> int:
    """Check the number of pairs that a slice answers."""
    return integer(value, "count")


def by(value: int) -> int:
    """Check what is added to a number."""
    return integer(value, "by")


def initial(value: int) -> int:
    """Check the number that a missing key counts as."""
    return integer(value, "initial")


def limit(value: int | None) -> int | None:
    """Check how many entries are wanted at most; None is all."""
    return None if value is None else integer(value, "limit")


def max_bytes(value: int | None) -> int | None:
    """Check the bytes after which a slice may be cut; None is never."""
    return None if value is None else integer(value, "max_bytes")


def directory(value: Data) -> str:
    """Convert the path of a directory on the server."""
    return _path(value, "directory")


def ranges(values: Iterable[Any]) -> tuple[tuple[bytes | None, bytes | None], ...]:
    """Convert ranges of keys: a prefix is one, and so is the first key and the one behind the last, None for open ends.

    >>> ranges(["user:", ("a", None)])
    ((b'user:', b'user;'), (b'a', None))
    """
    if not isinstance(values, (list, tuple)):
        raise ArgumentTypeError(f"ranges must be a list or a tuple, not {kind_of(values)}")
    return tuple([_range(value, f"ranges[{i}]") for i, value in enumerate(values)])


def _range(value: Any, where: str) -> tuple[bytes | None, bytes | None]:
    if isinstance(value, (list, tuple)) and len(value) == 2:
        return _optional(value[0], f"{where}[0]"), _optional(value[1], f"{where}[1]")
    if isinstance(value, (list, tuple)):
        raise ArgumentTypeError(f"{where} must be a prefix, or (start, stop), not {len(value)} elements")
    prefix = to_bytes(value, where)
    return prefix or None, prefix_successor(prefix)


def name(value: Data) -> str:
    """Convert the name of a database, which may be a path."""
    return _path(value, "name")


def verb(value: Data) -> str:
    """Convert the name of a command."""
    return to_text(value, "name")


def _path(value: Data, name: str) -> str:
    text = to_text(value, name)
    if len(text) > MAX_NAME:
        raise UsageError(f"a {name} of {len(text):,} characters is over the limit of {MAX_NAME:,}")
    return text


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


def _option(value: Any, name: Data) -> OptionValue:
    where = f"options[{to_text(name, 'name')!r}]"
    if value is None or isinstance(value, (bool, float)):
        return value
    if isinstance(value, int):
        return integer(value, where)
    if isinstance(value, (str, bytes)):
        return to_text(value, where)
    raise ArgumentTypeError(f"{where} must be a number, a bool or str, not {kind_of(value)}")


__all__ = [
    "MISSING",
    "PRESENT",
    "BadSignal",
    "BatchOp",
    "Data",
    "Expected",
    "KeyCheck",
    "KeyRange",
    "OptionValue",
    "checks",
    "make_check",
    "ops",
]
