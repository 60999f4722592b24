"""Request and Response: what travels, without a word about how it is written down."""

import enum
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Any, ClassVar, Final, Generic, Self, TypeVar

from attrs import NOTHING, field, fields, frozen

from pyelevator.commands import Command
from pyelevator.deadlines import Deadline
from pyelevator.errors import ErrorCode, Id, ServerError

R = TypeVar("R")

if TYPE_CHECKING:
    from attrs import frozen as _frozen
else:
    _frozen = partial(frozen, slots=False)  # several are made for each call, and filling a dict takes half the time


_new: Final = object.__new__
C = TypeVar("C", bound=type[Any])


def _sparse(kind: C) -> C:
    """The class has the defaults of its fields, so an instance need not hold them: what is made for nearly every call
    has two or three fields that say something. All instances share these defaults, so none of them may be a factory.
    """
    for each in fields(kind):
        if each.default is not NOTHING:
            setattr(kind, each.name, each.default)
    return kind


class Status(enum.IntEnum):
    """``status`` of a reply, the same numbers in both dialects."""

    SUCCESS = 1
    FAILURE = -1
    WARNING = -2
    """A success with a reservation: an MGET in which at least one key is missing."""


class Rows(list[Any]):
    """A list that may be very long, and is taken apart piece by piece when nobody needs it any more.

    Freeing a million objects in one go would hold up the other threads of the process for tenths of a second.
    """

    _PIECE = 1000

    def __del__(self) -> None:
        while len(self) > self._PIECE:
            del self[-self._PIECE :]


@frozen(eq=False)
class Sealed:
    """Pairs of a page as they came, still packed: they can be unpacked while the next page is on its way.

    Attributes:
        count: how many there are.
        last: the key of the last one.
        size: bytes of all of them, about.
        pairs, texts: unpack them, as bytes or as str (UTF-8 with surrogateescape); MalformedMessage if they are not
            what was said of them.
    """

    count: int
    last: bytes
    size: int
    pairs: Callable[[], list[list[bytes]]]
    texts: Callable[[], list[list[str]]]

    def __len__(self) -> int:
        return self.count


_ANYBODY: Final = (None, "local")
"""The peers that may be many: whoever comes without keys, or by a socket file."""


@_sparse
@_frozen
class Request(Generic[R]):
    """One command on its way to a database.

    Attributes:
        command: what to do.
        uid: the connected database, as DBCONNECT answered it; None for the commands that need none.
        id: under what the answer comes back (``meta.id``): a number, as our clients have it, or text or bytes; old
            servers do not echo it.
        compression: ask for an lz4-compressed reply (classic only).
        peer: who asks, where a server has made sure of it (see ``Listener.peer``); it never travels.
        connection: over which it came, where that is known; it never travels.
        deadline: until when the answer is wanted, if that is sooner than the call's own end; it never travels.
        gather: makes what the rows of a long answer are gathered in, if the codec that will write the answer down
            brings its own (see ``codec.packed``); it never travels.
        bin: ask for keys and values of the reply as msgpack's bin, and not as text (classic only).
        is_minimal: True for what :meth:`usual` made, so that nobody need look at every field; else False.
    """

    command: Command[R]
    uid: str | None = None
    id: Id | None = None
    compression: bool = False
    peer: str | None = None
    deadline: Deadline | None = field(default=None, eq=False, repr=False)
    gather: Callable[[], Any] | None = field(default=None, eq=False, repr=False)
    bin: bool = field(default=False, repr=False)
    connection: bytes | None = field(default=None, eq=False, repr=False)
    is_minimal: ClassVar[bool] = False

    @property
    def holder(self) -> Any:
        """Whose is what is kept for it: a user's, or, where one user is not told from another, a connection's."""
        return self.connection if self.peer in _ANYBODY else self.peer

    @classmethod
    def usual(cls, command: Command[R], uid: str | None, id: int, gather: Callable[[], Any] | None = None) -> Self:
        """A request that asks for nothing beside its command, as nearly every one; quicker than the constructor."""
        request = _new(cls)
        held = request.__dict__
        held["command"] = command
        held["uid"] = uid
        held["id"] = id
        held["is_minimal"] = True
        if gather is not None:
            held["gather"] = gather
        return request

    def numbered(self, id: int) -> Self:
        """The same request under an id."""
        copy = _new(type(self))
        held = copy.__dict__
        held.update(self.__dict__)
        held["id"] = id
        return copy

    def asked_by(self, peer: str | None, connection: bytes | None) -> Self:
        """The same request from a peer, over a connection; a tenth of what ``attrs.evolve`` takes."""
        copy = _new(type(self))
        held = copy.__dict__
        held.update(self.__dict__)
        held["peer"] = peer
        held["connection"] = connection
        return copy


@_sparse
@_frozen
class Response:
    """One answer.

    Attributes:
        payload: the command's plain result (see ``Command.shape``); None in a failure.
        status: success, failure, or success with a reservation.
        code, message: of a failure.
        id: the request's id, if the peer echoed it.
        more: a slice was cut at the request's ``max_bytes``; there is more behind the last pair.
        features: what the answering server can do beyond the old protocol; in answers to DBCONNECT.
        cursor: under which the server keeps the snapshot that a slice was read from.
        max_message: bytes of the largest request that the server takes; beside ``features``.
        is_minimal: True for what :meth:`success` made, so that nobody need look at every field; else False.
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
    def success(cls, payload: Any, id: Id | None) -> Self:
        """An answer that says nothing but a payload, as nearly every one does; quicker than the constructor."""
        response = _new(cls)
        held = response.__dict__
        held["payload"] = payload
        held["id"] = id
        held["is_minimal"] = True
        return response

    @classmethod
    def failure(cls, code: ErrorCode, message: str, id: Id | None = None) -> Self:
        """An answer that says what went wrong."""
        return cls(None, Status.FAILURE, code, message, id)

    @classmethod
    def of_error(cls, error: ServerError, id: Id | None = None) -> Self:
        """The answer that makes a client raise ``error``."""
        return cls.failure(error.code, error.message, id)
