"""What our codecs write: old peers can read it, and extensions only travel when they are used."""

import re

import attrs
import msgpack
import pytest
from hypothesis import given, strategies as st

from pyelevator.codec import ClassicCodec, FlatCodec, UnsupportedByDialect, codec_for, dialect_of
from pyelevator.commands import (
    COMMANDS,
    DELETE,
    HAS_VALUE,
    IS_MISSING,
    IS_PRESENT,
    PUT,
    Batch,
    ConditionalBatch,
    DbConnect,
    DbCreate,
    DbDrop,
    DbList,
    DbRepair,
    Delete,
    Exists,
    Get,
    MGet,
    Ping,
    Put,
    Range,
    Slice,
)
from pyelevator.errors import ErrorCode, MalformedMessage, UsageError
from pyelevator.messages import Request, Response, Status
from pyelevator.testing.strategies import requests, responses_to

# First byte -> bytes of a fixed size, bytes of a length that counts raw bytes, and elements, of msgpack's old types.
FIXED = {0xC0: 0, 0xC2: 0, 0xC3: 0, 0xCA: 4, 0xCB: 8}
FIXED |= {0xCC: 1, 0xCD: 2, 0xCE: 4, 0xCF: 8, 0xD0: 1, 0xD1: 2, 0xD2: 4, 0xD3: 8}
FIXED |= dict.fromkeys([*range(0x80), *range(0xE0, 0x100)], 0)
RAW = {0xDA: 2, 0xDB: 4}
ARRAY, MAP = {0xDC: 2, 0xDD: 4}, {0xDE: 2, 0xDF: 4}


def after(frame, at):
    """Where the value at ``at`` ends, read as old peers read it: str8, bin and ext are no types."""
    kind, at = frame[at], at + 1
    if kind in FIXED:
        return at + FIXED[kind]
    if 0xA0 <= kind <= 0xBF:
        return at + (kind & 0x1F)
    if 0x80 <= kind <= 0x9F:
        return after_many(frame, at, (kind & 0x0F) * (1 if kind >= 0x90 else 2))
    size = (RAW | ARRAY | MAP)[kind]
    length, at = int.from_bytes(frame[at : at + size], "big"), at + size
    return at + length if kind in RAW else after_many(frame, at, length * (2 if kind in MAP else 1))


def after_many(frame, at, values):
    for _ in range(values):
        at = after(frame, at)
    return at


def readable(frames):
    return all(after(frame, 0) == len(frame) for frame in frames)


@pytest.mark.parametrize("value", [b"x" * 40, msgpack.ExtType(1, b"x"), msgpack.Timestamp(7)])
def test_the_old_reader_of_these_tests_knows_no_newer_types(value):
    with pytest.raises(KeyError):
        readable([msgpack.packb([value], use_bin_type=True)])


@pytest.mark.parametrize("dialect", ["classic", "flat"])
@given(data=st.data())
def test_old_peers_can_read_all_that_we_write(dialect, data):
    codec, request = codec_for(dialect), data.draw(requests(dialect))
    plain = Request(request.command, request.uid, request.id)
    assert readable(codec.encode_request(request))
    assert readable(codec.encode_response(data.draw(responses_to(plain)), plain))


@pytest.mark.parametrize("size", [0, 31, 32, 255, 256, 65_535, 65_536])
def test_a_value_of_any_size_is_in_the_raw_family(size):
    [frame] = ClassicCodec().encode_request(Request(Put("k", b"x" * size), "u"))
    assert readable([frame])


@pytest.mark.parametrize(
    ("request_", "frame"),
    [
        (Request(Ping()), b"\x84\xa3cmd\xa4PING\xa4meta\x81\xabcompression\xc2\xa3uid\xc0\xa4args\x90"),
        (Request(Get("k"), "u"), b"\x84\xa3cmd\xa3GET\xa4meta\x81\xabcompression\xc2\xa3uid\xa1u\xa4args\x91\xa1k"),
        (
            Request(Get("k"), "u", id=7, compression=True),
            b"\x84\xa3cmd\xa3GET\xa4meta\x82\xabcompression\xc3\xa2id\x07\xa3uid\xa1u\xa4args\x91\xa1k",
        ),
        (
            Request(Range("a", None), "u"),
            b"\x84\xa3cmd\xa5RANGE\xa4meta\x81\xabcompression\xc2\xa3uid\xa1u\xa4args\x94\xa1a\xc0\xc3\xc3",
        ),
        (
            Request(Range(prefix="a", include_key=False), "u"),
            b"\x84\xa3cmd\xa5RANGE\xa4meta\x81\xabcompression\xc2\xa3uid\xa1u\xa4args\x95\xc0\xc0\xc2\xc3\xa1a",
        ),
        (
            Request(Range("a", None, reverse=True), "u"),
            b"\x84\xa3cmd\xa5RANGE\xa4meta\x82\xabcompression\xc2\xa7reverse\xc3"
            b"\xa3uid\xa1u\xa4args\x94\xa1a\xc0\xc3\xc3",
        ),
        (
            Request(Slice("a", 2, reverse=True, exclusive=True), "u"),
            b"\x84\xa3cmd\xa5SLICE\xa4meta\x83\xabcompression\xc2\xa7reverse\xc3\xa9exclusive\xc3"
            b"\xa3uid\xa1u\xa4args\x94\xa1a\x02\xc3\xc3",
        ),
        (
            Request(Batch([(PUT, "k", "v"), (DELETE, "k")]), "u"),
            b"\x84\xa3cmd\xa5BATCH\xa4meta\x81\xabcompression\xc2\xa3uid\xa1u\xa4args\x91\x92\x93\x01\xa1k\xa1v\x92\x00\xa1k",
        ),
        (
            Request(
                ConditionalBatch(
                    [(PUT, "k", "v"), (DELETE, "l")], [(IS_MISSING, "k"), (IS_PRESENT, "l"), (HAS_VALUE, "m", "w")]
                ),
                "u",
            ),
            b"\x84\xa3cmd\xb0CONDITIONALBATCH\xa4meta\x81\xabcompression\xc2\xa3uid\xa1u\xa4args\x92"
            b"\x92\x93\x01\xa1k\xa1v\x92\x00\xa1l\x93\x92\x00\xa1k\x92\x01\xa1l\x93\x02\xa1m\xa1w",
        ),
        (
            Request(DbCreate("d", {"block_size": 1}), "u"),
            b"\x84\xa3cmd\xa8DBCREATE\xa4meta\x81\xabcompression\xc2\xa3uid\xa1u\xa4args\x92\xa1d\x81\xaablock_size\x01",
        ),
    ],
    ids=lambda value: value.command.verb if isinstance(value, Request) else "",
)
def test_classic_requests_are_these_bytes(request_, frame):
    assert ClassicCodec().encode_request(request_) == [frame]


@pytest.mark.parametrize(
    ("request_", "frame"),
    [
        (Request(Get("k"), "u"), b"\x93\xa1u\xa3GET\xa1k"),
        (Request(Put("k", "v"), "u", id=7, compression=False), b"\x94\xa1u\xa3PUT\xa1k\xa1v"),
        (Request(MGet(["k", "l"], fill_cache=True), "u"), b"\x94\xa1u\xa4MGET\xa1k\xa1l"),
        (Request(Range(None, "z"), "u"), b"\x94\xa1u\xa5RANGE\xa0\xa1z"),
        (Request(Slice("a", 10), "u"), b"\x94\xa1u\xa5SLICE\xa1a\xa210"),
        (Request(Batch([(PUT, "k", "v"), (DELETE, "k")]), "u"), b"\x97\xa1u\xa5BATCH\xa4BPUT\xa1k\xa1v\xa4BDEL\xa1k"),
        (Request(DbConnect("d")), b"\x93\xa0\xa9DBCONNECT\xa1d"),
        (Request(DbDrop("d"), "u"), b"\x93\xa0\xa6DBDROP\xa1d"),
        (Request(DbList(), "u"), b"\x92\xa0\xa6DBLIST"),
    ],
    ids=lambda value: value.command.verb if isinstance(value, Request) else "",
)
def test_flat_requests_are_these_bytes(request_, frame):
    assert FlatCodec().encode_request(request_) == [frame]


@pytest.mark.parametrize(
    "command",
    [
        Ping(),
        Exists("k"),
        Range(None, None),
        Range("a", "b", include_key=False),
        Range("a", "b", prefix="a"),
        Slice("a", 1, include_value=False),
        DbCreate("d", {"block_size": 1}),
        Batch([(PUT, "k", "BPUT")]),
        Batch([(DELETE, "BDEL")]),
        Put("k", "v", sync=True),
        Delete("k", sync=True),
        Batch([(DELETE, "k")], sync=True),
        Range("a", "b", reverse=True),
        Slice("a", 1, reverse=True),
        Slice("a", 1, exclusive=True),
        Slice("a", 1, cursor=True),
        Slice("a", 1, cursor=b"id"),
    ],
)
def test_what_flat_has_no_words_for_is_not_sent(command):
    with pytest.raises(UnsupportedByDialect, match="flat"):
        FlatCodec().encode_request(Request(command, "u"))


@pytest.mark.parametrize(
    ("command", "meta"),
    [
        (MGet(["k"]), {"compression": False}),
        (MGet(["k"], fill_cache=True), {"compression": False, "fill_cache": True}),
        (Put("k", "v"), {"compression": False}),
        (Put("k", "v", sync=True), {"compression": False, "sync": True}),
        (Delete("k", sync=True), {"compression": False, "sync": True}),
        (Batch([(DELETE, b"k")], sync=True), {"compression": False, "sync": True}),
        (Slice("a", 1), {"compression": False}),
        (Slice("a", 1, max_bytes=0), {"compression": False, "max_bytes": 0}),
        (Slice("a", 1, max_bytes=1000), {"compression": False, "max_bytes": 1000}),
        (Slice("a", 1, reverse=True, exclusive=True), {"compression": False, "reverse": True, "exclusive": True}),
        (Slice("a", 1, cursor=True), {"compression": False, "cursor": True}),
        (Slice("a", 1, cursor=b"id"), {"compression": False, "cursor": "id"}),
        (Range(reverse=True), {"compression": False, "reverse": True}),
        (DbDrop("d", force=True), {"compression": False, "force": True}),
        (DbRepair(), {"compression": False}),
        (DbRepair(force=True, report=True), {"compression": False, "force": True, "report": True}),
    ],
)
def test_extras_only_travel_when_they_differ_from_their_defaults(command, meta):
    [frame] = ClassicCodec().encode_request(Request(command, "u"))
    assert msgpack.unpackb(frame)["meta"] == meta
    assert ClassicCodec().decode_request([frame]).command == command


def test_every_extra_is_a_field_that_is_off_by_default():
    extras = {extra: attrs.fields_dict(kind)[extra].default for kind in COMMANDS.values() for extra in kind.meta_fields}
    assert extras == {
        "fill_cache": False,
        "max_bytes": None,
        "sync": False,
        "reverse": False,
        "exclusive": False,
        "cursor": False,
        "tolerant": False,
        "force": False,
        "report": False,
    }


def test_a_cursor_comes_back_in_the_header():
    codec, request = ClassicCodec(), Request(Slice("a", 1, cursor=True), "u")
    reply = codec.encode_response(Response([(b"a", b"1")], more=True, cursor=b"id"), request)
    assert reply == [
        b"\x86\xa6status\x01\xa7err_msg\xc0\xabcompression\xc2\xa8err_code\xc0\xa4more\xc3\xa6cursor\xa2id",
        b"\x81\xa5datas\x91\x92\xa1a\xa11",
    ]
    assert codec.decode_response(reply, request) == Response([[b"a", b"1"]], more=True, cursor=b"id")


def reply_with_cursor(cursor):
    header = {"status": 1, "err_msg": None, "compression": False, "err_code": None, "cursor": cursor}
    return [msgpack.packb(header), msgpack.packb({"datas": []})]


def test_nil_is_no_cursor():
    request = Request(Slice("a", 1, cursor=True), "u")
    assert ClassicCodec().decode_response(reply_with_cursor(None), request).cursor is None


@pytest.mark.parametrize("cursor", [1, True, ["id"], {"id": 1}])
def test_a_cursor_that_is_no_text_is_malformed(cursor):
    with pytest.raises(MalformedMessage, match="the cursor of a reply is"):
        ClassicCodec().decode_response(reply_with_cursor(cursor), Request(Slice("a", 1, cursor=True), "u"))


def test_an_id_rides_in_meta_and_comes_back_in_the_header():
    codec, request = ClassicCodec(), Request(Get("k"), "u", id=2**64 - 1)
    [frame] = codec.encode_request(request)
    assert msgpack.unpackb(frame)["meta"] == {"compression": False, "id": 2**64 - 1}
    reply = codec.encode_response(Response(b"v", id=codec.decode_request([frame]).id), request)
    assert msgpack.unpackb(reply[0])["id"] == 2**64 - 1
    assert codec.reply_id(reply) == 2**64 - 1


def test_a_refusal_says_under_which_id_to_answer():
    frame = msgpack.packb({"cmd": "GET", "meta": {"id": 7}, "uid": None, "args": []})
    with pytest.raises(MalformedMessage, match="GET does not take 0 arguments") as refused:
        ClassicCodec().decode_request([frame])
    assert (refused.value.request_id, refused.value.code) == (7, ErrorCode.VALUE)


@pytest.mark.parametrize(
    ("response", "command", "header", "content"),
    [
        (Response(b"v"), Get("k"), {}, [b"v"]),
        (Response(b""), Get("k"), {}, [b""]),
        (Response(True), Exists("k"), {}, [True]),
        (Response(False), Exists("k"), {}, False),
        (Response(None), Delete("k"), {}, None),
        (Response([], more=True), Slice("a", 1, max_bytes=1), {b"more": True}, []),
        (Response(b"uid", features=("ids",)), DbConnect("d"), {b"features": [b"ids"]}, [b"uid"]),
        (Response([b"v", None], Status.WARNING), MGet(["k", "l"]), {b"status": -2}, [b"v", None]),
        (
            Response.failure(ErrorCode.KEY, "Key 'k' does not exist"),
            Get("k"),
            {b"status": -1, b"err_code": 1, b"err_msg": b"Key 'k' does not exist"},
            None,
        ),
    ],
)
def test_classic_replies_have_this_header_and_content(response, command, header, content):
    success = {b"status": 1, b"err_msg": None, b"compression": False, b"err_code": None}
    first, second = ClassicCodec().encode_response(response, Request(command, "u"))
    assert msgpack.unpackb(first, raw=True) == success | header
    assert msgpack.unpackb(second, raw=True) == {b"datas": content}


def test_a_missing_key_is_an_empty_value_in_flat():
    missing = Response.failure(ErrorCode.KEY, "Key 'k' does not exist")
    assert FlatCodec().encode_response(missing, Request(Get("k"), "u")) == [b"\x94\x01\x00\xa0\xa0"]
    assert not FlatCodec.tells_missing


@pytest.mark.parametrize("dialect", ["classic", "flat"])
def test_a_request_that_could_not_be_read_has_an_answer_too(dialect):
    codec, failure = codec_for(dialect), Response.failure(ErrorCode.REQUEST, "Invalid request message : ")
    assert codec.decode_response(codec.encode_response(failure, None), Request(Ping())) == failure


def test_text_that_is_not_utf8_survives():
    codec, name = ClassicCodec(), b"d\xff".decode("utf-8", "surrogateescape")
    assert codec.decode_request(codec.encode_request(Request(DbConnect(name)))).command == DbConnect(name)
    failure = Response.failure(ErrorCode.DATABASE, f"Database {name} doesn't exist")
    assert codec.decode_response(codec.encode_response(failure, None), Request(Ping())) == failure


@pytest.mark.parametrize(
    ("frames", "dialect"),
    [
        ([b"\x90"], "flat"),
        ([b"\x9f"], "flat"),
        ([b"\xdc\x00\x02"], "flat"),
        ([b"\xdd\x00\x00\x00\x02"], "flat"),
        ([b"\x84"], "classic"),
        ([b"\xde"], "classic"),
        ([b""], "classic"),
        ([], "classic"),
        ([b"", b"\x90"], "classic"),
    ],
)
def test_the_first_byte_tells_the_dialect(frames, dialect):
    assert dialect_of(frames) == dialect


def test_an_unknown_dialect_names_those_that_there_are():
    with pytest.raises(UsageError, match=re.escape("there is no dialect 'rest'; choose one of classic, flat")):
        codec_for("rest")
