"""Arguments: the converters of the commands, which accept str or bytes-like and return bytes.

Each one raises ArgumentTypeError for a type and UsageError for a value that no command can carry; the message names
the argument.
"""

import enum
import reprlib
from abc import abstractmethod
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from functools import singledispatch
from typing import Any, Final, TypeAlias, TypeVar

from pyelevator.errors import ArgumentTypeError, UsageError

T = TypeVar("T")

Data: TypeAlias = str | bytes | bytearray | memoryview
"""What callers may give as a key or a value; str is encoded as UTF-8, with surrogateescape."""

KeyRange: TypeAlias = Data | tuple[Data | None, Data | None]
"""A range of keys: a prefix, or the first key and the one behind the last, None for an open end."""

OptionValue: TypeAlias = bool | int | float | str | None
"""The value of one LevelDB option."""

PUT: Final = 1
DELETE: Final = 0
BatchOp: TypeAlias = tuple[int, bytes, bytes] | tuple[int, bytes]
"""One operation of a batch: ``(PUT, key, value)`` or ``(DELETE, key)``; the numbers are the wire's signals."""


IS_MISSING: Final = 0
IS_PRESENT: Final = 1
HAS_VALUE: Final = 2
KeyCheck: TypeAlias = tuple[int, bytes] | tuple[int, bytes, bytes]
"""One check of a conditional batch: ``(IS_MISSING, key)``, ``(IS_PRESENT, key)`` or ``(HAS_VALUE, key, value)``."""


class KeyState(enum.Enum):
    """What a check expects of a key, where that is no value."""

    MISSING = IS_MISSING
    PRESENT = IS_PRESENT

    def __repr__(self) -> str:
        return self.name


MISSING: Final = KeyState.MISSING
"""What a check expects of a key that must not be in the database."""
PRESENT: Final = KeyState.PRESENT
"""What a check expects of a key that must be in the database, with whatever value."""

Expected: TypeAlias = Data | KeyState
"""What a check expects of a key: a value, MISSING or PRESENT."""


class CheckedSequence(Sequence[T]):
    """Arguments that a codec has checked, and that a command holds as they are.

    They may be very many, and are made a chunk at a time whenever they are iterated over.
    """

    @abstractmethod
    def chunks(self, most: int) -> Iterator[Sequence[T]]:
        """Return the items in lists of ``most``, and one of what is left."""

    @abstractmethod
    def packed_items(self) -> memoryview:
        """Return the items as msgpack, next to one another."""


class CheckedList(list[T]):
    """The same, where they are few."""


def _is_checked(values: Any) -> bool:
    kind = type(values)  # nearly always one of these two, and to ask an abstract class takes long
    return kind is not list and kind is not tuple and isinstance(values, (CheckedList, CheckedSequence))


class BadSignal(UsageError):
    """An operation of a batch that starts with something else than PUT or DELETE."""

    def __init__(self, signal: object) -> None:
        self.signal = signal.decode("utf-8", "replace") if isinstance(signal, bytes) else signal
        super().__init__(f"Unrecognized signal received : {reprlib.repr(self.signal)}")

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), (self.signal,)


@singledispatch
def kind_of(value: object) -> str:
    """Return the name of a value's type for error texts; modules with further types register them."""
    return type(value).__name__


def to_bytes(value: Data, name: str) -> bytes:
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


def to_text(value: Data, name: str) -> str:
    """Return ``value`` as str, UTF-8 with surrogateescape; raise as :func:`to_bytes` does."""
    return to_bytes(value, name).decode("utf-8", "surrogateescape")


def prefix_successor(prefix: bytes) -> bytes | None:
    r"""Return the smallest key that follows every key with the prefix; None if there is none.

    >>> prefix_successor(b"user:"), prefix_successor(b"a\xff"), prefix_successor(b"\xff")
    (b'user;', b'b', None)
    """
    kept = prefix.rstrip(b"\xff")
    return kept[:-1] + bytes([kept[-1] + 1]) if kept else None


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
    return to_text(value, "directory")


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
    """Convert the name of a database, or of a verb."""
    return to_text(value, "name")


def keys(values: Iterable[Data]) -> Sequence[bytes]:
    """Convert many keys, in a list or a tuple."""
    if _is_checked(values):
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


def ops(values: Iterable[Sequence[object]]) -> Sequence[BatchOp]:
    """Convert the operations of a batch; a canonical batch is returned as it is."""
    if _is_checked(values):
        return values  # type: ignore[return-value]
    if not isinstance(values, (list, tuple)):
        raise ArgumentTypeError(f"ops must be a list or a tuple, not {kind_of(values)}")
    return values if are_ops(values) else [_convert_op(op, i) for i, op in enumerate(values)]


def are_ops(ops: Sequence[Any]) -> bool:
    """Return whether all are exactly ``BatchOp``. One flat loop: batches are long, and calls would double its time."""
    for op in ops:
        if type(op) is not tuple and type(op) is not list:
            return False
        if len(op) == 3:
            signal, key, value = op
            if signal is not PUT or type(key) is not bytes or type(value) is not bytes:
                return False
        elif len(op) != 2 or op[0] is not DELETE or type(op[1]) is not bytes:
            return False
    return True


def _convert_op(op: Any, index: int) -> BatchOp:
    """Convert one operation. A string has its first character for a signal, as in the old server."""
    signal = op[:1] if isinstance(op, (str, bytes)) and op else _signal_of(op, index)
    if signal not in (PUT, DELETE):
        raise BadSignal(signal)
    if len(op) != (3 if signal else 2):
        raise ArgumentTypeError(f"ops[{index}] must be (PUT, key, value) or (DELETE, key), not {len(op)} elements")
    key = to_bytes(op[1], f"ops[{index}][1]")
    return (PUT, key, to_bytes(op[2], f"ops[{index}][2]")) if signal else (DELETE, key)


def make_check(key: Data, expected: Expected) -> KeyCheck:
    """Make the check of a key.

    >>> make_check("k", MISSING), make_check("k", "v")
    ((0, b'k'), (2, b'k', b'v'))

    Raises:
        ArgumentTypeError: ``expected`` is no value, nor MISSING or PRESENT.
    """
    if isinstance(expected, KeyState):
        return expected.value, to_bytes(key, "key")
    if isinstance(expected, (str, bytes, bytearray, memoryview)):
        return HAS_VALUE, to_bytes(key, "key"), to_bytes(expected, "expected")
    raise ArgumentTypeError(f"expected must be str, bytes, MISSING or PRESENT, not {kind_of(expected)}")


def checks(values: Iterable[Sequence[object]]) -> Sequence[KeyCheck]:
    """Convert the checks of a conditional batch, in a list or a tuple; canonical ones are returned as they are."""
    if _is_checked(values):
        return values  # type: ignore[return-value]
    if not isinstance(values, (list, tuple)):
        raise ArgumentTypeError(f"checks must be a list or a tuple, not {kind_of(values)}")
    return values if are_checks(values) else [_convert_check(check, i) for i, check in enumerate(values)]


_CHECK_LENGTHS: Final = {IS_MISSING: 2, IS_PRESENT: 2, HAS_VALUE: 3}


def are_checks(checks: Sequence[Any]) -> bool:
    """Return whether all are exactly ``KeyCheck``."""
    return all(_is_check(check) and set(map(type, check[1:])) == {bytes} for check in checks)


def _is_check(check: Any) -> bool:
    """Return whether it is a check, its key and value of whatever types."""
    return (
        type(check) in (list, tuple)
        and bool(check)
        and type(check[0]) is int
        and _CHECK_LENGTHS.get(check[0]) == len(check)
    )


def _convert_check(check: Any, index: int) -> KeyCheck:
    if not _is_check(check):
        raise ArgumentTypeError(
            f"checks[{index}] must be (IS_MISSING, key), (IS_PRESENT, key) or (HAS_VALUE, key, value), "
            f"not {reprlib.repr(check)}"
        )
    key = to_bytes(check[1], f"checks[{index}][1]")
    return (check[0], key) if len(check) == 2 else (check[0], key, to_bytes(check[2], f"checks[{index}][2]"))


def _signal_of(op: Any, index: int) -> Any:
    if isinstance(op, (list, tuple)) and op and not isinstance(op[0], (list, tuple, dict)):
        return op[0]
    raise ArgumentTypeError(f"ops[{index}] must be (PUT, key, value) or (DELETE, key), not {reprlib.repr(op)}")
