"""The classic dialect: the Python 2 server and client, 0.5 (source: PROTOCOL, recordings in tests/vectors)."""

import math
import reprlib
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from itertools import chain, groupby
from typing import Any, Final

from attrs import frozen

from pyelevator.codec import lz4
from pyelevator.codec.base import (
    Codec,
    Frames,
    Reply,
    check_plain,
    check_size,
    error_code,
    pack,
    pack_pieces,
    plain,
    refused,
    reply_status,
    scalar,
    strings,
    text,
    unknown,
    unpack,
)
from pyelevator.commands import COMMANDS, PIPELINED, Command, Range, Shape, Unknown
from pyelevator.errors import ErrorCode, MalformedMessage, ProtocolError, UsageError
from pyelevator.messages import Request, Response, Sealed, Status


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


def _write_pipeline(pipeline: Any) -> tuple[list[Any]]:
    """Commands of one kind next to one another as a run: ``[verb, extras, [args, ...]]``."""
    runs = []
    for (verb, extras), run in groupby(pipeline.commands, _run_of):
        runs.append((verb, dict(extras), list(map(ARGS[verb].write, run))))
    return (runs,)


def _run_of(command: Command[Any]) -> tuple[str, tuple[Any, ...]]:
    return command.verb, tuple(_extras(command).items()) if command.extras else ()


def _read_pipeline(args: list[Any]) -> list[Any]:
    if not isinstance(args[0], list):
        raise MalformedMessage(f"PIPELINE takes an array, not {type(args[0]).__name__}", code=ErrorCode.TYPE)
    return [list(chain.from_iterable(map(_read_run, args[0])))]


def _read_run(run: Any) -> Sequence[Command[Any]]:
    if not isinstance(run, list) or len(run) != 3 or not isinstance(run[1], dict) or not isinstance(run[2], list):
        raise MalformedMessage("a pipeline consists of runs, [verb, extras, [args, ...]]", code=ErrorCode.TYPE)
    verb, extras, calls = run
    kind, layout = _KNOWN.get(verb, (Unknown, None)) if type(verb) is bytes else (Unknown, None)
    if layout is None or not issubclass(kind, PIPELINED):
        raise MalformedMessage(f"a pipeline does not take {reprlib.repr(verb)}", code=ErrorCode.KEY)
    if not set(map(type, calls)) <= {list}:
        raise MalformedMessage("the args of a command in a pipeline are an array", code=ErrorCode.TYPE)
    return _build_all(kind, layout, calls, extras)


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
    "PIPELINE": Layout(_write_pipeline, 1, 1, _read_pipeline),
}
"""Verb -> layout."""

_KNOWN: Final = {verb.encode(): (COMMANDS[verb], layout) for verb, layout in ARGS.items()}


def _opening(verb: str) -> bytes:
    """What a request with the verb begins with, up to its meta."""
    return b"".join((b"\x84", pack("cmd"), pack(verb), pack("meta")))


_OPENINGS: Final = {verb: _opening(verb) for verb in ARGS}

_LARGE: Final = 64 << 10
"""Bytes of a value that is not copied once more than needed."""

_SUCCESS: Final = {"status": 1, "err_msg": None, "compression": False, "err_code": None}
_SUCCEEDED: Final = b"\x85" + pack(_SUCCESS)[1:] + pack("id")
"""The header of a success, but for the id at its end. What is the same in every message is packed once."""

_UNASKED: Final = pack({"compression": False})
_NUMBERED: Final = b"\x82" + _UNASKED[1:] + pack("id")
_UID: Final = pack("uid")
_ARGS: Final = pack("args")


class ClassicCodec(Codec):
    """One frame per request, two per reply; the default dialect.

    >>> from pyelevator.commands import Ping
    >>> ClassicCodec().decode_request(ClassicCodec().encode_request(Request(Ping(), id=7)))
    Request(command=Ping(), uid=None, id=7, compression=False, peer=None)
    """

    name = "classic"

    def encode_request(self, request: Request[Any]) -> list[bytes]:
        command = request.command
        verb = command.verb
        if request.compression:
            lz4.require()
        layout = ARGS.get(verb)
        args = layout.write(command) if layout else command.args  # type: ignore[attr-defined]
        opening = _OPENINGS.get(verb) or _opening(verb)
        return [b"".join((opening, _meta(request), _UID, pack(request.uid), _ARGS, pack(args)))]

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
            uid = message.get(b"uid")
            if uid is not None:
                uid = _uid(uid)
        except ProtocolError as error:
            error.request_id = request_id
            raise
        return Request(command, uid, request_id, meta.get(b"compression") is True)

    def _command(self, message: dict[Any, Any], meta: dict[Any, Any]) -> Command[Any]:
        if b"cmd" not in message:
            raise MalformedMessage("Invalid request message : it has no cmd")
        verb, args = message[b"cmd"], message.get(b"args") or []
        if type(args) is not list:
            raise MalformedMessage(f"Invalid request message : args must be an array, not {type(args).__name__}")
        known = _KNOWN.get(verb) if type(verb) is bytes else None
        return unknown(verb, args, self.limits) if known is None else _build(*known, args, meta)

    def encode_response(self, response: Response, request: Request[Any] | None) -> list[bytes]:
        if response.code is not None:
            return [pack(_header(response, compression=False)), pack({"datas": None})]
        shape = request.command.shape if request else Shape.NOTHING
        content = _written(response.payload, shape)
        page = _page(response, request.command) if request and shape is Shape.PAIRS else None
        if request and request.compression and lz4.available():
            return [pack(_header(response, compression=True, page=page)), lz4.compress(content)]
        if page is None and _is_plain(response):
            return [_SUCCEEDED + pack(response.id), content]
        return [pack(_header(response, compression=False, page=page)), content]

    def open_reply(self, frames: Frames) -> Reply:
        if len(frames) != 2:
            raise MalformedMessage(f"a reply is a header and a content frame, not {len(frames)} frames")
        frame, content = frames
        if frame.startswith(_SUCCEEDED):  # nearly every one
            reply_id = unpack(frame[len(_SUCCEEDED) :], self.limits)
            if type(reply_id) is int and reply_id >= 0:
                return Reply(reply_id, partial(self._success, reply_id, content))
        header = unpack(frame, self.limits)
        if not isinstance(header, dict):
            raise MalformedMessage(f"the header of a reply is a map, not {type(header).__name__}")
        return Reply(_id(header), partial(self._response, header, _id(header), content))

    def _success(self, reply_id: int, content: bytes, request: Request[Any]) -> Response:
        return Response(self._payload(unpack(content, self.limits), request.command), id=reply_id)

    def _response(
        self, header: dict[Any, Any], reply_id: int | None, content: bytes, request: Request[Any]
    ) -> Response:
        status = reply_status(header.get(b"status"))
        if status is Status.FAILURE:
            return Response.failure(error_code(header.get(b"err_code")), _message(header), reply_id)
        if b"page" in header and getattr(request.command, "sealed", False):
            payload: Any = self._sealed(header, content)
        else:
            payload = self._payload(self._content(content, header), request.command)
        features = _features(header[b"features"]) if b"features" in header else ()
        return Response(payload, status, None, "", reply_id, header.get(b"more") is True, features, _cursor(header))

    def _content(self, frame: bytes, header: dict[Any, Any], *, texts: bool = False) -> Any:
        """The content; by the header's word, as failures are never compressed, and old servers may echo a ``yes``."""
        if header.get(b"compression") is not True:
            return unpack(frame, self.limits, texts=texts)
        check_size(len(frame), self.limits.frame_bytes)
        return unpack(lz4.decompress(frame, self.limits), self.limits, self.limits.content_bytes, texts=texts)

    def _sealed(self, header: dict[Any, Any], content: bytes) -> Sealed:
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
        pairs = _pairs(found.get("datas" if texts else b"datas"), str if texts else bytes)
        if len(pairs) != count or pairs[-1][0] != (text(last) if texts else last):
            raise MalformedMessage("the answer holds another page than its header says")
        return pairs

    def _payload(self, content: Any, command: Command[Any]) -> Any:
        if type(content) is not dict:
            raise MalformedMessage(f"the content of a reply is a map, not {type(content).__name__}")
        datas = content.get(b"datas")
        shape = command.shape
        if shape is Shape.OPAQUE:
            check_plain(datas, self.limits)
        return _answers(datas, command) if shape is Shape.ANSWERS else _READERS[shape](datas)


def _build(kind: type[Command[Any]], layout: Layout, args: list[Any], meta: dict[Any, Any]) -> Command[Any]:
    """The command that a peer's arguments make."""
    _check_count(kind, layout, len(args))
    try:
        return kind(*layout.read(args), **_told(kind, meta)) if kind.extras else kind(*layout.read(args))
    except UsageError as error:
        raise refused(kind.verb, error) from error


def _build_all(
    kind: type[Command[Any]], layout: Layout, calls: list[list[Any]], meta: dict[Any, Any]
) -> list[Command[Any]]:
    """The commands of one kind that a peer's arguments, one after the other, make."""
    for count in set(map(len, calls)):
        _check_count(kind, layout, count)
    extras, read = _told(kind, meta), layout.read
    try:
        return [kind(*read(args), **extras) for args in calls]
    except UsageError as error:
        raise refused(kind.verb, error) from error


def _check_count(kind: type[Command[Any]], layout: Layout, count: int) -> None:
    if not layout.least <= count <= layout.most:
        raise MalformedMessage(f"{kind.verb} does not take {count} arguments", code=ErrorCode.VALUE)


def _told(kind: type[Command[Any]], meta: dict[Any, Any]) -> dict[str, Any]:
    """The extras of a command that a peer has given."""
    return {name: meta[name.encode()] for name in kind.extras if name.encode() in meta} if kind.extras else {}


def _extras(command: Command[Any]) -> dict[str, Any]:
    """The extras that are not at their defaults: every one is off by default."""
    values = {extra: getattr(command, extra) for extra in command.extras}
    return {extra: value for extra, value in values.items() if value is not None and value is not False}


def _meta(request: Request[Any]) -> bytes:
    command = request.command
    if not request.compression and not command.extras:
        return _UNASKED if request.id is None else _NUMBERED + pack(request.id)
    meta: dict[str, Any] = {"compression": request.compression}
    if request.id is not None:
        meta["id"] = request.id
    meta.update(_extras(command))
    return pack(meta)


def _id(fields: dict[Any, Any]) -> int | None:
    value = fields.get(b"id")
    return value if type(value) is int and 0 <= value < 1 << 64 else None


def _uid(uid: Any) -> str:
    if isinstance(uid, bytes):
        return text(uid)
    raise MalformedMessage(f"Invalid request message : uid must be a string, not {type(uid).__name__}")


def _is_plain(response: Response) -> bool:
    """Whether there is nothing to say but that it is one of success, and the id."""
    return (
        response.id is not None
        and response.status is Status.SUCCESS
        and not response.more
        and response.cursor is None
        and not response.features
    )


def _page(response: Response, command: Any) -> tuple[int, bytes] | None:
    """How many pairs a page has, and its last key, if there may be more behind it: the client can ask for the next page
    before it unpacks this one."""
    pairs, whole = response.payload, getattr(command, "count", math.inf)
    if command.max_bytes is None or not pairs or not (response.more or len(pairs) >= whole):
        return None
    return len(pairs), pairs[-1][0]


def _header(response: Response, *, compression: bool, page: tuple[int, bytes] | None = None) -> dict[str, Any]:
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
    if page is not None:
        header["page"] = page
    if response.features:
        header["features"] = response.features
    return header


def _entry(outcome: Any) -> Any:
    """An answer within an answer: the datas of a plain success, or a map of header and datas together."""
    if not isinstance(outcome, Response):
        return outcome
    if outcome.code is not None:
        return {"status": -1, "err_code": int(outcome.code), "err_msg": outcome.message}
    if outcome.status is Status.SUCCESS and not outcome.more and outcome.cursor is None:
        return outcome.payload
    said = {"status": int(outcome.status), "datas": outcome.payload, "more": outcome.more}
    return said if outcome.cursor is None else {**said, "cursor": outcome.cursor}


def _answers(datas: Any, pipeline: Any) -> list[Any]:
    """What became of each command of a pipeline."""
    entries, commands = _list(datas), pipeline.commands
    if len(entries) != len(commands):
        raise MalformedMessage(f"the answer to {len(commands)} pipelined commands holds {len(entries)}")
    if set(map(type, entries)) <= _SIMPLE:
        return entries
    return [_outcome(entry, command.shape) for entry, command in zip(entries, commands, strict=True)]


_SIMPLE: Final = frozenset({bytes, bool, type(None)})


def _outcome(entry: Any, shape: Shape) -> Any:
    if type(entry) is not dict:
        return _PLAIN[shape](entry)
    status = reply_status(entry.get(b"status"))
    if status is Status.FAILURE:
        return Response.failure(error_code(entry.get(b"err_code")), _message(entry))
    more, cursor = entry.get(b"more") is True, _cursor(entry)
    return Response(_PLAIN[shape](entry.get(b"datas")), status, more=more, cursor=cursor)


def _written(payload: Any, shape: Shape) -> bytes:
    """The content frame. Scalars are wrapped in a list, but for false, which the old server leaves bare."""
    if shape is Shape.SCALAR:
        datas: Any = payload if payload is False else [payload]
        large = type(payload) is bytes and len(payload) >= _LARGE
    else:
        datas, large = list(map(_entry, payload)) if shape is Shape.ANSWERS else payload, isinstance(payload, list)
    return pack_pieces(datas, "datas") if large else pack({"datas": datas})


def _scalar(datas: Any) -> bytes | bool | None:
    return plain(datas) if type(datas) is not list else scalar(datas)


def _list(datas: Any) -> list[Any]:
    if isinstance(datas, list):
        return datas
    raise MalformedMessage(f"a list was expected, not {type(datas).__name__}")


def _pairs(datas: Any, kind: type = bytes) -> list[list[Any]]:
    pairs = _list(datas)
    if set(map(type, pairs)) <= {list} and _all_pairs(pairs, kind):
        return pairs
    raise MalformedMessage("the answer holds something else than pairs of strings")


def _all_pairs(rows: list[list[Any]], kind: type) -> bool:
    """Whether each row is two strings. A large range passes here, and chains of iterators take twice the time."""
    try:
        for key, value in rows:
            if type(key) is not kind or type(value) is not kind:
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


_PLAIN: Final[Mapping[Shape, Callable[[Any], Any]]] = {**_READERS, Shape.SCALAR: plain}
"""Shape -> what reads it within the answer to a pipeline, where scalars are not wrapped."""


def _cursor(header: dict[Any, Any]) -> bytes | None:
    cursor = header.get(b"cursor")
    return cursor if isinstance(cursor, bytes) else None


def _message(header: dict[Any, Any]) -> str:
    message = header.get(b"err_msg")
    return text(message) if isinstance(message, bytes) else ""


def _features(features: Any) -> tuple[str, ...]:
    return tuple([text(f) for f in features if isinstance(f, bytes)]) if isinstance(features, list) else ()
