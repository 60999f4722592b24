"""The outcomes of a pipeline, packed as they come: they say what a list of them says, and no rows are there twice."""

import tracemalloc

import msgpack
import pytest

from pyelevator.application import Application
from pyelevator.application.policy import Policy
from pyelevator.auth.authorizing_application import AuthorizingApplication
from pyelevator.auth.permissions import Grant, Permissions
from pyelevator.codec import ClassicCodec
from pyelevator.codec.classic.outcome_packer import OutcomePacker
from pyelevator.codec.classic.row_packer import RowPacker
from pyelevator.commands import (
    PUT,
    Access,
    Batch,
    Count,
    Delete,
    Exists,
    Get,
    GetAndDelete,
    Increment,
    MGet,
    Pipeline,
    Put,
    Range,
    Slice,
)
from pyelevator.errors import ErrorCode
from pyelevator.messages import Request, Response, Status
from pyelevator.protocol import RequestDecoder

CODEC = ClassicCodec()
LARGE = b"x" * 100_000


def packed(*outcomes):
    packer = OutcomePacker()
    for some in outcomes:
        packer.extend(some)
    return msgpack.unpackb(packer.finish(), raw=True)[b"datas"]


@pytest.mark.parametrize(
    ("outcomes", "datas"),
    [
        ([], []),
        ([[b"a", None, True], [False]], [b"a", None, True, False]),
        ([[b"a"] * 300], [b"a"] * 300),
        ([[b"a", LARGE, None]], [b"a", LARGE, None]),
        ([[Response.ok(b"a", None), Response.ok(False, None)]], [b"a", False]),
        ([[Response.ok([b"a", LARGE, None], None), b"b"]], [[b"a", LARGE, None], b"b"]),
        ([[Response([b"a"] * 300, more=True)]], [{b"status": 1, b"more": True, b"datas": [b"a"] * 300}]),
        ([[Response([], cursor=b"c")]], [{b"status": 1, b"more": False, b"cursor": b"c", b"datas": []}]),
        (
            [[b"a", Response.failure(ErrorCode.KEY, "no")]],
            [b"a", {b"status": -1, b"err_code": int(ErrorCode.KEY), b"err_msg": b"no"}],
        ),
    ],
)
def test_outcomes_become_one_array(outcomes, datas):
    assert packed(*outcomes) == datas


def test_rows_stand_between_the_outcomes_before_and_after_them():
    packer = OutcomePacker()
    packer.extend([b"before"])
    rows = packer.row_sink()
    rows.extend([(b"k", b"1"), (b"l", LARGE)])
    packer.extend([Response.ok(rows, None)])
    packer.extend([b"after"])
    datas = msgpack.unpackb(packer.finish(), raw=True)[b"datas"]
    assert datas == [b"before", [[b"k", b"1"], [b"l", LARGE]], b"after"]


@pytest.mark.parametrize(
    "instead", [Response.failure(ErrorCode.VALUE, "too much"), Response.ok(b"5", None), None, b"v"]
)
def test_rows_that_were_given_up_are_nowhere(instead):
    packer = OutcomePacker()
    packer.row_sink().extend([(b"k", b"1")])
    second = packer.row_sink()
    second.extend([(b"l", b"2")])
    packer.extend([Response.ok(second, None)])
    packer.row_sink().extend([(b"m", b"3")] * 1000)
    packer.extend([instead])
    datas = msgpack.unpackb(packer.finish(), raw=True)[b"datas"]
    assert datas[0] == [[b"l", b"2"]]
    assert len(datas) == 2


PIPELINE = Pipeline(
    [
        Get("001"),
        Get("nothing"),
        Range("100", "103"),
        Range("100", "103", include_value=False),
        Range(None, "103", reverse=True),
        Put("new", "v"),
        Range("200", "400", max_bytes=1000),
        MGet(["001", "nothing", "large"]),
        MGet(["001"]),
        Slice("500", 3),
        Slice("500", 99, max_bytes=2000),
        Slice("500", 0),
        Get("large"),
        Count(),
        Exists("new"),
        Delete("new"),
        Increment("number"),
        GetAndDelete("number"),
        Range("large", include_key=False),
        Range("zzz"),
    ]
)


@pytest.fixture
def application():
    application = Application.in_memory()
    uid = application.catalog.uid_of("default")
    application(Request(Batch([(PUT, b"%03d" % number, b"v" * number) for number in range(600)]), uid))
    application(Request(Put("large", LARGE), uid))
    return application


@pytest.mark.parametrize("options", [{}, {"bin": True}, {"compression": True}], ids=str)
def test_an_answer_that_is_packed_says_what_one_with_a_list_says(application, options):
    request = Request(PIPELINE, application.catalog.uid_of("default"), 7, **options)
    incoming = RequestDecoder().read(CODEC.encode_request(request))
    response = application(incoming.request)
    assert isinstance(response.payload, OutcomePacker)
    from_list = CODEC.encode_response(application(request), request)
    answer, expected = (
        CODEC.decode_response(frames, request).payload for frames in (incoming.encode(response), from_list)
    )
    assert answer == expected
    assert len(answer) == len(PIPELINE.commands)


def test_where_some_commands_are_forbidden_the_others_are_packed_as_well(application):
    authorizing = AuthorizingApplication(application, lambda: {"alice": Permissions((Grant(Access.READ, "default"),))})
    uid = application.catalog.uid_of("default")
    request = Request(Pipeline([Range("100", "101"), Put("k", "v"), Get("001")]), uid, 7)
    incoming = RequestDecoder().read(CODEC.encode_request(request), "alice")
    assert incoming.request is not None
    response = authorizing(incoming.request)
    assert isinstance(response.payload, OutcomePacker)
    rows, refused, value = CODEC.decode_response(incoming.encode(response), request).payload
    assert (rows, value) == ([[b"100", b"v" * 100], [b"101", b"v" * 101]], b"v")
    assert refused.message == "not allowed: PUT needs write access to the database default"


def test_a_pipeline_that_is_forbidden_as_a_whole_is_refused_as_a_whole(application):
    authorizing = AuthorizingApplication(application, lambda: {"alice": Permissions((Grant(Access.READ, "default"),))})
    uid = application.catalog.uid_of("default")
    request = Request(Pipeline([Put("k", "v"), Put("k", "v")]), uid, 7)
    incoming = RequestDecoder().read(CODEC.encode_request(request), "alice")
    assert incoming.request is not None
    assert authorizing(incoming.request).code is not None


def test_the_rows_of_a_pipeline_are_in_memory_once_and_not_as_objects(application):
    uid, size = application.catalog.uid_of("default"), 200_000
    request = Request(Pipeline([Range("4", "5")] * 40), uid, 7)
    incoming = RequestDecoder().read(CODEC.encode_request(request))
    incoming.answer(application)
    tracemalloc.start()
    try:
        frames = incoming.answer(application)
        _, most = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    made = len(frames[1])
    assert made > 8 * size
    assert most < 1.5 * made, "a list of rows would take another two times as much"


def test_packed_rows_count_for_the_limit_of_a_pipeline():
    application = Application.in_memory(Policy(max_range_bytes=3_000))
    uid = application.catalog.uid_of("default")
    application(Request(Put("k", b"v" * 2_000), uid))
    request = Request(Pipeline([Range()] * 3), uid, 7)
    incoming = RequestDecoder().read(CODEC.encode_request(request))
    first, second, third = CODEC.decode_response(incoming.answer(application), request).payload
    assert first == second == [[b"k", b"v" * 2_000]]
    assert "over the limit of 3,000 bytes; split it" in third.message


@pytest.mark.parametrize("further", [["large 00"], ["nothing", "001"]], ids=["all", "some missing"])
def test_large_values_of_an_mget_are_packed_as_they_are_read(application, further):
    uid, keys = application.catalog.uid_of("default"), [f"large {number:02}" for number in range(20)]
    application(Request(Batch([(PUT, key, LARGE + key.encode()) for key in keys]), uid))
    request = Request(MGet([*keys, *further]), uid, 7)
    incoming = RequestDecoder().read(CODEC.encode_request(request))
    response = application(incoming.request)
    assert isinstance(response.payload, RowPacker)
    assert response.status is (Status.WARNING if "nothing" in further else Status.SUCCESS)
    answer = CODEC.decode_response(incoming.encode(response), request)
    others = {"large 00": LARGE + b"large 00", "nothing": None, "001": b"v"}
    assert answer.payload == [*[LARGE + key.encode() for key in keys], *[others[key] for key in further]]


def test_large_values_of_an_mget_are_within_its_limit():
    application = Application.in_memory(Policy(max_range_bytes=3_000_000))
    uid = application.catalog.uid_of("default")
    application(Request(Put("k", LARGE), uid))
    for count, code in ((30, None), (31, ErrorCode.VALUE)):
        request = Request(MGet(["k"] * count), uid, 7)
        incoming = RequestDecoder().read(CODEC.encode_request(request))
        assert incoming.request is not None
        assert application(incoming.request).code is code
