"""The fast path of the classic dialect: messages that say nothing beside a command or its result.

Nearly all messages are like that. What is the same in each of them is packed once, and what varies is written and
read without a map. A message that says more, or that is not as it should be, is left to ``full``.
"""

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any, Final, TypeAlias

from msgpack import unpackb

from pyelevator import commands
from pyelevator.codec.base import Codec, Frames, Reply
from pyelevator.codec.classic.arguments import ARGUMENTS, ArgumentSpec, extras_of
from pyelevator.codec.classic.full import SUCCESS_HEADER, FullClassicCodec
from pyelevator.codec.classic.outcome_packer import OutcomePacker
from pyelevator.codec.classic.payloads import ENCODERS, SINGLE_VALUE_PREFIX
from pyelevator.codec.classic.row_packer import CONTENT_PREFIX, RowPacker
from pyelevator.codec.elements import packed_args
from pyelevator.codec.limits import Limits
from pyelevator.codec.packing import LARGE_STRING, RAW, Extension, pack, unpack
from pyelevator.commands import COMMANDS, Command, PayloadKind, Put
from pyelevator.commands.keys import Keyed
from pyelevator.errors import Id
from pyelevator.messages import CallContext, Request, Response
from pyelevator.native import native_messages

META_PREFIX: Final = b"\x82" + pack({"compression": False})[1:] + pack("id")
"""The meta of a request, up to its id at the end."""

_UID: Final = pack("uid")
_ARGS: Final = pack("args")

SUCCESS_PREFIX: Final = b"\x85" + pack(SUCCESS_HEADER)[1:] + pack("id")
"""The header of a success, up to its id at the end."""

_ID_OFFSET: Final = len(SUCCESS_PREFIX)
_MAX_HEADER: Final = _ID_OFFSET + 9
"""Bytes of a header whose id is as long as can be."""

_VALUE_OFFSET: Final = len(SINGLE_VALUE_PREFIX)
NO_RESULT: Final = CONTENT_PREFIX + pack(None)
"""The content of an answer without a result."""

_FIVE_ITEMS: Final = b"\x95"

_NONE: Final[tuple[bytes, Any, Any]] = (b"", None, None)


def _request_prefix(verb: str) -> bytes:
    """Return what a request begins with, up to its id."""
    return b"".join((b"\x84", pack("cmd"), pack(verb), pack("meta"), META_PREFIX))


_Encoder: TypeAlias = tuple[bytes, Callable[[object], Sequence[object]], Sequence[str]]

_CONTENT: Final = ENCODERS[RAW]

REQUEST_ENCODERS: Final[dict[type[Command], _Encoder]] = {
    COMMANDS[verb]: (_request_prefix(verb), spec.encode, COMMANDS[verb].meta_fields) for verb, spec in ARGUMENTS.items()
}
"""Class -> what a request begins with, what writes its arguments, and the extras that it must not have."""

_SCANS: Final = frozenset({commands.Range, commands.Slice})
"""The commands whose answers are rows, of pairs or of parts of them; on the fast path no page is asked for."""

_ROWS: Final = CallContext(row_sink=RowPacker)
_CONTEXTS: Final[Mapping[type[Command], CallContext]] = {
    commands.Range: _ROWS,
    commands.Slice: _ROWS,
    commands.MGet: _ROWS,
    commands.Pipeline: CallContext(row_sink=OutcomePacker),
}
"""Class -> the context with what the rows of its answer are collected in."""

REQUEST_PREFIXES: Final = frozenset([prefix for prefix, _, _ in REQUEST_ENCODERS.values()])
"""What the requests of our clients begin with, up to their ids."""


def _builder(kind: type[Command], spec: ArgumentSpec) -> Callable[[list[object]], Command]:
    def make(args: list[object]) -> Command:
        if not spec.min_args <= len(args) <= spec.max_args:
            raise ValueError
        return kind(*spec.decode(args))

    return make


def _keyed_builder(kind: type[Keyed[object]]) -> Callable[[list[object]], Command]:
    build = kind.make

    def make(args: list[Any]) -> Command:
        (key,) = args
        return build(key)

    return make


def _put_builder(args: list[Any]) -> Command:
    key, value = args
    return Put.make(key, value)


_Builder: TypeAlias = tuple[Callable[[list[object]], Command], CallContext | None]

BUILDERS: Final[Mapping[bytes, _Builder]] = {
    _request_prefix(verb).removesuffix(META_PREFIX): (
        _put_builder
        if kind is Put
        else _keyed_builder(kind)
        if issubclass(kind, Keyed)
        else _builder(kind, ARGUMENTS[verb]),
        _CONTEXTS.get(kind),
    )
    for verb, kind in COMMANDS.items()
    if kind.payload_kind in _CONTENT or kind in _SCANS
}
"""What a request begins with, up to its meta -> what makes its command of the arguments, or raises anything; and what
the rows of its answer are gathered in."""

_RESPONSE_ENCODERS: Final = {
    kind: _CONTENT[PayloadKind.PAIRS if kind in _SCANS else kind.payload_kind]
    for kind in COMMANDS.values()
    if kind.payload_kind in _CONTENT or kind in _SCANS
}
"""Class -> what writes the content of an answer."""

SCALARS: Final = frozenset([kind for kind in COMMANDS.values() if kind.payload_kind is PayloadKind.SCALAR])
"""The classes whose answers hold one value."""

ANY_VALUE: Final = frozenset({commands.Get, commands.GetAndDelete, commands.Ping, commands.DbConnect})
"""Those of them that any string answers."""

WITHOUT_RESULT: Final = frozenset([kind for kind in COMMANDS.values() if kind.payload_kind is PayloadKind.EMPTY])
"""The classes whose answers hold nothing."""


def _value(packed: bytes) -> object:
    """Return the value in a few bytes; None also for what is none."""
    try:
        return unpackb(packed, raw=True)
    except Exception:  # noqa: BLE001 - the full codec has the error for it
        return None


def pack_request(prefix: bytes, number: Id | None, uid: str | None, args: Sequence[object]) -> bytes:
    """Return the frame of a request that begins with a prefix, and has these arguments."""
    try:
        packed = pack(args)
    except TypeError:  # some are packed already
        packed = packed_args(args)
    return b"".join((prefix, pack(number), _UID, pack(uid), _ARGS, packed))


def read_request(frame: bytes, meta: bytes) -> tuple[bytes, int, str | None, list[object]] | None:
    """Return the prefix of a minimal request, its id, its uid and its arguments; None of another one."""
    prefix, _, rest = frame.partition(meta)
    if prefix not in BUILDERS:
        return None
    try:
        number, uid_name, uid, args_name, args = unpackb(_FIVE_ITEMS + rest, raw=True, ext_hook=Extension)
        uid = uid.decode("utf-8", "surrogateescape")
    except Exception:  # noqa: BLE001 - the full codec has the error for it
        return None
    is_minimal = uid_name == b"uid" and args_name == b"args" and type(number) is int and number >= 0
    return (prefix, number, uid, args) if is_minimal and type(args) is list else None


def write_answer(header: bytes, number: int, content: bytes, value: bytes) -> list[bytes]:
    """Return the frames of an answer with one value."""
    return [header + pack(number), content + pack(value)]


class ClassicCodec(FullClassicCodec):
    """One frame per request, two per reply; the default dialect.

    >>> from pyelevator.commands import Ping
    >>> ClassicCodec().decode_request(ClassicCodec().encode_request(Request(Ping(), id=7)))
    Request(command=Ping(), uid=None, id=7, compression=False, context=CallContext(peer=None))
    """

    _read_request: Callable[[bytes, bytes], tuple[bytes, int, str | None, list[object]] | None] = staticmethod(
        read_request
    )
    _write_request: Callable[[bytes, Any, str | None, Any], bytes | None] = staticmethod(pack_request)
    _write_answer: Callable[[bytes, int, bytes, bytes], list[bytes]] = staticmethod(write_answer)

    def encode_request(self, request: Request) -> list[bytes]:
        if request.is_minimal or not (request.id is None or request.compression or request.bin):
            prefix, encode, extras = REQUEST_ENCODERS.get(type(request.command), _NONE)
            if prefix and (not extras or not extras_of(request.command)):
                args = encode(request.command)
                frame = self._write_request(prefix, request.id, request.uid, args)
                return [pack_request(prefix, request.id, request.uid, args) if frame is None else frame]
        return super().encode_request(request)

    def decode_request(self, frames: Frames) -> Request:
        return self.minimal_request(frames) or super().decode_request(frames)

    def minimal_request(self, frames: Frames) -> Request | None:
        if len(frames) != 1 or type(frame := frames[0]) is not bytes or len(frame) > self.limits.harmless:
            return None
        parts = self._read_request(frame, META_PREFIX) or read_request(frame, META_PREFIX)
        builder = None if parts is None else BUILDERS.get(parts[0])
        if parts is None or builder is None:
            return None
        _, number, uid, args = parts
        make, context = builder
        try:
            return Request.minimal(make(args), uid, number, context)
        except Exception:  # noqa: BLE001 - the full codec has the error for it
            return None

    def encode_response(self, response: Response, request: Request | None) -> list[bytes]:
        if response.is_minimal and request is not None and request.is_minimal and type(number := response.id) is int:
            value, kind = response.payload, type(request.command)
            if type(value) is bytes and kind in SCALARS and len(value) < LARGE_STRING:
                return self._write_answer(SUCCESS_PREFIX, number, SINGLE_VALUE_PREFIX, value)
            if value is None and kind in WITHOUT_RESULT:
                return [SUCCESS_PREFIX + pack(number), NO_RESULT]
            encode = _RESPONSE_ENCODERS.get(kind)
            if encode is not None:
                content = value.finish() if isinstance(value, RowPacker) else encode(value)
                return [SUCCESS_PREFIX + pack(number), content]
        return super().encode_response(response, request)

    def minimal_response(self, frames: Frames, request: Request) -> Response | None:
        if len(frames) != 2 or type(number := request.id) is not int:
            return None
        header, content = frames
        is_expected = header == SUCCESS_PREFIX + pack(number) and len(header) <= self.limits.harmless
        return self._succeeded(number, content, request) if is_expected else None

    def open_reply(self, frames: Frames) -> Reply:
        if len(frames) == 2:
            header, content = frames
            if header[:_ID_OFFSET] == SUCCESS_PREFIX and len(header) <= min(_MAX_HEADER, self.limits.harmless):
                number = _value(header[_ID_OFFSET:])
                if type(number) is int and number >= 0:
                    return number, partial(self._succeeded, number, content)
        return super().open_reply(frames)

    def _succeeded(self, number: int, content: bytes, request: Request) -> Response:
        if type(request.command) in ANY_VALUE and len(content) <= self.limits.harmless:
            value = _value(content[_VALUE_OFFSET:]) if content[:_VALUE_OFFSET] == SINGLE_VALUE_PREFIX else None
            if type(value) is bytes:
                return Response.ok(value, number)
        elif content == NO_RESULT and type(request.command) in WITHOUT_RESULT:
            return Response.ok(None, number)
        return Response.ok(
            self._payload(unpack(content, self.limits, reply_to=request.command), request.command), number
        )


class NativeClassicCodec(ClassicCodec):
    """The dialect with short messages read and written in C++, by the functions of ``pyelevator_native.messages``.

    Every message is the same, byte for byte, and every other form of a message is left to :class:`ClassicCodec`.
    """

    def __init__(self, limits: Limits | None, functions: Any) -> None:
        super().__init__(limits)
        self._read_request, self._write_request = functions.read_request, functions.write_request
        self._read_answer, self._write_answer = functions.read_answer, functions.write_answer

    def minimal_response(self, frames: Frames, request: Request) -> Response | None:
        if len(frames) == 2 and len(frames[1]) <= self.limits.harmless and type(request.command) in ANY_VALUE:
            number = request.id
            if type(number) is int and len(frames[0]) <= self.limits.harmless:
                value = self._read_answer(frames, SUCCESS_PREFIX, number, SINGLE_VALUE_PREFIX)
                if value is not None:
                    return Response.ok(value, number)
        return super().minimal_response(frames, request)


def classic_codec(limits: Limits | None = None) -> Codec:
    """Return a codec of the classic dialect, the faster one where it is installed."""
    functions = native_messages()
    return ClassicCodec(limits) if functions is None else NativeClassicCodec(limits, functions)
