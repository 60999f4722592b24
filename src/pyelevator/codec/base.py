"""The codec seam: messages to frames and back, pure and symmetric, within limits."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from typing import Any, ClassVar, TypeAlias

from pyelevator.codec.limits import Limits
from pyelevator.errors import UsageError
from pyelevator.messages import Request, Response

Frames: TypeAlias = Sequence[bytes]
"""One multipart message, without identities or delimiters."""


class UnsupportedByDialect(UsageError):
    """The dialect has no words for the command, or for one of its arguments."""


Reply: TypeAlias = tuple[int | None, Callable[[Request[Any]], Response]]
"""A reply that is read as far as to know what it answers, so that finding its request does not read it twice: the
request's id, None where the peer does not echo ids, and what reads the answer to that request; it raises as
``Codec.decode_response``."""


class Codec(ABC):
    """Turns messages into frames and back; client, server and proxy use the same one.

    A codec is pure: no state, no clock, no socket. ``decode_request`` and ``decode_response`` give a value,
    MalformedMessage or LimitExceeded for any bytes, and nothing else (but MissingExtra for a compressed reply).

    Attributes:
        name: the dialect's name, as in ``Elevator(dialect=...)``.
        answered_twice: verbs that the old server of this dialect answers with two equal replies.
        tells_missing: False if a missing value and an empty one are written the same.
    """

    name: ClassVar[str]
    answered_twice: ClassVar[frozenset[str]] = frozenset()
    tells_missing: ClassVar[bool] = True

    def __init__(self, limits: Limits | None = None) -> None:
        self.limits = limits or Limits()

    def recognizes(self, frames: Frames) -> bool:  # noqa: ARG002
        """Whether a request with these frames, which may hold anything, is this codec's to read.

        A server, a proxy or a fake asks this of the codecs that it was given beside the two dialects (``codecs=``),
        before it takes a message for one of those. By default none is.
        """
        return False

    @abstractmethod
    def encode_request(self, request: Request[Any]) -> list[bytes]:
        """The frames of a request.

        Raises:
            UnsupportedByDialect: the dialect cannot say it.
            MissingExtra: compression is asked for, and lz4 is not installed.
        """

    @abstractmethod
    def decode_request(self, frames: Frames) -> Request[Any]:
        """The request that the frames hold; a verb without a class becomes :class:`~pyelevator.commands.Unknown`.

        Raises:
            MalformedMessage: with the code to answer, and the id to answer under where one could be read.
            LimitExceeded: likewise.
        """

    def outline(self, frames: Frames) -> Request[Any] | None:  # noqa: ARG002
        """A request with these frames, which may hold anything, as far as it tells who may ask for it: its command has
        no arguments but the name of a database. None if it has to be decoded, as by default."""
        return None

    def minimal_request(self, frames: Frames) -> Request[Any] | None:  # noqa: ARG002
        """The request that ``decode_request`` reads from these frames, which may hold anything, where that is quick to
        tell: it is small, and of this codec without doubt. Else None, as by default."""
        return None

    def minimal_response(self, frames: Frames, request: Request[Any]) -> Response | None:  # noqa: ARG002
        """The answer to ``request``, where the frames hold it under its id, and that is quick to tell; else None, as by
        default: then ``open_reply`` has to find out what they answer.

        Raises:
            MalformedMessage, LimitExceeded, MissingExtra: as ``decode_response``.
        """
        return None

    @abstractmethod
    def encode_response(self, response: Response, request: Request[Any] | None) -> list[bytes]:
        """The frames of an answer to ``request``, which is None if it could not be decoded."""

    @abstractmethod
    def open_reply(self, frames: Frames) -> Reply:
        """The reply that the frames hold, its content still to be read for the request that it answers.

        Raises:
            MalformedMessage, LimitExceeded: the part that would hold the id cannot be read.
        """

    def reply_id(self, frames: Frames) -> int | None:
        """The id of the request that the frames answer, None where the peer does not echo ids.

        Raises:
            MalformedMessage, LimitExceeded: as ``open_reply``.
        """
        return self.open_reply(frames)[0]

    def decode_response(self, frames: Frames, request: Request[Any]) -> Response:
        """The answer to ``request`` that the frames hold.

        Raises:
            MalformedMessage, LimitExceeded: whatever a hostile or broken server sent.
            MissingExtra: the answer is compressed, and lz4 is not installed.
        """
        return self.open_reply(frames)[1](request)
