"""The headers of successes, by which answers are known without a look at a map: the same ones that the long way makes."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pyelevator.codec import ClassicCodec, Limits
from pyelevator.codec.classic import SUCCEEDED
from pyelevator.codec.passing import renumbered, reply_to_pass, success
from pyelevator.messages import Response

LIMITS = Limits()
IDS = st.integers(0, (1 << 64) - 1)


@given(IDS, IDS)
def test_a_success_gets_the_same_header_either_way(number, other):
    frames = ClassicCodec().encode_response(Response(id=number), None)
    header = reply_to_pass(frames, LIMITS)
    assert frames[0] == success(number)
    assert header[b"id"] == number
    assert success(other) == renumbered(header, other, header)


@pytest.mark.parametrize(
    "tail", [b"", b"\xff", b"\xc3", b"\xc0", b"\x01\x01", b"\xcd\x01", b"\xa11", b"\xc1", b"\xca\0\0\0\0"]
)
def test_what_is_no_id_is_none(tail):
    assert reply_to_pass([SUCCEEDED + tail, b""], LIMITS) is None


@pytest.mark.parametrize("count", [0, 1, 3])
def test_a_reply_has_two_frames(count):
    assert reply_to_pass([success(7)] * count, LIMITS) is None
