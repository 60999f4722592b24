"""What a message may take in memory, whatever it holds: eight times its size."""

import re
import tracemalloc
from contextlib import suppress
from typing import Any

import msgpack
import pytest
from hypothesis import given, strategies as st

from pyelevator.codec import DIALECTS, ClassicCodec, FlatCodec, Limits, packing, weight
from pyelevator.codec.classic.forwarding import peek_reply, peek_request
from pyelevator.codec.weight import LIGHT, Tally, check_weight
from pyelevator.commands import Command, DbList, Get, MGet, Pipeline, Put, Range, Slice, Unknown
from pyelevator.errors import LimitExceeded, MalformedMessage
from pyelevator.messages import Request

SIZE = 512 << 10


def array(element, size=SIZE):
    """An array of as many as fit."""
    count = size // len(element)
    return b"\xdd" + count.to_bytes(4, "big") + element * count


def halves(element, levels=6):
    """Arrays inside one another, each with a part of the elements before the next one begins."""
    count = SIZE // levels // len(element)
    return (b"\xdd" + (count + 1).to_bytes(4, "big") + element * count) * levels + b"\xc0"


ELEMENTS = {
    "empty arrays": b"\x90",
    "empty maps": b"\x80",
    "empty arrays of 32 bits": b"\xdd\x00\x00\x00\x00",
    "arrays of one": b"\x91\xc0",
    "maps of one": b"\x81\xa1k\xc0",
    "nothing": b"\xc0",
    "letters": b"\xa1x",
    "small numbers": b"\x01",
    "numbers of 16 bits": b"\xcd\x03\xe8",
    "numbers of 64 bits": b"\xcf" + bytes(range(1, 9)),
    "fractions": b"\xca\x01\x02\x03\x04",
    "short strings": b"\xa2ab",
    "pairs": b"\x92\xa2ab\xa2cd",
    "extensions": b"\xd4\x05x",
}
SHAPES = {**{name: array(element) for name, element in ELEMENTS.items()}, "nested": halves(b"\xa2ab")}
SHAPES |= {"one map": b"\xdf" + (SIZE // 4).to_bytes(4, "big") + b"\xcd\x03\xe8\xc0" * (SIZE // 4)}
MAP = b"\x84\xa3cmd\xa4MGET\xa4meta\x81\xa2id\x07\xa3uid\xa1u\xa4args\x91"
HEADER = msgpack.packb({"status": 1, "err_msg": None, "compression": False, "err_code": None, "id": 7})


def peak(decode):
    """Bytes that a call takes at most, whether it refuses or not."""
    tracemalloc.start()
    try:
        with suppress(LimitExceeded, MalformedMessage):
            decode()
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize(
    "read",
    [
        lambda value: ClassicCodec().decode_request([MAP + value]),
        lambda value: FlatCodec().decode_request([b"\x93\xa1u\xa4MGET" + value]),
        lambda value: FlatCodec().decode_request([value]),
        lambda value: peek_request([MAP + value], Limits()),
        lambda value: peek_reply([value, b""], Limits()),
        lambda value: ClassicCodec().decode_response([HEADER, b"\x81\xa5datas" + value], Request(Range())),
        lambda value: ClassicCodec().decode_response([value, b"\xc0"], Request(Range())),
        lambda value: FlatCodec().decode_response([value], Request(MGet(["k"]))),
    ],
    ids=[
        *("classic request", "flat request", "flat array", "passed request"),
        *("passed header", "classic reply", "classic header", "flat reply"),
    ],
)
def test_a_message_takes_seven_times_its_size_beside_itself(shape, read, monkeypatch):
    monkeypatch.setattr(packing, "PAGE", LIGHT)
    monkeypatch.setattr(packing, "FLOOR", 0)  # it is what a long message may take less than
    monkeypatch.setattr(packing, "reply_floor", lambda _: 0)
    value = SHAPES[shape]
    assert peak(lambda: read(value)) < 7 * SIZE


MIB = 1 << 20
REPLIES: list[tuple[Command[Any], int]] = [
    (Get("k"), 4),
    (Put("k", "v"), 4),
    (Unknown("FLY", []), 4),
    (MGet(["k"]), 4),
    (MGet(["k"] * 16_384), 8),
    (Slice(None, 10), 4),
    (Slice(None, 16_384, include_value=False), 8),
    (Pipeline([Get("k"), MGet(["k"] * 100)]), 4),
    (Pipeline([Slice(None, 16_000), MGet(["k"] * 384)]), 8),
    (Pipeline([Range()]), 24),
    (Range(), 24),
    (DbList(), 24),
]


@pytest.mark.parametrize(("command", "most"), REPLIES, ids=[f"{c.verb} of {most} MiB" for c, most in REPLIES])
@pytest.mark.parametrize("shape", ["empty arrays", "pairs"])
@pytest.mark.parametrize("dialect", ["classic", "flat"])
def test_a_short_reply_takes_what_its_command_asked_for(command, most, shape, dialect):
    reply = [HEADER, b"\x81\xa5datas" + SHAPES[shape]] if dialect == "classic" else [SHAPES[shape]]
    codec = DIALECTS[dialect]()
    assert peak(lambda: codec.decode_response(reply, Request(command, id=7))) < max(most * MIB, 7 * SIZE)


def test_common_messages_of_many_elements_are_read():
    keys = [b"%016d" % number for number in range(200_000)]
    [frame] = ClassicCodec().encode_request(Request(MGet(keys), "u", 7))
    assert len(frame) > LIGHT
    command: Any = ClassicCodec().decode_request([frame]).command
    assert len(command.keys) == 200_000
    pairs = [[key, b"v" * 100] for key in keys]
    reply = [HEADER, msgpack.packb({"datas": pairs}, use_bin_type=False)]
    assert ClassicCodec().decode_response(reply, Request(Range(), id=7)).payload == pairs


def test_the_limit_of_a_client_can_be_raised():
    pairs = [[b"%07d" % number, b"1"] for number in range(400_000)]
    reply = [HEADER, msgpack.packb({"datas": pairs}, use_bin_type=False)]
    with pytest.raises(LimitExceeded, match="would take over"):
        ClassicCodec().decode_response(reply, Request(Range(), id=7))
    assert ClassicCodec(Limits(expansion=30)).decode_response(reply, Request(Range(), id=7)).payload == pairs


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-(1 << 63), (1 << 64) - 1) | st.floats() | st.binary(max_size=600),
    lambda inner: st.lists(inner, max_size=40) | st.dictionaries(st.binary(max_size=5), inner, max_size=20),
)


@given(VALUES, st.booleans())
def test_a_sound_value_is_never_taken_for_another(value, binary):
    check_weight(msgpack.packb(value, use_bin_type=binary), 1 << 40)


def test_a_claim_is_refused_before_its_elements_are_counted():
    with pytest.raises(LimitExceeded, match="send it in parts"):
        check_weight(b"\xdd\x00\x80\x00\x00" + b"\xc0" * (8 << 20), 1 << 20)
    with pytest.raises(MalformedMessage, match="cut off"):
        check_weight(b"\xdd\xff\xff\xff\xff", 1 << 20)


def test_a_tally_counts_over_the_whole_reply():
    tally = Tally(980)
    for _ in range(5):
        tally.array([b"a", b"b"])
    with pytest.raises(LimitExceeded):
        tally.map({})
    assert tally.elements == 17


RUNS = {"of letters": (b"\xa1x", 16), "of letters like heads": (b"\xa1\xa1", 16), "small": (b"\x07", 16)}
RUNS |= {"of two": (b"\xa1\xa1\xff", 32), "broken by numbers": (b"\xc0" * 1023 + b"\xcd\x01\x00", 16 * 1023 + 40)}


@pytest.mark.parametrize(("run", "weighs"), RUNS.values(), ids=RUNS)
@pytest.mark.parametrize("times", [1, 1024, 5000])
def test_many_light_elements_weigh_what_each_of_them_does(run, weighs, times):
    elements = times * {b"\xa1\xa1\xff": 2}.get(run, 1024 if len(run) > 3 else 1)
    frame = b"\xdd" + elements.to_bytes(4, "big") + run * times
    check_weight(frame, 72 + weighs * times)
    with pytest.raises(LimitExceeded):
        check_weight(frame, 72 + weighs * times - 1)
    with pytest.raises(MalformedMessage, match="cut off"):
        check_weight(b"\xdd" + (elements + 1).to_bytes(4, "big") + run * times, 1 << 40)


EMPTY = b"\xdc\x03\xe8" + b"\xd9\x00" * 1000  # strings with a byte of length, in arrays of a thousand


@pytest.mark.parametrize("arguments", [array(EMPTY, 12 << 20), b"\x91" * (12 << 20) + b"\xc0"], ids=["wide", "deep"])
def test_the_elements_that_are_looked_at_one_by_one_are_bounded(arguments):
    """That bounds the time: a proxy reads in its loop, and its other clients wait."""
    message = b"\x84\xa3cmd\xa3PUT\xa4args" + arguments + b"\xa3uid\xa1u\xa4meta\x81\xa2id\x01"
    with pytest.raises(
        LimitExceeded, match=r"frame of 12,58\d,\d\d\d bytes with more than 524,288 different elements; "
    ):
        ClassicCodec(Limits(expansion=1000)).decode_request([message])


def test_light_elements_are_not_looked_at_one_by_one(monkeypatch):
    class Sizes(list):
        looks = 0

        def __getitem__(self, first):
            self.looks += 1
            return super().__getitem__(first)

    monkeypatch.setattr(weight, "_SIZES", sizes := Sizes(weight._SIZES))
    check_weight(array(b"\xa1x", 1 << 20), 1 << 40)
    assert sizes.looks < 3000


ROW = [1, b"k" * 16, b"v" * 100]
leaves = st.none() | st.booleans() | st.integers(-40, 300) | st.binary(max_size=40)
elements = st.recursive(
    leaves, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.binary(max_size=3), inner, max_size=2)
)


def packed_batch(items, *, modern=False):
    return msgpack.packb({"cmd": "BATCH", "args": [items], "uid": "u"}, use_bin_type=modern)


def outcome(frame, most):
    try:
        check_weight(frame, most)
    except (LimitExceeded, MalformedMessage):
        return "refused"
    return "taken"


@pytest.fixture(scope="module")
def one_by_one():
    """Weighs without looking for what is alike."""

    def weigh(frame, most):
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(weight, "_ALIKE", 1 << 40)
            return outcome(frame, most)

    return weigh


def least(frame, weigh):
    """The smallest memory with which the frame is taken."""
    low, high = 0, 1 << 40
    while low < high:
        middle = (low + high) // 2
        low, high = (low, middle) if weigh(frame, middle) == "taken" else (middle + 1, high)
    return low


@pytest.mark.parametrize(
    "items",
    [
        [ROW] * 3000,
        [[0, b"k%06d" % i] for i in range(2000)],
        [b"k%06d" % i for i in range(2000)],
        [ROW] * 1500 + [[0, b"k"]] + [ROW] * 1500,
        [ROW if i % 3 else [0, b"k" * (i % 40)] for i in range(2000)],
        [[]] * 1500,
        [{b"a": b"%04d" % i} for i in range(1500)],
        [[[1, b"x"]] * 2 for _ in range(1200)],
        [[[1, b"%d" % i] for i in range(1100)]] * 3,
    ],
)
@pytest.mark.parametrize("modern", [False, True])
def test_alike_or_not_a_frame_weighs_the_same(one_by_one, items, modern):
    frame = packed_batch(items, modern=modern)
    assert least(frame, outcome) == least(frame, one_by_one)


@given(st.lists(elements, min_size=1, max_size=3), st.binary(max_size=3), st.data())
def test_damaged_frames_of_alike_elements_are_judged_as_one_by_one(one_by_one, kinds, damage, data):
    frame = bytearray(packed_batch([kinds[i % len(kinds)] for i in range(1200)]))
    for byte in damage:
        frame[data.draw(st.integers(0, len(frame) - 1))] = byte
    for most in (1 << 30, 8 * len(frame), len(frame)):
        assert outcome(bytes(frame), most) == one_by_one(bytes(frame), most)


def test_the_last_of_many_elements_that_are_alike_is_weighed_as_well(one_by_one):
    frame = msgpack.packb([[]] * 5000)
    assert (outcome(frame, 5000 * 72), one_by_one(frame, 5000 * 72)) == ("refused", "refused")


def test_an_element_of_many_tokens_is_compared_with_no_other(monkeypatch):
    compiled: list[Any] = []
    monkeypatch.setattr(re, "compile", compiled.append)
    check_weight(packed_batch([[b"%02d" % i for i in range(50)]] * 1200), 1 << 30)
    assert compiled == []
