"""Elements that are alike are weighed at once, and weigh what they weigh one by one."""

import re
from typing import Any

import msgpack
import pytest
from hypothesis import given, strategies as st

from pyelevator.codec import weight
from pyelevator.codec.weight import check_weight
from pyelevator.errors import LimitExceeded, MalformedMessage

PUT = [1, b"k" * 16, b"v" * 100]
leaves = st.none() | st.booleans() | st.integers(-40, 300) | st.binary(max_size=40)
elements = st.recursive(
    leaves, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.binary(max_size=3), inner, max_size=2)
)


def packed(items, *, modern=False):
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
        [PUT] * 3000,
        [[0, b"k%06d" % i] for i in range(2000)],
        [b"k%06d" % i for i in range(2000)],
        [PUT] * 1500 + [[0, b"k"]] + [PUT] * 1500,
        [PUT if i % 3 else [0, b"k" * (i % 40)] for i in range(2000)],
        [[]] * 1500,
        [{b"a": b"%04d" % i} for i in range(1500)],
        [[[1, b"x"]] * 2 for _ in range(1200)],
        [[[1, b"%d" % i] for i in range(1100)]] * 3,
    ],
)
@pytest.mark.parametrize("modern", [False, True])
def test_alike_or_not_a_frame_weighs_the_same(one_by_one, items, modern):
    frame = packed(items, modern=modern)
    assert least(frame, outcome) == least(frame, one_by_one)


@given(st.lists(elements, min_size=1, max_size=3), st.binary(max_size=3), st.data())
def test_damaged_frames_of_alike_elements_are_judged_as_one_by_one(one_by_one, kinds, damage, data):
    frame = bytearray(packed([kinds[i % len(kinds)] for i in range(1200)]))
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
    check_weight(packed([[b"%02d" % i for i in range(50)]] * 1200), 1 << 30)
    assert compiled == []
