"""The base of the commands, and what they have in common."""

import enum
import re
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, ClassVar, Final, Generic, TypeVar

import attrs
from attrs import field

from pyelevator import arguments
from pyelevator._attrs import command
from pyelevator.errors import (
    MARKED_ERRORS,
    SERVER_ERRORS,
    DatabaseError,
    ErrorCode,
    KeyNotFound,
    MalformedMessage,
    ServerError,
)

V = TypeVar("V")

if TYPE_CHECKING:  # a ``Command`` without brackets is one of any result
    import typing_extensions

    R_co = typing_extensions.TypeVar("R_co", covariant=True, default=object)
else:
    R_co = TypeVar("R_co", covariant=True)


class PayloadKind(enum.Enum):
    """The kind of payload that answers a command; the codecs encode each kind in their own way."""

    EMPTY = "empty"
    SCALAR = "scalar"
    LIST = "list"
    PAIRS = "pairs"
    RESPONSES = "responses"
    RAW = "raw"

    __hash__ = object.__hash__  # Enum's is written in Python, and each reply looks its reader up by its shape


class Access(enum.IntEnum):
    """The permission that a command requires; each level includes those before it."""

    NONE = 0
    """Nothing more than to be known to the server."""
    READ = 1
    WRITE = 2
    ADMIN = 3
    """To create, drop, repair, open and close databases."""


@command
class Command(Generic[R_co]):
    """Base of the commands; ``R_co`` is what :meth:`result` gives.

    Attributes:
        verb: the name on the wire.
        payload_kind: what kind of payload answers it.
        idempotent: executing it twice leaves what executing it once leaves, and answers the same, if nothing else
            writes in between. So it may be repeated when its fate is unknown, a write only with that reservation
            (see ``interceptors.Retry``). Administration may not: old servers die of some of it, and a repair that has
            not been answered is still at work.
        writes: it changes keys and values of the connected database.
        needs_uid: it travels with the connected database's uid (old servers die without it).
        names_database: the database that it is about is the one it names, not the connected one.
        access: what a client must be allowed to do with that database; a verb that does not say is for admins.
        path_fields: fields with paths on the server where it writes: the same must be allowed there, too.
        feature: what a server calls it that knows the command; empty for the commands of the old protocol. A server
            without the feature is not asked.
        meta_fields: fields that travel in ``meta``, when they differ from their defaults; old servers ignore them.
        errors: how this command refines a failure code: the class, and the documented text if there is one.
    """

    verb: ClassVar[str]
    payload_kind: ClassVar[PayloadKind] = PayloadKind.EMPTY
    idempotent: ClassVar[bool] = True
    writes: ClassVar[bool] = False
    needs_uid: ClassVar[bool] = True
    names_database: ClassVar[bool] = False
    access: ClassVar[Access] = Access.ADMIN
    path_fields: ClassVar[tuple[str, ...]] = ()
    feature: ClassVar[str] = ""
    meta_fields: ClassVar[tuple[str, ...]] = ()
    errors: ClassVar[Mapping[ErrorCode, tuple[type[ServerError], str | None]]] = {}

    @property
    def named_database(self) -> str | None:
        """The name of the database that it is about, if it names that itself."""
        name: str | None = getattr(self, "name", None) if self.names_database else None
        return name

    def _fields(self) -> tuple[object, ...]:
        """Return what is compared."""
        found = [(field.eq_key, getattr(self, field.name)) for field in attrs.fields(type(self)) if field.eq]
        return tuple([value if key is None else key(value) for key, value in found])

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Command) or type(other) is not type(self):
            return NotImplemented
        return self._fields() == other._fields()

    def __hash__(self) -> int:
        return hash((type(self), self._fields()))

    def __repr__(self) -> str:
        shown = [f"{field.name}={getattr(self, field.name)!r}" for field in attrs.fields(type(self)) if field.repr]
        return f"{type(self).__name__}({', '.join(shown)})"

    def result(self, payload: object) -> R_co:
        """Return the result for a caller, in bytes.

        Raises:
            MalformedMessage: the payload has the wrong type.
        """
        return payload  # type: ignore[return-value]

    def check(self, payload: object) -> None:
        """Refuse a payload that is no answer to this command; a codec does so with what a server sent.

        Raises:
            MalformedMessage: the payload has the wrong type, or is more than was asked for.
        """
        self.result(payload)

    def error(self, code: ErrorCode, message: str) -> ServerError:
        """Return the exception for a failure that the server answered."""
        for marked in MARKED_ERRORS:
            if code is marked.code and message.startswith(marked.MESSAGE_PREFIX):
                return marked(message)
        kind, text = self.errors.get(code, (SERVER_ERRORS[code], None))
        error = kind(text or message or _NO_REASON, code, message)
        if isinstance(error, KeyNotFound):
            error.key = getattr(self, "key", None)
        elif isinstance(error, DatabaseError):
            error.database = getattr(self, "name", None)
        return error


_NO_REASON: Final = "the server gave no reason"


def check_type(payload: object, kind: type[V], verb: str) -> V:
    """Return the payload if it is of that kind, and call the answer malformed otherwise."""
    if isinstance(payload, kind):
        return payload
    raise MalformedMessage(f"the answer to {verb} holds {type(payload).__name__}, not {kind.__name__}")


_NUMBER: Final = re.compile(rb"-?[0-9]{1,20}")


def to_int(payload: object, verb: str) -> int:
    """Return the number that an answer says as text."""
    number = check_type(payload, bytes, verb)
    if _NUMBER.fullmatch(number) is None:
        raise MalformedMessage(f"the answer to {verb} holds no number")
    return int(number)


def to_count(payload: object, verb: str) -> int:
    """Return how many there are, as an answer says it as text."""
    count = to_int(payload, verb)
    if count < 0:
        raise MalformedMessage(f"the answer to {verb} holds a negative number")
    return count


class Writing:
    """The base of the commands that change keys and values; with ``sync`` they are answered when the disk has it."""

    __slots__ = ()
    access: ClassVar[Access] = Access.WRITE
    writes: ClassVar[bool] = True
    meta_fields: ClassVar[tuple[str, ...]] = ("sync",)


@command
class NoResult(Command[None]):
    """A command without a result: old servers answer nil, and what they answer is not looked at."""

    def result(self, payload: object) -> None:  # noqa: ARG002
        return None


@command
class Unknown(Command):
    """A verb unknown to this version, with its arguments as they came; proxies pass it on."""

    payload_kind = PayloadKind.RAW
    idempotent = False
    access = Access.NONE  # the answer is that it is not handled, which is no secret
    name: str = field(converter=arguments.to_text)
    args: Sequence[object] = ()

    @property
    def verb(self) -> str:  # type: ignore[override]
        return self.name
