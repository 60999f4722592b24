"""Operations stepped by hand, so that two calls interleave exactly as they should."""

from typing import Any

import pytest

from pyelevator.client.handles import DatabaseHandle
from pyelevator.client.operations import execute
from pyelevator.codec import ClassicCodec
from pyelevator.commands import Get
from pyelevator.errors import DatabaseError, ErrorCode
from pyelevator.messages import Response


def lost(uid):
    return Response.failure(ErrorCode.RUNTIME, f"Database {uid} doesn't exist")


def result_of(flow, outcome):
    with pytest.raises(StopIteration) as stopped:
        flow.send(outcome)
    return stopped.value.value


@pytest.fixture
def handle():
    return DatabaseHandle(ClassicCodec(), "testdb", "uid1")


def test_a_database_whose_uid_was_lost_is_connected_again_by_name(handle):
    flow: Any = execute(handle, Get("k"))
    assert next(flow).request.uid == "uid1"
    assert flow.send(lost("uid1")).request.command.name == "testdb"
    assert flow.send(Response(b"uid2")).request.uid == "uid2"
    assert result_of(flow, Response(b"v")) == b"v"
    assert handle.uid == "uid2"


def test_of_two_calls_that_lose_the_database_one_connects_and_both_go_on(handle):
    first: Any = execute(handle, Get("k"))
    second: Any = execute(handle, Get("l"))
    next(first)
    next(second)
    first.send(lost("uid1"))
    assert first.send(Response(b"uid2")).request.uid == "uid2"
    repeated = second.send(lost("uid1")).request
    assert (repeated.command, repeated.uid) == (Get("l"), "uid2")
    assert result_of(second, Response(b"w")) == b"w"
    assert result_of(first, Response(b"v")) == b"v"


def test_a_database_that_is_gone_for_good_is_said_to_be(handle):
    flow = execute(handle, Get("k"))
    next(flow)
    flow.send(lost("uid1"))
    with pytest.raises(DatabaseError, match="Database does not exist"):
        flow.send(Response.failure(ErrorCode.DATABASE, "Database testdb doesn't exist"))
    assert (handle.name, handle.uid) == ("testdb", "uid1")
