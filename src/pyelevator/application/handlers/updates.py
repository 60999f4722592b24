"""Handlers of the commands that read and write in one step: CONDITIONALBATCH, INCREMENT, GETANDDELETE, DELETERANGE."""

import re
from typing import Final

from pyelevator.application.handlers.keys import value_or_raise
from pyelevator.commands import (
    DELETE,
    IS_MISSING,
    IS_PRESENT,
    PUT,
    ConditionalBatch,
    DeleteRange,
    GetAndDelete,
    Increment,
    KeyCheck,
)
from pyelevator.engines.base import Bounds, Decision, ReadView
from pyelevator.errors import CheckFailed, WrongValue

_FEW: Final = 8
"""Keys of checks that are read one by one; more are read together, as each may be a round trip."""

_INT64: Final = re.compile(rb"0|-?[1-9][0-9]{0,18}")
_MIN_INT64: Final = -(1 << 63)
_MAX_INT64: Final = (1 << 63) - 1


def decide_batch(command: ConditionalBatch, view: ReadView) -> Decision[None]:
    """Return the operations of a CONDITIONALBATCH, or raise CheckFailed."""
    keys = [check[1] for check in command.checks]
    values = view.multi_get(keys) if len(keys) > _FEW else map(view.get, keys)
    failed = [at for at, holds in enumerate(map(_holds, command.checks, values)) if not holds]
    if failed:
        raise CheckFailed(CheckFailed.MESSAGE_PREFIX + ", ".join(map(str, failed)))
    return command.ops, None


def _holds(check: KeyCheck, value: bytes | None) -> bool:
    if check[0] == IS_MISSING:
        return value is None
    return value is not None if check[0] == IS_PRESENT else value == check[2]  # type: ignore[misc]


def decide_increment(command: Increment, view: ReadView) -> Decision[bytes]:
    """Return the operation of an INCREMENT, and the sum as text; both numbers have 64 bits at most."""
    value = view.get(command.key)
    number = command.initial if value is None else _parse_number(value)
    total = number + command.by
    if not _MIN_INT64 <= total <= _MAX_INT64:
        raise WrongValue(f"{number} and {command.by} make more than fits into 64 bits; nothing was written")
    text = b"%d" % total
    return ((PUT, command.key, text),), text


def _parse_number(value: bytes) -> int:
    if _INT64.fullmatch(value) is not None:
        number = int(value)
        if _MIN_INT64 <= number <= _MAX_INT64:
            return number
    raise WrongValue("the value is not a whole number of 64 bits in decimal digits; nothing was written")


def decide_get_and_delete(command: GetAndDelete, view: ReadView) -> Decision[bytes]:
    """Return the operation of a GETANDDELETE, and the value that it deletes, or raise KeyNotFound."""
    value = value_or_raise(command, view.get(command.key))
    return ((DELETE, command.key),), value


_DELETED_KEYS: Final = 4096
_DELETED_BYTES: Final = 1 << 20
"""Keys, and about how many bytes of them, that are deleted in one step; other writes wait as long."""


def decide_delete_range(command: DeleteRange, view: ReadView) -> Decision[list[bytes]]:
    """Return what deletes the first keys of a range, and how many they are, with the last of them if more follow."""
    bounds = Bounds(command.start, command.stop, command.prefix, include_value=False, fill_cache=False)
    with view.chunks(bounds) as chunks:
        keys, _ = chunks.read(_DELETED_KEYS, _DELETED_BYTES)
        further, _ = chunks.read(1, 1)
    return [(DELETE, key) for key in keys], [b"%d" % len(keys), *(keys[-1:] if further else ())]
