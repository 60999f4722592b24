"""Batches as arguments: operations, the checks of conditional ones, and sequences that a codec has checked."""

import enum
import reprlib
from abc import abstractmethod
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, Final, TypeAlias, TypeVar

from pyelevator.arguments.data import Data, kind_of, to_bytes
from pyelevator.errors import ArgumentTypeError, UsageError

T = TypeVar("T")

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
    """The expectation of a check that names no value."""

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
    def chunks(self, max_items: int) -> Iterator[Sequence[T]]:
        """Return the items in lists of ``max_items``, and one of what is left."""

    @abstractmethod
    def packed_items(self) -> memoryview:
        """Return the items as msgpack, next to one another."""


class CheckedList(list[T]):
    """The same, where they are few."""


def is_checked(values: object) -> bool:
    """Return True if a codec has checked the items already."""
    kind = type(values)  # nearly always one of these two, and to ask an abstract class takes long
    return kind is not list and kind is not tuple and isinstance(values, (CheckedList, CheckedSequence))


class BadSignal(UsageError):
    """An operation of a batch that starts with something else than PUT or DELETE."""

    def __init__(self, signal: object) -> None:
        self.signal = signal.decode("utf-8", "replace") if isinstance(signal, bytes) else signal
        super().__init__(f"Unrecognized signal received : {reprlib.repr(self.signal)}")

    def __reduce__(self) -> tuple[object, ...]:
        return type(self), (self.signal,)


def ops(values: Iterable[Sequence[object]]) -> Sequence[BatchOp]:
    """Convert the operations of a batch; a canonical batch is returned as it is."""
    if is_checked(values):
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
    if is_checked(values):
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


def _signal_of(op: object, index: int) -> object:
    if isinstance(op, (list, tuple)) and op and not isinstance(op[0], (list, tuple, dict)):
        return op[0]
    raise ArgumentTypeError(f"ops[{index}] must be (PUT, key, value) or (DELETE, key), not {reprlib.repr(op)}")
