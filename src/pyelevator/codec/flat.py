"""The flat dialect: the Go rewrite, 0.7 (docs/protocol.md; recordings in tests/vectors)."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import partial
from itertools import chain
from typing import Any, Final

from attrs import frozen

from pyelevator import commands
from pyelevator.arguments.batches import CheckedSequence
from pyelevator.arguments.data import kind_of
from pyelevator.codec.base import Codec, Frames, Reply, UnsupportedByDialect
from pyelevator.codec.elements import packed_elements
from pyelevator.codec.limits import Limits
from pyelevator.codec.outline import flat_message, flat_outline
from pyelevator.codec.packing import RAW, pack, pack_array, unpack
from pyelevator.codec.values import (
    adjacent_pairs,
    check_portable,
    error_code,
    malformed_arguments,
    reason,
    reply_status,
    scalar,
    string_list,
    text,
    unknown_command,
)
from pyelevator.codec.weight import LIGHT
from pyelevator.commands import COMMANDS, DELETE, PUT, BadSignal, Command, Get, PayloadKind, Range, Slice
from pyelevator.errors import ErrorCode, MalformedMessage, UsageError
from pyelevator.messages import Request, Response, Status

_PUT: Final = b"BPUT"
_DELETE: Final = b"BDEL"

UNSUPPORTED_FLAGS: Final = ("sync", "reverse", "exclusive", "cursor")
"""Extras that mean something else if they are not understood; the others are hints, and are left out."""

_MANY_OF: Final = {"BATCH": "ops", "MGET": "keys"}
"""Verb -> what there may be very many of."""

_LARGE_REPLY: Final = 16
"""Elements of a reply from which on it may be large."""


@frozen
class FlatArguments:
    """The encoder and decoder of a verb's arguments.

    ``encode`` is None where the verb would kill a worker of an old server, ``decode`` where the dialect has no such
    verb.
    """

    encode: Callable[[Any], Iterable[Any]] | None
    min_args: int
    decode: Callable[[Sequence[object]], Sequence[object]] | None


def _take(count: int) -> Callable[[Sequence[object]], Sequence[object]]:
    """Make a decoder of the first ``count`` arguments: the old server ignores what follows (recording GET.extra)."""
    return lambda args: args[:count]


def _encode_range(command: Range) -> tuple[bytes, bytes]:
    _reject_parts(command, command.prefix is not None)
    if command.stop is None:
        raise UnsupportedByDialect("the flat dialect has no RANGE with an open end")
    return command.start or b"", command.stop


def _encode_slice(command: Slice) -> tuple[bytes, str]:
    _reject_parts(command, False)
    return command.start or b"", str(command.count)


def _reject_parts(command: Range | Slice, prefix: bool) -> None:
    if prefix or not (command.include_key and command.include_value):
        raise UnsupportedByDialect("the flat dialect has no include_key, include_value or prefix")


def _encode_create(command: commands.DbCreate) -> tuple[str]:
    if command.options:
        raise UnsupportedByDialect("the flat dialect creates databases without options; use dialect='classic'")
    return (command.name,)


def _encode_ops(command: commands.Batch) -> Iterator[bytes]:
    for op in command.ops:
        if _PUT in op or _DELETE in op:
            raise UnsupportedByDialect("a key or value of b'BPUT' or b'BDEL' cannot be told from a signal in flat")
        yield _PUT if op[0] == PUT else _DELETE
        yield from op[1:]


def _decode_ops(args: Sequence[object]) -> tuple[Sequence[object]]:
    ops = _ops(iter(args))
    return (packed_elements(ops) if isinstance(args, CheckedSequence) else list(ops),)


def _ops(args: Iterator[Any]) -> Iterator[Any]:
    for signal in args:
        if signal not in (_PUT, _DELETE):
            raise MalformedMessage(str(BadSignal(signal)), code=ErrorCode.SIGNAL)
        try:
            op = (PUT, next(args), next(args)) if signal == _PUT else (DELETE, next(args))
        except StopIteration:
            raise MalformedMessage("the batch ends within an operation", code=ErrorCode.VALUE) from None
        yield op


def _decode_slice(args: Sequence[Any]) -> tuple[Any, int]:
    try:
        return args[0], int(text(args[1]))
    except (ValueError, AttributeError) as error:
        raise MalformedMessage("the count of a SLICE is a decimal string", code=ErrorCode.VALUE) from error


ARGUMENTS: Final[Mapping[str, FlatArguments]] = {
    **dict.fromkeys(("GET", "DELETE"), FlatArguments(lambda c: (c.key,), 1, _take(1))),
    "PUT": FlatArguments(lambda c: (c.key, c.value), 2, _take(2)),
    "EXISTS": FlatArguments(None, 1, _take(1)),
    "MGET": FlatArguments(lambda c: c.keys, 0, lambda args: (args,)),
    "RANGE": FlatArguments(_encode_range, 2, _take(2)),
    "SLICE": FlatArguments(_encode_slice, 2, _decode_slice),
    "BATCH": FlatArguments(_encode_ops, 0, _decode_ops),
    **dict.fromkeys(("DBCONNECT", "DBMOUNT", "DBUMOUNT", "DBDROP"), FlatArguments(lambda c: (c.name,), 1, _take(1))),
    "DBCREATE": FlatArguments(_encode_create, 1, _take(1)),
    "DBFORGET": FlatArguments(None, 1, _take(1)),
    "DBLIST": FlatArguments(lambda _: (), 0, _take(0)),
    **dict.fromkeys(("PING", "DBREPAIR", "STATS", "PROGRESS", "SLOWLOG"), FlatArguments(None, 0, _take(0))),
    "BACKUP": FlatArguments(None, 2, _take(2)),
    "COMPACT": FlatArguments(None, 0, _take(2)),
    "SIZES": FlatArguments(None, 0, lambda args: (args,)),
    **dict.fromkeys(
        ("PIPELINE", "SNAPSHOT", "COUNT", "DELETERANGE", "CONDITIONALBATCH", "INCREMENT", "GETANDDELETE"),
        FlatArguments(None, 0, None),
    ),
}
"""Verb -> spec. Our server reads all of them; a client sends only what the old server survives."""


class FlatCodec(Codec):
    """One frame each way, an array of strings; no ids, no compression.

    >>> FlatCodec().encode_request(Request(Get("k"), uid="u"))
    [b'\\x93\\xa1u\\xa3GET\\xa1k']
    """

    name = "flat"
    answered_twice = frozenset({"MGET", "RANGE", "SLICE"})
    tells_missing = False

    def encode_request(self, request: Request) -> list[bytes]:
        command = request.command
        spec = ARGUMENTS.get(command.verb)
        if spec is None:
            return [RAW.pack_passed_on([request.uid or "", command.verb, *command.args])]  # type: ignore[attr-defined]
        if spec.encode is None:
            raise UnsupportedByDialect(f"the flat dialect has no {command.verb}; connect with dialect='classic'")
        for flag in UNSUPPORTED_FLAGS:
            if getattr(command, flag, False):
                raise UnsupportedByDialect(f"the flat dialect has no {flag}=True; connect with dialect='classic'")
        uid = "" if command.verb.startswith("DB") else request.uid
        if isinstance(getattr(command, _MANY_OF.get(command.verb, ""), None), CheckedSequence):
            return [packed_elements(chain((uid or "", command.verb), spec.encode(command))).packed()]
        return [pack([uid or "", command.verb, *spec.encode(command)])]

    def decode_request(self, frames: Frames) -> Request:
        large = (
            flat_message(frames[0]) if len(frames) == 1 and LIGHT < len(frames[0]) <= self.limits.frame_bytes else None
        )
        uid, verb, args = large or self._parts(frames)
        return Request(self._command(verb, args), text(uid) or None)

    def _parts(self, frames: Frames) -> tuple[bytes, object, Sequence[object]]:
        message = _array(frames, None, self.limits)
        if len(message) < 2 or not isinstance(message[0], bytes):
            raise MalformedMessage("Invalid request message : uid, command and arguments were expected")
        return message[0], message[1], message[2:]

    def outline(self, frames: Frames) -> Request | None:
        return flat_outline(frames[0]) if len(frames) == 1 else None

    def _command(self, verb: object, args: Sequence[object]) -> Command:
        name = text(verb) if isinstance(verb, bytes) else ""
        spec = ARGUMENTS.get(name)
        if spec is None or spec.decode is None:
            return unknown_command(verb, args, self.limits)
        if len(args) < spec.min_args:
            raise MalformedMessage(f"{name} does not take {len(args)} arguments", code=ErrorCode.VALUE)
        try:
            return COMMANDS[name](*spec.decode(args))
        except UsageError as error:
            raise malformed_arguments(name, error) from error

    def encode_response(self, response: Response, request: Request | None) -> list[bytes]:
        if response.code is ErrorCode.KEY and request and isinstance(request.command, Get):
            return [pack([int(Status.SUCCESS), 0, "", ""])]  # how this dialect says that a key is missing
        if response.code is not None:
            return [pack([int(Status.FAILURE), int(response.code), response.message])]
        payload_kind = request.command.payload_kind if request else PayloadKind.EMPTY
        reply = [int(Status.SUCCESS), 0, "", *_ENCODERS[payload_kind](response.payload)]
        small = len(reply) < _LARGE_REPLY and payload_kind is not PayloadKind.RAW
        return [pack(reply) if small else pack_array(reply)]

    def open_reply(self, frames: Frames) -> Reply:
        return None, partial(self._response, frames)

    def _response(self, frames: Frames, request: Request) -> Response:
        message = _array(frames, request.command, self.limits)
        if len(message) < 3 or type(message[1]) is not int or type(message[2]) is not bytes:
            raise MalformedMessage("a reply is a status, a code, a message and data")
        status, code, message_text, *data = message
        if reply_status(status) is Status.FAILURE:
            return Response.failure(error_code(code), reason(message_text))
        if request.command.payload_kind is PayloadKind.RAW:
            check_portable(data, self.limits)
        payload = _DECODERS[request.command.payload_kind](data)
        request.command.check(payload)
        return Response(payload, reply_status(status))


def _array(frames: Frames, reply_to: Command | None, limits: Limits) -> list[Any]:
    what = "request" if reply_to is None else "reply"
    if len(frames) != 1:
        raise MalformedMessage(f"a {what} is one frame, not {len(frames)}")
    message = unpack(frames[0], limits, reply_to=reply_to)
    if isinstance(message, list):
        return message
    raise MalformedMessage(f"Invalid {what} message : an array was expected, not {kind_of(message)}")


def _pairs(data: list[object]) -> list[list[object]]:
    return adjacent_pairs(data, bytes, "the answer holds something else than keys and values")


def _no_pipeline(_: Any) -> Any:
    raise MalformedMessage("the flat dialect has no PIPELINE, and no answers to it")


_ENCODERS: Final[Mapping[PayloadKind, Callable[[Any], Iterable[Any]]]] = {
    PayloadKind.EMPTY: lambda _: (),
    PayloadKind.SCALAR: lambda payload: (payload,),
    PayloadKind.LIST: lambda payload: ["" if item is None else item for item in payload],
    PayloadKind.PAIRS: lambda payload: (item for pair in payload for item in pair),
    PayloadKind.RESPONSES: _no_pipeline,
    PayloadKind.RAW: lambda payload: payload if isinstance(payload, list) else (),
}

_DECODERS: Final[Mapping[PayloadKind, Callable[[list[object]], object]]] = {
    PayloadKind.EMPTY: lambda _: None,
    PayloadKind.SCALAR: scalar,
    PayloadKind.LIST: string_list,
    PayloadKind.PAIRS: _pairs,
    PayloadKind.RESPONSES: _no_pipeline,
    PayloadKind.RAW: lambda data: data,
}
