"""The classic dialect: the Python 2 server and client, 0.5 (source: PROTOCOL, recordings in tests/vectors)."""

import math
from collections.abc import Callable, Mapping, Sequence
from itertools import chain
from typing import Any, Final

from attrs import fields_dict, frozen

from pyelevator.codec import lz4
from pyelevator.codec.base import Codec, Frames, build, error_code, pack, text, unknown, unpack
from pyelevator.commands import COMMANDS, Command, Shape
from pyelevator.errors import ErrorCode, MalformedMessage, ProtocolError
from pyelevator.messages import Request, Response, Status


@frozen
class Layout:
    """How a verb's ``args`` are written and read, and how many of them a peer must and may send."""

    write: Callable[[Any], Sequence[Any]]
    least: int
    most: int | None
    read: Callable[[list[Any]], Sequence[Any]] = list


ARGS: Final[Mapping[str, Layout]] = {
    "GET": Layout(lambda c: (c.key,), 1, 1),
    "PUT": Layout(lambda c: (c.key, c.value), 2, 2),
    "DELETE": Layout(lambda c: (c.key,), 1, 1),
    "EXISTS": Layout(lambda c: (c.key,), 1, 1),
    "MGET": Layout(lambda c: (c.keys,), 1, 1),
    "RANGE": Layout(
        lambda c: _scan(c, c.stop) if c.prefix is None else (*_scan(c, c.stop), c.prefix),
        2,
        5,
        lambda args: _flags(args),
    ),
    "SLICE": Layout(lambda c: _scan(c, c.count), 2, 4, lambda args: _counted(_flags(args))),
    "BATCH": Layout(lambda c: (c.ops,), 1, 1),
    "PING": Layout(lambda _: (), 0, None),
    "DBCONNECT": Layout(lambda c: (c.name,), 1, 1),
    "DBMOUNT": Layout(lambda c: (c.name,), 1, 1),
    "DBUMOUNT": Layout(lambda c: (c.name,), 1, 1),
    "DBCREATE": Layout(lambda c: (c.name, c.options), 1, 2),
    "DBDROP": Layout(lambda c: (c.name,), 1, 1),
    "DBLIST": Layout(lambda _: (), 0, None),
    "DBREPAIR": Layout(lambda _: (), 0, None),
}
"""Verb -> layout. Where ``most`` is None the old servers take anything, and clients send it."""


def _flags(args: list[Any]) -> list[Any]:
    """Old clients may leave a flag nil, which the old server took for false (recording RANGE.nil_flags)."""
    return [False if i in (2, 3) and arg is None else arg for i, arg in enumerate(args)]


def _counted(args: list[Any]) -> list[Any]:
    """Nil, true and fractions as a count, as the old server took them (recordings SLICE.*_offset)."""
    start, count, *flags = args
    if count is None or isinstance(count, (bool, float)):
        count = math.ceil(count or 0) if count is None or math.isfinite(count) else 0
    return [start, count, *flags]


def _scan(command: Any, end: Any) -> tuple[Any, ...]:
    return command.start, end, command.include_key, command.include_value


_UNASKED: Final = {"compression": False}
_SUCCESS: Final = {"status": 1, "err_msg": None, "compression": False, "err_code": None}


class ClassicCodec(Codec):
    """One frame per request, two per reply; the default dialect.

    >>> from pyelevator.commands import Ping
    >>> ClassicCodec().decode_request(ClassicCodec().encode_request(Request(Ping(), id=7)))
    Request(command=Ping(), uid=None, id=7, compression=False)
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
            uid = _uid(message.get(b"uid"))
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
        name = text(verb) if isinstance(verb, bytes) else ""
        layout = ARGS.get(name)
        if layout is None:
            return unknown(verb, args, self.limits)
        kind = COMMANDS[name]
        if len(args) < layout.least or (layout.most is not None and len(args) > layout.most):
            raise MalformedMessage(f"{name} does not take {len(args)} arguments", code=ErrorCode.VALUE)
        extras = {extra: meta[extra.encode()] for extra in kind.extras if extra.encode() in meta}
        return build(name, kind, () if layout.most is None else layout.read(args), extras)

    def encode_response(self, response: Response, request: Request[Any] | None) -> list[bytes]:
        if response.code is not None:
            return [pack(_header(response, compression=False)), pack({"datas": None})]
        shape = request.command.shape if request else Shape.NOTHING
        content = pack({"datas": _datas(response.payload, shape)})
        if request and request.compression and lz4.available():
            return [pack(_header(response, compression=True)), lz4.compress(content)]
        return [pack(_header(response, compression=False)), content]

    def decode_response(self, frames: Frames, request: Request[Any]) -> Response:
        header = self._header(frames)
        status, reply_id = header.get(b"status"), _id(header)
        if status == Status.FAILURE:
            return Response.failure(error_code(header.get(b"err_code")), _message(header), reply_id)
        if status not in (Status.SUCCESS, Status.WARNING):
            raise MalformedMessage(f"the status of a reply is not {status!r:.40}")
        content = lz4.decompress(frames[1], self.limits) if header.get(b"compression") is True else frames[1]
        return Response(
            _payload(unpack(content, self.limits), request.command.shape),
            Status(status),
            id=reply_id,
            more=header.get(b"more") is True,
            features=_features(header),
        )

    def reply_id(self, frames: Frames) -> int | None:
        return _id(self._header(frames))

    def _header(self, frames: Frames) -> dict[Any, Any]:
        if len(frames) != 2:
            raise MalformedMessage(f"a reply is a header and a content frame, not {len(frames)} frames")
        header = unpack(frames[0], self.limits)
        if not isinstance(header, dict):
            raise MalformedMessage(f"the header of a reply is a map, not {type(header).__name__}")
        return header


def _meta(request: Request[Any]) -> dict[str, Any]:
    if request.id is None and not request.compression and not request.command.extras:
        return _UNASKED
    meta: dict[str, Any] = {"compression": request.compression}
    if request.id is not None:
        meta["id"] = request.id
    for extra in request.command.extras:
        value = getattr(request.command, extra)
        if value != fields_dict(type(request.command))[extra].default:
            meta[extra] = value
    return meta


def _id(fields: dict[Any, Any]) -> int | None:
    value = fields.get(b"id")
    return value if type(value) is int and 0 <= value < 1 << 64 else None


def _uid(uid: Any) -> str | None:
    if uid is None:
        return None
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
    if response.features:
        header["features"] = response.features
    return header


def _datas(payload: Any, shape: Shape) -> Any:
    """Scalars are wrapped in a list, but for false, which the old server leaves bare."""
    return [payload] if shape is Shape.SCALAR and payload is not False else payload


def _payload(content: Any, shape: Shape) -> Any:
    if not isinstance(content, dict):
        raise MalformedMessage(f"the content of a reply is a map, not {type(content).__name__}")
    datas = content.get(b"datas")
    return _READERS[shape](datas)


def _scalar(datas: Any) -> Any:
    if not isinstance(datas, list):
        return datas
    if len(datas) != 1:
        raise MalformedMessage(f"a scalar answer holds {len(datas)} values")
    return datas[0]


def _list(datas: Any) -> list[Any]:
    if isinstance(datas, list):
        return datas
    raise MalformedMessage(f"a list was expected, not {type(datas).__name__}")


def _pairs(datas: Any) -> list[list[bytes]]:
    """The pairs, checked by loops that run in C: a large range passes here."""
    pairs = _list(datas)
    lists = set(map(type, pairs)) <= {list} and set(map(len, pairs)) <= {2}
    if lists and set(map(type, chain.from_iterable(pairs))) <= {bytes}:
        return pairs
    raise MalformedMessage("the answer holds something else than pairs of strings")


_READERS: Final[Mapping[Shape, Callable[[Any], Any]]] = {
    Shape.NOTHING: lambda _: None,
    Shape.SCALAR: _scalar,
    Shape.LIST: _list,
    Shape.PAIRS: _pairs,
    Shape.OPAQUE: lambda datas: datas,
}


def _message(header: dict[Any, Any]) -> str:
    message = header.get(b"err_msg")
    return text(message) if isinstance(message, bytes) else ""


def _features(header: dict[Any, Any]) -> tuple[str, ...]:
    features = header.get(b"features")
    return tuple([text(f) for f in features if isinstance(f, bytes)]) if isinstance(features, list) else ()
