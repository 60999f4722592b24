"""Every request that was recorded with the old Python server, and what our codec reads in it."""

import msgpack
import pytest

from pyelevator.codec import ClassicCodec
from pyelevator.commands import (
    DELETE,
    PUT,
    Batch,
    DbConnect,
    DbCreate,
    DbDrop,
    DbList,
    DbMount,
    DbUmount,
    Delete,
    Exists,
    Get,
    MGet,
    Ping,
    Put,
    Range,
    Slice,
    Unknown,
)
from pyelevator.errors import ErrorCode, MalformedMessage
from pyelevator.messages import Request, Status

REQUESTS = {
    "PING": Ping(),
    "PING.with_uid": Ping(),
    "PING.extra_args": Ping(),
    "DBCONNECT.default": DbConnect("default"),
    "DBCONNECT.unknown_db": DbConnect("nope"),
    "DBCONNECT.empty_name": DbConnect(""),
    "DBLIST": DbList(),
    "GET.present": Get(b"k1"),
    "GET.missing": Get(b"nokey"),
    "GET.empty_value": Get(b"empty"),
    "PUT": Put(b"p1", b"x"),
    "PUT.empty_value": Put(b"p2", b""),
    "DELETE.empty_key": Delete(b""),
    "PUT.binary": Put(b"\x00\xff", bytes(range(256))),
    "GET.binary": Get(b"\x00\xff"),
    "PUT.unicode_value": Put(b"u", b"\xc3\xa9"),
    "GET.32B_value_raw16": Get(b"p32"),
    "GET.200B_value_raw16": Get(b"p200"),
    "GET.70000B_raw32": Get(b"p70k"),
    "DELETE.1MB": Delete(b"p1m"),
    "DELETE": Delete(b"p1"),
    "DELETE.missing": Delete(b"p1"),
    "EXISTS.present": Exists(b"k1"),
    "EXISTS.empty_value": Exists(b"empty"),
    "MGET": MGet([b"k1", b"k2", b"k3"]),
    "MGET.one": MGet([b"k1"]),
    "MGET.some_missing": MGet([b"k1", b"nokey", b"k3"]),
    "MGET.all_missing": MGet([b"x", b"y"]),
    "MGET.duplicates": MGet([b"k1", b"k1", b"k2"]),
    "MGET.reversed_order": MGet([b"k3", b"k2", b"k1"]),
    "MGET.empty_value": MGet([b"empty", b"k1"]),
    "RANGE": Range(b"k1", b"k3"),
    "RANGE.include_key_false": Range(b"k1", b"k3", include_key=False),
    "RANGE.include_value_false": Range(b"k1", b"k3", include_value=False),
    "RANGE.both_false": Range(b"k1", b"k3", include_key=False, include_value=False),
    "RANGE.reversed": Range(b"k3", b"k1"),
    "RANGE.none_to": Range(stop=b"k1"),
    "RANGE.from_none": Range(b"k8"),
    "RANGE.empty_string_bounds": Range(b"", b""),
    "RANGE.same": Range(b"k1", b"k1"),
    "RANGE.no_match": Range(b"zz", b"zzz"),
    "RANGE.two_args": Range(b"k1", b"k2"),
    "RANGE.prefix": Range(prefix=b"k"),
    "RANGE.prefix_keys_only": Range(include_value=False, prefix=b"k"),
    "RANGE.prefix_values_only": Range(include_key=False, prefix=b"k"),
    "RANGE.prefix_no_match": Range(prefix=b"zzzz"),
    "RANGE.prefix_empty": Range(prefix=b""),
    "RANGE.prefix_nil": Range(b"k1", b"k2"),
    "RANGE.prefix_ff": Range(prefix=b"\xff"),
    "RANGE.nil_flags": Range(b"k1", b"k2", include_key=False, include_value=False),
    "SLICE": Slice(b"k1", 3),
    "SLICE.include_key_false": Slice(b"k1", 2, include_key=False),
    "SLICE.both_false": Slice(b"k1", 2, include_key=False, include_value=False),
    "SLICE.negative": Slice(b"k1", -2),
    "SLICE.none_offset": Slice(b"k1"),
    "SLICE.none_key": Slice(count=2),
    "SLICE.beyond_end": Slice(b"k8", 1000),
    "SLICE.float_offset": Slice(b"k1", 2),
    "SLICE.bool_offset": Slice(b"k1", 1),
    "SLICE.two_args": Slice(b"k1", 1),
    "RANGEITER.str_to": Range(b"k1", b"k2"),
    "RANGEITER.empty": Range(b"zz", b"zzz"),
    "BATCH.mixed": Batch([(PUT, b"b3", b"3"), (DELETE, b"b2"), (PUT, b"b4", b""), (DELETE, b"missing")]),
    "BATCH.after_failure_nothing_written": MGet([b"b5", b"b6"]),
    "BATCH.signal_true": Batch([(PUT, b"b7", b"7")]),
    "DBCREATE": DbCreate("db1"),
    "DBCREATE.exists": DbCreate("db1"),
    "DBCREATE.options": DbCreate("db2", {"block_size": 8192, "lru_cache_size": 1048576, "write_buffer_size": 1048576}),
    "DBCREATE.unknown_option": DbCreate("db3", {"foo": 1}),
    "DBLIST.after_bad_option_value": DbList(),
    "DBCREATE.bad_option_neg": DbCreate("db4b", {"max_open_files": -1}),
    "DBCREATE.relpath_dot": DbCreate("./rel"),
    "DBCREATE.relpath_dotdot": DbCreate("../rel"),
    "DBCREATE.relpath_slash": DbCreate("relslash"),
    "DBCREATE.relpath_a_slash_b": DbCreate("rela/b"),
    "DBCREATE.relpath_a_slash_b_parent_exists": DbCreate("rel2/b"),
    "DBCREATE.empty_name": DbCreate(""),
    "DBCREATE.nil_options": DbCreate("db5"),
    "DBCREATE.no_options": DbCreate("db6"),
    "DBCREATE.again_db1": DbCreate("db1"),
    "DBLIST.several": DbList(),
    "DBUMOUNT": DbUmount("db1"),
    "DBMOUNT": DbMount("db1"),
    "DBCREATE.dbu": DbCreate("dbu"),
    "PUT.in_dbu": Put(b"a", b"1"),
    "DBUMOUNT.dbu": DbUmount("dbu"),
    "DBCONNECT.unmounted_db_then_GET": Get(b"a"),
    "DBDROP": DbDrop("dbu"),
    "DBDROP.unknown": DbDrop("dbu"),
    "DBLIST.with_vanished_dir": DbList(),
    "DBDROP.default": DbDrop("default"),
    "CMD.unknown": Unknown("FOO", []),
    "CMD.lowercase": Unknown("get", [b"k1"]),
    "CMD.int": Unknown("5", []),
    "MSG.meta_nil_error_reply": Get(b"nokey"),
    "MSG.meta_list": Get(b"k1"),
    "MSG.meta_extra": Get(b"k1"),
    "MSG.extra_top_key": Get(b"k1"),
    "PUT.compression": Put(b"k1", b"v1"),
    "RANGE.compression": Range(b"k0", b"k9"),
    "MGET.compression_warning": MGet([b"k1", b"nokey"]),
    "GET.missing_compression": Get(b"nokey"),
    "GET.10000B_compression_setup": Put(b"pz", b"abcdefghij" * 1000),
    "GET.10000B_compression": Get(b"pz"),
    "DELETE.pz": Delete(b"pz"),
    "GET.compression_truthy_string": Get(b"k1"),
    "GET.compression_1": Get(b"k1"),
    "GET.compression_nil": Get(b"k1"),
    "TYPES.key_bin8": Get(b"k1"),
    "TYPES.key_bin16": Get(b"k1"),
    "TYPES.cmd_bin8": Get(b"k1"),
    "TYPES.put_bin8_value": Put(b"tb", b"\x00\x01\xff"),
    "TYPES.put_str8_value": Put(b"ts", b"x" * 40),
    "TYPES.uid_str8": Get(b"k1"),
    "TYPES.map_key_str8": Get(b"k1"),
}

REFUSED = {
    "PUT.nil_value": ErrorCode.TYPE,
    "PUT.dict_value": ErrorCode.TYPE,
    "PUT.bool_value": ErrorCode.TYPE,
    "MGET.string_arg": ErrorCode.TYPE,
    "MGET.flat_args": ErrorCode.VALUE,
    "BATCH.bad_signal": ErrorCode.SIGNAL,
    "BATCH.signal_string": ErrorCode.SIGNAL,
    "BATCH.signal_nil": ErrorCode.SIGNAL,
    "BATCH.signal_list": ErrorCode.TYPE,
    "BATCH.put_missing_value": ErrorCode.TYPE,
    "BATCH.put_extra": ErrorCode.TYPE,
    "BATCH.delete_extra": ErrorCode.TYPE,
    "BATCH.delete_no_key": ErrorCode.TYPE,
    "BATCH.op_is_string": ErrorCode.SIGNAL,
    "BATCH.op_is_nil": ErrorCode.TYPE,
    "BATCH.flat_ops": ErrorCode.TYPE,
    "BATCH.collection_nil": ErrorCode.TYPE,
    "BATCH.collection_int": ErrorCode.TYPE,
    "BATCH.collection_string": ErrorCode.SIGNAL,
    "DBCREATE.no_uid_three_args": ErrorCode.VALUE,
    "MSG.missing_cmd": ErrorCode.REQUEST,
    "MSG.args_string": ErrorCode.REQUEST,
    "MSG.missing_cmd_compression": ErrorCode.REQUEST,
    "TYPES.put_fixext1": ErrorCode.TYPE,
    "TYPES.put_ext8": ErrorCode.TYPE,
}

# The old server executed these, or something else than what they say; ours says what is wrong with them.
ANSWERED_OTHERWISE = {
    "MGET.string_arg",  # as the keys b"k" and b"1"
    "MGET.flat_args",  # likewise, of the first argument only
    "DBCREATE.no_uid_three_args",  # as if the first argument were not there
    "MSG.args_string",  # as the arguments b"k" and b"1"
}

# Requests that say the same as ours in other bytes: other types, fewer or more arguments, or no map where ours is.
NOT_OURS = {
    "PING.extra_args",
    "DBLIST",
    "RANGE.two_args",
    "RANGE.prefix_nil",
    "RANGE.nil_flags",
    "SLICE.none_offset",
    "SLICE.float_offset",
    "SLICE.bool_offset",
    "SLICE.two_args",
    "BATCH.signal_true",
    "DBCREATE.nil_options",
    "DBCREATE.no_options",
    "DBLIST.several",
    "DBLIST.with_vanished_dir",
    "CMD.int",
    "MSG.meta_nil_error_reply",
    "MSG.meta_list",
    "MSG.meta_extra",
    "MSG.extra_top_key",
    "GET.compression_truthy_string",
    "GET.compression_1",
    "GET.compression_nil",
    "TYPES.key_bin8",
    "TYPES.key_bin16",
    "TYPES.cmd_bin8",
    "TYPES.put_bin8_value",
    "TYPES.put_str8_value",
    "TYPES.uid_str8",
    "TYPES.map_key_str8",
}


def test_every_recorded_request_has_an_expectation(classic_lines):
    assert classic_lines.keys() == REQUESTS.keys() | REFUSED.keys()


@pytest.mark.parametrize("name", REQUESTS)
def test_a_recorded_request_decodes(classic_lines, name):
    assert ClassicCodec().decode_request(classic_lines[name].request).command == REQUESTS[name]


@pytest.mark.parametrize("name", REFUSED)
def test_a_faulty_request_is_refused_with_its_code(classic_lines, name):
    with pytest.raises(MalformedMessage) as refused:
        ClassicCodec().decode_request(classic_lines[name].request)
    assert refused.value.code is REFUSED[name]


@pytest.mark.parametrize("name", sorted(REFUSED.keys() - ANSWERED_OTHERWISE))
def test_a_refusal_has_the_code_that_the_old_server_answered(classic_lines, name):
    answers = [ClassicCodec().decode_response(frames, Request(Ping())) for frames in classic_lines[name].replies]
    assert [(answer.status, answer.code) for answer in answers] == [(Status.FAILURE, REFUSED[name])] * len(answers)


@pytest.mark.parametrize("name", REQUESTS)
def test_what_our_client_sends_is_byte_for_byte_what_old_clients_send(classic_lines, name):
    frames = classic_lines[name].request
    same = ClassicCodec().encode_request(ClassicCodec().decode_request(frames)) == frames
    assert same is (name not in NOT_OURS)


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("PUT.nil_value", "Unsupported value type : "),
        ("BATCH.bad_signal", "Unrecognized signal received : 9"),
        ("BATCH.signal_string", "Unrecognized signal received : '1'"),
        ("BATCH.signal_nil", "Unrecognized signal received : None"),
        ("BATCH.collection_string", "Unrecognized signal received : 'a'"),
        ("BATCH.put_extra", "Invalid type supplied"),
        ("MSG.missing_cmd", "Invalid request message : "),
    ],
)
def test_refusals_keep_the_words_that_callers_know(classic_lines, name, text):
    with pytest.raises(MalformedMessage) as refused:
        ClassicCodec().decode_request(classic_lines[name].request)
    assert str(refused.value).startswith(text)


@pytest.mark.parametrize(
    ("name", "uid"),
    [("PING", None), ("PING.with_uid", "6c66e7d0-9cc4-444d-a23f-2404fcf28c32")],
)
def test_the_uid_of_a_request_is_read(classic_lines, name, uid):
    assert ClassicCodec().decode_request(classic_lines[name].request).uid == uid


@pytest.mark.parametrize(
    ("name", "asked"),
    [
        ("GET.10000B_compression", True),
        ("GET.present", False),
        ("GET.compression_1", False),
        ("GET.compression_truthy_string", False),
        ("GET.compression_nil", False),
        ("MSG.meta_list", False),
    ],
)
def test_only_true_asks_for_compression(classic_lines, name, asked):
    assert ClassicCodec().decode_request(classic_lines[name].request).compression is asked


@pytest.mark.parametrize(("count", "read"), [(b"2", 2), (b"0", 0), (b"007", 7)])
def test_a_count_of_digits_is_that_count_as_command_lines_send_it(count, read):
    request = msgpack.packb({"cmd": "SLICE", "meta": {}, "uid": "u", "args": [b"k", count]}, use_bin_type=False)
    assert ClassicCodec().decode_request([request]).command == Slice(b"k", read)
