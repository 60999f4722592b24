"""A page is decoded to the same lists, or refused with the same error, with the extension and without."""

import msgpack
import pytest
from hypothesis import given, settings, strategies as st
from pyelevator_native import pages

from pyelevator.codec import ClassicCodec, Limits
from pyelevator.codec.classic import full
from pyelevator.codec.packing import BIN, RAW
from pyelevator.commands import Range
from pyelevator.errors import LimitExceeded, MalformedMessage, ProtocolError
from pyelevator.messages import Request

STRINGS = st.binary(max_size=40) | st.sampled_from([b"k" * length for length in (255, 256, 65_535, 65_536)])
PAIRS = st.lists(st.tuples(STRINGS, STRINGS), min_size=1, max_size=30)


def frames_of(pairs, packing=RAW, **changes):
    header = {"status": 1, "id": 7, "page": [len(pairs), pairs[-1][0]], "compression": False, **changes}
    flat = [item for pair in pairs for item in pair]
    return [RAW.pack(header), b"\x81\xa5datas" + packing.pack(flat)]


def decode(frames, texts, decoder, limits=None):
    """What a client makes of the frames, with a decoder or without."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(full, "native_page_decoder", lambda: decoder)
        request = Request(Range(lazy=True), "uid", 7)
        try:
            page = ClassicCodec(limits).decode_response(frames, request).payload
            return page.decode_str() if texts else page.decode_bytes()
        except ProtocolError as error:
            return type(error), str(error)


def assert_same(frames, texts, limits=None):
    expected, found = [decode(frames, texts, decoder, limits) for decoder in (None, pages.decode_page)]
    assert found == expected
    return found


@settings(max_examples=300)
@given(pairs=PAIRS, texts=st.booleans(), packing=st.sampled_from([RAW, BIN]))
def test_pages_become_the_same_lists(pairs, texts, packing):
    assert_same(frames_of(pairs, packing), texts)


@settings(max_examples=500)
@given(st.data())
def test_damaged_pages_give_the_same_errors(data):
    frames = frames_of(data.draw(PAIRS))
    content = frames[1]
    first = data.draw(st.integers(0, min(len(content), 200)))
    behind = data.draw(st.integers(first, min(len(content), first + 3)))
    changed = content[:first] + data.draw(st.binary(max_size=3)) + content[behind:]
    assert_same([frames[0], changed], data.draw(st.booleans()))


@pytest.mark.parametrize("texts", [False, True])
def test_a_page_is_decoded_without_msgpack(monkeypatch, texts):
    seen = []

    def spy(*args):
        seen.append(pages.decode_page(*args))
        return seen[-1]

    decode(frames_of([(b"k", b"v" * 100)] * 3), texts, spy)
    assert seen == [[["k", "v" * 100]] * 3 if texts else [[b"k", b"v" * 100]] * 3]


def test_any_bytes_survive_as_text():
    assert assert_same(frames_of([(b"\xff\xfe", "é".encode())]), True) == [["\udcff\udcfe", "é"]]


def test_a_claim_of_more_pairs_than_there_are_is_refused():
    frames = frames_of([(b"k", b"v")])
    claims = b"\x81\xa5datas\xdd\x0f\xff\xff\xfe"
    assert assert_same([frames[0], claims], False)[0] is MalformedMessage


def test_limits_hold_for_pages_of_tiny_pairs():
    pairs = [(b"", b"")] * 20_000
    for limits in (Limits(elements=1000), Limits(frame_bytes=1000)):
        assert assert_same(frames_of(pairs), False, limits)[0] is LimitExceeded
    assert len(assert_same(frames_of(pairs), False)) == 20_000


@given(st.lists(st.tuples(st.just(1), STRINGS, STRINGS) | st.tuples(st.just(0), STRINGS), max_size=20), st.data())
def test_operations_are_told_from_anything_else(ops, data):
    packed = b"".join(map(RAW.pack, ops))
    assert pages.are_operations(packed, len(ops))
    assert not pages.are_operations(packed + b"\xc0", len(ops))
    if packed:
        assert not pages.are_operations(packed[: data.draw(st.integers(0, len(packed) - 1))], len(ops))


@given(st.lists(STRINGS, max_size=20))
def test_strings_are_told_from_anything_else(strings):
    packed = b"".join(map(msgpack.Packer(use_bin_type=True).pack, strings))
    assert pages.are_strings(packed, len(strings))
    assert not pages.are_strings(packed, len(strings) + 1)
    assert not pages.are_strings(packed + b"\x01", len(strings) + 1)
