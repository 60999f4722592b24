"""The codec seam: messages to frames and back, pure and symmetric, within limits."""

import reprlib
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, ClassVar, Final, TypeAlias, TypeVar

import msgpack
from attrs import evolve, field, frozen
from msgpack import unpackb

from pyelevator.arguments import CheckedSequence, kind_of
from pyelevator.codec.pause import paused
from pyelevator.codec.weight import ASKED, FLOOR, LIGHT, PAGE, Tally, check_weight
from pyelevator.commands import BadSignal, Unknown
from pyelevator.errors import ArgumentTypeError, ErrorCode, LimitExceeded, MalformedMessage, ProtocolError, UsageError
from pyelevator.messages import Request, Response, Status

T = TypeVar("T")

_SMALL: Final = 1024
"""Bytes of a frame whose claims of many elements can do no harm (see ``_check_complete``)."""

Frames: TypeAlias = Sequence[bytes]
"""One multipart message, without identities or delimiters."""


@frozen
class Limits:
    """What a codec takes from an untrusted peer before it refuses with LimitExceeded.

    Attributes:
        frame_bytes: of one frame, as it comes in.
        content_bytes: of a reply's content once decompressed; the claimed size is checked before memory is taken.
        elements: of one array or map.
        expansion: times its size that the value in a long frame may take in memory, counted before it is made.
        depth: of arrays and maps inside one another, in values that the codec passes on unread.
        harmless: bytes of a frame that cannot be over the first three, as it has no more elements than bytes.
    """

    frame_bytes: int = 128 << 20
    content_bytes: int = 512 << 20
    elements: int = 16_000_000
    expansion: int = 6
    depth: int = 16
    harmless: int = field(init=False, repr=False, eq=False)

    @harmless.default
    def _harmless(self) -> int:
        return min(_SMALL, self.frame_bytes, self.content_bytes, self.elements)


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


@frozen
class Extension:
    """A msgpack extension value of a peer. Neither dialect has any, so this is of no type that a command takes."""

    code: int
    data: bytes

    def __repr__(self) -> str:
        return f"<extension type {self.code}>"


@frozen(eq=False)
class MapKey:
    """A key of a peer's map that is no string. Each is another key than every other, as none of them means anything."""

    key: Any

    def __repr__(self) -> str:
        return repr(self.key)


@kind_of.register(Extension)
@kind_of.register(msgpack.Timestamp)
def _kind_of_extension(_: object) -> str:
    return "a msgpack extension type"


@kind_of.register
def _kind_of_key(key: MapKey) -> str:
    return kind_of(key.key)


def _packable(value: Any) -> Any:
    """What stands in a message for a value that msgpack does not know."""
    if type(value) is MapKey:
        return value.key
    if isinstance(value, CheckedSequence):
        return list(value)
    raise TypeError(f"{kind_of(value)} cannot be written down")


class Packing:
    """How strings are written: bytes as text in msgpack's old raw family, or as its bin.

    Args:
        use_bin_type: write bin, and text of 32 bytes and more as str8.

    Attributes:
        pack: writes a value. It is shared by all threads, and so must never call anything in Python.
        pack_map_pairs: writes a map of the pairs; likewise.
    """

    def __init__(self, *, use_bin_type: bool) -> None:
        self._new: Callable[..., msgpack.Packer] = partial(
            msgpack.Packer, use_bin_type=use_bin_type, unicode_errors="surrogateescape"
        )
        packer = self._new()
        self.pack: Callable[[Any], bytes] = packer.pack
        self.pack_map_pairs: Callable[[Sequence[Any]], bytes] = packer.pack_map_pairs

    def pack_passed_on(self, value: Any) -> bytes:
        """Writes a value of a peer's that nobody has looked into, whose maps may have any keys."""
        return self._new(default=_packable).pack(value)  # type: ignore[no-any-return]

    def pack_pieces(self, items: Sequence[Any], name: str | None = None) -> bytes:
        """The array of ``items``, alone or as the only value of a map, under ``name``; packed piece by piece.

        For what may be large: other threads get their turns between the pieces, nothing is copied at the end, and the
        memory is gone with the frame (which is a memoryview, as good as bytes for whoever sends or unpacks it).
        """
        packer = self._new(autoreset=False, default=_packable)
        if name is not None:
            packer.pack_map_header(1)
            packer.pack(name)
        packer.pack_array_header(len(items))
        add = packer.pack
        for item in items:
            add(item)
        frame: Any = packer.getbuffer()
        return frame  # type: ignore[no-any-return]


RAW: Final = Packing(use_bin_type=False)
"""The old raw family alone (never str8 or bin), which the peers built on msgpack 0.1 to 0.3 can read."""

BIN: Final = Packing(use_bin_type=True)
"""For peers that ask for it (``meta.bin``), because they cannot read bytes that are said to be text."""

pack: Final = RAW.pack
pack_pieces: Final = RAW.pack_pieces


def unpack(frame: bytes, limits: Limits, most: int | None = None, *, texts: bool = False, reply: bool = False) -> Any:
    """The one msgpack value in ``frame``; every string is bytes, or with ``texts`` those of the raw family are str.
    ``most`` bytes, by default ``limits.frame_bytes``; with ``reply`` its memory is counted while it is made.

    Raises:
        MalformedMessage: not msgpack, or more or less than one value.
        LimitExceeded: too large, too deep, too many elements.
    """
    size = len(frame)
    if size > limits.harmless:
        check_size(size, limits.frame_bytes if most is None else most)
    try:
        if size <= limits.harmless and not texts:  # msgpack sees to it that there are no more elements than bytes
            return unpackb(frame, raw=True, ext_hook=Extension)
        if size > (PAGE if reply else LIGHT):
            check_weight(frame, _memory(limits, size, reply))
        elif size > _SMALL:
            _check_complete(frame)
        tally = Tally(_memory(limits, size, reply)) if reply and _LIGHT_REPLY < size <= PAGE else None
        return _unpacked(frame, limits, texts) if tally is None else _tallied(frame, limits, texts, tally)
    except ProtocolError:
        raise
    except (ValueError, TypeError, OverflowError, msgpack.OutOfData) as error:
        if _STRICT not in str(error):
            raise _unreadable(error, limits, size) from error
    if size > LIGHT:
        check_weight(frame, _memory(limits, size, reply))
    try:
        return _unpacked(frame, limits, texts, strict_map_key=False, object_pairs_hook=_any_map)
    except (ValueError, TypeError, OverflowError, msgpack.OutOfData) as error:
        raise _unreadable(error, limits, size) from error


_LIGHT_REPLY: Final = ASKED // 128
"""Bytes of a reply that may take what it likes, see ``LIGHT``."""

_STRICT: Final = "strict_map_key"
"""What msgpack says where a map has another key than a string: such a message is read again, with more work."""


def _memory(limits: Limits, size: int, reply: bool) -> int:
    """Bytes that the value in a frame of that size may take."""
    return max(ASKED if reply else FLOOR, limits.expansion * size)


def _tallied(frame: bytes, limits: Limits, texts: bool, tally: Tally) -> Any:
    limits = evolve(limits, elements=min(limits.elements, tally.elements))
    return _unpacked(frame, limits, texts, list_hook=tally.array, object_hook=tally.map)


def _unpacked(frame: bytes, limits: Limits, texts: bool, **maps: Any) -> Any:
    size = len(frame)
    elements = min(size, limits.elements)
    with paused(size):
        return unpackb(
            frame,
            raw=not texts,
            unicode_errors="surrogateescape",
            max_array_len=elements,
            max_map_len=elements,
            ext_hook=Extension,
            **maps,
        )


def _any_map(pairs: Sequence[tuple[Any, Any]]) -> dict[Any, Any]:
    """A map with any keys; those that are no strings are not compared, as a peer could choose many of one hash."""
    return {key if type(key) is bytes or type(key) is str else MapKey(key): value for key, value in pairs}


def _unreadable(error: Exception, limits: Limits, size: int) -> ProtocolError:
    """What to say of a frame that msgpack could not read; its own words are for programmers."""
    if isinstance(error, msgpack.StackError):
        return LimitExceeded("nested too deeply")
    if "exceeds max_" in str(error) and size > limits.elements:
        return LimitExceeded(f"more than {limits.elements:,} elements in one array or map")
    if isinstance(error, msgpack.ExtraData):
        return MalformedMessage("not a msgpack value: something follows behind it")
    if isinstance(error, msgpack.OutOfData) or "incomplete" in str(error) or "exceeds max_" in str(error):
        return MalformedMessage("not a msgpack value: it is cut off")
    return MalformedMessage("not a msgpack value")


def check_size(size: int, most: int) -> None:
    """Refuses a frame of more than ``most`` bytes."""
    if size > most:
        raise LimitExceeded(
            f"a frame of {size:,} bytes is over the limit of {most:,}; --max-message raises that of a server"
        )


def _check_complete(frame: bytes) -> None:
    """Refuses a frame that claims more elements than it holds, before any memory is taken for them.

    msgpack makes room for an array when it reads the claim: headers nested in one another, each claiming as many
    elements as the frame has bytes, would take a thousand times the frame's size, eightfold. Frames up to ``_SMALL``
    bytes cannot do harm. Skipping makes no objects and costs about a tenth of unpacking.
    """
    unpacker = msgpack.Unpacker(max_buffer_size=len(frame))
    unpacker.feed(frame)
    unpacker.skip()


def check_plain(value: Any, limits: Limits) -> None:
    """Refuses what cannot be passed on: nested deeper than ``limits.depth``, or types that old peers cannot read."""
    level = [value]
    for _ in range(limits.depth + 1):
        if not set(map(type, level)) <= _PLAIN:
            raise MalformedMessage("a msgpack extension type cannot be passed on")
        level = [child for item in level if isinstance(item, (list, dict)) for child in _children(item)]
        if not level:
            return
    raise LimitExceeded(f"nested deeper than {limits.depth}")


_PLAIN: Final = frozenset({list, dict, bytes, int, float, bool, type(None)})


def _children(container: list[Any] | dict[Any, Any]) -> Sequence[Any]:
    if isinstance(container, list):
        return container
    return [*container.values(), *[key.key for key in container if type(key) is MapKey]]


def refused(verb: str, error: UsageError) -> MalformedMessage:
    """What a command's converters refused of a peer's arguments, with the code to answer."""
    if isinstance(error, BadSignal):
        return MalformedMessage(str(error), code=ErrorCode.SIGNAL)
    if isinstance(error, ArgumentTypeError):
        return MalformedMessage(REFUSALS.get(verb, "{}").format(error), code=ErrorCode.TYPE)
    return MalformedMessage(str(error), code=ErrorCode.VALUE)


REFUSALS: Final = {
    "PUT": "Unsupported value type : {}",
    "BATCH": "Invalid type supplied",
}
"""How the old server worded its type errors, where callers may know the words (docs/protocol.md)."""


def unknown(verb: Any, args: Sequence[Any], limits: Limits) -> Unknown:
    """The command for a verb without a class."""
    check_plain(args, limits)
    return Unknown(verb if isinstance(verb, bytes) else reprlib.repr(verb), args)


def text(data: bytes) -> str:
    """A peer's name, uid or message as str."""
    return data.decode("utf-8", "surrogateescape")


def error_code(code: Any) -> ErrorCode:
    """The failure code, or RUNTIME for one that this version does not know."""
    return _CODES.get(code, ErrorCode.RUNTIME) if type(code) is int else ErrorCode.RUNTIME


_CODES: Final = {int(code): code for code in ErrorCode}


def reply_status(status: Any) -> Status:
    """The status of a reply.

    Raises:
        MalformedMessage: there is no such status.
    """
    if type(status) is int and status in _STATUSES:
        return _STATUSES[status]
    raise MalformedMessage(f"the status of a reply is not {reprlib.repr(status)}")


_STATUSES: Final = {int(status): status for status in Status}


def scalar(data: list[Any]) -> bytes | bool | None:
    """The one plain value in a reply's data.

    Raises:
        MalformedMessage: it is not one, or not plain.
    """
    if len(data) != 1:
        raise MalformedMessage(f"a scalar answer holds {len(data)} values")
    return plain(data[0])


def plain(value: Any) -> bytes | bool | None:
    """``value`` itself, where a scalar was expected.

    Raises:
        MalformedMessage: it is not plain.
    """
    if type(value) in _SCALARS:
        return value  # type: ignore[no-any-return]
    raise MalformedMessage(f"a scalar answer holds {kind_of(value)}")


_SCALARS: Final = frozenset({bytes, bool, type(None)})


def strings(data: list[Any]) -> list[bytes | None]:
    """A reply's data, all of them strings or nil.

    Raises:
        MalformedMessage: some are something else.
    """
    if set(map(type, data)) <= _STRINGS:
        return data
    raise MalformedMessage("the answer holds something else than strings")


_STRINGS: Final = frozenset({bytes, type(None)})
