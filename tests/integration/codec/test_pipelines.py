"""Pipelines in the classic dialect: runs of commands in one request, and what became of each in one reply."""

from typing import Any

import pytest

from pyelevator.codec import ClassicCodec, FlatCodec, Limits, UnsupportedByDialect
from pyelevator.commands import Batch, Command, Delete, Exists, Get, MGet, Pipeline, Put, Range, Slice, Unknown
from pyelevator.errors import ErrorCode, LimitExceeded, MalformedMessage
from pyelevator.messages import Request, Response, Status

codec = ClassicCodec()
PIPELINE = Pipeline([Get("a"), Get("b"), Put("c", "1"), Put("d", "2", sync=True), MGet(["a", "b"])])
REQUEST = (
    b"\x84\xa3cmd\xa8PIPELINE\xa4meta\x82\xabcompression\xc2\xa2id\x07\xa3uid\xa1u\xa4args\x91"
    b"\x94"
    b"\x93\xa3GET\x80\x92\x91\xa1a\x91\xa1b"
    b"\x93\xa3PUT\x80\x91\x92\xa1c\xa11"
    b"\x93\xa3PUT\x81\xa4sync\xc3\x91\x92\xa1d\xa12"
    b"\x93\xa4MGET\x80\x91\x91\x92\xa1a\xa1b"
)
OUTCOMES = [
    b"v",
    Response.failure(ErrorCode.KEY, "no b"),
    None,
    None,
    Response([b"v", None], Status.WARNING),
]
HEADER = b"\x85\xa6status\x01\xa7err_msg\xc0\xabcompression\xc2\xa8err_code\xc0\xa2id\x07"
CONTENT = (
    b"\x81\xa5datas\x95"
    b"\xa1v"
    b"\x83\xa6status\xff\xa8err_code\x01\xa7err_msg\xa4no b"
    b"\xc0\xc0"
    b"\x83\xa6status\xfe\xa4more\xc2\xa5datas\x92\xa1v\xc0"
)


def test_a_pipeline_is_written_as_runs_of_its_verbs():
    assert codec.encode_request(Request(PIPELINE, "u", 7)) == [REQUEST]


def test_the_runs_are_read_as_the_commands_in_order():
    assert codec.decode_request([REQUEST]) == Request(PIPELINE, "u", 7)


def test_its_answer_has_plain_successes_as_they_are_and_maps_for_the_rest():
    frames = codec.encode_response(Response(OUTCOMES, id=7), Request(PIPELINE, "u", 7))
    assert list(map(bytes, frames)) == [HEADER, CONTENT]


def test_the_answer_is_read_for_the_commands_that_were_asked():
    assert codec.decode_response([HEADER, CONTENT], Request(PIPELINE, "u", 7)) == Response(OUTCOMES, id=7)


def test_a_slice_that_was_cut_says_so_within_the_answer():
    request = Request(Pipeline([Slice(None, 9, max_bytes=1)]))
    response = Response([Response([[b"k", b"v"]], more=True)])
    assert codec.decode_response(codec.encode_response(response, request), request) == response


def request(args):
    from pyelevator.codec.packing import pack

    return [pack({"cmd": "PIPELINE", "meta": {"id": 7}, "uid": "u", "args": args})]


@pytest.mark.parametrize(
    ("args", "code", "message"),
    [
        ([], ErrorCode.VALUE, "PIPELINE does not take 0 arguments"),
        ([[], []], ErrorCode.VALUE, "PIPELINE does not take 2 arguments"),
        (["runs"], ErrorCode.TYPE, "PIPELINE takes an array, not bytes"),
        ([[1]], ErrorCode.TYPE, "a pipeline consists of runs"),
        ([[["GET", {}]]], ErrorCode.TYPE, "a pipeline consists of runs"),
        ([[["GET", [1], []]]], ErrorCode.TYPE, "a pipeline consists of runs"),
        ([[["GET", {}, {"k": 1}]]], ErrorCode.TYPE, "a pipeline consists of runs"),
        ([[["GET", {}, ["k"]]]], ErrorCode.TYPE, "the args of a command in a pipeline are an array"),
        ([[["GET", {}, [[]]]]], ErrorCode.VALUE, "GET does not take 0 arguments"),
        ([[["GET", {}, [["k"], ["k", "l"]]]]], ErrorCode.VALUE, "GET does not take 2 arguments"),
        ([[["PUT", {}, [["k", 1]]]]], ErrorCode.TYPE, "Unsupported value type : value must be str or bytes, not int"),
        ([[["FOO", {}, [["k"]]]]], ErrorCode.KEY, "a pipeline does not take b'FOO'"),
        ([[[1, {}, [["k"]]]]], ErrorCode.KEY, "a pipeline does not take 1"),
        ([[["DBDROP", {}, [["default"]]]]], ErrorCode.KEY, "a pipeline does not take b'DBDROP'"),
        ([[["PIPELINE", {}, [[[]]]]]], ErrorCode.KEY, "a pipeline does not take b'PIPELINE'"),
        ([[["PING", {}, [[]]]]], ErrorCode.KEY, "a pipeline does not take b'PING'"),
    ],
)
def test_a_wrong_pipeline_is_malformed_as_a_whole_with_code_and_id(args, code, message):
    with pytest.raises(MalformedMessage) as caught:
        codec.decode_request(request(args))
    assert (caught.value.code, caught.value.request_id) == (code, 7)
    assert str(caught.value).startswith(message)


def test_more_commands_than_a_codec_takes_elements_are_over_its_limit():
    small = ClassicCodec(Limits(elements=2000))
    with pytest.raises(LimitExceeded):
        small.decode_request(codec.encode_request(Request(Pipeline([Get("k" * 9)] * 3000), "u")))


@pytest.mark.parametrize(
    "content",
    [
        b"\x81\xa5datas\xc0",
        b"\x81\xa5datas\x90",
        b"\x81\xa5datas\x92\xa1v\xa1v",
        b"\x81\xa5datas\x91\x80",
        b"\x81\xa5datas\x91\x81\xa6status\x09",
        b"\x81\xa5datas\x91\x91\xa1v",
    ],
    ids=["nil", "too few", "too many", "an empty map", "a strange status", "a list"],
)
def test_answers_that_fit_no_pipeline_are_malformed(content):
    with pytest.raises(MalformedMessage):
        codec.decode_response([HEADER, content], Request(Pipeline([Get("a")]), "u", 7))


def test_flat_cannot_say_a_pipeline_and_takes_one_for_an_unknown_verb():
    flat = FlatCodec()
    with pytest.raises(UnsupportedByDialect, match="dialect='classic'"):
        flat.encode_request(Request(Pipeline([Get("a")]), "u"))
    assert flat.decode_request([b"\x93\xa1u\xa8PIPELINE\xa1x"]).command == Unknown("PIPELINE", [b"x"])
    with pytest.raises(MalformedMessage):
        flat.decode_response([b"\x93\x01\x00\xa0"], Request(Pipeline([])))


def test_every_command_that_a_pipeline_takes_survives_the_wire_in_it():
    commands: list[Command[Any]] = [
        Get("a"), Put("a", "1"), Delete("a", sync=True), Exists("a"), MGet(["a"], True),
        Range("a", None, include_value=False), Slice(None, 3, max_bytes=9), Batch([(1, b"k", b"v"), (0, b"k")]),
    ]  # fmt: skip
    assert codec.decode_request(codec.encode_request(Request(Pipeline(commands)))).command == Pipeline(commands)
