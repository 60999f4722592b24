"""Short messages are read and written byte for byte as without the extension, and refused with the same errors."""

import socket
from collections import deque
from contextlib import ExitStack, suppress
from time import monotonic
from typing import Any

import pytest
from hypothesis import example, given, settings, strategies as st
from pyelevator_native import messages

from pyelevator import Elevator
from pyelevator.application import Application
from pyelevator.codec import ClassicCodec, Limits
from pyelevator.codec.classic.fast_path import NativeClassicCodec, classic_codec
from pyelevator.commands import (
    DELETE,
    MISSING,
    PUT,
    Batch,
    Count,
    Delete,
    Exists,
    Get,
    GetAndDelete,
    Increment,
    MGet,
    Ping,
    Pipeline,
    Put,
    Range,
    Slice,
    put_if,
)
from pyelevator.errors import ErrorCode, ProtocolError
from pyelevator.messages import Request, Response
from pyelevator.server import Server
from pyelevator.transports.zmtp.frames import encode_message
from support.protocols import established

STRINGS = st.binary(max_size=40) | st.sampled_from(
    [b"k" * length for length in (31, 32, 255, 256, 1000, 65_535, 65_536)]
)
UIDS = st.none() | st.text(max_size=20) | st.sampled_from(["a" * 31, "a" * 32, "caf\xe9", "\udcff", "1@2"])
IDS = st.integers(0, 2**64 - 1) | st.sampled_from([0, 127, 128, 255, 256, 65_535, 65_536, 2**32 - 1, 2**32])
OPS = st.tuples(st.just(PUT), STRINGS, STRINGS) | st.tuples(st.just(DELETE), STRINGS)
COMMANDS = st.one_of(
    *(st.builds(kind, STRINGS) for kind in (Get, Exists, Delete, GetAndDelete)),
    st.builds(Put, STRINGS, STRINGS, st.booleans()),
    st.builds(MGet, st.lists(STRINGS, min_size=1, max_size=3)),
    st.builds(MGet, st.lists(st.just(b"key"), min_size=14, max_size=20)),
    st.builds(Batch, st.lists(OPS, max_size=3), st.booleans()),
    st.builds(Batch, OPS.flatmap(lambda op: st.sampled_from([[op] * 15, [op] * 16, [list(op)] * 17]))),
    st.builds(Range, st.none() | STRINGS, STRINGS),
    st.builds(Increment, STRINGS, st.integers(-5, 5)),
    st.just(Ping()),
)
PIPELINES = st.builds(
    Pipeline,
    st.lists(
        st.one_of(
            *(st.builds(kind, STRINGS) for kind in (Get, Exists, Delete, GetAndDelete)),
            st.builds(Put, STRINGS, STRINGS, st.booleans()),
            st.builds(MGet, st.lists(STRINGS, min_size=1, max_size=3), st.booleans()),
            st.builds(Batch, st.lists(OPS, max_size=3), st.booleans()),
            st.builds(Range, st.none() | STRINGS, STRINGS, st.booleans()),
            st.builds(Slice, STRINGS, st.sampled_from([0, 127, 128])),
            st.builds(Count, st.none() | STRINGS, st.none() | STRINGS),
            st.builds(Increment, STRINGS, st.integers(-5, 5)),
            st.just(put_if(b"k", MISSING, b"v", False)),
        ),
        max_size=5,
    ),
)
PAYLOADS = st.none() | st.booleans() | STRINGS | st.lists(STRINGS, max_size=2)
LIMITS = st.sampled_from([None, Limits(frame_bytes=64), Limits(elements=8)])


def codecs(limits=None):
    return ClassicCodec(limits), NativeClassicCodec(limits, messages)


def outcome(call, *args):
    """What a call returns or raises, with what a minimal message says of itself."""
    try:
        found = call(*args)
    except ProtocolError as error:
        return type(error), str(error), error.request_id
    return found, getattr(found, "is_minimal", None), getattr(getattr(found, "context", None), "row_sink", None)


@settings(max_examples=300, deadline=None)
@given(command=COMMANDS | PIPELINES, uid=UIDS, number=IDS, minimal=st.booleans())
def test_requests_are_written_alike(command, uid, number, minimal):
    request = Request.minimal(command, uid, number) if minimal else Request(command, uid, number)
    reference, native = codecs()
    assert native.encode_request(request) == reference.encode_request(request)


@pytest.mark.parametrize("count", [65_535, 65_536])
def test_large_batches_are_written_alike(count):
    request = Request(Batch([(PUT, b"%d" % number, b"v") for number in range(count)]), "uid", 7)
    reference, native = codecs()
    assert native.encode_request(request) == reference.encode_request(request)


def changed(data, frame):
    """A frame with a few bytes more, less, or others."""
    first = data.draw(st.integers(0, min(len(frame), 120)))
    behind = data.draw(st.integers(first, min(len(frame), first + 3)))
    return frame[:first] + data.draw(st.binary(max_size=3)) + frame[behind:]


@settings(max_examples=500, deadline=None)
@given(data=st.data(), command=COMMANDS, uid=UIDS, number=IDS, limits=LIMITS)
def test_requests_are_read_alike_damaged_or_not(data, command, uid, number, limits):
    reference, native = codecs(limits)
    (frame,) = ClassicCodec().encode_request(Request.minimal(command, uid, number))
    for each in (bytes(frame), changed(data, bytes(frame))):
        assert outcome(native.decode_request, [each]) == outcome(reference.decode_request, [each])


@settings(max_examples=300, deadline=None)
@given(command=COMMANDS, payload=PAYLOADS, number=IDS | st.none() | st.text(max_size=3))
def test_answers_are_written_alike(command, payload, number):
    request, response = Request.minimal(command, "uid", number), Response.ok(payload, number)
    reference, native = codecs()
    expected, found = [
        outcome(lambda codec=codec: codec.encode_response(response, request)) for codec in (reference, native)
    ]
    assert list(map(bytes, found[0])) == list(map(bytes, expected[0]))


@settings(max_examples=500, deadline=None)
@given(data=st.data(), value=STRINGS, number=IDS, asked=IDS, limits=LIMITS)
def test_answers_are_read_alike_damaged_or_not(data, value, number, asked, limits):
    reference, native = codecs(limits)
    request = Request.minimal(Get(b"k"), "uid", data.draw(st.sampled_from([number, asked])))
    frames = list(
        map(bytes, ClassicCodec().encode_response(Response.ok(value, number), Request.minimal(Get(b"k"), "u", 1)))
    )
    for each in (frames, [changed(data, frames[0]), frames[1]], [frames[0], changed(data, frames[1])], frames[:1]):
        expected, found = [outcome(codec.minimal_response, each, request) for codec in (reference, native)]
        assert found == expected


def test_failures_are_left_to_the_reference():
    reference, native = codecs()
    request, response = Request.minimal(Get(b"k"), "uid", 7), Response.failure(ErrorCode.KEY, "missing", 7)
    assert native.encode_response(response, request) == reference.encode_response(response, request)
    assert native.minimal_response(native.encode_response(response, request), request) is None


FRAMES = st.lists(STRINGS.filter(lambda frame: len(frame) < 60_000), min_size=1, max_size=3)


@settings(max_examples=300, deadline=None)
@given(frames=FRAMES)
def test_a_message_is_sent_as_the_reference_writes_it(frames):
    near, far = socket.socketpair()
    with near, far:
        expected = b"".join(encode_message(frames))
        counter = messages.TrafficCounter()
        sent, rest = messages.send_frames(near.fileno(), frames, counter)
        assert (sent, rest) == (counter.sent, b"") == (len(expected), b"")
        assert counter.queued == counter.sent
        assert far.recv(1 << 20) == expected


WIRE = st.lists(st.binary(max_size=30), min_size=1, max_size=3).map(lambda frames: b"".join(encode_message(frames)))


@settings(max_examples=500, deadline=None)
@given(data=WIRE | st.binary(min_size=1, max_size=40) | st.lists(WIRE, min_size=2, max_size=3).map(b"".join))
@example(b"\x02" + (300).to_bytes(8, "big") + b"x" * 300)
@example(b"\x03" + (1 << 63).to_bytes(8, "big") + b"x")
@example(b"\x04\x05\x04PING")
@example(b"\x01\x00\x00\x00")
def test_a_message_that_comes_alone_is_the_decoders(data):
    near, far = socket.socketpair()
    with near, far:
        near.send(data)
        counter, before = messages.TrafficCounter(), monotonic()
        found = messages.receive(far.fileno(), counter)
    assert counter.received == len(data)
    assert before <= counter.read_at <= monotonic()
    decoder = established(1 << 20)
    with suppress(ProtocolError):
        decoder.receive_data(data)
    if type(found) is list:
        assert decoder.messages == deque([found])
        assert decoder._unread == b""
    else:
        assert found == data
        assert not (len(decoder.messages) == 1 and decoder.is_idle and len(decoder.messages[0]) <= 2)


def test_what_cannot_be_sent_is_returned():
    near, far = socket.socketpair()
    with near, far:
        near.setblocking(False)
        expected, received = b"".join(encode_message([b"x" * 60_000])), 0
        while not (answer := messages.send_frames(near.fileno(), [b"x" * 60_000]))[1]:
            received += answer[0]
        sent, rest = answer
        assert expected[sent:] == rest
        total = received + sent
        while total:
            total -= len(far.recv(1 << 20))
        assert messages.receive(far.fileno()) is None


@pytest.mark.parametrize("frames", [[b"x" * 65_537], [memoryview(b"x")], [b"x" * 40_000, b"y" * 40_000]])
def test_large_messages_and_views_are_left_to_the_reference(frames):
    near, far = socket.socketpair()
    with near, far:
        assert messages.send_frames(near.fileno(), frames) is None
        assert messages.receive(far.fileno()) is None


def test_the_end_and_failures_of_a_connection_are_told():
    near, far = socket.socketpair()
    with near:
        far.close()
        assert messages.receive(near.fileno()) == b""
        with pytest.raises(BrokenPipeError):
            messages.send_frames(near.fileno(), [b"x"])
    with pytest.raises(OSError, match="Bad file descriptor"):
        messages.receive(near.fileno())
    with pytest.raises(OSError, match="the socket is closed"):
        messages.receive_within(near.fileno(), 60.0)


def test_waiting_ends_with_the_time():
    near, far = socket.socketpair()
    with near, far:
        assert messages.receive_within(near.fileno(), 0.01) is None
        assert messages.receive_within(near.fileno(), -1.0) is None


@pytest.mark.parametrize(("wanted", "kind"), [("0", ClassicCodec), ("1", NativeClassicCodec)])
def test_the_variable_chooses_the_codec(monkeypatch, wanted, kind):
    monkeypatch.setenv("PYELEVATOR_NATIVE", wanted)
    assert type(classic_codec()) is kind


@pytest.mark.parametrize("server_side", ["0", "1"])
@pytest.mark.parametrize("client_side", ["0", "1"])
def test_either_side_with_or_without_the_extension(monkeypatch, server_side, client_side):
    monkeypatch.setenv("PYELEVATOR_NATIVE", server_side)
    E: Any
    with ExitStack() as stack:
        server = stack.enter_context(Server(Application.in_memory(), ["tcp://127.0.0.1:0"]))
        stack.enter_context(Elevator.from_url(server.urls[0], encoding=None, timeout=30)).Put(b"other", b"")
        monkeypatch.setenv("PYELEVATOR_NATIVE", client_side)
        E = stack.enter_context(Elevator.from_url(server.urls[0], encoding=None, timeout=30))
        for value in (b"", b"v", b"v" * 255, b"v" * 256, b"v" * 1_100, b"v" * 70_000, b"v" * 300_000):
            E.Put(b"k", value)
            assert E.Get(b"k") == value
        E.Delete(b"k")
        with pytest.raises(KeyError):
            E.Get(b"k")
