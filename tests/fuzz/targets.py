"""What the fuzzers run: any bytes give a value, MalformedMessage or LimitExceeded, and what decodes survives a round trip.

Nothing here needs a fuzzer; a target takes bytes, and raises AssertionError, or whatever a codec must not raise.
"""

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Final, TypeAlias

from attrs import evolve

from pyelevator.codec import ClassicCodec, Codec, FlatCodec, Limits, UnsupportedByDialect
from pyelevator.commands import COMMANDS, DbConnect, Exists, Get, MGet, Ping, Pipeline, Put, Range, Slice, Unknown
from pyelevator.errors import ErrorCode, LimitExceeded, MalformedMessage
from pyelevator.messages import Request, Response, Status
from pyelevator.transports.zmtp.frames import encode_command, encode_message, frame_header_v1
from pyelevator.transports.zmtp.handshake import SIGNATURE
from pyelevator.transports.zmtp.mechanism import HandshakeRefused, encode_ready
from pyelevator.transports.zmtp.protocol import Protocol, Role
from vectors.record_curve import SESSIONS, connection

LIMITS: Final = Limits(frame_bytes=1 << 16, content_bytes=1 << 16, elements=1 << 12, depth=8)
CLASSIC: Final = ClassicCodec(LIMITS)
FLAT: Final = FlatCodec(LIMITS)
VECTORS: Final = Path(__file__).parents[1] / "vectors"

ASKED: Final = (
    *(Request(Get("k")), Request(Put("k", "v")), Request(Exists("k")), Request(MGet(["k", "l"])), Request(Ping())),
    *(Request(Range()), Request(Slice(None, 2)), Request(Range(include_key=False)), Request(DbConnect("d"))),
    *(Request(Unknown("FOO", [])), Request(Get("k"), id=7, compression=True)),
    Request(Pipeline([Get("k"), Put("k", "v"), Exists("k"), MGet(["k"]), Range()])),
)
"""What a reply may answer; the first byte of a reply's input chooses."""

Target: TypeAlias = Callable[[bytes], None]


def same(one: Any, other: Any) -> bool:
    """Equal, where NaN equals itself."""
    return bool(one == other) or repr(one) == repr(other)


def _request(codec: Codec, data: bytes, left: Callable[[Request[Any]], Request[Any]] = lambda request: request) -> None:
    try:
        request = codec.decode_request([data])
    except (MalformedMessage, LimitExceeded):
        return
    try:
        frames = codec.encode_request(request)
    except UnsupportedByDialect:
        return
    again = codec.decode_request(frames)
    assert same(again, left(request)), f"{again} is not {request}"


def classic_request(data: bytes) -> None:
    """The bytes are a request."""
    _request(CLASSIC, data)


def flat_request(data: bytes) -> None:
    """The bytes are a request."""
    _request(FLAT, data, in_flat)


def in_flat(request: Request[Any]) -> Request[Any]:
    """What is left of a request in a dialect that writes the DB commands without a uid, and an open start as ""."""
    command = request.command
    if isinstance(command, (Range, Slice)) and command.start is None:
        return evolve(request, command=evolve(command, start=b""))
    return evolve(request, uid=None) if command.verb in COMMANDS and command.verb.startswith("DB") else request


def _response(codec: Codec, frames: Sequence[bytes], request: Request[Any]) -> tuple[Response, Response] | None:
    """The response that the frames hold, and what is left of it after a round trip."""
    try:
        response = codec.decode_response(frames, request)
        codec.reply_id(frames)
    except (MalformedMessage, LimitExceeded):
        return None
    return response, codec.decode_response(codec.encode_response(response, request), request)


def classic_response(data: bytes) -> None:
    """The bytes are a choice of what was asked, the length of the header, the header and the content."""
    asked, length = ASKED[data[0] % len(ASKED)] if data else ASKED[0], int.from_bytes(data[1:3], "big")
    both = _response(CLASSIC, [data[3 : 3 + length], data[3 + length :]], asked)
    assert both is None or same(*both), both


def flat_response(data: bytes) -> None:
    """The bytes are a choice of what was asked, and the reply."""
    asked = ASKED[data[0] % len(ASKED)] if data else ASKED[0]
    both = _response(FLAT, [data[1:]], asked)
    assert both is None or same(reported_in_flat(both[0], asked), both[1]), both


def reported_in_flat(response: Response, request: Request[Any]) -> Response:
    """What is left of a response in a dialect without words for a missing value and for warnings."""
    if response.code is ErrorCode.KEY and isinstance(request.command, Get):
        return Response(b"")
    if response.code is not None:
        return response
    payload = response.payload
    if isinstance(payload, list) and not isinstance(request.command, Unknown):
        payload = [b"" if item is None else item for item in payload]
    return evolve(response, payload=payload, status=Status.SUCCESS)


def zmtp_peer(data: bytes) -> None:
    """The bytes are the size of the chunks, and what a server sends on a new connection; chunks make no difference."""
    _chunks_make_no_difference(data, lambda: Protocol(Role.CLIENT, max_message=LIMITS.frame_bytes))


def zmtp_client(data: bytes) -> None:
    """Likewise, what a client sends."""
    _chunks_make_no_difference(data, lambda: Protocol(Role.SERVER, max_message=LIMITS.frame_bytes))


def curve_peer(data: bytes) -> None:
    """The same as zmtp_peer with keys, where nothing of ours is random."""
    _chunks_make_no_difference(data, lambda: connection(Role.CLIENT, LIMITS.frame_bytes))


def curve_client(data: bytes) -> None:
    """Likewise, what a client sends."""
    _chunks_make_no_difference(data, lambda: connection(Role.SERVER, LIMITS.frame_bytes))


def _chunks_make_no_difference(data: bytes, kind: Callable[[], Protocol]) -> None:
    size, sent = data[0] + 1 if data else 1, data[1:]
    complete = _heard([sent], kind())
    chunks = _heard([sent[at : at + size] for at in range(0, len(sent), size)], kind())
    assert complete == chunks, f"{complete} is not {chunks}"


def _heard(chunks: Sequence[bytes], protocol: Protocol) -> tuple[list[list[bytes]], bytes, str]:
    """The messages, what is sent back, and how it ended."""
    try:
        for chunk in chunks:
            protocol.receive_data(chunk)
    except (MalformedMessage, LimitExceeded, HandshakeRefused) as error:
        return list(protocol.messages), b"", type(error).__name__
    return list(protocol.messages), protocol.data_to_send(), ""


TARGETS: Final[Mapping[str, Target]] = {
    "classic_request": classic_request,
    "classic_response": classic_response,
    "flat_request": flat_request,
    "flat_response": flat_response,
    "zmtp_peer": zmtp_peer,
    "zmtp_client": zmtp_client,
    "curve_peer": curve_peer,
    "curve_client": curve_client,
}
"""Name -> target."""


def seeds(target: str) -> Iterator[bytes]:
    """The recorded messages as inputs of a target."""
    dialect, _, kind = target.partition("_")
    if dialect == "curve":
        yield from _recorded({"peer": "libzmq's server", "client": "libzmq's client"}[kind])
        return
    dialect = "classic" if dialect == "zmtp" else dialect
    for line in (VECTORS / f"{dialect}.jsonl").read_text().splitlines():
        row = json.loads(line)
        for frames in [row["request"]] if kind == "request" else row["replies"]:
            yield from _INPUTS[target]([bytes.fromhex(frame) for frame in frames])


def _recorded(side: str) -> Iterator[bytes]:
    """What libzmq sent in its sessions with us."""
    for session in json.loads(SESSIONS.read_text())[side]:
        steps = [*session["theirs"], session["then"]]
        for end in range(1, len(steps) + 1):
            sent = bytes.fromhex("".join(steps[:end]))
            yield from (bytes([size]) + sent for size in range(0, 256, 10))


def _classic_replies(frames: Sequence[bytes]) -> Iterator[bytes]:
    head = b"".join((len(frames[0]).to_bytes(2, "big"), *frames))
    return (bytes([choice]) + head for choice in range(len(ASKED)))


def _flat_replies(frames: Sequence[bytes]) -> Iterator[bytes]:
    return (bytes([choice]) + frames[0] for choice in range(len(ASKED)))


_GREETING: Final = SIGNATURE + b"\x03\x01" + b"NULL".ljust(20, b"\0") + bytes(32)
_PING: Final = encode_command(b"PING", b"\x00\x0acontext")


def _zmtp_peers(frames: Sequence[bytes]) -> Iterator[bytes]:
    return _sized(_GREETING + encode_ready(b"ROUTER") + b"".join(encode_message(frames)) + _PING)


def _zmtp_clients(frames: Sequence[bytes]) -> Iterator[bytes]:
    message = b"".join(encode_message(frames))
    yield from _sized(_GREETING + encode_ready(b"DEALER") + message + _PING)
    yield from _sized(SIGNATURE + b"\x01\x05\x00\x00" + message)
    yield from _sized(b"\x01\x00" + b"".join(encode_message(frames, frame_header_v1)))


def _sized(sent: bytes) -> Iterator[bytes]:
    return (bytes([size]) + sent for size in (0, 9, 255))


_INPUTS: Final[Mapping[str, Callable[[Sequence[bytes]], Iterator[bytes]]]] = {
    "classic_request": iter,
    "classic_response": _classic_replies,
    "flat_request": iter,
    "flat_response": _flat_replies,
    "zmtp_peer": _zmtp_peers,
    "zmtp_client": _zmtp_clients,
}
"""Target -> the inputs that the frames of one recorded message make."""
