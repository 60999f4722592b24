"""The limits of a server process: each is a setting, an error that says what to do, and no harm to other clients."""

import time
from contextlib import ExitStack, suppress

import pytest

from pyelevator import CursorExpired, Elevator, ServerRuntimeError, TransportError
from pyelevator.config import ServerSettings
from pyelevator.config.schema import settings_of
from pyelevator.testing.servers import ServerProcess
from support.eventually import eventually

ARGS = {
    "--max-message": 100_000,
    "--max-batch": 20,
    "--max-range": 50,
    "--max-range-bytes": 30_000,
    "--max-connections": 12,
    "--max-open": 3,
    "--max-cursors": 2,
    "--cursor-idle": 1,
    "--cursor-age": 2,
}


def arguments(limits):
    return [str(word) for pair in limits.items() for word in pair]


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    with ServerProcess(tmp_path_factory.mktemp("limits") / "data", args=arguments(ARGS)) as server:
        yield server


@pytest.fixture
def client(server):
    """A client of an empty database; whatever the test did, the server must be well afterwards."""
    with Elevator(endpoint=server.urls[0].partition("://")[2], timeout=20) as client:
        client.dropdb("default")
        client.connect("default")
        yield client
        assert client.ping() == "PONG"


def put(client, number, size):
    for i in range(number):
        client.Put(f"{i:03}", "v" * size)


def test_every_limit_is_tried_here():
    limits = {one.option for one in settings_of(ServerSettings) if one.name.startswith(("max_", "cursor_"))}
    assert limits - {"--max-unread"} == ARGS.keys()  # that one: test_backpressure.py


def test_a_message_above_the_limit_is_refused_and_says_how_large_it_may_be(client):
    client.Put("k", "v" * 99_000)
    with pytest.raises(ValueError, match=r"of 100,0\d\d bytes is over the server's limit of 100,000, .*--max-message"):
        client.Put("k", "w" * 100_001)
    assert client.Get("k") == "v" * 99_000


def test_a_batch_above_the_limit_is_refused_as_a_whole(client):
    with client.WriteBatch() as batch:
        for i in range(20):
            batch.Put(f"{i:03}", "v")
    batch = client.WriteBatch()
    for i in range(21):
        batch.Put(f"{i:03}", "w")
    with pytest.raises(ValueError, match="a batch of 21 operations is over the limit of 20; split it"):
        batch.Write()
    batch.Clear()
    assert client.Range() == [[f"{i:03}", "v"] for i in range(20)]


@pytest.mark.parametrize("call", [lambda client: client.Range(), lambda client: client.Slice("000", 60)])
@pytest.mark.parametrize(("number", "size"), [(51, 1), (31, 1000)])
def test_an_answer_above_the_limit_is_refused_and_rangeiter_has_none(client, call, number, size):
    put(client, number, size)
    with pytest.raises(
        ValueError,
        match="over the limit of 50 items or 30,000 bytes; use RangeIter, or ask for less",
    ):
        call(client)
    assert len(list(client.RangeIter())) == number


def test_an_answer_within_the_limits_is_given(client):
    put(client, 50, 1)
    assert len(client.Range()) == 50
    assert len(client.MGet([f"{i:03}" for i in range(50)])) == 50


def test_an_mget_of_too_many_keys_or_too_many_bytes_is_refused(client):
    put(client, 4, 10_000)
    with pytest.raises(ValueError, match="an MGET of 51 keys is over the limit of 50; split it"):
        client.MGet(["k"] * 51)
    with pytest.raises(ValueError, match="the values of this MGET are more than the limit of 30,000 bytes"):
        client.MGet(["000", "001", "002", "003"])


def test_above_max_open_the_least_recently_used_database_is_closed(client):
    names = [f"db{i}" for i in range(6)]
    for name in names:
        client.createdb(name)
    for _ in range(2):
        for name in names:
            client.connect(name)
            client.Put("k", name)
    for name in names:
        client.connect(name)
        assert client.Get("k") == name
    for name in names:
        client.dropdb(name)


def test_cursors_above_the_limit_are_refused_until_one_is_given_back(server, client):
    put(client, 40, 1000)
    with Elevator(endpoint=server.urls[0].partition("://")[2], timeout=20, max_connections=1) as own:  # one connection
        iterators = [own.RangeIter(consistent=True) for _ in range(3)]
        next(iterators[0]), next(iterators[1])
        with pytest.raises(ServerRuntimeError, match=r"all 2 cursors are in use; close iterators .*--max-cursors"):
            next(iterators[2])
        iterators[0].close()
        assert len(list(iterators[2])) == 40
        iterators[1].close()


@pytest.mark.parametrize("pause", [1.5, 0.5])  # seconds: above --cursor-idle, and below it
def test_a_cursor_that_is_not_used_or_used_for_too_long_expires(client, pause):
    put(client, 8, 31_000)  # each a page
    rows = client.RangeIter(consistent=True)

    def walk_slowly():
        for _ in rows:
            time.sleep(pause)

    with pytest.raises(CursorExpired, match="not used for 1 s, or is older than 2 s"):
        walk_slowly()


def test_connections_above_the_limit_are_closed_and_those_before_go_on(server, client):
    with ExitStack() as stack:

        def connect(timeout):
            return stack.enter_context(Elevator(endpoint=server.urls[0].partition("://")[2], timeout=timeout))

        others = [connect(20) for _ in range(ARGS["--max-connections"] - 1)]
        with pytest.raises(TransportError):
            [connect(1).ping() for _ in range(3)]
        assert all(other.ping() == "PONG" for other in others)
    assert "more than 12 connections; further ones are closed (--max-connections)" in server.output


def test_once_others_have_left_there_is_room_again(server, client):
    def is_served():
        with suppress(TransportError), Elevator(endpoint=server.urls[0].partition("://")[2], timeout=1) as other:
            return other.ping() == "PONG"

    eventually(is_served)
