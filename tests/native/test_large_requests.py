"""Large batches and MGets are taken, or refused with the same error, with the extension and without."""

from typing import Any

import pytest
from hypothesis import given, settings, strategies as st

from pyelevator.codec import ClassicCodec, elements
from pyelevator.commands import DELETE, PUT, Batch, MGet
from pyelevator.errors import ProtocolError
from pyelevator.messages import Request

CODEC = ClassicCodec()
OPS = [
    (DELETE, b"%06d" % number) if number % 5 == 4 else (PUT, b"%06d" % number, b"v" * (number % 40))
    for number in range(21_000)
]
KEYS = [b"%06d" % number for number in range(21_000)]
FRAMES = {
    "batch": bytes(CODEC.encode_request(Request(Batch(OPS), "uid", 7))[0]),
    "mget": bytes(CODEC.encode_request(Request(MGet(KEYS), "uid", 7))[0]),
}


def native_checks():
    """The checks of the extension, whatever the environment says of it."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYELEVATOR_NATIVE", "1")
        return elements._native_checks.__wrapped__()


CHECKS = native_checks()


def decode(frame, checks):
    """What a server makes of a frame: the kind of the command and its elements, or the error."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(elements, "_native_checks", lambda: CHECKS if checks else {})
        try:
            command: Any = CODEC.decode_request([frame]).command
        except ProtocolError as error:
            return type(error), str(error), error.code
        return type(command), list(map(tuple, command.ops)) if isinstance(command, Batch) else list(command.keys)


def assert_same(frame):
    expected, found = decode(frame, checks=False), decode(frame, checks=True)
    assert found == expected
    return found


def test_the_extension_checks_both_kinds():
    assert len(CHECKS) == 2


@pytest.mark.parametrize("name", FRAMES)
def test_sound_ones_are_taken(name):
    assert assert_same(FRAMES[name])[1] == {"batch": OPS, "mget": KEYS}[name]


@settings(max_examples=60)
@given(name=st.sampled_from(sorted(FRAMES)), data=st.data())
def test_damaged_ones_are_taken_or_refused_alike(name, data):
    frame = FRAMES[name]
    first = data.draw(st.integers(0, 200) | st.integers(0, len(frame)) | st.integers(len(frame) - 20, len(frame)))
    behind = data.draw(st.integers(first, min(len(frame), first + 3)))
    assert_same(frame[:first] + data.draw(st.binary(max_size=3)) + frame[behind:])
