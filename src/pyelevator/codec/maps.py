"""The classic dialect in full: the Python 2 server and client, 0.5 (source: PROTOCOL, recordings in tests/vectors).

Its messages are maps, and are written and read as such here; ``classic`` has a quicker way for the usual ones.
"""

import reprlib
from functools import partial
from typing import Any, Final

from attrs import evolve

from pyelevator.codec import lz4
from pyelevator.codec.base import (
    Codec,
    Frames,
    Reply,
    check_plain,
    check_size,
    error_code,
    pack,
    reply_status,
    text,
    unknown,
    unpack,
)
from pyelevator.codec.layouts import ARGS, KNOWN, built, extras_of
from pyelevator.codec.packed import PackedPage, PackedRows
from pyelevator.codec.pause import paused
from pyelevator.codec.payloads import READERS, WRITERS, answers, cursor_of, message_of, page_of, written_page
from pyelevator.commands import Command, DbCreate, Range, Shape, Slice
from pyelevator.errors import MalformedMessage, ProtocolError
from pyelevator.messages import Request, Response, Sealed, Status

SUCCESS: Final = {"status": 1, "err_msg": None, "compression": False, "err_code": None}
"""What the header of a success says, beside its id."""


class MapCodec(Codec):
    """One frame per request, two per reply, whatever they say."""

    name = "classic"

    def encode_request(self, request: Request[Any]) -> list[bytes]:
        command = request.command
        if request.compression:
            lz4.require()
        layout = ARGS.get(command.verb)
        args = layout.write(command) if layout else command.args  # type: ignore[attr-defined]
        return [pack({"cmd": command.verb, "meta": _meta(request), "uid": request.uid, "args": args})]

    def decode_request(self, frames: Frames) -> Request[Any]:
        if len(frames) != 1:
            raise MalformedMessage(f"a request is one frame, not {len(frames)}")
        message = unpack(frames[0], self.limits)
        if type(message) is not dict:
            raise MalformedMessage(f"Invalid request message : a map was expected, not {type(message).__name__}")
        meta = message.get(b"meta")
        if type(meta) is not dict:
            meta = {}
        request_id = _id(meta)
        try:
            command = self._command(message, meta)
            if request_id is None and type(command) is DbCreate:
                command = evolve(command, tolerant=True)  # as the servers were that such a client knows
            uid = message.get(b"uid")
            if uid is not None:
                uid = _uid(uid)
        except ProtocolError as error:
            error.request_id = request_id
            raise
        compression, gather = meta.get(b"compression") is True, _gathering(command)
        if gather is None:
            return Request(command, uid, request_id, compression)
        return Request(command, uid, request_id, compression, gather=gather)

    def _command(self, message: dict[Any, Any], meta: dict[Any, Any]) -> Command[Any]:
        if b"cmd" not in message:
            raise MalformedMessage("Invalid request message : it has no cmd")
        verb, args = message[b"cmd"], message.get(b"args") or []
        if type(args) is not list:
            raise MalformedMessage(f"Invalid request message : args must be an array, not {type(args).__name__}")
        known = KNOWN.get(verb) if type(verb) is bytes else None
        return unknown(verb, args, self.limits) if known is None else built(*known, args, meta)

    def encode_response(self, response: Response, request: Request[Any] | None) -> list[bytes]:
        if response.code is not None:
            return [pack(_header(response, compression=False)), pack({"datas": None})]
        shape = request.command.shape if request else Shape.NOTHING
        page = _page(response.payload, request.command) if request and shape is Shape.PAIRS else None
        content = WRITERS[shape](response.payload) if page is None else written_page(response.payload)
        if request and request.compression and lz4.available():
            return [pack(_header(response, compression=True, page=page)), lz4.compress(content)]
        return [pack(_header(response, compression=False, page=page)), content]

    def open_reply(self, frames: Frames) -> Reply:
        if len(frames) != 2:
            raise MalformedMessage(f"a reply is a header and a content frame, not {len(frames)} frames")
        header, content = unpack(frames[0], self.limits), frames[1]
        if not isinstance(header, dict):
            raise MalformedMessage(f"the header of a reply is a map, not {type(header).__name__}")
        return _id(header), partial(self._response, header, _id(header), content)

    def _response(
        self, header: dict[Any, Any], reply_id: int | None, content: bytes, request: Request[Any]
    ) -> Response:
        status = reply_status(header.get(b"status"))
        if status is Status.FAILURE:
            return Response.failure(error_code(header.get(b"err_code")), message_of(header), reply_id)
        if b"page" in header and request.command.shape is Shape.PAIRS:
            page = self._page(header, content)
            payload: Any = page if request.command.sealed else page.pairs()  # type: ignore[attr-defined]
        else:
            payload = self._payload(self._content(content, header), request.command)
        features = _features(header[b"features"]) if b"features" in header else ()
        return Response(payload, status, None, "", reply_id, header.get(b"more") is True, features, cursor_of(header))

    def _content(self, frame: bytes, header: dict[Any, Any], *, texts: bool = False) -> Any:
        """The content; by the header's word, as failures are never compressed, and old servers may echo a ``yes``."""
        if header.get(b"compression") is not True:
            return unpack(frame, self.limits, texts=texts)
        check_size(len(frame), self.limits.frame_bytes)
        return unpack(lz4.decompress(frame, self.limits), self.limits, self.limits.content_bytes, texts=texts)

    def _page(self, header: dict[Any, Any], content: bytes) -> Sealed:
        """A page whose header says enough to ask for the next one."""
        page = header[b"page"]
        if type(page) is not list or list(map(type, page)) != [int, bytes] or page[0] < 1:
            raise MalformedMessage(f"the page of a reply is a count and a key, not {reprlib.repr(page)}")
        opened = partial(self._opened, header, content)
        return Sealed(page[0], page[1], len(content), opened, partial(opened, texts=True))

    def _opened(self, header: dict[Any, Any], content: bytes, *, texts: bool = False) -> list[list[Any]]:
        """The pairs of a page, which must be those that its header spoke of."""
        count, last = header[b"page"]
        found = self._content(content, header, texts=texts)
        if type(found) is not dict:
            raise MalformedMessage(f"the content of a reply is a map, not {type(found).__name__}")
        with paused(len(content)):
            pairs = page_of(found.get("datas" if texts else b"datas"), str if texts else bytes)
        if len(pairs) != count or pairs[-1][0] != (text(last) if texts else last):
            raise MalformedMessage("the answer holds another page than its header says")
        return pairs

    def _payload(self, content: Any, command: Command[Any]) -> Any:
        if type(content) is not dict:
            raise MalformedMessage(f"the content of a reply is a map, not {type(content).__name__}")
        datas = content.get(b"datas")
        read = READERS.get(command.shape)
        if read is not None:
            return read(datas)
        if command.shape is Shape.ANSWERS:
            return answers(datas, command)
        check_plain(datas, self.limits)
        return datas


def _gathering(command: Any) -> type[PackedRows] | None:
    """What the rows of a command's answer are gathered in."""
    if not isinstance(command, (Range, Slice)):
        return None
    return PackedPage if command.shape is Shape.PAIRS and command.max_bytes is not None else PackedRows


def _meta(request: Request[Any]) -> dict[str, Any]:
    numbered = {} if request.id is None else {"id": request.id}
    extras = extras_of(request.command)
    if request.id is None:
        extras.pop("tolerant", None)  # having no id says so
    return {"compression": request.compression, **numbered, **extras}


def _id(fields: dict[Any, Any]) -> int | None:
    value = fields.get(b"id")
    return value if type(value) is int and 0 <= value < 1 << 64 else None


def _uid(uid: Any) -> str:
    if type(uid) is bytes:
        return uid.decode("utf-8", "surrogateescape")
    raise MalformedMessage(f"Invalid request message : uid must be a string, not {type(uid).__name__}")


def _page(pairs: Any, command: Any) -> tuple[int, bytes] | None:
    """How many pairs a page has, and its last key: the client can ask for the next one before it unpacks this one."""
    return (len(pairs), pairs[-1][0]) if pairs and command.max_bytes is not None else None


def _header(response: Response, *, compression: bool, page: tuple[int, bytes] | None = None) -> dict[str, Any]:
    if response.status is Status.SUCCESS and not compression:
        header: dict[str, Any] = SUCCESS.copy()
    else:
        header = {
            "status": int(response.status),
            "err_msg": None if response.code is None else response.message,
            "compression": compression,
            "err_code": response.code,
        }
    if response.id is not None:
        header["id"] = response.id
    if response.more:
        header["more"] = True
    if response.cursor is not None:
        header["cursor"] = response.cursor
    if page is not None:
        header["page"] = page
    if response.features:
        header["features"] = response.features
    return header


def _features(features: Any) -> tuple[str, ...]:
    return tuple([text(f) for f in features if isinstance(f, bytes)]) if isinstance(features, list) else ()
