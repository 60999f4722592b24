"""Request and Response: what travels, however it is encoded."""

import enum
from collections.abc import Callable
from typing import Any, ClassVar, Final, Generic, Self

from attrs import field, frozen

from pyelevator._attrs import message
from pyelevator.commands import Command
from pyelevator.commands.base import R_co
from pyelevator.deadlines import Deadline
from pyelevator.errors import ErrorCode, Id, ServerError

_new: Final = object.__new__


_AT: Final = "@"


def snapshot_uid(uid: str, cursor: bytes) -> str:
    """Return the uid that addresses a database as it was at the moment of a snapshot.

    >>> snapshot_uid("6c66e7d0", b"0f")
    '6c66e7d0@0f'
    """
    return f"{uid}{_AT}{cursor.decode('utf-8', 'surrogateescape')}"


def split_uid(uid: str | None) -> tuple[str | None, bytes | None]:
    """Return the uid of the database that a request is about, and the cursor of the snapshot that it is addressed to.

    >>> split_uid("6c66e7d0@0f"), split_uid("6c66e7d0"), split_uid(None)
    (('6c66e7d0', b'0f'), ('6c66e7d0', None), (None, None))
    """
    base, at, cursor = (uid or "").rpartition(_AT)
    return (base, cursor.encode("utf-8", "surrogateescape")) if at else (uid, None)


_MESSAGE_HEAD: Final = 1500
_MESSAGE_TAIL: Final = 500
"""Characters of the beginning and the end of a long message that are kept: the end says what to do."""


def cut(message: str) -> str:
    """Return a message for a failure, with the middle of a very long one left out.

    >>> cut("Database 'a' doesn't exist")
    "Database 'a' doesn't exist"
    >>> len(cut("Database " + 1_000_000 * "a" + " doesn't exist"))
    2037
    """
    left_out = len(message) - _MESSAGE_HEAD - _MESSAGE_TAIL
    if left_out <= 0:
        return message
    return f"{message[:_MESSAGE_HEAD]}... ({left_out:,} characters left out) ...{message[-_MESSAGE_TAIL:]}"


class Status(enum.IntEnum):
    """``status`` of a reply, the same numbers in both dialects."""

    SUCCESS = 1
    FAILURE = -1
    WARNING = -2
    """A success with a reservation: an MGET in which at least one key is missing."""


class GradualList(list[Any]):
    """A list that may be very long, and is freed in chunks.

    To free a million objects in one go would hold up the other threads of the process for tenths of a second.
    """

    _CHUNK = 1000

    def __del__(self) -> None:
        while len(self) > self._CHUNK:
            del self[-self._CHUNK :]


@frozen
class RowLayout:
    """The layout of the rows of an answer as msgpack, for an engine that packs them itself.

    Attributes:
        flat: a pair is a key and a value next to one another, and no array of both.
        bin: strings are of msgpack's bin family, and not of its old raw one.
    """

    flat: bool = False
    bin: bool = False


@frozen(eq=False, repr=False)
class PackedRows:
    """Rows that an engine has packed, next to one another.

    Attributes:
        data: the bytes, in anything with the buffer protocol.
        count: how many rows there are.
        last_key: the key of the last one; None if there is none, or if rows have no keys.
    """

    data: Any
    count: int
    last_key: bytes | None = None

    def __len__(self) -> int:
        return self.count


@frozen(eq=False, repr=False)
class LazyPage:
    """The pairs of a page, still encoded: they can be decoded while the next page is on its way.

    Attributes:
        count: how many there are.
        last_key: the key of the last one.
        nbytes: bytes of all of them, about.
        decode_bytes, decode_str: return them as bytes or as str (UTF-8 with surrogateescape). They raise
            MalformedMessage if the page is not as it was said to be.
    """

    count: int
    last_key: bytes
    nbytes: int
    decode_bytes: Callable[[], list[list[bytes]]]
    decode_str: Callable[[], list[list[str]]]

    def __len__(self) -> int:
        return self.count


_ANYBODY: Final = (None, "local")
"""The peers that may be many: those without keys, or by a socket file."""


@frozen
class CallContext:
    """The context of a request, which never travels; equal to one of the same peer.

    Attributes:
        peer: the client that asks, where a server has made sure of it (see ``Listener.peer``).
        connection: the one that it came over, where that is known.
        deadline: the time until which the answer is wanted, if that is sooner than the call's own end.
        row_sink: makes what the rows of a long answer are collected in, if the codec that will write the answer down
            brings its own (see ``codec.classic.row_packer``).
    """

    peer: str | None = None
    connection: bytes | None = field(default=None, eq=False, repr=False)
    deadline: Deadline | None = field(default=None, eq=False, repr=False)
    row_sink: Callable[[], Any] | None = field(default=None, eq=False, repr=False)

    @property
    def holder(self) -> Any:
        """The owner of what is kept for it: a user, or a connection where users are not told from one another."""
        return self.connection if self.peer in _ANYBODY else self.peer


NO_CONTEXT: Final = CallContext()


@message
class Request(Generic[R_co]):
    """One command on its way to a database: what travels, and one context that does not.

    Attributes:
        command: what to do.
        uid: the connected database, as DBCONNECT answered it; None for the commands that need none.
        id: under what the answer comes back (``meta.id``): a number, as our clients have it, or text or bytes; old
            servers do not echo it.
        compression: ask for an lz4-compressed reply (classic only).
        bin: ask for keys and values of the reply as msgpack's bin, and not as text (classic only).
        context: the client that asks, and the deadline. It never travels; a request that is made of another keeps it.
        is_minimal: True for what :meth:`minimal` made, so that codecs need not look at every field; else False.
    """

    command: Command[R_co]
    uid: str | None = None
    id: Id | None = None
    compression: bool = False
    bin: bool = field(default=False, repr=False)
    context: CallContext = NO_CONTEXT
    is_minimal: ClassVar[bool] = False

    @classmethod
    def minimal(cls, command: Command[R_co], uid: str | None, id: int, context: CallContext | None = None) -> Self:
        """Make a request that asks for nothing beside its command, as nearly every one; faster than the constructor."""
        request = _new(cls)
        held = request.__dict__
        held["command"] = command
        held["uid"] = uid
        held["id"] = id
        held["is_minimal"] = True
        if context is not None:
            held["context"] = context
        return request

    def with_id(self, id: int) -> Self:
        """Return the same request under an id."""
        copy = _new(type(self))
        held = copy.__dict__
        held.update(self.__dict__)
        held["id"] = id
        return copy

    def with_context(self, context: CallContext) -> Self:
        """Return the same request in a context; takes a tenth of ``attrs.evolve``."""
        copy = _new(type(self))
        copy.__dict__.update(self.__dict__, context=context)
        return copy


@message
class Response:
    """One answer.

    Attributes:
        payload: the command's plain result (see ``Command.payload_kind``); None in a failure.
        status: success, failure, or success with a reservation.
        code, message: of a failure.
        id: the request's id, if the peer echoed it.
        more: a slice was cut at the request's ``max_bytes``; there is more behind the last pair.
        features: what the answering server can do beyond the old protocol; in answers to DBCONNECT.
        cursor: under which the server keeps the snapshot that a slice was read from.
        max_message: bytes of the largest request that the server takes; beside ``features``.
        is_minimal: True for what :meth:`ok` made, so that codecs need not look at every field; else False.
    """

    payload: Any = None
    status: Status = Status.SUCCESS
    code: ErrorCode | None = None
    message: str = ""
    id: Id | None = None
    more: bool = False
    features: tuple[str, ...] = field(default=())
    cursor: bytes | None = field(default=None, repr=False)
    max_message: int | None = field(default=None, repr=False)
    is_minimal: ClassVar[bool] = False

    @classmethod
    def ok(cls, payload: Any, id: Id | None) -> Self:
        """Make a response of a payload only, as nearly every one is; faster than the constructor."""
        response = _new(cls)
        held = response.__dict__
        held["payload"] = payload
        held["id"] = id
        held["is_minimal"] = True
        return response

    @classmethod
    def failure(cls, code: ErrorCode, message: str, id: Id | None = None) -> Self:
        """Make the response of a failure; a message that is very long (it may repeat a name) is cut in its middle."""
        return cls(None, Status.FAILURE, code, cut(message), id)

    @classmethod
    def from_error(cls, error: ServerError, id: Id | None = None) -> Self:
        """Make the response that has a client raise ``error``."""
        return cls.failure(error.code, error.message, id)
