"""The headers of successes, by which answers are known without a look at a map: the same ones that the long way makes."""

import pytest
from hypothesis import given, strategies as st

from pyelevator.codec import ClassicCodec, Limits
from pyelevator.codec.classic.fast_path import SUCCESS_PREFIX
from pyelevator.codec.classic.forwarding import peek_reply, success_header, with_id
from pyelevator.messages import Response
from support.optional import unwrap

LIMITS = Limits()
IDS = st.integers(0, (1 << 64) - 1)


@given(IDS, IDS)
def test_a_success_gets_the_same_header_either_way(number, other):
    frames = ClassicCodec().encode_response(Response(id=number), None)
    header = unwrap(peek_reply(frames, LIMITS))
    assert frames[0] == success_header(number)
    assert header[b"id"] == number
    assert success_header(other) == with_id(header, other, header)


@pytest.mark.parametrize(
    "tail", [b"", b"\xff", b"\xc3", b"\xc0", b"\x01\x01", b"\xcd\x01", b"\xa11", b"\xc1", b"\xca\0\0\0\0"]
)
def test_what_is_no_id_is_none(tail):
    assert peek_reply([SUCCESS_PREFIX + tail, b""], LIMITS) is None


@pytest.mark.parametrize("count", [0, 1, 3])
def test_a_reply_has_two_frames(count):
    assert peek_reply([success_header(7)] * count, LIMITS) is None
