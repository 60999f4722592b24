"""Compressed replies: when they are, what they may claim, and what happens without the extra."""

import tracemalloc
from contextlib import suppress

import lz4.block
import msgpack
import pytest
from hypothesis import given, strategies as st

from pyelevator.codec import ClassicCodec, FlatCodec, Limits, lz4 as frames_of
from pyelevator.commands import Get, Range
from pyelevator.errors import ErrorCode, LimitExceeded, MalformedMessage, MissingExtra
from pyelevator.messages import Request, Response
from pyelevator.protocol import RequestDecoder
from support.optional import unwrap

ASKED = Request(Get("k"), "u", compression=True)
HEADER = msgpack.packb({"status": 1, "err_msg": None, "compression": True, "err_code": None})


@pytest.fixture
def without_lz4(monkeypatch):
    monkeypatch.setattr(frames_of, "_block", lambda: None)


def test_a_compressed_frame_is_a_little_endian_size_and_one_raw_block():
    frame = frames_of.compress(b"abcdefghij" * 1000)
    assert frame[:4] == (10_000).to_bytes(4, "little")
    assert lz4.block.decompress(frame[4:], uncompressed_size=10_000) == b"abcdefghij" * 1000
    assert len(frame) < 100


def test_a_reply_is_compressed_if_the_request_asked():
    header, content = ClassicCodec().encode_response(Response(b"v" * 1000), ASKED)
    assert msgpack.unpackb(header)["compression"] is True
    assert len(content) < 100
    assert ClassicCodec().decode_response([header, content], ASKED).payload == b"v" * 1000


def failure_is_compressed(frames):
    """Whether a failure is, header and content alike."""
    header, content = frames
    compressed = msgpack.unpackb(header)["compression"]
    plain = lz4.block.decompress(content) if compressed else content
    assert msgpack.unpackb(plain) == {"datas": None}
    return compressed


@pytest.mark.parametrize(("id", "compressed"), [(None, True), (7, False), (b"id", False)])
def test_a_failure_is_compressed_for_old_clients_only(id, compressed):
    request = Request(Get("k"), "u", id, compression=True)
    failure = Response.failure(ErrorCode.KEY, "Key 'k' does not exist", id)
    frames = ClassicCodec().encode_response(failure, request)
    assert failure_is_compressed(frames) is compressed
    header = msgpack.unpackb(frames[0])
    assert (header["err_code"], header["err_msg"]) == (ErrorCode.KEY, "Key 'k' does not exist")


def test_a_failure_is_not_compressed_unless_asked_for():
    failure = Response.failure(ErrorCode.KEY, "Key 'k' does not exist")
    assert failure_is_compressed(ClassicCodec().encode_response(failure, Request(Get("k"), "u"))) is False


def test_a_failure_is_not_compressed_without_lz4(without_lz4):
    failure = Response.failure(ErrorCode.KEY, "Key 'k' does not exist")
    assert failure_is_compressed(ClassicCodec().encode_response(failure, ASKED)) is False


@pytest.mark.parametrize(
    ("meta", "compressed"),
    [
        ({"compression": True}, True),
        ({"compression": True, "id": 7}, False),
        ({"compression": False}, False),
        ({}, False),
    ],
)
@pytest.mark.parametrize("message", [{"cmd": "PUT", "args": ["k", 123]}, {"cmd": "GET", "args": []}, {"args": []}])
def test_what_cannot_be_read_is_refused_compressed_where_that_is_asked(message, meta, compressed):
    incoming = RequestDecoder().read([msgpack.packb(message | {"meta": meta, "uid": "u"})])
    assert incoming.request is None
    assert failure_is_compressed(incoming.encode(unwrap(incoming.refusal))) is compressed


@pytest.mark.parametrize("compression", [False, None, 1, "yes"])
def test_what_is_not_true_in_the_header_means_plain_content(compression):
    header = msgpack.packb({"status": 1, "err_msg": None, "compression": compression, "err_code": None})
    content = msgpack.packb({"datas": ["v"]})
    assert ClassicCodec().decode_response([header, content], ASKED).payload == b"v"


def test_a_huge_claim_is_refused_before_memory_is_taken():
    frame = (500 << 20).to_bytes(4, "little") + b"\x00" * 100
    tracemalloc.start()
    try:
        with pytest.raises(MalformedMessage, match="no lz4 block of 524,288,000 bytes"):
            ClassicCodec().decode_response([HEADER, frame], ASKED)
        assert tracemalloc.get_traced_memory()[1] < 1_000_000
    finally:
        tracemalloc.stop()


def test_a_claim_over_the_limit_is_refused():
    codec, content = ClassicCodec(Limits(content_bytes=100)), msgpack.packb({"datas": [b"v" * 90]}, use_bin_type=False)
    assert len(content) == 101
    with pytest.raises(LimitExceeded, match="compressed content of 101 bytes is over the limit of 100"):
        codec.decode_response([HEADER, frames_of.compress(content)], ASKED)


def test_content_may_be_larger_than_a_frame_once_decompressed():
    codec = ClassicCodec(Limits(frame_bytes=1000, content_bytes=5000))
    frames = codec.encode_response(Response(b"v" * 4000), ASKED)
    assert codec.decode_response(frames, ASKED).payload == b"v" * 4000


def test_a_compressed_frame_is_a_frame_like_any_other():
    frame = (500).to_bytes(4, "little") + b"\x00" * 500
    with pytest.raises(LimitExceeded, match="a frame of 504 bytes is over the limit of 200"):
        ClassicCodec(Limits(frame_bytes=200)).decode_response([HEADER, frame], ASKED)


@pytest.mark.parametrize(
    "frame",
    [
        b"",
        b"\x08\x00\x00",
        b"\x08\x00\x00\x00",
        b"\x00\x00\x00\x00\x00",
        b"\x08\x00\x00\x00" + b"\xff" * 9,
        frames_of.compress(b"\x81\xa5datas\xc0")[:-1],
        b"\x09" + frames_of.compress(b"\x81\xa5datas\xc0")[1:],
        b"\x07" + frames_of.compress(b"\x81\xa5datas\xc0")[1:],
        frames_of.compress(b"not msgpack"),
        frames_of.compress(b""),
    ],
)
def test_a_broken_compressed_frame_is_malformed(frame):
    with pytest.raises(MalformedMessage):
        ClassicCodec().decode_response([HEADER, frame], ASKED)


@given(st.binary(max_size=64))
def test_any_compressed_frame_gives_a_value_or_one_of_two_errors(frame):
    with suppress(MalformedMessage, LimitExceeded):
        frames_of.decompress(frame, Limits(content_bytes=4096))


@given(st.binary(max_size=4096))
def test_content_survives_compression(content):
    assert frames_of.decompress(frames_of.compress(content), Limits()) == content


def test_asking_for_compression_without_lz4_says_what_to_install(without_lz4):
    with pytest.raises(MissingExtra, match=r"pip install 'pyelevator\[lz4\]'"):
        ClassicCodec().encode_request(ASKED)


def test_a_compressed_reply_without_lz4_says_what_to_install(without_lz4):
    with pytest.raises(MissingExtra, match=r"pip install 'pyelevator\[lz4\]'"):
        ClassicCodec().decode_response([HEADER, b"\x00" * 9], ASKED)


def test_a_server_without_lz4_answers_a_plain_reply(without_lz4):
    codec, pairs = ClassicCodec(), [[b"k", b"v"]]
    request = Request(Range(), "u", compression=True)
    frames = codec.encode_response(Response(pairs), request)
    assert msgpack.unpackb(frames[0])["compression"] is False
    assert codec.decode_response(frames, request).payload == pairs


def test_flat_knows_no_compression():
    frames = FlatCodec().encode_request(ASKED)
    assert frames == [b"\x93\xa1u\xa3GET\xa1k"]
    assert FlatCodec().encode_response(Response(b"v"), ASKED) == [b"\x94\x01\x00\xa0\xa1v"]


def test_a_reply_compressed_without_being_asked_is_refused_unread():
    codec, asked = ClassicCodec(), Request(Range(), id=7, compression=True)
    header, content = codec.encode_response(Response([[b"k", b"v" * 1000]], id=7), asked)
    assert codec.decode_response([header, content], asked).payload == [[b"k", b"v" * 1000]]
    for unread in (content, b"\xff\xff\xff\x7f" + bytes(100)):
        with pytest.raises(MalformedMessage, match="compressed, and the request did not ask"):
            codec.decode_response([header, unread], Request(Range(), id=7))
