"""JSON of a peer: each value has the type and the bounds that it should have, or the answer is malformed."""

import json
from collections.abc import Callable, Mapping
from typing import Any, Final, TypeVar

from pyelevator.errors import MalformedMessage

T = TypeVar("T")

_INVALID: Final = (ValueError, LookupError, TypeError, AttributeError, RecursionError)

_MAX_INT: Final = 1 << 64
_MIN_SECONDS: Final = -62_135_510_400.0
_MAX_SECONDS: Final = 253_402_214_400.0
"""The years 1 to 9999, less a day for time zones: nothing else is a date that can be shown."""


def encode_json(value: Any) -> bytes:
    """Return a value as it travels."""
    return json.dumps(value).encode()


def decode_json(data: bytes, build: Callable[[Any], T], verb: str) -> T:
    """Return what ``build`` makes of the JSON in an answer.

    Raises:
        MalformedMessage: it is something else.
    """
    try:
        return build(json.loads(data))
    except _INVALID as error:
        raise MalformedMessage(f"the answer to {verb} holds something else than its report") from error


def to_int(value: Any) -> int:
    """Return a whole number of 64 bits and a sign.

    Raises:
        ValueError: it is something else.
    """
    if type(value) is int and -_MAX_INT < value < _MAX_INT:
        return value
    raise ValueError("a whole number was expected")


def to_count(value: Any) -> int:
    """Return a whole number of 64 bits that is not negative.

    Raises:
        ValueError: it is something else.
    """
    if to_int(value) >= 0:
        return int(value)
    raise ValueError("a number from 0 on was expected")


def to_seconds(value: Any) -> float:
    """Return seconds: how long something took, or a time as Unix counts it.

    Raises:
        ValueError: it is something else, or a time that no calendar has.
    """
    if type(value) in (int, float) and _MIN_SECONDS <= value <= _MAX_SECONDS:
        return float(value)
    raise ValueError("seconds were expected")


def to_bool(value: Any) -> bool:
    """Return True or False.

    Raises:
        ValueError: it is something else.
    """
    if type(value) is bool:
        return value
    raise ValueError("true or false was expected")


def to_text(value: Any) -> str:
    """Return text.

    Raises:
        ValueError: it is something else.
    """
    if isinstance(value, str):
        return value
    raise ValueError("text was expected")


def to_list(value: Any) -> list[Any]:
    """Return an array.

    Raises:
        ValueError: it is something else.
    """
    if type(value) is list:
        return value
    raise ValueError("an array was expected")


def to_mapping(value: Any) -> Mapping[Any, Any]:
    """Return an object of JSON.

    Raises:
        ValueError: it is something else.
    """
    if isinstance(value, Mapping):
        return value
    raise ValueError("an object was expected")
