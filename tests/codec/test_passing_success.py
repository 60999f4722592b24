"""The headers of successes that are renumbered without a look at a map: the same ones that the long way takes."""

import msgpack
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pyelevator.codec import ClassicCodec, Limits
from pyelevator.codec.classic import SUCCEEDED
from pyelevator.codec.passing import renumbered, reply_to_pass, success, success_to_pass
from pyelevator.messages import Response

LIMITS = Limits()
IDS = st.integers(0, (1 << 64) - 1)


@given(IDS, IDS)
def test_a_success_gets_the_same_header_either_way(number, other):
    frames = ClassicCodec().encode_response(Response(id=number), None)
    header = reply_to_pass(frames, LIMITS)
    assert success_to_pass(frames, LIMITS) == header[b"id"] == number
    assert success(other) == renumbered(header, other, header)


@pytest.mark.parametrize(
    "tail", [b"", b"\xff", b"\xc3", b"\xc0", b"\x01\x01", b"\xcd\x01", b"\xa11", b"\xc1", b"\xca\0\0\0\0"]
)
def test_what_is_no_id_is_none(tail):
    assert success_to_pass([SUCCEEDED + tail, b""], LIMITS) is None
    assert reply_to_pass([SUCCEEDED + tail, b""], LIMITS) is None


@given(st.binary(max_size=12))
def test_whatever_stands_there_is_an_id_to_both_or_to_neither(tail):
    frames = [SUCCEEDED + tail, b""]
    header = reply_to_pass(frames, LIMITS)
    assert success_to_pass(frames, LIMITS) == (None if header is None else header[b"id"])


@pytest.mark.parametrize("count", [0, 1, 3])
def test_a_reply_has_two_frames(count):
    assert success_to_pass([success(7)] * count, LIMITS) is None


def test_a_failure_or_another_order_is_none():
    assert success_to_pass([msgpack.packb({"id": 7, "status": 1}), b""], LIMITS) is None
