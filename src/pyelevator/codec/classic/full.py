"""The classic dialect in full: the Python 2 server and client, 0.5 (docs/protocol.md; recordings in tests/vectors).

Its messages are maps, and are written and read as such here; ``classic`` has a quicker way for the usual ones.
"""

import reprlib
from functools import partial
from itertools import chain
from typing import Any, Final

import msgpack
from attrs import evolve

from pyelevator.arguments.data import kind_of
from pyelevator.codec import lz4
from pyelevator.codec.base import Codec, Frames, Reply
from pyelevator.codec.classic.arguments import ARGUMENTS, BY_WIRE_VERB, array_of, build_command, extras_of, map_of
from pyelevator.codec.classic.outcome_packer import OutcomePacker
from pyelevator.codec.classic.payloads import (
    DECODERS,
    ENCODERS,
    check_header,
    cursor_of,
    decode_outcomes,
    decode_page,
    message_of,
    native_page_decoder,
)
from pyelevator.codec.classic.row_packer import PagePacker, RowPacker
from pyelevator.codec.elements import PackedElements, packed_args
from pyelevator.codec.gc_pause import gc_paused
from pyelevator.codec.outline import classic_message, classic_outline, meta_of
from pyelevator.codec.packing import BIN, RAW, Packing, check_size, may_hold_strings, pack, unpack
from pyelevator.codec.values import check_portable, error_code, is_numeric_id, reply_status, text, unknown_command
from pyelevator.codec.weight import LIGHT
from pyelevator.commands import PIPELINED, Command, DbCreate, DeleteRange, MGet, PayloadKind, Pipeline, Range, Slice
from pyelevator.errors import Id, LimitExceeded, MalformedMessage, ProtocolError
from pyelevator.messages import NO_CONTEXT, CallContext, LazyPage, Request, Response, Status

SUCCESS_HEADER: Final = {"status": 1, "err_msg": None, "compression": False, "err_code": None}
"""What the header of a success says, beside its id."""

_NOTHING: Final = pack({"datas": None})
"""The content of a failure."""

_MAX_ID_BYTES: Final = 1024
"""Bytes of an id that is text or bytes."""

_DATA: Final = frozenset({*PIPELINED, DeleteRange, Pipeline})
"""The commands that are answered with keys and values; the others with names."""


class FullClassicCodec(Codec):
    """One frame per request, two per reply, whatever they say."""

    name = "classic"

    def encode_request(self, request: Request) -> list[bytes]:
        command = request.command
        if request.compression:
            lz4.require()
        spec = ARGUMENTS.get(command.verb)
        args = spec.encode(command) if spec else command.args  # type: ignore[attr-defined]
        if any(isinstance(arg, PackedElements) for arg in args):
            header = pack({"cmd": command.verb, "meta": _meta(request), "uid": request.uid})
            return [b"".join((b"\x84", memoryview(header)[1:], pack("args"), packed_args(args)))]
        written = pack if spec else RAW.pack_passed_on
        return [written({"cmd": command.verb, "meta": _meta(request), "uid": request.uid, "args": args})]

    def decode_request(self, frames: Frames) -> Request:
        if len(frames) != 1:
            raise MalformedMessage(f"a request is one frame, not {len(frames)}")
        try:
            message = self._read_large(frames[0]) or unpack(frames[0], self.limits)
        except ProtocolError as error:
            error.request_id, error.compression = meta_of(frames[0]) if len(frames[0]) > LIGHT else (None, False)
            raise
        if type(message) is not dict:
            raise MalformedMessage(f"Invalid request message : a map was expected, not {kind_of(message)}")
        meta = map_of(message.get(b"meta") or {})
        if type(meta) is not dict:
            raise MalformedMessage(f"Invalid request message : meta must be a map, not {kind_of(meta)}")
        request_id = _request_id(meta, frames[0]) if b"id" in meta else None
        compression, bin = meta.get(b"compression") is True, meta.get(b"bin") is True
        try:
            command = self._command(message, meta)
            if request_id is None and type(command) is DbCreate:
                command = evolve(command, tolerant=True)  # as the servers were that such a client knows
            uid = message.get(b"uid")
            if uid is not None:
                if type(uid) is not bytes:
                    raise MalformedMessage(f"Invalid request message : uid must be a string, not {kind_of(uid)}")
                uid = uid.decode("utf-8", "surrogateescape")
        except ProtocolError as error:
            error.request_id, error.compression = request_id, compression
            raise
        context = _context_for(command, bin)
        if context is NO_CONTEXT and type(request_id) is int and not (compression or bin):
            return Request.minimal(command, uid, request_id)
        return Request(command, uid, request_id, compression, bin, context)

    def _read_large(self, frame: bytes) -> dict[bytes, Any] | None:
        """Return a large message that need not be unpacked."""
        return classic_message(frame) if LIGHT < len(frame) <= self.limits.frame_bytes else None

    def outline(self, frames: Frames) -> Request | None:
        return classic_outline(frames[0]) if len(frames) == 1 else None

    def _command(self, message: dict[Any, Any], meta: dict[object, object]) -> Command:
        if b"cmd" not in message:
            raise MalformedMessage("Invalid request message : it has no cmd")
        verb, args = message[b"cmd"], array_of(message.get(b"args") or [])
        if type(args) is not list:
            raise MalformedMessage(f"Invalid request message : args must be an array, not {kind_of(args)}")
        known = BY_WIRE_VERB.get(verb) if type(verb) is bytes else None
        return unknown_command(verb, args, self.limits) if known is None else build_command(*known, args, meta)

    def encode_response(self, response: Response, request: Request | None) -> list[bytes]:
        packing = BIN if request and request.bin and type(request.command) in _DATA else RAW
        if response.code is not None:
            if request and request.compression and request.id is None and lz4.available():
                return [_header(response, packing, compression=True), lz4.compress(_NOTHING)]  # see docs/dialects.md
            return [_header(response, packing), _NOTHING]
        command: Command | None = request.command if request else None
        payload_kind = PayloadKind.EMPTY if command is None else command.payload_kind
        page, payload = None, response.payload
        if payload_kind is PayloadKind.PAIRS and payload and getattr(command, "max_bytes", None) is not None:
            page = len(payload), payload[-1][0]  # with which a client can prefetch the next one
        if isinstance(payload, RowPacker):
            content = payload.finish()
        elif page is not None:
            content = packing.pack_array(list(chain.from_iterable(payload)), "datas")
        else:
            content = ENCODERS[packing][payload_kind](payload)
        if request and request.compression and lz4.available():
            return [_header(response, packing, compression=True, page=page), lz4.compress(content)]
        return [_header(response, packing, page=page), content]

    def open_reply(self, frames: Frames) -> Reply:
        if len(frames) != 2:
            raise MalformedMessage(f"a reply is a header and a content frame, not {len(frames)} frames")
        header, content = unpack(frames[0], self.limits), frames[1]
        if not isinstance(header, dict):
            raise MalformedMessage(f"the header of a reply is a map, not {kind_of(header)}")
        reply_id = _id(header)
        return reply_id, partial(self._response, header, reply_id, content)

    def _response(
        self, header: dict[object, object], reply_id: int | None, content: bytes, request: Request
    ) -> Response:
        status = reply_status(header.get(b"status"))
        check_header(header)
        if status is Status.FAILURE:
            return Response.failure(error_code(header.get(b"err_code")), message_of(header), reply_id)
        if header.get(b"compression") is True and not request.compression:
            raise MalformedMessage("the answer is compressed, and the request did not ask for that")
        if b"page" in header and request.command.payload_kind is PayloadKind.PAIRS:
            page = self._lazy_page(header, content, request.command)
            payload: object = page if request.command.lazy else page.decode_bytes()  # type: ignore[attr-defined]
            request.command.check(payload)
        else:
            payload = self._payload(self._content(content, header, request.command), request.command)
        features = _features(header)
        more, max_message = header.get(b"more") is True, _max_message(header) if features else None
        return Response(payload, status, None, "", reply_id, more, features, cursor_of(header), max_message)

    def _content(self, frame: bytes, header: dict[object, object], command: Command, *, texts: bool = False) -> object:
        """Read the content as its header says: failures are never compressed, and old servers may echo a ``yes``."""
        if header.get(b"compression") is not True:
            return unpack(frame, self.limits, texts=texts, reply_to=command)
        check_size(len(frame), self.limits.frame_bytes)
        return unpack(
            lz4.decompress(frame, self.limits), self.limits, self.limits.content_bytes, texts=texts, reply_to=command
        )

    def _lazy_page(self, header: dict[Any, Any], content: bytes, command: Command) -> LazyPage:
        """Return a page whose header says enough to ask for the next one."""
        page = header[b"page"]
        if type(page) is not list or list(map(type, page)) != [int, bytes] or page[0] < 1:
            raise MalformedMessage(f"the page of a reply is a count and a key, not {reprlib.repr(page)}")
        opened = partial(self._decode_page, header, content, command)
        return LazyPage(page[0], page[1], len(content), opened, partial(opened, texts=True))

    def _decode_page(
        self, header: dict[Any, Any], content: bytes, command: Command, *, texts: bool = False
    ) -> list[list[Any]]:
        """Read the pairs of a page, which must be those that its header spoke of."""
        count, last = header[b"page"]
        pairs = self._decode_plain_page(header, content, command, texts)
        if pairs is None:
            found = self._content(content, header, command, texts=texts)
            if type(found) is not dict:
                raise MalformedMessage(f"the content of a reply is a map, not {kind_of(found)}")
            with gc_paused(len(content)):
                pairs = decode_page(found.get("datas" if texts else b"datas"), str if texts else bytes)
        if len(pairs) != count or pairs[-1][0] != (text(last) if texts else last):
            raise MalformedMessage("the answer holds another page than its header says")
        return pairs

    def _decode_plain_page(
        self, header: dict[Any, Any], content: bytes, command: Command, texts: bool
    ) -> list[list[Any]] | None:
        """Read a page by the native decoder; None without one, and for what it leaves to the full way, as any error."""
        decode, count = native_page_decoder(), header[b"page"][0]
        if (
            decode is None
            or header.get(b"compression") is True
            or not may_hold_strings(content, 2 * count, self.limits, command)
        ):
            return None
        with gc_paused(len(content)):
            return decode(content, count, texts)

    def _payload(self, content: object, command: Command) -> object:
        """Return the payload in the content of a reply, which is one that may answer the command."""
        if type(content) is not dict:
            raise MalformedMessage(f"the content of a reply is a map, not {kind_of(content)}")
        datas = content.get(b"datas")
        read = DECODERS.get(command.payload_kind)
        if read is not None:
            payload = read(datas)
            command.check(payload)
            return payload
        if command.payload_kind is PayloadKind.RESPONSES:
            return decode_outcomes(datas, command)
        check_portable(datas, self.limits)
        return datas


_CONTEXTS: Final = {
    kind: (CallContext(row_sink=kind), CallContext(row_sink=partial(kind, BIN)))
    for kind in (RowPacker, PagePacker, OutcomePacker)
}


def _context_for(command: object, bin: bool) -> CallContext:
    """Choose the context with what packs the rows of a command's answer, or the outcomes of a pipeline."""
    if not isinstance(command, (Range, Slice, MGet, Pipeline)):
        return NO_CONTEXT
    kind = OutcomePacker if isinstance(command, Pipeline) else RowPacker
    if command.payload_kind is PayloadKind.PAIRS and getattr(command, "max_bytes", None) is not None:
        kind = PagePacker
    return _CONTEXTS[kind][bin]


def _meta(request: Request) -> dict[str, object]:
    numbered = {} if request.id is None else {"id": request.id}
    asked = {"bin": True} if request.bin else {}
    extras = extras_of(request.command)
    if request.id is None:
        extras.pop("tolerant", None)  # having no id says so
    return {"compression": request.compression, **numbered, **asked, **extras}


def _id(fields: dict[Any, Any]) -> int | None:
    """Return the id in the header of a reply, None where there is none: ours are numbers."""
    value = fields.get(b"id")
    if value is None or is_numeric_id(value):
        return value
    raise MalformedMessage(f"the id of a reply is a number, not {reprlib.repr(value)}")


def _request_id(meta: dict[Any, Any], frame: bytes) -> Id:
    """Return the id in the meta of a request; some languages write integers above 2**32 as floats."""
    value = meta[b"id"]
    if type(value) is int and value >= 0:  # msgpack has none from 2**64 on
        return value
    if type(value) is float and value.is_integer():
        value = int(value)
    if is_numeric_id(value):
        return value  # type: ignore[no-any-return]
    if type(value) is bytes and len(value) <= _MAX_ID_BYTES:
        return _id_as_it_came(frame)
    raise MalformedMessage(
        "Invalid request message : the id must be a whole number from 0 to 2**64 - 1, or text or bytes, of "
        f"{_MAX_ID_BYTES:,} bytes at most, not {reprlib.repr(value)}; leave it out for none"
    )


def _id_as_it_came(frame: bytes) -> Id:
    """Read the id in the meta of a request, in which text is str; everything else is passed over."""
    reader = msgpack.Unpacker(
        raw=False,
        unicode_errors="surrogateescape",
        strict_map_key=False,
        object_pairs_hook=list,
        max_buffer_size=len(frame),
    )
    reader.feed(frame)
    found: Any = None
    for _ in range(reader.read_map_header()):
        if reader.unpack() in _META:
            found = reader.unpack()
        else:
            reader.skip()
    return next(value for name, value in reversed(found) if name in _ID)  # type: ignore[no-any-return]


_META: Final = ("meta", b"meta")
_ID: Final = ("id", b"id")


def _header(
    response: Response, packing: Packing, *, compression: bool = False, page: tuple[int, bytes] | None = None
) -> bytes:
    if response.status is Status.SUCCESS and not compression:
        header: dict[str, Any] = SUCCESS_HEADER.copy()
    else:
        header = {
            "status": int(response.status),
            "err_msg": None if response.code is None else response.message,
            "compression": compression,
            "err_code": response.code,
        }
    if response.id is not None and type(response.id) is not bytes:
        header["id"] = response.id
    if response.more:
        header["more"] = True
    if response.cursor is not None:
        header["cursor"] = text(response.cursor)
    if page is not None:
        header["page"] = page
    if response.features:
        header["features"] = response.features
        if response.max_message is not None:
            header["max_message"] = response.max_message
    packed = packing.pack(header)
    if type(response.id) is not bytes:
        return packed
    # an id that came as bytes is added: its peer can read bin, whatever it can read of the rest
    return b"".join((bytes([packed[0] + 1]), packed[1:], pack("id"), BIN.pack(response.id)))


def _max_message(header: dict[object, object]) -> int | None:
    """Return the size of the largest request that a server takes, where it says so."""
    max_message = header.get(b"max_message")
    return max_message if type(max_message) is int and max_message > 0 else None


def _features(header: dict[Any, Any]) -> tuple[str, ...]:
    """Return the features of a server; those that this version does not know do no harm, but for their number."""
    features = header.get(b"features") or []
    if not set(map(type, features)) <= {bytes}:
        raise MalformedMessage("the features in a reply hold something else than names")
    if len(features) > _MAX_FEATURES or max(map(len, features), default=0) > _MAX_FEATURE_BYTES:
        raise LimitExceeded(f"{len(features):,} features in a reply, of which some may be long, are no server's")
    return tuple(map(text, features))


_MAX_FEATURES: Final = 1000
_MAX_FEATURE_BYTES: Final = 100
