"""What holds for every command and response, and for any bytes whatever."""

from contextlib import suppress

import msgpack
import pytest
from attrs import evolve
from hypothesis import given, settings, strategies as st

from pyelevator.codec import ClassicCodec, FlatCodec, Limits, UnsupportedByDialect, codec_for, dialect_of
from pyelevator.commands import COMMANDS, Get, MGet, Ping, Range, Slice, Unknown
from pyelevator.errors import ErrorCode, LimitExceeded, MalformedMessage
from pyelevator.messages import Request, Response, Status
from pyelevator.testing.strategies import commands, keys, requests, responses_to

DIALECTS = pytest.mark.parametrize("dialect", ["classic", "flat"])
SOME_REQUESTS: list[Request] = [Request(Get("k")), Request(MGet(["k", "l"])), Request(Range()), Request(Ping())]
SOME_REQUESTS += [Request(Range(include_key=False)), Request(Slice(None, 2)), Request(Unknown("FOO", []))]

plain = (
    st.none() | st.booleans() | st.integers(-(2**63), 2**64 - 1) | st.floats(allow_nan=False) | st.binary(max_size=8)
)
nested = st.recursive(
    plain, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(keys(), inner, max_size=3), max_leaves=6
)
words = st.sampled_from([b"cmd", b"meta", b"args", b"uid", b"status", b"err_code", b"datas", b"compression", b"id"])
odd = st.builds(msgpack.ExtType, st.integers(0, 127), st.binary(max_size=4)) | st.builds(msgpack.Timestamp, st.just(7))
messages = st.recursive(
    plain | words | odd,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(words | st.integers(0, 9), inner, max_size=6),
    max_leaves=12,
).map(msgpack.packb)


def pass_request_on(codec, frames):
    request = codec.decode_request(frames)
    with suppress(UnsupportedByDialect):
        codec.encode_request(request)


def pass_response_on(codec, frames, request):
    codec.encode_response(codec.decode_response(frames, request), request)


def decode_every_way(frames):
    """Reads the frames in every way that a peer or a proxy may; none may end in anything but the two errors."""
    limits = Limits(frame_bytes=4096, content_bytes=4096, elements=64, depth=4)
    for codec in (ClassicCodec(limits), FlatCodec(limits)):
        with suppress(MalformedMessage, LimitExceeded):
            pass_request_on(codec, frames)
        with suppress(MalformedMessage, LimitExceeded):
            codec.reply_id(frames)
        for request in SOME_REQUESTS:
            with suppress(MalformedMessage, LimitExceeded):
                pass_response_on(codec, frames, request)


@DIALECTS
@given(data=st.data())
def test_a_request_survives_the_wire(dialect, data):
    codec, request = codec_for(dialect), data.draw(requests(dialect))
    frames = codec.encode_request(request)
    assert codec.decode_request(frames) == request
    assert dialect_of(frames) == dialect


@given(st.data())
def test_a_classic_response_survives_the_wire(data):
    codec, request = ClassicCodec(), data.draw(requests("classic"))
    response = data.draw(responses_to(request))
    frames = codec.encode_response(response, request)
    assert codec.decode_response(frames, request) == response
    assert codec.reply_id(frames) == request.id


def in_flat(response, request):
    """What is left of a response in a dialect without words for a missing value, warnings and features."""
    if response.code is ErrorCode.KEY and isinstance(request.command, Get):
        return Response(b"")
    if response.code is not None:
        return response
    payload = response.payload
    if isinstance(request.command, MGet):
        payload = [value or b"" for value in payload]
    return evolve(response, payload=payload, status=Status.SUCCESS, features=(), max_message=None)


@given(st.data())
def test_a_flat_response_survives_the_wire_as_far_as_the_dialect_goes(data):
    codec, request = FlatCodec(), data.draw(requests("flat"))
    response = data.draw(responses_to(request))
    frames = codec.encode_response(response, request)
    assert codec.decode_response(frames, request) == in_flat(response, request)
    assert codec.reply_id(frames) is None


@DIALECTS
@given(data=st.data())
def test_a_command_takes_a_success_and_turns_a_failure_into_its_error(dialect, data):
    request = data.draw(requests(dialect))
    response = data.draw(responses_to(request))
    if response.code is None:
        request.command.result(response.payload)
    else:
        assert request.command.error(response.code, response.message).code is response.code


unknown_commands = st.builds(
    Unknown, st.text(max_size=8).filter(lambda verb: verb not in COMMANDS), st.lists(nested, max_size=3)
)


@DIALECTS
@given(command=unknown_commands, datas=st.lists(nested, max_size=3))
def test_an_unknown_verb_survives_the_wire_with_its_arguments(dialect, command, datas):
    codec, request = codec_for(dialect), Request(command, "u")
    assert codec.decode_request(codec.encode_request(request)) == request
    assert codec.decode_response(codec.encode_response(Response(datas), request), request) == Response(datas)


@given(st.lists(st.binary(max_size=64), max_size=3))
def test_any_frames_give_a_value_or_one_of_two_errors(frames):
    decode_every_way(frames)


@given(st.lists(messages, min_size=1, max_size=2))
def test_any_msgpack_gives_a_value_or_one_of_two_errors(frames):
    decode_every_way(frames)


@given(st.sampled_from([1, -1, -2]), st.booleans(), nested | odd)
def test_any_content_behind_a_sound_header_is_a_value_or_one_of_two_errors(status, compression, datas):
    header = {"status": status, "err_msg": None, "compression": compression, "err_code": None}
    decode_every_way([msgpack.packb(header), msgpack.packb({"datas": datas})])
    decode_every_way([msgpack.packb([status, 0, "", datas])])


NUMBERS = st.integers(0, 2**16)
DAMAGES = st.lists(st.tuples(NUMBERS, NUMBERS, st.integers(0, 2), st.binary(max_size=2)), min_size=1, max_size=3)


@settings(max_examples=300)
@given(NUMBERS, NUMBERS, DAMAGES)
def test_a_damaged_recording_gives_a_value_or_one_of_two_errors(
    classic_lines, flat_lines, of_lines, of_messages, damages
):
    lines = [*classic_lines.values(), *flat_lines.values()]
    line = lines[of_lines % len(lines)]
    messages = [line.request, *line.replies]
    frames = [bytearray(frame) for frame in messages[of_messages % len(messages)]]
    for of_frames, of_bytes, length, new in damages:
        frame = frames[of_frames % len(frames)]
        at = of_bytes % (len(frame) + 1)
        frame[at : at + length] = new
    decode_every_way([bytes(frame) for frame in frames])


@given(commands("flat"))
def test_what_flat_can_say_classic_can_say_too(command):
    codec = ClassicCodec()
    assert codec.decode_request(codec.encode_request(Request(command))).command == command
