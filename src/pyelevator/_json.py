"""JSON of a peer: each value has the type and the bounds that it should have, or the answer is malformed.

The functions that return a value of a type raise ValueError for anything else.
"""

from collections.abc import Callable, Iterable, Mapping
from typing import Any, ClassVar, Final, Self, TypeVar

from attrs import asdict, fields

from pyelevator.errors import MalformedMessage

T = TypeVar("T")

_INVALID: Final = (ValueError, LookupError, TypeError, AttributeError, RecursionError)

_MAX_INT: Final = 1 << 64
_MIN_SECONDS: Final = -62_135_510_400.0
_MAX_SECONDS: Final = 253_402_214_400.0
"""The years 1 to 9999, less a day for time zones: nothing else is a date that can be shown."""


def encode_json(value: object) -> bytes:
    """Return a value as it travels."""
    import json  # few clients ask for what travels so

    return json.dumps(value).encode()


def decode_json(data: bytes, build: Callable[[object], T], verb: str) -> T:
    """Return what ``build`` makes of the JSON in an answer.

    Raises:
        MalformedMessage: it is something else.
    """
    import json  # as above

    try:
        return build(json.loads(data))
    except _INVALID as error:
        raise MalformedMessage(f"the answer to {verb} holds something else than its report") from error


def build(kind: type[T], data: object, *, is_complete: bool = False) -> T:
    """Make an object of an attrs class from a JSON object, or return it if it is one already.

    What a newer peer adds is passed over; what an older one leaves out has its default, unless ``is_complete``.
    """
    if isinstance(data, kind):
        return data
    known, data = {one.name for one in fields(kind) if one.init}, to_mapping(data)  # type: ignore[arg-type]
    return kind(**{name: data[name] for name in (known if is_complete else known & data.keys())})


class Report:
    """The base of what travels as a JSON object of its attributes.

    Attributes:
        wire_verb: the verb of the command that is answered so.
        is_complete: what ``build`` is given for a peer's.
    """

    __slots__ = ()
    wire_verb: ClassVar[str]
    is_complete: ClassVar[bool] = True

    def to_dict(self) -> dict[str, Any]:
        """Return it as dicts, lists, strings and numbers, for instance for JSON."""
        return asdict(self)  # type: ignore[arg-type]

    def encode(self) -> bytes:
        """Return it as it travels."""
        return encode_json(self.to_dict())

    @classmethod
    def decode(cls, data: bytes) -> Self:
        """Return what ``encode`` made; attributes that a newer server adds are passed over.

        Raises:
            MalformedMessage: it is something else.
        """
        return decode_json(data, cls._build, cls.wire_verb)

    @classmethod
    def _build(cls, data: object) -> Self:
        return build(cls, data, is_complete=cls.is_complete)

    @staticmethod
    def encode_list(reports: "Iterable[Report]") -> bytes:
        """Return several as they travel."""
        return encode_json([one.to_dict() for one in reports])

    @classmethod
    def decode_list(cls, data: bytes) -> list[Self]:
        """Return what ``encode_list`` was given; raise as ``decode``."""
        return decode_json(data, lambda decoded: list(map(cls._build, to_list(decoded))), cls.wire_verb)


def to_int(value: object) -> int:
    """Return a whole number of 64 bits and a sign."""
    if type(value) is int and -_MAX_INT < value < _MAX_INT:
        return value
    raise ValueError("a whole number was expected")


def to_count(value: object) -> int:
    """Return a whole number of 64 bits that is not negative."""
    if (count := to_int(value)) >= 0:
        return count
    raise ValueError("a number from 0 on was expected")


def to_seconds(value: object) -> float:
    """Return seconds: how long something took, or a time as Unix counts it."""
    if isinstance(value, (int, float)) and type(value) is not bool and _MIN_SECONDS <= value <= _MAX_SECONDS:
        return float(value)
    raise ValueError("seconds were expected")


def to_bool(value: object) -> bool:
    """Return True or False."""
    if type(value) is bool:
        return value
    raise ValueError("true or false was expected")


def to_text(value: object) -> str:
    """Return text."""
    if isinstance(value, str):
        return value
    raise ValueError("text was expected")


def to_texts(value: object) -> tuple[str, ...]:
    """Return an array of texts; a tuple stays as it is."""
    return value if type(value) is tuple else tuple(map(to_text, to_list(value)))


def to_list(value: object) -> list[Any]:
    """Return an array."""
    if type(value) is list:
        return value
    raise ValueError("an array was expected")


def to_mapping(value: object) -> Mapping[Any, Any]:
    """Return an object of JSON."""
    if isinstance(value, Mapping):
        return value
    raise ValueError("an object was expected")
