"""Every reply that was recorded with the old Python server, and what our codec reads in it."""

from typing import Any

import pytest

from pyelevator.codec import ClassicCodec
from pyelevator.commands import Batch, Command, DbCreate, MGet, Ping, Put
from pyelevator.errors import ErrorCode, MalformedMessage
from pyelevator.messages import Request, Response, Status

TEN_PAIRS = [[b"k%d" % i, b"v%d" % i] for i in range(10)]

PAYLOADS = {
    "PING": b"PONG",
    "PING.with_uid": b"PONG",
    "PING.extra_args": b"PONG",
    "DBCONNECT.default": b"6c66e7d0-9cc4-444d-a23f-2404fcf28c32",
    "DBLIST": [b"default"],
    "GET.present": b"v1",
    "PUT": None,
    "PUT.empty_value": None,
    "DELETE.empty_key": None,
    "PUT.binary": None,
    "GET.binary": bytes(range(256)),
    "PUT.unicode_value": None,
    "GET.32B_value_raw16": b"x" * 32,
    "GET.200B_value_raw16": b"x" * 200,
    "GET.70000B_raw32": b"x" * 70000,
    "DELETE.1MB": None,
    "DELETE": None,
    "DELETE.missing": None,
    "EXISTS.present": True,
    "EXISTS.empty_value": True,
    "MGET": [b"v1", b"v2", b"v3"],
    "MGET.one": [b"v1"],
    "MGET.some_missing": [b"v1", None, b"v3"],
    "MGET.all_missing": [None, None],
    "MGET.duplicates": [None, b"v1", b"v2"],
    "MGET.reversed_order": [b"v3", b"v2", b"v1"],
    "MGET.empty_value": [b"", b"v1"],
    "MGET.string_arg": [None, None],
    "MGET.flat_args": [None, None],
    "RANGE": [[b"k1", b"v1"], [b"k2", b"v2"], [b"k3", b"v3"]],
    "RANGE.include_key_false": [b"v1", b"v2", b"v3"],
    "RANGE.include_value_false": [b"k1", b"k2", b"k3"],
    "RANGE.both_false": [None, None, None],
    "RANGE.reversed": [],
    "RANGE.none_to": [[b"empty", b""], [b"k0", b"v0"], [b"k1", b"v1"]],
    "RANGE.from_none": [[b"k8", b"v8"], [b"k9", b"v9"]],
    "RANGE.empty_string_bounds": [],
    "RANGE.same": [[b"k1", b"v1"]],
    "RANGE.no_match": [],
    "RANGE.two_args": [[b"k1", b"v1"], [b"k2", b"v2"]],
    "RANGE.prefix": TEN_PAIRS,
    "RANGE.prefix_keys_only": [b"k0", b"k1", b"k2", b"k3", b"k4", b"k5", b"k6", b"k7", b"k8", b"k9"],
    "RANGE.prefix_values_only": [b"v0", b"v1", b"v2", b"v3", b"v4", b"v5", b"v6", b"v7", b"v8", b"v9"],
    "RANGE.prefix_no_match": [],
    "RANGE.prefix_empty": [[b"empty", b""], *TEN_PAIRS],
    "RANGE.prefix_nil": [[b"k1", b"v1"], [b"k2", b"v2"]],
    "RANGE.prefix_ff": [],
    "RANGE.nil_flags": [None, None],
    "SLICE": [[b"k1", b"v1"], [b"k2", b"v2"], [b"k3", b"v3"]],
    "SLICE.include_key_false": [b"v1", b"v2"],
    "SLICE.both_false": [None, None],
    "SLICE.negative": [],
    "SLICE.none_offset": [],
    "SLICE.none_key": [[b"empty", b""], [b"k0", b"v0"]],
    "SLICE.beyond_end": [[b"k8", b"v8"], [b"k9", b"v9"]],
    "SLICE.float_offset": [[b"k1", b"v1"], [b"k2", b"v2"]],
    "SLICE.bool_offset": [[b"k1", b"v1"]],
    "SLICE.two_args": [[b"k1", b"v1"]],
    "RANGEITER.str_to": [[b"k1", b"v1"], [b"k2", b"v2"]],
    "RANGEITER.empty": [],
    "BATCH.mixed": None,
    "BATCH.after_failure_nothing_written": [None, None],
    "BATCH.signal_true": None,
    "DBCREATE": None,
    "DBCREATE.options": None,
    "DBCREATE.unknown_option": None,
    "DBLIST.after_bad_option_value": [b"default"],
    "DBCREATE.bad_option_neg": None,
    "DBCREATE.relpath_slash": None,
    "DBCREATE.relpath_a_slash_b_parent_exists": None,
    "DBCREATE.empty_name": None,
    "DBCREATE.nil_options": None,
    "DBCREATE.no_options": None,
    "DBCREATE.no_uid_three_args": None,
    "DBCREATE.again_db1": None,
    "DBLIST.several": [b"default", b"db1"],
    "DBUMOUNT": None,
    "DBMOUNT": None,
    "DBCREATE.dbu": None,
    "PUT.in_dbu": None,
    "DBUMOUNT.dbu": None,
    "DBCONNECT.unmounted_db_then_GET": b"1",
    "DBDROP": None,
    "DBLIST.with_vanished_dir": [b"default"],
    "DBDROP.default": None,
    "MSG.meta_list": b"v1",
    "MSG.meta_extra": b"v1",
    "MSG.extra_top_key": b"v1",
    "PUT.compression": None,
    "RANGE.compression": TEN_PAIRS,
    "MGET.compression_warning": [b"v1", None],
    "GET.10000B_compression_setup": None,
    "GET.10000B_compression": b"abcdefghij" * 1000,
    "DELETE.pz": None,
    "GET.compression_truthy_string": b"v1",
    "GET.compression_1": b"v1",
    "GET.compression_nil": b"v1",
    "TYPES.key_bin8": b"v1",
    "TYPES.key_bin16": b"v1",
    "TYPES.cmd_bin8": b"v1",
    "TYPES.put_bin8_value": None,
    "TYPES.put_str8_value": None,
    "TYPES.uid_str8": b"v1",
    "TYPES.map_key_str8": b"v1",
}

FAILURES = {
    "DBCONNECT.unknown_db": (ErrorCode.DATABASE, "Database nope doesn't exist"),
    "DBCONNECT.empty_name": (ErrorCode.DATABASE, "Database  doesn't exist"),
    "GET.missing": (ErrorCode.KEY, "Key 'nokey' does not exist"),
    "GET.empty_value": (ErrorCode.KEY, "Key 'empty' does not exist"),
    "PUT.nil_value": (ErrorCode.TYPE, "Unsupported value type : <type 'NoneType'>"),
    "PUT.dict_value": (ErrorCode.TYPE, "Unsupported value type : <type 'dict'>"),
    "PUT.bool_value": (ErrorCode.TYPE, "Unsupported value type : <type 'bool'>"),
    "BATCH.bad_signal": (ErrorCode.SIGNAL, "Unrecognized signal received : 9"),
    "BATCH.signal_string": (ErrorCode.SIGNAL, "Unrecognized signal received : '1'"),
    "BATCH.signal_nil": (ErrorCode.SIGNAL, "Unrecognized signal received : None"),
    "BATCH.signal_list": (ErrorCode.TYPE, "Invalid type supplied"),
    "BATCH.put_missing_value": (ErrorCode.TYPE, "Invalid type supplied"),
    "BATCH.put_extra": (ErrorCode.TYPE, "Invalid type supplied"),
    "BATCH.delete_extra": (ErrorCode.TYPE, "Invalid type supplied"),
    "BATCH.delete_no_key": (ErrorCode.TYPE, "Invalid type supplied"),
    "BATCH.op_is_string": (ErrorCode.SIGNAL, "Unrecognized signal received : 'a'"),
    "BATCH.op_is_nil": (ErrorCode.TYPE, "Invalid type supplied"),
    "BATCH.flat_ops": (ErrorCode.TYPE, "Invalid type supplied"),
    "BATCH.collection_nil": (ErrorCode.TYPE, "Invalid type supplied"),
    "BATCH.collection_int": (ErrorCode.TYPE, "Invalid type supplied"),
    "BATCH.collection_string": (ErrorCode.SIGNAL, "Unrecognized signal received : 'a'"),
    "DBCREATE.exists": (ErrorCode.DATABASE, "Database db1 already exists"),
    "DBCREATE.relpath_dot": (ErrorCode.DATABASE, "Canno't create database from relative path"),
    "DBCREATE.relpath_dotdot": (ErrorCode.DATABASE, "Canno't create database from relative path"),
    "DBCREATE.relpath_a_slash_b": (ErrorCode.OS, "No such file or directory"),
    "DBDROP.unknown": (ErrorCode.DATABASE, "Database dbu does not exist"),
    "CMD.unknown": (ErrorCode.KEY, "Command FOO not handled"),
    "CMD.lowercase": (ErrorCode.KEY, "Command get not handled"),
    "CMD.int": (ErrorCode.KEY, "Command 5 not handled"),
    "MSG.missing_cmd": (
        ErrorCode.REQUEST,
        "Invalid request message : {'meta': {}, 'uid': '3e19650c-7b1b-4c1d-bca2-7d57cfd12021', 'args': []}",
    ),
    "MSG.meta_nil_error_reply": (ErrorCode.KEY, "Key 'nokey' does not exist"),
    "MSG.args_string": (ErrorCode.KEY, "Key 'k' does not exist"),
    "GET.missing_compression": (ErrorCode.KEY, "Key 'nokey' does not exist"),
    "MSG.missing_cmd_compression": (
        ErrorCode.REQUEST,
        "Invalid request message : "
        "{'meta': {'compression': True}, 'uid': '00eb1b50-8a37-405b-a265-9cfd5bab3e37', 'args': []}",
    ),
    "TYPES.put_fixext1": (ErrorCode.TYPE, "Unsupported value type : <class 'msgpack.ExtType'>"),
    "TYPES.put_ext8": (ErrorCode.TYPE, "Unsupported value type : <class 'msgpack.ExtType'>"),
}

WARNINGS = {
    "BATCH.after_failure_nothing_written",
    "MGET.all_missing",
    "MGET.compression_warning",
    "MGET.duplicates",
    "MGET.flat_args",
    "MGET.some_missing",
    "MGET.string_arg",
}

# A legal request of the same verb, where the recorded one is refused.
LEGAL: dict[str, Command[Any]] = {
    "PUT": Put("k", "v"),
    "MGET": MGet(["k", "1"]),
    "BATCH": Batch([]),
    "DBCREATE": DbCreate("db9"),
}


def request_of(name, line):
    try:
        return ClassicCodec().decode_request(line.request)
    except MalformedMessage:
        return Request(LEGAL.get(name.split(".")[0], Ping()))


def expected(name):
    if name in FAILURES:
        return Response.failure(*FAILURES[name])
    return Response(PAYLOADS[name], Status.WARNING if name in WARNINGS else Status.SUCCESS)


def test_every_recorded_reply_has_an_expectation(classic_lines):
    assert {name for name, line in classic_lines.items() if line.replies} == PAYLOADS.keys() | FAILURES.keys()


@pytest.mark.parametrize("name", [*PAYLOADS, *FAILURES])
def test_a_recorded_reply_decodes(classic_lines, name):
    codec, request, [frames] = ClassicCodec(), request_of(name, classic_lines[name]), classic_lines[name].replies
    assert codec.decode_response(frames, request) == expected(name)
    assert codec.reply_id(frames) is None


# The old server packed its maps in the order of a Python 2 dict, so equal bytes are not to be had; equal words are.
@pytest.mark.parametrize("name", [*PAYLOADS, *FAILURES])
def test_what_our_server_answers_reads_the_same(classic_lines, name):
    codec, request, response = ClassicCodec(), request_of(name, classic_lines[name]), expected(name)
    assert codec.decode_response(codec.encode_response(response, request), request) == response
