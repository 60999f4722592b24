"""The codec seam: messages to frames and back, pure and symmetric, within limits."""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Any, ClassVar, Final, TypeAlias

import msgpack
from attrs import frozen

from pyelevator.commands import BadSignal, Command, Unknown
from pyelevator.errors import ErrorCode, LimitExceeded, MalformedMessage, UsageError
from pyelevator.messages import Request, Response

Frames: TypeAlias = Sequence[bytes]
"""One multipart message, without identities or delimiters."""


@frozen
class Limits:
    """What a codec takes from an untrusted peer before it refuses with LimitExceeded.

    Attributes:
        frame_bytes: of one frame, compressed or not.
        content_bytes: of a reply's content once decompressed; the claimed size is checked before memory is taken.
        elements: of one array or map.
        depth: of arrays and maps inside one another, in values that the codec passes on unread.
    """

    frame_bytes: int = 128 << 20
    content_bytes: int = 512 << 20
    elements: int = 16_000_000
    depth: int = 16


class UnsupportedByDialect(UsageError):
    """The dialect has no words for the command, or for one of its arguments."""


class Codec(ABC):
    """Turns messages into frames and back; client, server and proxy use the same one.

    A codec is pure: no state, no clock, no socket. ``decode_request`` and ``decode_response`` give a value,
    MalformedMessage or LimitExceeded for any bytes, and nothing else.

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

    @abstractmethod
    def encode_response(self, response: Response, request: Request[Any] | None) -> list[bytes]:
        """The frames of an answer to ``request``, which is None if it could not be decoded."""

    @abstractmethod
    def decode_response(self, frames: Frames, request: Request[Any]) -> Response:
        """The answer to ``request`` that the frames hold.

        Raises:
            MalformedMessage, LimitExceeded: whatever a hostile or broken server sent.
        """

    @abstractmethod
    def reply_id(self, frames: Frames) -> int | None:
        """The id of the request that the frames answer, None where the peer does not echo ids.

        Raises:
            MalformedMessage, LimitExceeded: the part that would hold the id cannot be read.
        """


# The only packer: raw family only (never str8 or bin), which the peers built on msgpack 0.1 to 0.3 can read.
_PACKER: Final = msgpack.Packer(use_bin_type=False, unicode_errors="surrogateescape")


def pack(value: Any) -> bytes:
    """``value`` in msgpack's old raw family."""
    packed: bytes = _PACKER.pack(value)
    return packed


def unpack(frame: bytes, limits: Limits) -> Any:
    """The one msgpack value in ``frame``; every string is bytes.

    Raises:
        MalformedMessage: not msgpack, or more or less than one value.
        LimitExceeded: too large, too deep, too many elements.
    """
    size = len(frame)
    if size > limits.frame_bytes:
        raise LimitExceeded(f"a frame of {size:,} bytes is over the limit of {limits.frame_bytes:,}")
    elements = min(size, limits.elements)
    try:
        return msgpack.unpackb(frame, raw=True, max_array_len=elements, max_map_len=elements)
    except msgpack.StackError as error:
        raise LimitExceeded("nested too deeply") from error
    except (ValueError, TypeError, OverflowError) as error:
        if "exceeds max_" in str(error) and size > limits.elements:
            raise LimitExceeded(f"more than {limits.elements:,} elements in one array or map") from error
        raise MalformedMessage(f"not a msgpack value: {error}") from error


def check_depth(value: Any, limits: Limits) -> None:
    """Refuses a value that is nested deeper than ``limits.depth``."""
    level = [value]
    for _ in range(limits.depth):
        level = [child for item in level if isinstance(item, (list, dict)) for child in _children(item)]
        if not level:
            return
    raise LimitExceeded(f"nested deeper than {limits.depth}")


def _children(container: list[Any] | dict[Any, Any]) -> Sequence[Any]:
    return container if isinstance(container, list) else list(container.values())


def build(verb: str, build_command: Any, args: Sequence[Any], extras: dict[str, Any]) -> Command[Any]:
    """The command from a peer's arguments; what its converters refuse is a MalformedMessage with the right code."""
    try:
        command: Command[Any] = build_command(*args, **extras)
    except BadSignal as error:
        raise MalformedMessage(str(error), code=ErrorCode.SIGNAL) from error
    except UsageError as error:
        text = REFUSALS.get(verb, "{}").format(error)
        raise MalformedMessage(text, code=ErrorCode.TYPE) from error
    return command


REFUSALS: Final = {
    "PUT": "Unsupported value type : {}",
    "BATCH": "Invalid type supplied",
}
"""How the old server worded its type errors, where callers may know the words (PROTOCOL)."""


def unknown(verb: Any, args: Sequence[Any], limits: Limits) -> Unknown:
    """The command for a verb without a class."""
    check_depth(args, limits)
    return Unknown(text(verb) if isinstance(verb, bytes) else repr(verb)[:60], args)


def text(data: bytes) -> str:
    """A peer's name, uid or message as str."""
    return data.decode("utf-8", "surrogateescape")


def error_code(code: Any) -> ErrorCode:
    """The failure code, or RUNTIME for one that this version does not know."""
    try:
        return ErrorCode(code)
    except ValueError:
        return ErrorCode.RUNTIME
