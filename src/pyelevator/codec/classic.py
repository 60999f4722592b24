"""The classic dialect: the Python 2 server and client, 0.5 (source: PROTOCOL, recordings in tests/vectors)."""

import math
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any, Final

from attrs import frozen

from pyelevator.codec import lz4
from pyelevator.codec.base import (
    Codec,
    Frames,
    Reply,
    build,
    check_plain,
    check_size,
    error_code,
    pack,
    pack_pieces,
    reply_status,
    scalar,
    strings,
    text,
    unknown,
    unpack,
)
from pyelevator.commands import COMMANDS, Command, Range, Shape
from pyelevator.errors import ErrorCode, MalformedMessage, ProtocolError
from pyelevator.messages import Request, Response, Status


@frozen
class Layout:
    """How a verb's ``args`` are written and read, and how many of them a peer must and may send."""

    write: Callable[[Any], Sequence[Any]]
    least: int
    most: float
    read: Callable[[list[Any]], Sequence[Any]] = list


ANY: Final = math.inf
"""``Layout.most`` where old servers do not look at what follows, and old clients send it."""


def _scan(command: Any, end: Any) -> tuple[Any, ...]:
    return command.start, end, command.include_key, command.include_value


def _write_range(command: Range) -> tuple[Any, ...]:
    scan = _scan(command, command.stop)
    return scan if command.prefix is None else (*scan, command.prefix)


def _read_flags(args: list[Any]) -> list[Any]:
    """Old clients may leave a flag nil, which the old server took for false (recording RANGE.nil_flags)."""
    return [False if i in (2, 3) and arg is None else arg for i, arg in enumerate(args)]


def _read_slice(args: list[Any]) -> list[Any]:
    """Nil, true and fractions as a count, as the old server took them (recordings SLICE.*_offset)."""
    start, count, *flags = _read_flags(args)
    if count is None or isinstance(count, (bool, float)):
        count = math.ceil(count or 0) if count is None or math.isfinite(count) else 0
    return [start, count, *flags]


def _read_ops(args: list[Any]) -> list[Any]:
    """The old server looked at the first argument only, and took a string for the operations that its characters
    are (recordings BATCH.flat_ops, BATCH.collection_string)."""
    ops = args[0]
    return [[ops[:1]] if isinstance(ops, bytes) else ops]


def _read_nothing(args: list[Any]) -> list[Any]:  # noqa: ARG001
    return []


ARGS: Final[Mapping[str, Layout]] = {
    "GET": Layout(lambda c: (c.key,), 1, 1),
    "PUT": Layout(lambda c: (c.key, c.value), 2, 2),
    "DELETE": Layout(lambda c: (c.key,), 1, 1),
    "EXISTS": Layout(lambda c: (c.key,), 1, 1),
    "MGET": Layout(lambda c: (c.keys,), 1, 1),
    "RANGE": Layout(_write_range, 2, 5, _read_flags),
    "SLICE": Layout(lambda c: _scan(c, c.count), 2, 4, _read_slice),
    "BATCH": Layout(lambda c: (c.ops,), 1, ANY, _read_ops),
    "PING": Layout(lambda _: (), 0, ANY, _read_nothing),
    "DBCONNECT": Layout(lambda c: (c.name,), 1, 1),
    "DBMOUNT": Layout(lambda c: (c.name,), 1, 1),
    "DBUMOUNT": Layout(lambda c: (c.name,), 1, 1),
    "DBCREATE": Layout(lambda c: (c.name, c.options), 1, 2),
    "DBDROP": Layout(lambda c: (c.name,), 1, 1),
    "DBLIST": Layout(lambda _: (), 0, ANY, _read_nothing),
    "DBREPAIR": Layout(lambda _: (), 0, ANY, _read_nothing),
}
"""Verb -> layout."""

_KNOWN: Final = {verb.encode(): (COMMANDS[verb], layout) for verb, layout in ARGS.items()}

_LARGE: Final = 64 << 10
"""Bytes of a value that is not copied once more than needed."""

_UNASKED: Final = {"compression": False}
_SUCCESS: Final = {"status": 1, "err_msg": None, "compression": False, "err_code": None}


class ClassicCodec(Codec):
    """One frame per request, two per reply; the default dialect.

    >>> from pyelevator.commands import Ping
    >>> ClassicCodec().decode_request(ClassicCodec().encode_request(Request(Ping(), id=7)))
    Request(command=Ping(), uid=None, id=7, compression=False, peer=None)
    """

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
        if not isinstance(message, dict):
            raise MalformedMessage(f"Invalid request message : a map was expected, not {type(message).__name__}")
        meta = message.get(b"meta")
        meta = meta if isinstance(meta, dict) else {}
        request_id = _id(meta)
        try:
            command = self._command(message, meta)
            uid = message.get(b"uid")
            uid = uid if uid is None else _uid(uid)
        except ProtocolError as error:
            error.request_id = request_id
            raise
        return Request(command, uid, request_id, meta.get(b"compression") is True)

    def _command(self, message: dict[Any, Any], meta: dict[Any, Any]) -> Command[Any]:
        if b"cmd" not in message:
            raise MalformedMessage("Invalid request message : it has no cmd")
        verb, args = message[b"cmd"], message.get(b"args") or []
        if not isinstance(args, list):
            raise MalformedMessage(f"Invalid request message : args must be an array, not {type(args).__name__}")
        if type(verb) is not bytes or verb not in _KNOWN:
            return unknown(verb, args, self.limits)
        kind, layout = _KNOWN[verb]
        if not layout.least <= len(args) <= layout.most:
            raise MalformedMessage(f"{kind.verb} does not take {len(args)} arguments", code=ErrorCode.VALUE)
        extras = {name: meta[name.encode()] for name in kind.extras if name.encode() in meta} if kind.extras else {}
        return build(kind.verb, kind, layout.read(args), extras)

    def encode_response(self, response: Response, request: Request[Any] | None) -> list[bytes]:
        if response.code is not None:
            return [pack(_header(response, compression=False)), pack({"datas": None})]
        content = _written(response.payload, request.command.shape if request else Shape.NOTHING)
        if request and request.compression and lz4.available():
            return [pack(_header(response, compression=True)), lz4.compress(content)]
        return [pack(_header(response, compression=False)), content]

    def open_reply(self, frames: Frames) -> Reply:
        if len(frames) != 2:
            raise MalformedMessage(f"a reply is a header and a content frame, not {len(frames)} frames")
        header = unpack(frames[0], self.limits)
        if not isinstance(header, dict):
            raise MalformedMessage(f"the header of a reply is a map, not {type(header).__name__}")
        reply_id = _id(header)
        return Reply(reply_id, partial(self._response, header, reply_id, frames[1]))

    def _response(
        self, header: dict[Any, Any], reply_id: int | None, content: bytes, request: Request[Any]
    ) -> Response:
        status = reply_status(header.get(b"status"))
        if status is Status.FAILURE:
            return Response.failure(error_code(header.get(b"err_code")), _message(header), reply_id)
        payload = self._payload(self._content(content, header), request.command.shape)
        more, cursor = header.get(b"more") is True, header.get(b"cursor")
        cursor = cursor if isinstance(cursor, bytes) else None
        features = _features(header[b"features"]) if b"features" in header else ()
        return Response(payload, status, None, "", reply_id, more, features, cursor)

    def _content(self, frame: bytes, header: dict[Any, Any]) -> Any:
        """The content; by the header's word, as failures are never compressed, and old servers may echo a ``yes``."""
        if header.get(b"compression") is not True:
            return unpack(frame, self.limits)
        check_size(len(frame), self.limits.frame_bytes)
        return unpack(lz4.decompress(frame, self.limits), self.limits, self.limits.content_bytes)

    def _payload(self, content: Any, shape: Shape) -> Any:
        if not isinstance(content, dict):
            raise MalformedMessage(f"the content of a reply is a map, not {type(content).__name__}")
        datas = content.get(b"datas")
        if shape is Shape.OPAQUE:
            check_plain(datas, self.limits)
        return _READERS[shape](datas)


def _meta(request: Request[Any]) -> dict[str, Any]:
    command = request.command
    if request.id is None and not request.compression and not command.extras:
        return _UNASKED
    meta: dict[str, Any] = {"compression": request.compression}
    if request.id is not None:
        meta["id"] = request.id
    for extra in command.extras:
        value = getattr(command, extra)
        if value is not None and value is not False:  # every extra is off by default
            meta[extra] = value
    return meta


def _id(fields: dict[Any, Any]) -> int | None:
    value = fields.get(b"id")
    return value if type(value) is int and 0 <= value < 1 << 64 else None


def _uid(uid: Any) -> str:
    if isinstance(uid, bytes):
        return text(uid)
    raise MalformedMessage(f"Invalid request message : uid must be a string, not {type(uid).__name__}")


def _header(response: Response, *, compression: bool) -> dict[str, Any]:
    if response.status is Status.SUCCESS and not compression:
        header: dict[str, Any] = _SUCCESS.copy()
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
    if response.features:
        header["features"] = response.features
    return header


def _written(payload: Any, shape: Shape) -> bytes:
    """The content frame. Scalars are wrapped in a list, but for false, which the old server leaves bare."""
    if shape is Shape.SCALAR:
        datas: Any = payload if payload is False else [payload]
        large = type(payload) is bytes and len(payload) >= _LARGE
    else:
        datas, large = payload, isinstance(payload, list)
    return pack_pieces(datas, "datas") if large else pack({"datas": datas})


def _scalar(datas: Any) -> bytes | bool | None:
    return scalar(datas if type(datas) is list else [datas])


def _list(datas: Any) -> list[Any]:
    if isinstance(datas, list):
        return datas
    raise MalformedMessage(f"a list was expected, not {type(datas).__name__}")


def _pairs(datas: Any) -> list[list[bytes]]:
    pairs = _list(datas)
    if set(map(type, pairs)) <= {list} and _all_pairs(pairs):
        return pairs
    raise MalformedMessage("the answer holds something else than pairs of strings")


def _all_pairs(rows: list[list[Any]]) -> bool:
    """Whether each row is two strings. A large range passes here, and chains of iterators take twice the time."""
    try:
        for key, value in rows:
            if type(key) is not bytes or type(value) is not bytes:
                return False
    except ValueError:  # not two
        return False
    return True


_READERS: Final[Mapping[Shape, Callable[[Any], Any]]] = {
    Shape.NOTHING: lambda _: None,
    Shape.SCALAR: _scalar,
    Shape.LIST: lambda datas: strings(_list(datas)),
    Shape.PAIRS: _pairs,
    Shape.OPAQUE: lambda datas: datas,
}


def _message(header: dict[Any, Any]) -> str:
    message = header.get(b"err_msg")
    return text(message) if isinstance(message, bytes) else ""


def _features(features: Any) -> tuple[str, ...]:
    return tuple([text(f) for f in features if isinstance(f, bytes)]) if isinstance(features, list) else ()
