"""Names, codes, statuses and scalars in messages of both dialects, and the errors for anything else."""

import reprlib
from collections.abc import Sequence
from typing import Any, Final

from pyelevator.arguments.data import kind_of
from pyelevator.codec.limits import Limits
from pyelevator.codec.packing import MapKey
from pyelevator.commands import BadSignal, Unknown
from pyelevator.errors import ArgumentTypeError, ErrorCode, LimitExceeded, MalformedMessage, UsageError
from pyelevator.messages import Status


def check_portable(value: object, limits: Limits) -> None:
    """Refuse what cannot be passed on: nested deeper than ``limits.depth``, or types that old peers cannot read."""
    level = [value]
    for _ in range(limits.depth + 1):
        if not set(map(type, level)) <= _PORTABLE:
            raise MalformedMessage("a msgpack extension type cannot be passed on")
        level = [child for item in level if isinstance(item, (list, dict)) for child in _children(item)]
        if not level:
            return
    raise LimitExceeded(f"nested deeper than {limits.depth}")


_PORTABLE: Final = frozenset({list, dict, bytes, int, float, bool, type(None)})


def _children(container: list[object] | dict[object, object]) -> Sequence[object]:
    if isinstance(container, list):
        return container
    return [*container.values(), *[key.key for key in container if type(key) is MapKey]]


def malformed_arguments(verb: str, error: UsageError) -> MalformedMessage:
    """Return the error for arguments of a peer that a command refused, with the code to answer."""
    if isinstance(error, BadSignal):
        return MalformedMessage(str(error), code=ErrorCode.SIGNAL)
    if isinstance(error, ArgumentTypeError):
        return MalformedMessage(TYPE_ERROR_TEXTS.get(verb, "{}").format(error), code=ErrorCode.TYPE)
    return MalformedMessage(str(error), code=ErrorCode.VALUE)


TYPE_ERROR_TEXTS: Final = {
    "PUT": "Unsupported value type : {}",
    "BATCH": "Invalid type supplied",
}
"""The texts of the old server's type errors, where callers may know the words (docs/protocol.md)."""


def unknown_command(verb: object, args: Sequence[object], limits: Limits) -> Unknown:
    """Return the command for a verb without a class."""
    check_portable(args, limits)
    return Unknown(verb if isinstance(verb, bytes) else reprlib.repr(verb), args)


def is_numeric_id(value: object) -> bool:
    """Tell whether an id is a number, as ours are."""
    return type(value) is int and 0 <= value < 1 << 64


def text(data: bytes) -> str:
    """Return a peer's name, uid or message as str."""
    return data.decode("utf-8", "surrogateescape")


def reason(data: bytes) -> str:
    """Return a peer's message for a failure, up to a length that is still of use."""
    return text(data[:_MAX_REASON])


_MAX_REASON: Final = 1 << 20


def error_code(code: object) -> ErrorCode:
    """Return the failure code, or RUNTIME for one that this version does not know."""
    return _CODES.get(code, ErrorCode.RUNTIME) if type(code) is int else ErrorCode.RUNTIME


_CODES: Final = {int(code): code for code in ErrorCode}


def reply_status(status: object) -> Status:
    """Return the status of a reply.

    Raises:
        MalformedMessage: there is no such status.
    """
    if type(status) is int and status in _STATUSES:
        return _STATUSES[status]
    raise MalformedMessage(f"the status of a reply is not {reprlib.repr(status)}")


_STATUSES: Final = {int(status): status for status in Status}


def scalar(data: list[object]) -> bytes | bool | None:
    """Return the one value in a reply's data.

    Raises:
        MalformedMessage: it is not one, or not a scalar.
    """
    if len(data) != 1:
        raise MalformedMessage(f"a scalar answer holds {len(data)} values")
    return scalar_value(data[0])


def scalar_value(value: Any) -> bytes | bool | None:
    """Return ``value``, where a scalar was expected.

    Raises:
        MalformedMessage: it is not one.
    """
    if type(value) in _SCALARS:
        return value  # type: ignore[no-any-return]
    raise MalformedMessage(f"a scalar answer holds {kind_of(value)}")


_SCALARS: Final = frozenset({bytes, bool, type(None)})


def string_list(data: list[Any]) -> list[bytes | None]:
    """Return a reply's data, all of them strings or nil.

    Raises:
        MalformedMessage: some are something else.
    """
    if set(map(type, data)) <= _STRINGS:
        return data
    raise MalformedMessage("the answer holds something else than strings")


_STRINGS: Final = frozenset({bytes, type(None)})


def adjacent_pairs(items: list[object], kind: type, wrong: str) -> list[list[object]]:
    """Return pairs of what lies next to one another, all of one kind; ``wrong`` is the error for anything else."""
    if len(items) % 2 or not set(map(type, items)) <= {kind}:
        raise MalformedMessage(wrong)
    each = iter(items)
    return list(map(list, zip(each, each, strict=True)))
