"""The quick way of the classic codec for usual messages, held against the full way for any message."""

from typing import Any

import msgpack
import pytest
from attrs import evolve
from hypothesis import example, given, strategies as st

from pyelevator.codec import ClassicCodec, Limits
from pyelevator.codec.classic.full import FullClassicCodec
from pyelevator.commands import Exists, Get, MGet, Ping, Put, Range, Slice
from pyelevator.errors import ErrorCode, ProtocolError
from pyelevator.messages import Request, Response
from pyelevator.testing.strategies import requests, responses_to

SEVERAL = [
    Limits(),
    Limits(frame_bytes=400, content_bytes=300, elements=200, depth=4),
    Limits(120, 120, 120, 2),
    Limits(elements=4),
    Limits(frame_bytes=90),
    Limits(content_bytes=60),
]
ASKING: list[Request[Any]] = [Request(Get("k"), "u", 7), Request(Exists("k"), "u", 7), Request(Put("k", "v"), "u", 7)]
ASKING += [
    Request(Put("k", "v", True), "u", 7),
    Request(MGet(["k"]), "u", 7),
    Request(Range(), "u", 7),
    Request(Ping()),
]

values = st.none() | st.booleans() | st.integers(-3, 2**64 - 1) | st.binary(max_size=3) | st.just(b"u" * 300)
arguments = values | st.lists(values | st.lists(values, max_size=2), max_size=3)
ids = values | st.sampled_from([[], {}, msgpack.ExtType(5, b"x"), 1.5])


def outcome(call, *args):
    """What a call gives, or all that a peer is told of its refusal."""
    try:
        return call(*args)
    except ProtocolError as error:
        return type(error), str(error), error.code, error.request_id


def read_alike(frames):
    for limits in SEVERAL:
        quick, full = ClassicCodec(limits), FullClassicCodec(limits)
        assert outcome(quick.decode_request, frames) == outcome(full.decode_request, frames)
        assert outcome(quick.reply_id, frames) == outcome(full.reply_id, frames)
        for request in ASKING:
            response = outcome(full.decode_response, frames, request)
            assert outcome(quick.decode_response, frames, request) == response
            assert outcome(quick.minimal_response, frames, request) in (None, response)


@st.composite
def damaged(draw, frames):
    """The frames with some bytes of one of them left out, changed or added."""
    index = draw(st.integers(0, len(frames) - 1))
    frame = bytes(frames[index])
    first = draw(st.integers(0, len(frame)))
    behind = draw(st.integers(first, min(len(frame), first + 3)))
    changed = frame[:first] + draw(st.binary(max_size=3)) + frame[behind:]
    return [*frames[:index], changed, *frames[index + 1 :]]


@given(requests("classic"))
def test_both_write_the_same_bytes_for_a_request(request):
    assert ClassicCodec().encode_request(request) == FullClassicCodec().encode_request(request)


@given(st.data())
def test_both_write_the_same_bytes_for_a_response(data):
    request = data.draw(requests("classic"))
    response = data.draw(responses_to(request))
    assert ClassicCodec().encode_response(response, request) == FullClassicCodec().encode_response(response, request)


@pytest.mark.parametrize("compression", [False, True])
@given(
    request=st.sampled_from(ASKING),
    payload=st.none() | st.booleans() | st.binary(max_size=3),
    id=st.none() | st.just(7),
)
def test_both_write_the_same_bytes_for_a_plain_success(compression, request, payload, id):
    request = evolve(request, compression=compression)
    response = Response.ok([(b"k", b"v")] if isinstance(request.command, Range) else payload, id)
    assert ClassicCodec().encode_response(response, request) == FullClassicCodec().encode_response(response, request)
    assert ClassicCodec().encode_response(response, None) == FullClassicCodec().encode_response(response, None)


@given(st.data())
def test_both_write_the_same_answer_to_what_they_have_read(data):
    request = data.draw(requests("classic"))
    succeeded = data.draw(responses_to(request).filter(lambda response: response.code is None))
    asked, response = FullClassicCodec().encode_request(request), Response.ok(succeeded.payload, 7)
    quick, full = ClassicCodec(), FullClassicCodec()
    read, read_in_full = quick.decode_request(asked), full.decode_request(asked)
    assert read.context.row_sink == read_in_full.context.row_sink
    assert quick.encode_response(response, read) == full.encode_response(response, read_in_full)


@given(st.data())
def test_both_make_the_same_of_a_damaged_request(data):
    read_alike(
        data.draw(damaged(FullClassicCodec().encode_request(data.draw(st.sampled_from(ASKING) | requests("classic")))))
    )


@given(st.data())
def test_both_make_the_same_of_a_damaged_reply(data):
    request = data.draw(st.sampled_from(ASKING) | requests("classic"))
    read_alike(data.draw(damaged(FullClassicCodec().encode_response(data.draw(responses_to(request)), request))))


@given(
    verb=st.sampled_from(["GET", "EXISTS", "PUT", "DELETE", "BATCH", "PING", "RANGE", "FOO"]),
    id=ids,
    uid=values,
    args=arguments,
)
@example("GET", 7, b"u", {b"k": 1})
@example("GET", True, b"u", [b"k"])
@example("GET", -1, b"u", [b"k"])
@example("GET", 2**64 - 1, b"\xff", [b"k"])
@example("EXISTS", 7, b"u", b"k")
@example("PUT", 7, b"u", [b"k"])
@example("GET", 7, b"u", [b"k" * 500])
@example("GET", 7, b"u", [b"k", b"l"])
@example("GET", 7, b"u", [])
@example("PUT", 7, b"u", [b"k", b"v", True])
@example("BATCH", 7, b"u", [[msgpack.ExtType(0, b"k")]])
@example("PUT", 7, b"u", {b"k": 1, b"l": 2})
def test_both_paths_read_a_request_with_a_common_beginning_alike(verb, id, uid, args):
    meta = {"compression": False, "id": id}
    read_alike([msgpack.packb({"cmd": verb, "meta": meta, "uid": uid, "args": args}, use_bin_type=False)])


@pytest.mark.parametrize("names", [("uid", "argz"), ("uix", "args"), ("args", "uid")])
def test_both_make_the_same_of_other_names(names):
    meta = {"compression": False, "id": 7}
    read_alike([msgpack.packb({"cmd": "GET", "meta": meta, names[0]: "u", names[1]: ["k"]}, use_bin_type=False)])


@given(names=st.permutations(["cmd", "meta", "uid", "args"]))
def test_the_order_of_a_request_does_not_matter(names):
    stated = {"cmd": "GET", "meta": {"compression": False, "id": 7}, "uid": "u", "args": ["k"]}
    frame = msgpack.packb({name: stated[name] for name in names}, use_bin_type=False)
    assert ClassicCodec().decode_request([frame]) == Request(Get("k"), "u", 7)


@given(datas=arguments, id=ids)
@example([b"v"], 7)
@example([msgpack.ExtType(5, b"x")], 7)
@example([msgpack.Timestamp(1)], 7)
@example([b"v" * 500], 7)
@example([b"v"], -1)
@example([b"v"], True)
def test_both_paths_read_a_reply_with_a_common_beginning_alike(datas, id):
    header = {"status": 1, "err_msg": None, "compression": False, "err_code": None, "id": id}
    read_alike([msgpack.packb(part, use_bin_type=False) for part in (header, {"datas": datas})])


def test_a_minimal_request_is_refused_with_the_text_and_id_of_the_full_way():
    frame = msgpack.packb(
        {"cmd": "GET", "meta": {"compression": False, "id": 7}, "uid": "u", "args": [5]}, use_bin_type=False
    )
    with pytest.raises(ProtocolError, match=r"^key must be str or bytes, not int$") as raised:
        ClassicCodec().decode_request([frame])
    assert (raised.value.code, raised.value.request_id) == (ErrorCode.TYPE, 7)


def test_what_only_begins_like_a_common_header_is_read_in_full():
    succeeded = ClassicCodec().encode_response(Response.ok(None, 7), ASKING[2])[0]
    for header in (succeeded + b"\x00", succeeded[:-1], succeeded[:-1] + b"\xdd\xff\xff\xff\xff" + b"\x00" * 9):
        with pytest.raises(ProtocolError, match="msgpack"):
            ClassicCodec().open_reply([header, b"\xc0"])


def test_a_long_header_with_a_common_beginning_is_checked_first():
    succeeded = ClassicCodec().encode_response(Response.ok(None, 7), ASKING[2])[0]
    with pytest.raises(ProtocolError, match="not a msgpack value"):
        ClassicCodec().open_reply([succeeded[:-1] + b"\xdd\x00\x0f\xff\xff" * 1000, b"\xc0"])


@pytest.mark.parametrize("kind", [bytearray, memoryview])
def test_buffers_are_read_as_bytes_are(kind):
    codec, request = ClassicCodec(), Request(Get("k"), "u", 7)
    assert codec.decode_request([kind(frame) for frame in codec.encode_request(request)]) == request
    frames = codec.encode_response(Response.ok(b"v", 7), request)
    assert codec.decode_response([kind(frame) for frame in frames], request) == Response(b"v", id=7)


def test_common_messages_are_not_read_as_maps(monkeypatch):
    codec, request = ClassicCodec(), Request(Get("k"), "u", 7)
    asked, answer = (
        FullClassicCodec().encode_request(request),
        FullClassicCodec().encode_response(Response(b"v", id=7), request),
    )
    for name in ("encode_request", "decode_request", "encode_response", "open_reply", "_payload"):
        monkeypatch.delattr(FullClassicCodec, name)
    assert (codec.encode_request(request), codec.decode_request(asked)) == (asked, request)
    assert codec.encode_response(Response.ok(b"v", 7), codec.decode_request(asked)) == answer
    assert codec.decode_response(answer, request) == Response(b"v", id=7)
    assert codec.minimal_response(answer, request) == Response(b"v", id=7)


@pytest.mark.parametrize("command", [Range("a", "b"), Slice("a", 2), Range("a", "b", include_key=False)])
def test_common_scans_are_not_read_or_answered_as_maps(monkeypatch, command):
    codec, request = ClassicCodec(), Request(command, "u", 7)
    asked, answer = (
        FullClassicCodec().encode_request(request),
        FullClassicCodec().encode_response(Response([b"v"], id=7), request),
    )
    for name in ("encode_request", "decode_request", "encode_response", "open_reply"):
        monkeypatch.delattr(FullClassicCodec, name)
    assert (codec.encode_request(request), codec.decode_request(asked)) == (asked, request)
    assert codec.encode_response(Response.ok([b"v"], 7), codec.decode_request(asked)) == answer


@pytest.mark.parametrize("number", [None, 8, "7", True, 7.0])
def test_an_answer_to_another_request_is_not_taken_for_its_own(number):
    request = Request(Get("k"), "u", number)
    assert (
        ClassicCodec().minimal_response(FullClassicCodec().encode_response(Response(b"v", id=7), None), request) is None
    )
