"""What peers in other languages send, and how they want their answers: ids, maps with other keys, bin."""

import msgpack
import pytest

from pyelevator.codec import ClassicCodec, FlatCodec
from pyelevator.codec.classic.forwarding import peek_request, with_id
from pyelevator.codec.limits import Limits
from pyelevator.commands import (
    Batch,
    DbConnect,
    DbCreate,
    DbList,
    Get,
    MGet,
    Ping,
    Pipeline,
    Put,
    Range,
    Slice,
    Unknown,
)
from pyelevator.errors import ErrorCode, MalformedMessage, ProtocolError
from pyelevator.messages import Request, Response
from support.optional import unwrap

CODEC = ClassicCodec()
ODD_MAPS = [{1: "a"}, {None: "a"}, {1.5: "a", True: ""}, {-1: {2: [{3: 4}]}}, {(1, 2): "a"}, {"a": 1, 5: 2}]


def asked(cmd="GET", args=("k",), meta=None, **beside):
    message = {"cmd": cmd, "meta": {"id": 7} if meta is None else meta, "uid": "u", "args": args, **beside}
    return [msgpack.packb(message)]


def refused(frames, codec=CODEC):
    with pytest.raises(ProtocolError) as caught:
        codec.decode_request(frames)
    return caught.value


# Ids


@pytest.mark.parametrize(
    ("sent", "read"),
    [
        (0, 0),
        (2**64 - 1, 2**64 - 1),
        (1.0, 1),
        (-0.0, 0),
        (1_732_780_000_000.0, 1_732_780_000_000),
        (2.0**63, 2**63),
        ("", ""),
        ("a-b", "a-b"),
        ("7", "7"),
        ("\u00e9" * 300, "\u00e9" * 300),
        (b"", b""),
        (b"\xff\x00", b"\xff\x00"),
        (b"x" * 1024, b"x" * 1024),
    ],
)
def test_an_id_is_a_number_or_text_or_bytes_as_it_came(sent, read):
    found = CODEC.decode_request(asked(meta={"compression": False, "id": sent})).id
    assert (type(found), found) == (type(read), read)
    header = msgpack.unpackb(CODEC.encode_response(Response.ok(b"v", found), Request(Get("k")))[0])
    assert (type(header["id"]), header["id"]) == (type(read), read)


def test_an_id_in_the_old_raw_family_is_text():
    frame = msgpack.packb({"cmd": b"PING", "meta": {b"id": b"x" * 40}, "uid": None, "args": []}, use_bin_type=False)
    assert CODEC.decode_request([frame]).id == "x" * 40


def test_a_text_id_that_is_no_utf8_comes_back_as_it_was():
    frame = msgpack.packb({"cmd": "PING", "meta": {"id": b"\xff"}, "uid": None, "args": []}, use_bin_type=False)
    header = CODEC.encode_response(Response(id=CODEC.decode_request([frame]).id), None)[0]
    assert msgpack.unpackb(header, raw=True)[b"id"] == b"\xff"


@pytest.mark.parametrize("id", ["a-b", b"\xff", 1.0])
def test_every_kind_of_answer_carries_the_id_as_it_came(id):
    for response in (Response(b"v", id=id), Response.failure(ErrorCode.KEY, "no", id), Response([b"v", None], id=id)):
        for command in (Get("k"), MGet(["k", "l"])):
            header = msgpack.unpackb(CODEC.encode_response(response, Request(command, bin=True))[0])
            assert header["id"] == id


@pytest.mark.parametrize(
    "id",
    [None, True, -1, -1.0, 1.5, 2**64 * 1.0, float("nan"), float("inf"), [7], {"a": 1}, {}, "x" * 1025, b"x" * 1025],
)
def test_anything_else_is_an_error_that_names_the_id(id):
    error = refused(asked(meta={"id": id}))
    assert str(error).startswith("Invalid request message : the id must be a whole number from 0 to 2**64 - 1, or text")
    assert (error.code, error.request_id) == (ErrorCode.REQUEST, None)


@pytest.mark.parametrize("id", [msgpack.Timestamp(1), msgpack.ExtType(5, b"7")])
def test_an_extension_is_no_id_either(id):
    assert "the id must be" in str(refused(asked(meta={"id": id})))


def test_the_last_of_several_metas_has_the_id_as_ever():
    pack = msgpack.packb
    entries = [("cmd", "PING"), ("meta", [1]), (b"meta", {"id": "a", b"id": b"b"}), ("args", [])]
    frame = b"\x84" + b"".join(pack(name) + pack(value) for name, value in entries)
    assert CODEC.decode_request([frame]) == Request(Ping(), None, b"b")


def test_a_refusal_carries_a_text_id():
    assert refused(asked(args=[5], meta={"id": "a"})).request_id == "a"


# Maps


@pytest.mark.parametrize("odd", ODD_MAPS)
def test_unknown_keys_of_any_type_are_ignored(odd):
    expected = Request(Get("k"), "u", 7)
    meta = list({"id": 7, **odd}.items())
    beside = list({"cmd": "GET", "uid": "u", "args": ["k"], "meta": dict(meta), **odd}.items())
    assert CODEC.decode_request([_map(beside)]) == expected
    assert (
        CODEC.decode_request([_map([("cmd", "GET"), ("uid", "u"), ("args", ["k"]), ("meta", dict(meta))])]) == expected
    )


def _map(pairs):
    return msgpack.Packer().pack_map_pairs(pairs)


@pytest.mark.parametrize("odd", ODD_MAPS)
@pytest.mark.parametrize(
    ("cmd", "args", "text"),
    [
        ("GET", lambda odd: [odd], "key must be str or bytes, not dict"),
        ("PUT", lambda odd: ["k", odd], "Unsupported value type : value must be str or bytes, not dict"),
        ("MGET", lambda odd: [odd], "keys must be a list or a tuple, not dict"),
        ("MGET", lambda odd: [[odd]], "keys[0] must be str or bytes, not dict"),
        ("BATCH", lambda odd: [[[1, "k", odd]]], "Invalid type supplied"),
        ("RANGE", lambda odd: [odd, None], "start must be str or bytes, not dict"),
        ("DBCREATE", lambda odd: ["d", {"block_size": odd}], "options['block_size'] must be a number, a bool or str"),
        ("PIPELINE", lambda odd: [[["PUT", {}, [["k", odd]]]]], "Unsupported value type : value must be str or bytes"),
    ],
)
def test_a_map_among_the_arguments_is_a_type_error_under_the_id(odd, cmd, args, text):
    error = refused(asked(cmd, args(odd)))
    assert str(error).startswith(text)
    assert (error.code, error.request_id) == (ErrorCode.TYPE, 7)


@pytest.mark.parametrize(("key", "kind"), [(1, "int"), (None, "NoneType"), (1.5, "float"), (False, "bool")])
def test_the_name_of_an_option_is_a_string(key, kind):
    error = refused(asked("DBCREATE", ["d", {key: 1}]))
    assert str(error) == f"the name of an option must be str or bytes, not {kind}"
    assert (error.code, error.request_id) == (ErrorCode.TYPE, 7)


def test_arguments_with_holes_are_refused_under_the_id():
    error = refused(asked("GET", {1: "k", 3: "l"}))
    assert str(error) == "Invalid request message : args must be an array, not dict"
    assert error.request_id == 7


def test_a_map_with_odd_keys_in_flat_is_a_type_error():
    assert str(refused([msgpack.packb(["u", "GET", {1: 2}])], FlatCodec())) == "key must be str or bytes, not dict"


@pytest.mark.parametrize("odd", ODD_MAPS)
def test_an_unknown_verb_is_passed_on_with_any_map(odd):
    request = CODEC.decode_request([_map([("cmd", "FOO"), ("uid", "u"), ("args", [odd]), ("meta", {"id": 7})])])
    assert isinstance(request.command, Unknown)
    sent = msgpack.unpackb(CODEC.encode_request(request)[0], strict_map_key=False, object_pairs_hook=list)
    plain = msgpack.unpackb(msgpack.packb(odd), strict_map_key=False, object_pairs_hook=list)
    assert dict(sent)["args"][0] == plain


@pytest.mark.parametrize("codec", [CODEC, FlatCodec()])
@pytest.mark.parametrize("odd", ODD_MAPS)
def test_the_answer_to_an_unknown_verb_is_passed_on_with_any_map(odd, codec):
    [frame] = [msgpack.packb([1, 0, "", odd])] if codec.name == "flat" else [msgpack.packb({"datas": odd})]
    reply = [frame] if codec.name == "flat" else [msgpack.packb({"status": 1}), frame]
    response = codec.decode_response(reply, Request(Unknown("FOO")))
    sent = codec.encode_response(response, Request(Unknown("FOO")))[-1]
    read = [msgpack.unpackb(one, strict_map_key=False, object_pairs_hook=list) for one in (sent, frame)]
    assert read[0] == read[1]


@pytest.mark.parametrize("odd", ODD_MAPS)
def test_a_proxy_passes_any_map_on_under_another_id(odd):
    frames = [_map([("cmd", "GET"), ("uid", "u"), ("args", ["k"]), ("meta", {"id": 7, **odd})])]
    message = unwrap(peek_request(frames, Limits()))
    assert CODEC.decode_request([with_id(message[b"meta"], 9, message)]) == Request(Get("k"), "u", 9)


@pytest.mark.parametrize("odd", ODD_MAPS)
def test_unknown_keys_in_replies_are_ignored_too(odd):
    header, content = {"status": 1, "id": 7, **odd}, {"datas": [b"v"], **odd}
    reply = [_map(list(header.items())), _map(list(content.items()))]
    assert CODEC.decode_response(reply, Request(Get("k"))) == Response(b"v", id=7)


@pytest.mark.parametrize(
    ("cmd", "args", "command"),
    [
        ("DBCREATE", ["d", []], DbCreate("d")),
        ("DBLIST", {}, DbList()),
        ("MGET", [{}], MGet([])),
        ("BATCH", [{}], Batch([])),
        ("PIPELINE", [{}], Pipeline([])),
        ("PIPELINE", [[["GET", [], [["k"]]]]], Pipeline([Get("k")])),
        ("PIPELINE", [[["GET", [], {}]]], Pipeline([])),
    ],
)
def test_empty_arrays_and_empty_maps_stand_for_each_other(cmd, args, command):
    assert CODEC.decode_request(asked(cmd, args)).command == command


def test_an_empty_array_for_meta_is_an_empty_map():
    assert CODEC.decode_request(asked(meta=[])) == Request(Get("k"), "u")


@pytest.mark.parametrize("meta", [[1], "id", 7, True])
def test_a_meta_that_is_no_map_is_an_error_that_says_so(meta):
    assert str(refused(asked(meta=meta))).startswith("Invalid request message : meta must be a map, not ")


TEXTS = [
    asked("PUT", ["k", msgpack.ExtType(5, b"x")]),
    asked("PUT", ["k", msgpack.Timestamp(1)]),
    asked("DBCREATE", ["d", {"block_size": msgpack.Timestamp(1)}]),
    asked("BATCH", [[msgpack.ExtType(5, b"x")]]),
    asked("MGET", [msgpack.ExtType(5, b"x")]),
    asked("PIPELINE", [[[msgpack.ExtType(5, b"x"), {}, []]]]),
    [b"\xc1"],
    [msgpack.packb(1) * 2],
    [msgpack.packb({"cmd": "PING"})[:-1]],
    [b"\x81\xc7\x03\xffabc\xc0"],
    [b"\x81\x90\xc1"],
    [msgpack.packb({1: 2}) + b"\x00"],
    [b"\xdb\xff\xff\xff\xff"],
]


@pytest.mark.parametrize("frames", TEXTS, ids=range(len(TEXTS)))
def test_texts_for_peers_name_nothing_of_ours_within(frames):
    stated = str(refused(frames))
    for word in ("strict", "unpack", "Unpack", "hook", "max_", "Extension", "ExtType", "Timestamp", "MapKey", "raw="):
        assert word not in stated


def test_an_extension_is_called_so_in_texts():
    stated = "Unsupported value type : value must be str or bytes, not a msgpack extension type"
    assert str(refused(asked("PUT", ["k", msgpack.ExtType(5, b"x")]))) == stated
    assert str(refused(asked("PUT", ["k", msgpack.Timestamp(1)]))) == stated


@pytest.mark.parametrize(
    ("frame", "text"),
    [
        (b"\xc1", "not a msgpack value"),
        (b"\x00\x00", "not a msgpack value: something follows behind it"),
        (b"\x92\x00", "not a msgpack value: it is cut off"),
        (b"\xdb\xff\xff\xff\xff", "not a msgpack value: it is cut off"),
    ],
)
def test_what_is_no_value_is_told_in_words_of_the_format(frame, text):
    with pytest.raises(MalformedMessage) as caught:
        CODEC.decode_request([frame])
    assert str(caught.value) == text


def test_many_keys_of_one_hash_cost_no_more_than_others():
    frame = b"\xdf" + (3_000).to_bytes(4, "big")
    frame += b"".join(msgpack.packb(i * (2**61 - 1) % 2**63) + b"\xc0" for i in range(3_000))
    assert "it has no cmd" in str(refused([frame]))


# bin

BINARY = b"\xff\x00"


def content(response, command):
    request = CODEC.decode_request(CODEC.encode_request(Request(command, "u", 7, bin=True)))
    assert request.bin
    if request.context.row_sink is not None and isinstance(response.payload, list):
        rows = request.context.row_sink()
        rows.extend(response.payload)
        response = Response(rows, id=7)
    header, body = CODEC.encode_response(response, request)
    return msgpack.unpackb(header), msgpack.unpackb(body)["datas"]


@pytest.mark.parametrize(
    ("command", "payload", "datas"),
    [
        (Get("k"), BINARY, [BINARY]),
        (Get("k"), BINARY * 40_000, [BINARY * 40_000]),
        (MGet(["k", "l"]), [BINARY, None], [BINARY, None]),
        (Range("a"), [(BINARY, b"v"), (b"l", BINARY)], [[BINARY, b"v"], [b"l", BINARY]]),
        (Range("a", include_value=False), [BINARY, b"l"], [BINARY, b"l"]),
        (Slice("a", 5), [(BINARY, b"v")], [[BINARY, b"v"]]),
        (Slice("a", 5, max_bytes=100), [(BINARY, b"v")], [BINARY, b"v"]),
        (Pipeline([Get("k"), Get("l")]), [BINARY, b"v"], [BINARY, b"v"]),
        (DbConnect("d"), b"uid", ["uid"]),
        (DbList(), [b"default"], ["default"]),
        (Ping(), b"PONG", ["PONG"]),
    ],
)
def test_keys_and_values_come_as_bin_if_asked_for_and_names_as_text(command, payload, datas):
    header, found = content(Response(payload, id=7), command)
    assert found == datas
    assert header["err_msg"] is None


def test_the_last_key_of_a_page_is_bin_and_its_cursor_text():
    rows = Response([(b"k", b"v"), (BINARY, b"v")], id=7)
    request = CODEC.decode_request(
        CODEC.encode_request(Request(Slice("a", 5, max_bytes=9, cursor=True), "u", 7, bin=True))
    )
    header = CODEC.encode_response(Response(rows.payload, id=7, more=True, cursor=b"c" * 32), request)[0]
    assert msgpack.unpackb(header)["page"] == [2, BINARY]
    assert msgpack.unpackb(header)["cursor"] == "c" * 32


def test_a_failure_is_text_where_bin_is_asked_for():
    header, datas = content(Response.failure(ErrorCode.KEY, "Key 'k' does not exist" * 9, 7), Get("k"))
    assert (header["err_msg"], header["err_code"], datas) == ("Key 'k' does not exist" * 9, 1, None)


@pytest.mark.parametrize("asks", [False, 1, "yes", None])
def test_only_true_asks_for_bin(asks):
    assert CODEC.decode_request(asked(meta={"bin": asks})).bin is False


def test_a_client_reads_bin_as_well():
    request = Request(Put("k", BINARY), "u", 7, bin=True)
    assert CODEC.decode_request(CODEC.encode_request(request)) == request
    reply = CODEC.encode_response(Response(BINARY, id=7), Request(Get("k"), bin=True))
    assert CODEC.decode_response(reply, Request(Get("k"))) == Response(BINARY, id=7)
