"""The classic dialect, with a quick way for its usual messages: those that say nothing beside a command or its result.

Nearly all are usual. What is the same in each of them is packed once, and what varies is written and read without a
map. Whatever is not usual, or not as it should be, is left to the full way, which knows what to make of it.
"""

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any, Final, TypeAlias

from msgpack import unpackb

from pyelevator.codec.base import RAW, Extension, Frames, Reply, pack, unpack
from pyelevator.codec.elements import packed_args
from pyelevator.codec.layouts import ARGS, Layout, extras_of
from pyelevator.codec.maps import SUCCESS, MapCodec
from pyelevator.codec.packed import PackedRows
from pyelevator.codec.payloads import ONE_VALUE, WRITERS
from pyelevator.commands import COMMANDS, Command, Keyed, PayloadKind, Range, Slice
from pyelevator.messages import Request, Response

NUMBERED: Final = b"\x82" + pack({"compression": False})[1:] + pack("id")
"""The meta of a request, up to its id at the end."""

_UID: Final = pack("uid")
_ARGS: Final = pack("args")

SUCCEEDED: Final = b"\x85" + pack(SUCCESS)[1:] + pack("id")
"""The header of a success, up to its id at the end."""

_AT_ID: Final = len(SUCCEEDED)
_LONGEST: Final = _AT_ID + 9
"""Bytes of a header whose id is as long as can be."""

_AT_VALUE: Final = len(ONE_VALUE)
_ARRAY_OF_FIVE: Final = b"\x95"


def _opening(verb: str) -> bytes:
    """What a request begins with, up to its id."""
    return b"".join((b"\x84", pack("cmd"), pack(verb), pack("meta"), NUMBERED))


_Writing: TypeAlias = tuple[bytes, Callable[[Any], Sequence[Any]], Sequence[str]]

_CONTENT: Final = WRITERS[RAW].of

_WRITING: Final[dict[type[Command[Any]], _Writing]] = {
    COMMANDS[verb]: (_opening(verb), layout.write, COMMANDS[verb].meta_fields) for verb, layout in ARGS.items()
}
"""Class -> what a request begins with, what writes its arguments, and the extras that it must not have."""

_SCANS: Final = frozenset({Range, Slice})
"""The commands whose answers are rows, of pairs or of parts of them; usual ones ask for no page."""

REQUEST_PREFIXES: Final = frozenset([begin for begin, _, _ in _WRITING.values()])
"""What the requests of our clients begin with, up to their ids."""


def _making(kind: type[Command[Any]], layout: Layout) -> Callable[[list[Any]], Command[Any]]:
    def make(args: list[Any]) -> Command[Any]:
        if not layout.least <= len(args) <= layout.most:
            raise ValueError
        return kind(*layout.read(args))

    return make


def _making_keyed(kind: type[Keyed[Any]]) -> Callable[[list[Any]], Command[Any]]:
    build = kind.make

    def make(args: list[Any]) -> Command[Any]:
        (key,) = args
        return build(key)

    return make


_Making: TypeAlias = tuple[Callable[[list[Any]], Command[Any]], type[PackedRows] | None]

_MAKING: Final[Mapping[bytes, _Making]] = {
    _opening(verb).removesuffix(NUMBERED): (
        _making_keyed(kind) if issubclass(kind, Keyed) else _making(kind, ARGS[verb]),
        PackedRows if kind in _SCANS else None,
    )
    for verb, kind in COMMANDS.items()
    if kind.payload_kind in _CONTENT or kind in _SCANS
}
"""What a request begins with, up to its meta -> what makes its command of the arguments, or raises anything; and what
the rows of its answer are gathered in."""

_ANSWERING: Final = {
    kind: _CONTENT[PayloadKind.PAIRS if kind in _SCANS else kind.payload_kind]
    for kind in COMMANDS.values()
    if kind.payload_kind in _CONTENT or kind in _SCANS
}
"""Class -> what writes the content of an answer."""

_SCALAR: Final = frozenset([kind for kind in COMMANDS.values() if kind.payload_kind is PayloadKind.SCALAR])
"""The classes whose answers hold one value."""


def _value(packed: bytes) -> Any:
    """The value in a few bytes; None also for what is none."""
    try:
        return unpackb(packed, raw=True)
    except Exception:  # noqa: BLE001 - whatever it is: who reads it in full knows what to say of it
        return None


class ClassicCodec(MapCodec):
    """One frame per request, two per reply; the default dialect.

    >>> from pyelevator.commands import Ping
    >>> ClassicCodec().decode_request(ClassicCodec().encode_request(Request(Ping(), id=7)))
    Request(command=Ping(), uid=None, id=7, compression=False, peer=None)
    """

    def encode_request(self, request: Request[Any]) -> list[bytes]:
        command, number = request.command, request.id
        special = not request.is_minimal and (number is None or request.compression or request.bin)
        writing = None if special else _WRITING.get(type(command))
        if writing is not None:
            begin, write, extras = writing
            if not extras or not extras_of(command):
                args = write(command)
                try:
                    packed = pack(args)
                except TypeError:  # some are packed already
                    packed = packed_args(args)
                return [b"".join((begin, pack(number), _UID, pack(request.uid), _ARGS, packed))]
        return super().encode_request(request)

    def decode_request(self, frames: Frames) -> Request[Any]:
        return self.minimal_request(frames) or super().decode_request(frames)

    def minimal_request(self, frames: Frames) -> Request[Any] | None:
        if len(frames) != 1 or type(frame := frames[0]) is not bytes or len(frame) > self.limits.harmless:
            return None
        begin, _, rest = frame.partition(NUMBERED)
        making = _MAKING.get(begin)
        return None if making is None else _read(making, rest)

    def encode_response(self, response: Response, request: Request[Any] | None) -> list[bytes]:
        if response.is_minimal and request is not None and request.is_minimal and type(response.id) is int:
            write = _ANSWERING.get(type(request.command))
            if write is not None:
                return [SUCCEEDED + pack(response.id), write(response.payload)]
        return super().encode_response(response, request)

    def minimal_response(self, frames: Frames, request: Request[Any]) -> Response | None:
        if len(frames) != 2 or type(number := request.id) is not int:
            return None
        header, content = frames
        is_minimal = header == SUCCEEDED + pack(number) and len(header) <= self.limits.harmless
        return self._succeeded(number, content, request) if is_minimal else None

    def open_reply(self, frames: Frames) -> Reply:
        if len(frames) == 2:
            header, content = frames
            if header[:_AT_ID] == SUCCEEDED and len(header) <= min(_LONGEST, self.limits.harmless):
                number = _value(header[_AT_ID:])
                if type(number) is int and number >= 0:
                    return number, partial(self._succeeded, number, content)
        return super().open_reply(frames)

    def _succeeded(self, number: int, content: bytes, request: Request[Any]) -> Response:
        if type(request.command) in _SCALAR and len(content) <= self.limits.harmless:
            value = _value(content[_AT_VALUE:]) if content[:_AT_VALUE] == ONE_VALUE else None
            if type(value) is bytes:
                return Response.ok(value, number)
        return Response.ok(self._payload(unpack(content, self.limits, reply=True), request.command), number)


def _read(making: _Making, rest: bytes) -> Request[Any] | None:
    """The request that goes on with ``rest`` behind its opening, as the rest of an array; None where it is refused."""
    make, row_sink = making
    try:
        number, uid_name, uid, args_name, args = unpackb(_ARRAY_OF_FIVE + rest, raw=True, ext_hook=Extension)
        request = Request.minimal(make(args), uid.decode("utf-8", "surrogateescape"), number, row_sink)
    except Exception:  # noqa: BLE001 - whatever it is: who reads it in full knows what to say of it
        return None
    named = uid_name == b"uid" and args_name == b"args"
    return request if named and type(args) is list and type(number) is int and number >= 0 else None
