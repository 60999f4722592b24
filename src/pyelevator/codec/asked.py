"""The memory that the reply to a command may take, by what the command asked for."""

from typing import Any, Final

from pyelevator.codec.weight import FLOOR
from pyelevator.commands import Command, MGet, PayloadKind, Pipeline, Slice

ASKED: Final = 24 << 20
"""Bytes that a reply with any number of elements may take, however short it is: its reader has asked for that."""

_ELEMENT: Final = 512
"""Bytes that an element of a reply may take beside its own: a pair, or what became of a command."""

_ANY_NUMBER: Final = ASKED // _ELEMENT

_MANY: Final = frozenset({PayloadKind.LIST, PayloadKind.PAIRS, PayloadKind.RESPONSES})


def reply_floor(command: Command[Any]) -> int:
    """Return the bytes of memory that the reply to a command may take, however short it is.

    >>> from pyelevator.commands import Get, Range
    >>> reply_floor(Get("k")) >> 20, reply_floor(MGet(["k"] * 20_000)) >> 20, reply_floor(Range()) >> 20
    (4, 9, 24)
    """
    return max(FLOOR, min(ASKED, _ELEMENT * _elements(command)))


def _elements(command: Command[Any]) -> int:
    """Return how many elements the reply to a command may have."""
    if command.payload_kind not in _MANY:
        return 1
    if isinstance(command, MGet):
        return len(command.keys)
    if isinstance(command, Slice):
        return command.count
    return sum(map(_elements, command.commands)) if isinstance(command, Pipeline) else _ANY_NUMBER
