"""Every request and reply that was recorded with the old Go server, and what our codec reads in it."""

import pytest

from pyelevator.codec import FlatCodec, UnsupportedByDialect
from pyelevator.commands import (
    DELETE,
    PUT,
    Batch,
    DbConnect,
    DbCreate,
    DbDrop,
    DbList,
    DbRepair,
    DbUmount,
    Delete,
    Exists,
    Get,
    MGet,
    Ping,
    Put,
    Range,
    Slice,
)
from pyelevator.errors import ErrorCode, MalformedMessage
from pyelevator.messages import Request, Response

REQUESTS = {
    "DBCONNECT": DbConnect("default"),
    "GET": Get(b"k1"),
    "GET.empty_value": Get(b"empty"),
    "GET.extra": Get(b"k1"),
    "PUT": Put(b"p", b"1"),
    "PUT.empty_key": Put(b"", b"x"),
    "DELETE.empty_key": Delete(b""),
    "PUT.binary": Put(b"\x00\xff", b"\xff\x00\xfe" * 20),
    "GET.binary": Get(b"\x00\xff"),
    "DELETE.binary": Delete(b"\x00\xff"),
    "PUT.40B": Put(b"p40", b"x" * 40),
    "DELETE.p40": Delete(b"p40"),
    "DELETE.p7": Delete(b"p7"),
    "DELETE.pn": Delete(b"pn"),
    "MGET": MGet([b"k1", b"k2"]),
    "MGET.missing": MGet([b"k1", b"nokey", b"k3"]),
    "MGET.dup": MGet([b"k1", b"k1"]),
    "MGET.reversed": MGet([b"k3", b"k1"]),
    "MGET.empty": MGet([]),
    "RANGE": Range(b"k1", b"k3"),
    "RANGE.reversed": Range(b"k3", b"k1"),
    "RANGE.empty": Range(b"zz", b"zzz"),
    "SLICE": Slice(b"k1", 3),
    "SLICE.zero": Slice(b"k1"),
    "SLICE.negative": Slice(b"k1", -1),
    "BATCH.put": Batch([(PUT, b"b1", b"1"), (PUT, b"b2", b"2")]),
    "BATCH.single_put": Batch([(PUT, b"b3", b"3")]),
    "BATCH.mixed": Batch([(PUT, b"b4", b"4"), (DELETE, b"b1")]),
    "BATCH.delete": Batch([(DELETE, b"b2")]),
    "DBLIST": DbList(),
    "DBCREATE": DbCreate("db1"),
    "DBCREATE.relpath": DbCreate("./rel"),
    "DBCREATE.empty_name": DbCreate(""),
    "DBCREATE.again": DbCreate("db1"),
    "DBLIST.2": DbList(),
    "DBUMOUNT": DbUmount("db1"),
    "DBDROP": DbDrop("db1"),
    "DBDROP.unknown": DbDrop("db1"),
    "TYPES.uid_str8": Get(b"k1"),
}

# The old server stored an empty value, and did nothing; ours says what is wrong with them.
REFUSED = {
    "PUT.nil_value": ErrorCode.TYPE,
    "BATCH.bad_signal": ErrorCode.SIGNAL,
}

# The old server has no such verb, takes no such argument, or reads something else in it.
NEVER_SENT = [
    Ping(),
    Exists(b"k1"),
    Range(),
    Batch([(PUT, b"b9", b"BPUT"), (DELETE, b"b4")]),
    DbRepair(),
]

# Requests that say the same as ours in other bytes.
NOT_OURS = {"GET.extra", "DBLIST.uid", "TYPES.key_bin8", "TYPES.key_bin16", "TYPES.uid_str8"}

PAYLOADS = {
    "DBCONNECT": b"35f9ade4-ad23-4f44-804a-e39439784527",
    "GET": b"v1",
    "GET.empty_value": b"",
    "GET.extra": b"v1",
    "PUT": None,
    "PUT.nil_value": None,
    "PUT.empty_key": None,
    "DELETE.empty_key": None,
    "PUT.binary": None,
    "GET.binary": b"\xff\x00\xfe" * 20,
    "DELETE.binary": None,
    "PUT.40B": None,
    "DELETE.p40": None,
    "DELETE.p7": None,
    "DELETE.pn": None,
    "MGET": [b"v1", b"v2"],
    "MGET.missing": [b"v1", b"", b"v3"],
    "MGET.dup": [b"", b"v1"],
    "MGET.reversed": [b"v3", b""],
    "MGET.empty": [],
    "RANGE": [[b"k1", b"v1"], [b"k2", b"v2"], [b"k3", b"v3"]],
    "RANGE.reversed": [],
    "RANGE.empty": [],
    "SLICE": [[b"k1", b"v1"], [b"k2", b"v2"], [b"k3", b"v3"]],
    "SLICE.zero": [],
    "SLICE.negative": [],
    "BATCH.put": None,
    "BATCH.single_put": None,
    "BATCH.mixed": None,
    "BATCH.delete": None,
    "BATCH.bad_signal": None,
    "DBLIST": [b"default"],
    "DBCREATE": None,
    "DBCREATE.empty_name": None,
    "DBCREATE.again": None,
    "DBLIST.2": [b"default", b"", b"db1"],
    "DBUMOUNT": None,
    "DBDROP": None,
    "TYPES.uid_str8": b"v1",
}

FAILURES = {
    "DBCREATE.relpath": (ErrorCode.DATABASE, "Creating database from relative path not allowed"),
    "DBDROP.unknown": (ErrorCode.DATABASE, "Database db1 does not exist"),
}


def request_of(line):
    try:
        return FlatCodec().decode_request(line.request)
    except MalformedMessage:
        return Request(Put("k", "v"))


def test_every_recorded_request_has_an_expectation(flat_lines):
    assert flat_lines.keys() == REQUESTS.keys() | REFUSED.keys()


def test_every_recorded_reply_has_an_expectation(flat_lines):
    assert {name for name, line in flat_lines.items() if line.replies} == PAYLOADS.keys() | FAILURES.keys()


@pytest.mark.parametrize("name", REQUESTS)
def test_a_recorded_request_decodes(flat_lines, name):
    assert FlatCodec().decode_request(flat_lines[name].request).command == REQUESTS[name]


@pytest.mark.parametrize("name", REFUSED)
def test_a_faulty_request_is_refused_with_its_code(flat_lines, name):
    with pytest.raises(MalformedMessage) as refused:
        FlatCodec().decode_request(flat_lines[name].request)
    assert refused.value.code is REFUSED[name]


@pytest.mark.parametrize("name", REQUESTS)
def test_what_our_client_sends_is_byte_for_byte_what_old_clients_send(flat_lines, name):
    frames = flat_lines[name].request
    same = FlatCodec().encode_request(FlatCodec().decode_request(frames)) == frames
    assert same is (name not in NOT_OURS)


@pytest.mark.parametrize("command", NEVER_SENT)
def test_what_the_old_server_does_not_take_is_never_sent(command):
    with pytest.raises(UnsupportedByDialect):
        FlatCodec().encode_request(Request(command, uid="u"))


@pytest.mark.parametrize("name", PAYLOADS)
def test_a_recorded_reply_decodes(flat_lines, name):
    request = request_of(flat_lines[name])
    decoded = [FlatCodec().decode_response(frames, request) for frames in flat_lines[name].replies]
    assert decoded == [Response(PAYLOADS[name])] * len(decoded)


@pytest.mark.parametrize("name", FAILURES)
def test_a_recorded_failure_decodes(flat_lines, name):
    [frames] = flat_lines[name].replies
    assert FlatCodec().decode_response(frames, request_of(flat_lines[name])) == Response.failure(*FAILURES[name])


@pytest.mark.parametrize("name", [*PAYLOADS, *FAILURES])
def test_mget_range_and_slice_are_answered_twice(flat_lines, name):
    replies = flat_lines[name].replies
    assert len(replies) == (2 if name.split(".")[0] in FlatCodec.answered_twice else 1)
    assert replies[0] == replies[-1]


@pytest.mark.parametrize("name", [*PAYLOADS, *FAILURES])
def test_our_answers_are_byte_for_byte_those_of_the_old_server(flat_lines, name):
    codec, request, frames = FlatCodec(), request_of(flat_lines[name]), flat_lines[name].replies[0]
    assert codec.encode_response(codec.decode_response(frames, request), request) == frames
    assert codec.reply_id(frames) is None
