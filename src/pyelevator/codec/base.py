"""The codec seam: messages to frames and back, pure and symmetric, within limits."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from typing import ClassVar, TypeAlias

from pyelevator.codec.limits import Limits
from pyelevator.errors import UsageError
from pyelevator.messages import Request, Response

Frames: TypeAlias = Sequence[bytes]
"""One multipart message, without identities or delimiters."""


class UnsupportedByDialect(UsageError):
    """The dialect has no words for the command, or for one of its arguments."""


Reply: TypeAlias = tuple[int | None, Callable[[Request], Response]]
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
        """Return True if these frames, which may hold anything, are a request in this dialect.

        A server, a proxy or a fake asks this of the codecs that it was given beside the two dialects (``codecs=``),
        before it takes a message for one of those. By default none is.

        Args:
            frames: a message, which may hold anything.
        """
        return False

    @abstractmethod
    def encode_request(self, request: Request) -> list[bytes]:
        """Return the frames of a request.

        Args:
            request: with the id and the uid to send.

        Raises:
            UnsupportedByDialect: the dialect cannot say it.
            MissingExtra: compression is asked for, and lz4 is not installed.
        """

    @abstractmethod
    def decode_request(self, frames: Frames) -> Request:
        """Return the request in the frames; a verb without a class becomes :class:`~pyelevator.commands.Unknown`.

        Args:
            frames: a message, which may hold anything.

        Raises:
            MalformedMessage: with the code to answer, and the id to answer under where one could be read.
            LimitExceeded: the message exceeds a limit.
        """

    def outline(self, frames: Frames) -> Request | None:  # noqa: ARG002
        """Return what the frames ask for, as far as authorization needs it: the arguments are left out.

        The frames may hold anything. The command has no arguments but the name of a database. None if the request has
        to be decoded for that, as by default.

        Args:
            frames: a message, which may hold anything.
        """
        return None

    def minimal_request(self, frames: Frames) -> Request | None:  # noqa: ARG002
        """Return the request on the fast path: where it is small and certainly of this codec.

        The frames may hold anything. The request is the one that ``decode_request`` returns. None if the frames have
        to be decoded in full, as by default.

        Args:
            frames: a message, which may hold anything.
        """
        return None

    def minimal_response(self, frames: Frames, request: Request) -> Response | None:  # noqa: ARG002
        """Return the answer to ``request`` on the fast path: where the frames hold it under its id.

        None if ``open_reply`` has to find out what they answer, as by default.

        Args:
            frames: a message, which may hold anything.
            request: what was asked.

        Raises:
            MalformedMessage, LimitExceeded, MissingExtra: as ``decode_response``.
        """
        return None

    @abstractmethod
    def encode_response(self, response: Response, request: Request | None) -> list[bytes]:
        """Return the frames of an answer to ``request``, which is None if it could not be decoded.

        Args:
            response: what to say.
            request: what it answers; its options say how.
        """

    @abstractmethod
    def open_reply(self, frames: Frames) -> Reply:
        """Read a reply as far as its id; its content is read for the request that it answers.

        Args:
            frames: a message, which may hold anything.

        Raises:
            MalformedMessage, LimitExceeded: the part that would hold the id cannot be read.
        """

    def reply_id(self, frames: Frames) -> int | None:
        """Return the id of the request that the frames answer, None where the peer does not echo ids.

        Args:
            frames: a message, which may hold anything.

        Raises:
            MalformedMessage, LimitExceeded: as ``open_reply``.
        """
        return self.open_reply(frames)[0]

    def decode_response(self, frames: Frames, request: Request) -> Response:
        """Return the answer to ``request`` that the frames hold.

        Args:
            frames: a message, which may hold anything.
            request: what was asked.

        Raises:
            MalformedMessage, LimitExceeded: whatever a hostile or broken server sent.
            MissingExtra: the answer is compressed, and lz4 is not installed.
        """
        return self.open_reply(frames)[1](request)
