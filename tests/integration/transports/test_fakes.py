"""Fakes: shared by name, and with interceptors and faults of their own, for sync and async clients alike."""

import asyncio
import gc
import threading

import pytest

from pyelevator import AsyncElevator, ConnectionLost, Elevator, MalformedMessage, RequestTimeout, Retry, UsageError
from pyelevator.application import Application
from pyelevator.errors import ErrorCode, ServerError, ServerRuntimeError
from pyelevator.interceptors import Fault, hooks, read_only
from pyelevator.testing import fake_server
from pyelevator.transports import FakeTransport, parse_url
from pyelevator.transports.fake import add_fake, named_fake, remove_fake

# Names


@pytest.fixture
def name():
    yield "of-these-tests"
    remove_fake("of-these-tests")


def test_clients_of_one_name_share_a_fake(name):
    with Elevator.from_url("fake://of-these-tests") as one, Elevator.from_url("fake://of-these-tests") as other:
        one.Put("k", "v")
        assert other.Get("k") == "v"


def test_a_named_fake_stays_when_its_clients_have_left(name):
    with Elevator.from_url("fake://of-these-tests") as one:
        one.Put("k", "v")
    gc.collect()
    with Elevator.from_url("fake://of-these-tests") as other:
        assert other.Get("k") == "v"


def test_fakes_of_other_names_and_of_none_share_nothing(name):
    with Elevator.from_url("fake://of-these-tests") as one:
        one.Put("k", "v")
        with Elevator.from_url("fake://") as nameless, Elevator.from_url("fake://Shop") as other:
            assert (nameless.Range(), other.Range()) == ([], [])
    remove_fake("Shop")


def test_a_removed_fake_is_empty_for_the_next_client(name):
    with Elevator.from_url("fake://of-these-tests") as before:
        before.Put("k", "v")
        remove_fake(name)
        with Elevator.from_url("fake://of-these-tests") as after:
            assert after.Range() == []
        assert before.Get("k") == "v"


def test_removing_a_fake_that_is_not_there_is_fine():
    remove_fake("nowhere-of-these-tests")
    with Elevator.from_url("fake://nowhere-of-these-tests") as E:
        assert E.Range() == []
    remove_fake("nowhere-of-these-tests")


def test_a_url_of_a_fake_names_a_database_and_options(name):
    with Elevator.from_url("fake://of-these-tests") as E:
        E.createdb("testdb")
    with Elevator[bytes].from_url("fake://of-these-tests/testdb?encoding=none") as E:
        assert (E.db_name, E.MGet(["k"]), repr(E)) == (
            "testdb",
            [None],
            "<Elevator fake://of-these-tests connected to 'testdb'>",
        )
    assert parse_url("fake://of-these-tests?db=testdb").options == {"db_name": "testdb"}


def test_the_environment_and_the_endpoint_name_a_fake_too(name, monkeypatch):
    with Elevator(transport="fake", endpoint="of-these-tests") as one:
        one.Put("k", "v")
        monkeypatch.setenv("ELEVATOR_URL", "fake://of-these-tests")
        with Elevator() as other:
            assert other.Get("k") == "v"


def test_sync_and_async_clients_share_a_named_fake(name):
    async def main():
        async with AsyncElevator.from_url("fake://of-these-tests") as E:
            await E.Put("k", "v")

    asyncio.run(main())
    with Elevator.from_url("fake://of-these-tests") as E:
        assert E.Get("k") == "v"


def test_threads_that_come_at_once_find_one_fake(name):
    barrier, found = threading.Barrier(8), []

    def connect():
        barrier.wait()
        found.append(named_fake("of-these-tests").application)

    threads = [threading.Thread(target=connect) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == 8
    assert len(set(map(id, found))) == 1


@pytest.mark.parametrize(
    "url", ["fake://a b", "fake://user@shop", "fake://of-these-tests:80", "fake://ä", "fake://of-these-tests#x"]
)
def test_a_url_that_names_no_fake_says_what_a_name_is(url):
    with pytest.raises(UsageError, match=r"a name has ASCII letters|has a fragment"):
        Elevator.from_url(url)


@pytest.mark.parametrize("endpoint", ["", "a/b", "127.0.0.1:4141"])
def test_an_endpoint_that_names_no_fake_says_what_a_name_is(endpoint):
    with pytest.raises(UsageError, match="does not name a fake; a name has ASCII letters"):
        Elevator(transport="fake", endpoint=endpoint)


def test_a_fake_of_ones_own_gets_a_name(name):
    application = Application.in_memory()
    add_fake(name, FakeTransport(application))
    assert named_fake(name).application is application
    with pytest.raises(UsageError, match=r"a fake named 'of-these-tests' already; remove_fake\('of-these-tests'\)"):
        add_fake(name, FakeTransport())


def test_a_fake_server_is_forgotten_behind_its_block():
    with fake_server(faults=[Fault("fail", ("PUT",))]) as url:
        with Elevator.from_url(url) as E, pytest.raises(ServerRuntimeError, match="a fault was asked for"):
            E.Put("k", "v")
    with Elevator.from_url(url) as E:
        E.Put("k", "v")
    remove_fake(parse_url(url).address)


# Interceptors and faults


def test_an_interceptor_of_a_fake_stands_before_all_its_clients(make):
    seen = []
    server = FakeTransport(interceptors=[hooks(on_request=lambda request: seen.append(request.command.verb))])
    with make(transport=server) as one, make(transport=server) as other:
        one.Put("k", "v")
        assert other.Get("k") == "v"
        assert list(other.RangeIter()) == [["k", "v"]]
    assert seen == ["DBCONNECT", "DBCONNECT", "PUT", "GET", "SLICE"]


def test_interceptors_of_a_fake_see_the_commands_of_a_pipeline(make):
    with make(transport=FakeTransport(interceptors=[read_only])) as E:
        with E.pipeline(raise_errors=False) as p:
            put, there = p.Put("k", "v"), p.Exists("k")
        assert there.result() is False
        with pytest.raises(Exception, match="not allowed"):
            put.result()


def test_what_an_interceptor_raises_is_an_answer(make):
    def broken(request, forward):
        raise LookupError("a bug")
        yield

    server = FakeTransport(interceptors=[broken])
    with make(transport=server, auto_connect=False) as E, pytest.raises(ServerRuntimeError, match="LookupError"):
        E.ping()


def test_what_is_no_response_is_an_answer_that_says_so(make):
    def wrong(request, forward):
        yield from ()
        return "response"

    with make(transport=FakeTransport(interceptors=[wrong]), auto_connect=False) as E:
        with pytest.raises(ServerRuntimeError, match="TypeError"):
            E.ping()


@pytest.mark.parametrize(("kind", "found"), [("drop_request", False), ("drop_response", True)])
def test_a_dropped_message_is_a_timeout_of_unknown_outcome(make, kind, found):
    server = FakeTransport(faults=[Fault(kind, ("PUT",))])
    with make(transport=server) as E:
        with pytest.raises(RequestTimeout):
            E.Put("k", "v", timeout=0.2)
        assert E.Exists("k") is found


def test_one_dropped_command_loses_the_whole_pipeline(make):
    with make(transport=FakeTransport(faults=[Fault("drop_response", ("PUT",))])) as E:
        pipeline = E.pipeline(timeout=0.2)
        pipeline.Get("k")
        pipeline.Put("k", "v")
        with pytest.raises(RequestTimeout):
            pipeline.execute()
        assert E.Get("k") == "v"


def test_a_corrupt_answer_is_a_malformed_message(make):
    with make(transport=FakeTransport(faults=[Fault("corrupt", ("PUT",))])) as E:
        with pytest.raises(MalformedMessage):
            E.Put("k", "v")
        assert E.Get("k") == "v"


def test_a_failing_server_fails_with_its_code_and_text(make):
    fault = Fault("fail", ("PUT",), code=ErrorCode.DATABASE, message="the disk is full")
    with (
        make(transport=FakeTransport(faults=[fault])) as E,
        pytest.raises(ServerError, match="the disk is full") as caught,
    ):
        E.Put("k", "v")
    assert caught.value.code is ErrorCode.DATABASE


def test_a_lost_connection_is_raised_and_found_again(make):
    lost = [True]

    def losing(request, forward):
        response = yield from forward(request)
        if request.command.verb == "PUT" and lost.pop(0) if lost else False:
            raise ConnectionLost("the connection was lost")
        return response

    with make(transport=FakeTransport(interceptors=[losing])) as E:
        with pytest.raises(ConnectionLost):
            E.Put("k", "v")
        assert E.Get("k") == "v"


def test_a_delay_beyond_the_timeout_ends_the_call_and_not_the_request(make):
    with make(transport=FakeTransport(faults=[Fault("delay", ("PUT",), seconds=600)])) as E:
        with pytest.raises(RequestTimeout):
            E.Put("k", "v", timeout=0.05)
        assert E.ping() == "PONG"


def test_equal_faults_give_equal_runs():
    def outcomes():
        server = FakeTransport(faults=[Fault("fail", ("GET",), 0.5)])
        with Elevator(transport=server) as one, Elevator(transport=server) as other:
            one.Put("k", "v")
            return [outcome(client) for _ in range(20) for client in (one, other)]

    def outcome(client):
        try:
            return client.Get("k")
        except ServerRuntimeError:
            return None

    first = outcomes()
    assert first == outcomes()
    assert set(first) == {"v", None}


def test_a_client_with_retries_gets_through_a_bad_network(make):
    server = FakeTransport(faults=[Fault("drop_response", ("GET",), 0.5)])
    with make(transport=server, retry=Retry(attempts=20, backoff=0.001, factor=1)) as E:
        E.Put("k", "v")
        assert [E.Get("k", timeout=30) for _ in range(3)] == ["v"] * 3


def test_a_delay_does_not_hold_up_the_event_loop():
    async def main():
        async with AsyncElevator(transport=FakeTransport(faults=[Fault("delay", ("GET",), seconds=600)])) as E:
            stuck = asyncio.create_task(E.Get("k", timeout=None))
            await E.Put("k", "v")
            assert await E.Exists("k")
            stuck.cancel()

    asyncio.run(main())
