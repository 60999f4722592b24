"""What an untrusted peer may claim, and what it costs to refuse it."""

import re
import tracemalloc
from typing import Any

import msgpack
import pytest

from pyelevator.codec import ClassicCodec, FlatCodec, Limits, packing, values
from pyelevator.commands import Batch, Get, MGet, Range, Unknown
from pyelevator.errors import ErrorCode, LimitExceeded, MalformedMessage
from pyelevator.messages import Request, Response

SMALL = Limits(frame_bytes=200, content_bytes=300, elements=20, depth=4)
HEADER = {"status": 1, "err_msg": None, "compression": False, "err_code": None}


def nest(levels, value=None):
    for _ in range(levels):
        value = [value]
    return value


def refusal(decode, *args):
    """The text of the refusal, empty where there is none."""
    try:
        decode(*args)
    except (MalformedMessage, LimitExceeded) as error:
        return str(error)
    return ""


def nested_claims(levels, elements):
    """Array headers inside one another, each claiming that many elements; then nothing."""
    return (b"\xdd" + elements.to_bytes(4, "big")) * levels


def test_a_frame_at_the_limit_is_read_and_one_byte_more_is_not():
    codec, request = ClassicCodec(SMALL), Request(Get(b"k" * 158))
    [frame] = codec.encode_request(request)
    assert len(frame) == 200
    assert codec.decode_request([frame]) == request
    with pytest.raises(LimitExceeded, match="a frame of 201 bytes is over the limit of 200"):
        codec.decode_request(codec.encode_request(Request(Get(b"k" * 159))))


@pytest.mark.parametrize("codec", [ClassicCodec(SMALL), FlatCodec(SMALL)], ids=["classic", "flat"])
def test_a_large_reply_is_refused(codec):
    frames = codec.encode_response(Response(b"v" * 300), Request(Get("k")))
    with pytest.raises(LimitExceeded, match=re.escape("is over the limit of 200")):
        codec.decode_response(frames, Request(Get("k")))


def test_an_array_of_too_many_elements_is_refused():
    codec = ClassicCodec(SMALL)
    assert codec.decode_request(codec.encode_request(Request(MGet([b""] * 20)))).command == MGet([b""] * 20)
    with pytest.raises(LimitExceeded, match="more than 20 elements in one array or map"):
        codec.decode_request(codec.encode_request(Request(MGet([b""] * 21))))


def test_a_map_of_too_many_elements_is_refused():
    with pytest.raises(LimitExceeded, match="more than 20 elements in one array or map"):
        ClassicCodec(SMALL).decode_request([msgpack.packb({bytes([65 + i]): None for i in range(21)})])


def test_more_elements_than_the_frame_has_bytes_is_malformed():
    with pytest.raises(MalformedMessage):
        ClassicCodec(SMALL).decode_request([b"\xdd\xff\xff\xff\xff"])


@pytest.mark.parametrize("size", [1_000, 100_000, 4_000_000])
def test_nested_claims_take_no_more_memory_than_the_frame(size):
    frame = nested_claims(1000, size).ljust(size, b"\xc0")[:size]
    tracemalloc.start()
    try:
        with pytest.raises(MalformedMessage, match="not a msgpack value"):
            ClassicCodec().decode_request([frame])
        assert tracemalloc.get_traced_memory()[1] < 4_000_000 + 3 * size
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("codec", [ClassicCodec(), FlatCodec()], ids=["classic", "flat"])
@pytest.mark.parametrize("levels", [1023, 5000])
def test_nesting_beyond_what_msgpack_reads_is_refused(codec, levels):
    frame = b"\x91" * levels + b"\xc0"
    for decode in (codec.decode_request, lambda frames: codec.decode_response(frames, Request(Get("k")))):
        with pytest.raises((LimitExceeded, MalformedMessage)):
            decode([frame] * (2 if codec.name == "classic" and decode != codec.decode_request else 1))


@pytest.mark.parametrize("codec", [ClassicCodec(SMALL), FlatCodec(SMALL)], ids=["classic", "flat"])
def test_arguments_of_an_unknown_verb_may_be_nested_to_the_limit(codec):
    allowed, refused = Request(Unknown("FOO", nest(4)), "u"), Request(Unknown("FOO", nest(5)), "u")
    assert codec.decode_request(codec.encode_request(allowed)) == allowed
    with pytest.raises(LimitExceeded, match="nested deeper than 4"):
        codec.decode_request(codec.encode_request(refused))


@pytest.mark.parametrize("codec", [ClassicCodec(SMALL), FlatCodec(SMALL)], ids=["classic", "flat"])
def test_the_answer_to_an_unknown_verb_may_be_nested_to_the_limit(codec):
    request = Request(Unknown("FOO", []), "u")
    assert codec.decode_response(codec.encode_response(Response(nest(4)), request), request) == Response(nest(4))
    with pytest.raises(LimitExceeded, match="nested deeper than 4"):
        codec.decode_response(codec.encode_response(Response(nest(5)), request), request)


def test_nesting_in_maps_counts_too():
    with pytest.raises(LimitExceeded, match="nested deeper than 2"):
        values.check_portable({b"a": {b"b": {b"c": None}}}, Limits(depth=2))


# Python's own repr gives up at about a thousand levels, which msgpack still reads.
@pytest.mark.parametrize("place", ["cmd", "uid", "args", "meta"])
def test_a_deep_value_in_any_place_of_a_request_is_no_recursion_error(place):
    message = {"cmd": "FOO", "meta": {}, "uid": None, "args": []} | {place: nest(1000)}
    assert len(refusal(ClassicCodec().decode_request, [msgpack.packb(message)])) < 200


@pytest.mark.parametrize("place", ["status", "err_code", "err_msg", "id", "features", "compression"])
@pytest.mark.parametrize("status", [1, -1])
def test_a_deep_value_in_any_place_of_a_header_is_no_recursion_error(place, status):
    frames = [msgpack.packb(HEADER | {"status": status} | {place: nest(1000)}), msgpack.packb({"datas": [b"v"]})]
    assert len(refusal(ClassicCodec().decode_response, frames, Request(Get("k")))) < 200


@pytest.mark.parametrize("op", [[nest(1000), b"k"], [{b"a": nest(1000)}, b"k"], nest(1000), {b"a": nest(1000)}])
def test_a_deep_operation_is_refused_with_a_short_text(op):
    message = {"cmd": "BATCH", "meta": {}, "uid": "u", "args": [[op]]}
    with pytest.raises(MalformedMessage) as refused:
        ClassicCodec().decode_request([msgpack.packb(message)])
    assert refused.value.code is ErrorCode.TYPE
    assert str(refused.value) == "Invalid type supplied"


# msgpack's own class for an extension is a tuple, (0, b"k") among them, and so is an operation.
@pytest.mark.parametrize("code", [0, 1])
def test_an_extension_is_no_operation(code):
    message = {"cmd": "BATCH", "meta": {}, "uid": "u", "args": [[msgpack.ExtType(code, b"k")]]}
    with pytest.raises(MalformedMessage, match="Invalid type supplied"):
        ClassicCodec().decode_request([msgpack.packb(message)])


@pytest.mark.parametrize("extension", [msgpack.ExtType(1, b"k"), msgpack.Timestamp(7)])
def test_an_extension_is_not_passed_on(extension):
    classic, flat = {"cmd": "FOO", "args": [[extension]]}, ["u", "FOO", extension]
    for codec, message in ((ClassicCodec(), classic), (FlatCodec(), flat)):
        with pytest.raises(MalformedMessage, match="extension type"):
            codec.decode_request([msgpack.packb(message)])


@pytest.mark.parametrize("extension", [msgpack.ExtType(1, b"k"), msgpack.Timestamp(7)])
@pytest.mark.parametrize("command", [Unknown("FOO", []), Get("k"), MGet(["k"]), Range()], ids=lambda c: c.verb)
def test_an_extension_is_no_answer(extension, command):
    for datas in (extension, [extension], [[extension, b"v"]]):
        with pytest.raises(MalformedMessage):
            ClassicCodec().decode_response([msgpack.packb(HEADER), msgpack.packb({"datas": datas})], Request(command))
    with pytest.raises(MalformedMessage):
        FlatCodec().decode_response([msgpack.packb([1, 0, "", extension])], Request(command))


@pytest.mark.parametrize(
    ("verb", "args", "code"),
    [
        ("SLICE", [b"k", 2**64 - 1], ErrorCode.VALUE),
        ("SLICE", [b"k", 1e300], ErrorCode.VALUE),
        ("SLICE", [b"k", b"three"], ErrorCode.TYPE),
        ("SLICE", [b"k", b"9" * 19], ErrorCode.TYPE),
        ("DBCREATE", [b"d", {b"block_size": 2**64 - 1}], ErrorCode.VALUE),
        ("DBCREATE", [b"d", {b"block_size": [1]}], ErrorCode.TYPE),
        ("DBCREATE", [b"d", {b"block_size": nest(1000)}], ErrorCode.TYPE),
    ],
)
def test_a_value_that_cannot_be_passed_on_is_refused(verb, args, code):
    with pytest.raises(MalformedMessage) as refused:
        ClassicCodec().decode_request([msgpack.packb({"cmd": verb, "meta": {}, "uid": "u", "args": args})])
    assert refused.value.code is code


@pytest.mark.parametrize("count", ["", "x", "1.5", "9" * 5000, "9" * 30])
def test_a_count_that_is_no_number_of_64_bits_is_refused_in_flat(count):
    with pytest.raises(MalformedMessage) as refused:
        FlatCodec().decode_request([msgpack.packb(["u", "SLICE", "k", count])])
    assert refused.value.code is ErrorCode.VALUE


@pytest.mark.parametrize("count", [float("inf"), float("-inf"), float("nan"), None, False])
def test_a_count_that_is_no_number_counts_nothing_in_classic(count):
    message = {"cmd": "SLICE", "meta": {}, "uid": "u", "args": [b"k", count]}
    command: Any = ClassicCodec().decode_request([msgpack.packb(message)]).command
    assert command.count == 0


@pytest.mark.parametrize(
    ("args", "code"),
    [
        ([b"BPUT", b"k"], ErrorCode.VALUE),
        ([b"BPUT"], ErrorCode.VALUE),
        ([b"BDEL"], ErrorCode.VALUE),
        ([b"BPUT", b"k", b"v", b"x"], ErrorCode.SIGNAL),
        ([b"BPUT", b"k", None], ErrorCode.TYPE),
        ([None, b"k"], ErrorCode.SIGNAL),
    ],
)
def test_a_flat_batch_that_does_not_come_out_even_is_refused(args, code):
    with pytest.raises(MalformedMessage) as refused:
        FlatCodec().decode_request([msgpack.packb(["u", "BATCH", *args])])
    assert refused.value.code is code


@pytest.mark.parametrize("datas", [None, 5, [5], [b"v", b"w"], [[b"v"]], []])
def test_a_scalar_answer_is_one_string_or_bool(datas):
    frames = [msgpack.packb(HEADER), msgpack.packb({"datas": datas})]
    with pytest.raises(MalformedMessage):
        Get("k").result(ClassicCodec().decode_response(frames, Request(Get("k"))).payload)


@pytest.mark.parametrize(
    "datas", [None, 5, b"kv", [b"k", b"v"], [[b"k"]], [[b"k", None]], [b"kv"], [[b"k", b"v", b"w"]]]
)
def test_an_answer_of_pairs_is_pairs_of_strings(datas):
    frames = [msgpack.packb(HEADER), msgpack.packb({"datas": datas})]
    with pytest.raises(MalformedMessage):
        ClassicCodec().decode_response(frames, Request(Range()))


@pytest.mark.parametrize("frames", [[], [b"\x80"], [b"\x80", b"\x80", b"\x80"], [b"\x90", b"\x80"], [b"\x80", b"\x80"]])
def test_a_classic_reply_is_two_frames_with_a_status(frames):
    with pytest.raises(MalformedMessage):
        ClassicCodec().decode_response(frames, Request(Get("k")))


@pytest.mark.parametrize("message", [[], [1], [1, 0], [1, 0, None], {}, [2, 0, ""], [None, 0, ""], [1, 0, "", "k"]])
def test_a_flat_reply_is_a_status_a_code_a_message_and_data(message):
    with pytest.raises(MalformedMessage):
        FlatCodec().decode_response([msgpack.packb(message)], Request(Range("a", "b")))


def test_a_failure_code_of_the_future_is_a_runtime_failure():
    failure = Response.failure(ErrorCode.RUNTIME, "?")
    header = msgpack.packb(HEADER | {"status": -1, "err_code": 99, "err_msg": "?"})
    assert ClassicCodec().decode_response([header, b""], Request(Get("k"))) == failure
    assert FlatCodec().decode_response([msgpack.packb([-1, 99, "?"])], Request(Get("k"))) == failure


def test_a_large_batch_is_passed_on_without_a_copy():
    ops: list[Any] = [(1, b"k", b"v"), [0, b"k"]]
    assert Batch(ops).ops is ops


def test_a_short_frame_is_held_to_the_limit_of_bytes():
    request = Request(Get("k" * 60), "u", 7)
    (frame,) = ClassicCodec().encode_request(request)
    assert ClassicCodec(Limits(frame_bytes=len(frame))).decode_request([frame]) == request
    with pytest.raises(LimitExceeded, match="over the limit of 100; --max-message raises that"):
        ClassicCodec(Limits(frame_bytes=100)).decode_request([frame])


def test_short_content_is_held_to_its_own_limit():
    with pytest.raises(LimitExceeded, match="a frame of 40 bytes is over the limit of 39"):
        packing.unpack(b"\xda\x00\x25" + b"v" * 37, Limits(content_bytes=39), 39)
