"""Large batches, and MGETs of many keys, stay packed: sound ones are taken at any size, and take little memory."""

import pickle
import tracemalloc
from operator import attrgetter
from typing import Any

import msgpack
import pytest
from hypothesis import given, strategies as st

from pyelevator.codec import ClassicCodec, FlatCodec, Limits
from pyelevator.codec.classic.forwarding import peek_request, request_with_id
from pyelevator.codec.elements import PackedElements, elements_at, packed_elements
from pyelevator.codec.weight import FLOOR, LIGHT
from pyelevator.commands import DELETE, HAS_VALUE, IS_MISSING, PUT, Batch, ConditionalBatch, MGet
from pyelevator.errors import ErrorCode, LimitExceeded, MalformedMessage
from pyelevator.messages import Request
from support.optional import unwrap

CODECS = {"classic": ClassicCodec(), "flat": FlatCodec()}
OPS = [(PUT, b"k%05d" % i, b"%d" % i) if i % 3 else (DELETE, b"k%05d" % i) for i in range(20_000)]
MIXED = [(PUT, b"large", b"v" * 100_000), *OPS, (PUT, b"empty", b""), (PUT, b"", b"w" * 300_000)]
COMMANDS = {"ops": Batch(OPS), "keys": MGet([b"%d" % i for i in range(20_000)]), "values of all sizes": Batch(MIXED)}
CHECKS = [(IS_MISSING, b"%d" % i) if i % 3 else (HAS_VALUE, b"%d" % i, b"v") for i in range(20_000)]
CONDITIONAL = {
    "many of both": ConditionalBatch(OPS, CHECKS),
    "few checks": ConditionalBatch(OPS, CHECKS[:1]),
    "no checks": ConditionalBatch(OPS, []),
    "only checks": ConditionalBatch([], CHECKS),
    "values of all sizes": ConditionalBatch(MIXED, [(HAS_VALUE, b"large", b"w" * 200_000), *CHECKS]),
}
FEWER = {"few ops": Batch(OPS[:5000]), "few keys": MGet([b"%06d" % i for i in range(9000)])}
FEWER["few large values"] = Batch([(PUT, b"k", b"v" * 50_000)] * 5)
TINY = {
    "classic batch": (b"\x84\xa3cmd\xa5BATCH\xa4meta\x81\xa2id\x07\xa3uid\xa1u\xa4args\x91", b"\x92\x00\xa1k"),
    "classic keys": (b"\x84\xa3cmd\xa4MGET\xa4meta\x81\xa2id\x07\xa3uid\xa1u\xa4args\x91", b"\xa2kk"),
}


def tiny(name, size):
    """A message of about so many bytes that consists of the smallest elements."""
    opening, element = TINY[name]
    count = size // len(element)
    return opening + b"\xdd" + count.to_bytes(4, "big") + element * count, count


def made(request):
    """What a request has many of."""
    command = request.command
    return command.ops if isinstance(command, Batch) else command.keys


def peak(call):
    """Bytes that a call takes at most."""
    tracemalloc.start()
    try:
        call()
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("dialect", CODECS)
@pytest.mark.parametrize("command", COMMANDS.values(), ids=COMMANDS)
def test_a_large_request_means_what_was_sent(dialect, command):
    codec, number = CODECS[dialect], 7 if dialect == "classic" else None
    frames = codec.encode_request(Request(command, "u", number))
    found = codec.decode_request(frames)
    assert isinstance(made(found), PackedElements)
    assert found == Request(command, "u", number)
    assert hash(found.command) == hash(command)
    assert codec.encode_request(found) == frames


@pytest.mark.parametrize("command", CONDITIONAL.values(), ids=CONDITIONAL)
def test_a_large_conditional_batch_means_what_was_sent(command):
    codec = CODECS["classic"]
    frames = codec.encode_request(Request(command, "u", 7))
    found = codec.decode_request(frames)
    decoded: Any = found.command
    parts = decoded.ops, decoded.checks
    assert any(isinstance(part, PackedElements) for part in parts)
    assert not any(type(part) is list for part in parts)
    assert found == Request(command, "u", 7)
    assert codec.encode_request(found) == frames
    message = unwrap(peek_request(frames, Limits()))
    assert codec.decode_request([request_with_id(99, frames[0], message)]) == Request(command, "u", 99)


@pytest.mark.parametrize(
    ("args", "code"),
    [
        ([OPS[:3000]], ErrorCode.VALUE),
        ([OPS[:3000], CHECKS[:3000], []], ErrorCode.VALUE),
        ([OPS[:3000], [*CHECKS[:3000], (3, b"k")]], ErrorCode.TYPE),
        ([OPS[:3000], [*CHECKS[:3000], (IS_MISSING, 1)]], ErrorCode.TYPE),
        ([[*OPS[:3000], (2, b"k", b"v")], CHECKS[:3000]], ErrorCode.SIGNAL),
        ([OPS[:3000], 7], ErrorCode.TYPE),
        ([7, CHECKS[:3000]], ErrorCode.TYPE),
        ([OPS[:3000], None], ErrorCode.TYPE),
    ],
)
def test_a_large_conditional_batch_that_is_wrong_is_refused_with_its_code(args, code):
    message = {"cmd": "CONDITIONALBATCH", "meta": {"id": 3}, "uid": "u", "args": args}
    with pytest.raises(MalformedMessage) as refused:
        CODECS["classic"].decode_request([msgpack.packb(message, use_bin_type=False)])
    assert (refused.value.code, refused.value.request_id) == (code, 3)


@pytest.mark.parametrize("dialect", CODECS)
@pytest.mark.parametrize("command", FEWER.values(), ids=FEWER)
def test_what_is_large_but_not_much_is_made_at_once(dialect, command):
    codec, number = CODECS[dialect], 7 if dialect == "classic" else None
    frames = codec.encode_request(Request(command, "u", number))
    found = codec.decode_request(frames)
    assert (len(frames[0]) > LIGHT, isinstance(made(found), list)) == (True, True)
    assert found == Request(command, "u", number)
    assert codec.encode_request(found) == frames


@pytest.mark.parametrize("other", CODECS)
@pytest.mark.parametrize("dialect", CODECS)
@pytest.mark.parametrize("command", COMMANDS.values(), ids=COMMANDS)
def test_a_large_request_goes_on_in_either_dialect(dialect, other, command):
    found = CODECS[dialect].decode_request(CODECS[dialect].encode_request(Request(command, "u")))
    assert CODECS[other].decode_request(CODECS[other].encode_request(found)).command == command


def test_what_rides_in_meta_comes_with_a_large_request():
    request = Request(Batch(OPS, sync=True), "u", 7, True)
    found = ClassicCodec().decode_request(ClassicCodec().encode_request(request))
    command: Any = found.command
    assert (command.sync, found.compression, found == request) == (True, True, True)
    assert ClassicCodec().decode_request(ClassicCodec().encode_request(found)) == request


def test_elements_are_a_sequence():
    elements = packed_elements(range(2000))
    assert (len(elements), elements[0], elements[1999], elements[-1]) == (2000, 0, 1999, 1999)
    assert elements[5:9] == [5, 6, 7, 8]
    assert elements[1998:1990:-3] == [1998, 1995, 1992]
    assert (elements[7:3], elements[5000:]) == ([], [])
    assert list(elements) == list(elements) == list(range(2000))
    assert [len(some) for some in elements.chunks(900)] == [900, 900, 200]
    assert (3 in elements, elements.index(700), repr(elements)) == (True, 700, "<2,000 elements>")
    assert list(pickle.loads(pickle.dumps(elements))) == list(range(2000))
    with pytest.raises(IndexError):
        elements[2000]


@pytest.mark.parametrize("name", TINY)
@pytest.mark.parametrize("size", [LIGHT + 100, 1 << 20])
def test_sound_requests_of_tiny_elements_are_taken_at_any_size(name, size):
    frame, count = tiny(name, size)
    found = []
    grown = peak(lambda: found.append(ClassicCodec().decode_request([frame])))
    assert len(made(found[0])) == count
    assert grown < min(size, 1 << 20) + FLOOR // 2


def test_going_through_tiny_operations_makes_few_of_them_at_once():
    frame, count = tiny("classic batch", 2 << 20)
    command: Any = ClassicCodec().decode_request([frame]).command
    ops = command.ops
    assert peak(lambda: sum(1 for _ in ops)) < 1 << 20
    assert sum(1 for op in ops if op == [DELETE, b"k"]) == count


def test_a_flat_batch_of_tiny_operations_is_taken():
    frame = msgpack.packb(["u", "BATCH", *["BPUT", "k", "v", "BDEL", "k"] * 60_000], use_bin_type=False)
    found = []
    grown = peak(lambda: found.append(attrgetter("command.ops")(FlatCodec().decode_request([frame]))))
    assert len(found[0]) == 120_000
    assert found[0][119_998:] == [[PUT, b"k", b"v"], [DELETE, b"k"]]
    assert grown < 3 * len(frame) + FLOOR // 2


CRAFTED = {
    "empty arrays": b"\x90",
    "empty maps": b"\x80",
    "maps of one": b"\x81\xa1k\xc0",
    "deep": b"\x91" * 500 + b"\xc0",
    "one of many": b"\xdd\x00\x06\x00\x00" + b"\x90" * 0x60000,
    "a key of many": b"\x92\x00\xdd\x00\x06\x00\x00" + b"\xa0" * 0x60000,
    "a value of many": b"\x93\x01\xa1k\xdd\x00\x06\x00\x00" + b"\xc0" * 0x60000,
    "numbers": b"\xcd\x01\x00",
}


@pytest.mark.parametrize("verb", ["BATCH", "MGET"])
@pytest.mark.parametrize("element", CRAFTED.values(), ids=CRAFTED)
@pytest.mark.parametrize("dialect", CODECS)
def test_crafted_elements_are_found_before_many_are_made(verb, element, dialect):
    first = 5000
    sound = msgpack.packb([0, b"k"] if verb == "BATCH" and dialect == "classic" else b"k", use_bin_type=False)
    count = (400 << 10) // len(element) + 1
    each = sound * first + element * count
    head = b"\xdd" + (first + count).to_bytes(4, "big")
    frame = {
        "classic": msgpack.packb({"cmd": verb, "uid": "u"}, use_bin_type=False).replace(b"\x82", b"\x83", 1)
        + b"\xa4args\x91"
        + head
        + each,
        "flat": b"\xdd" + (2 + first + count).to_bytes(4, "big") + b"\xa1u" + msgpack.packb(verb) + each,
    }[dialect]

    def read():
        with pytest.raises((LimitExceeded, MalformedMessage)):
            CODECS[dialect].decode_request([frame])

    assert peak(read) < max(FLOOR, 6 * len(frame)) + (2 << 20)


@pytest.mark.parametrize(
    ("ops", "code"),
    [
        ([[PUT, "k", "v"]] * 9000 + [[PUT, "k", 7]], ErrorCode.TYPE),
        ([[PUT, "k", "v"]] * 9000 + [[2, "k", "v"]], ErrorCode.SIGNAL),
        ([[PUT, "k", "v"]] * 9000 + [[DELETE, "k", "v"]], ErrorCode.TYPE),
        ([[PUT, "k", "v"]] * 9000 + ["x"], ErrorCode.SIGNAL),
    ],
)
def test_a_large_batch_that_is_not_sound_is_refused_as_a_small_one(ops, code):
    (frame,) = (msgpack.packb({"cmd": "BATCH", "meta": {"id": 3}, "uid": "u", "args": [ops]}, use_bin_type=False),)
    assert len(frame) > LIGHT
    with pytest.raises(MalformedMessage) as caught:
        ClassicCodec().decode_request([frame])
    assert (caught.value.code, caught.value.request_id) == (code, 3)


@pytest.mark.parametrize(("cut", "behind"), [(1, b""), (5, b""), (0, b"\xc0"), (0, b"\x90")])
@pytest.mark.parametrize("dialect", CODECS)
@pytest.mark.parametrize("command", COMMANDS.values(), ids=COMMANDS)
def test_a_large_request_that_is_cut_off_or_too_long_is_malformed(cut, behind, dialect, command):
    (frame,) = CODECS[dialect].encode_request(Request(command, "u"))
    with pytest.raises((MalformedMessage, LimitExceeded)):
        CODECS[dialect].decode_request([frame[: len(frame) - cut] + behind])


@pytest.mark.parametrize("dialect", CODECS)
def test_a_large_request_is_within_the_limits_of_a_frame(dialect):
    frames = CODECS[dialect].encode_request(Request(Batch(OPS), "u"))
    with pytest.raises(LimitExceeded, match="--max-message"):
        type(CODECS[dialect])(Limits(frame_bytes=100_000)).decode_request(frames)


@given(st.lists(st.binary(max_size=300) | st.integers(1, 40).map(lambda n: b"x" * (n * 1000)), max_size=300))
def test_strings_of_any_size_are_what_they_were(keys):
    frame = b"".join(map(msgpack.Packer(use_bin_type=False).pack, keys))
    found = elements_at(frame, 0, len(frame), len(keys), lambda some: all(type(key) is bytes for key in some))
    assert (list(found), len(found)) == (keys, len(keys))


@pytest.mark.parametrize("command", COMMANDS.values(), ids=COMMANDS)
def test_a_proxy_passes_a_large_request_on_without_its_arguments(command):
    (frame,) = ClassicCodec().encode_request(Request(command, "u", 7))
    message = peek_request([frame], Limits())
    assert message == {
        b"cmd": command.verb.encode(),
        b"meta": {b"compression": False, b"id": 7},
        b"uid": b"u",
        b"args": None,
    }
    (expected,) = ClassicCodec().encode_request(Request(command, "u", 1 << 40))
    assert request_with_id(1 << 40, frame, message) == expected


def test_a_proxy_passes_nothing_on_that_is_cut_off_or_too_long():
    (frame,) = ClassicCodec().encode_request(Request(Batch(OPS), "u", 7))
    assert peek_request([frame[:-1]], Limits()) is None
    assert peek_request([frame + b"\xc0"], Limits()) is None
    assert peek_request([frame], Limits(frame_bytes=100_000)) is None


@pytest.mark.parametrize("element", CRAFTED.values(), ids=CRAFTED)
@pytest.mark.parametrize("name", TINY)
def test_a_crafted_request_is_refused_under_its_id_and_never_passed_on(name, element):
    count = (400 << 10) // len(element) + 1
    frame = TINY[name][0] + b"\xdd" + count.to_bytes(4, "big") + element * count
    assert peek_request([frame], Limits()) is None
    with pytest.raises((LimitExceeded, MalformedMessage)) as caught:
        ClassicCodec().decode_request([frame])
    assert caught.value.request_id == 7
