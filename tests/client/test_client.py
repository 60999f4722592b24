"""What a client takes from its arguments and its environment, and how it fails."""

import socket
import threading

import pytest

from pyelevator import (
    ConnectFailed,
    ConnectTimeout,
    DatabaseError,
    Elevator,
    ElevatorError,
    KeyNotFound,
    RequestTimeout,
    UsageError,
    WriteBatch,
)
from pyelevator.application import Application
from pyelevator.testing.servers import serve
from pyelevator.transports import FakeTransport
from support.eventually import FOREVER
from support.old_servers import OldServer


@pytest.fixture
def server():
    with serve(Application.in_memory(), "tcp://127.0.0.1:0") as running:
        yield running


@pytest.fixture
def silent():
    """The address of something that accepts connections and never says a word."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        yield f"127.0.0.1:{listening.getsockname()[1]}"


def test_the_environment_says_where_the_server_is(monkeypatch, server):
    with Elevator.from_url(server.urls[0]) as E:
        E.createdb("testdb")
    monkeypatch.setenv("ELEVATOR_URL", f"{server.urls[0]}/testdb?timeout=7&encoding=none")
    with Elevator() as E:
        assert E.db_name == "testdb"
        assert E.timeout == 7.0
        E.Put("k", "v")
        value: object = E.Get("k")  # bytes, as the URL in the environment says
        assert value == b"v"
    with Elevator("default", timeout=8) as E:
        assert E.db_name == "default"
        assert E.timeout == 8
    with WriteBatch() as batch:
        assert batch.db_name == "testdb"
        assert batch.timeout == 7.0


def test_a_client_of_bytes_from_a_url_can_say_so_to_a_type_checker():
    with Elevator[bytes].from_url("fake://?encoding=none") as client:
        client.Put("k", "v")
        assert client.Get("k") == b"v"


def test_the_environment_is_ignored_where_a_transport_is_given(monkeypatch, server):
    monkeypatch.setenv("ELEVATOR_URL", "tcp://127.0.0.1:9/nowhere?timeout=0.01")
    address = server.urls[0].partition("://")[2]
    for options in ({"transport": FakeTransport()}, {"transport": "fake"}, {"endpoint": address}):
        with Elevator(**options) as E:
            assert E.db_name == "default"
            assert E.timeout == 5.0


def test_a_client_takes_5_seconds_and_a_batch_10():
    with Elevator(transport="fake") as E:
        assert E.timeout == 5.0
        assert E.WriteBatch().timeout == 10.0
        assert E.WriteBatch(timeout=3).timeout == 3
    with WriteBatch(transport="fake") as batch:
        assert batch.timeout == 10.0


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"transport": "carrier pigeon"}, "there is no transport 'carrier pigeon'; choose one of tcp, ipc, fake"),
        ({"transport": 5}, "transport must be a name or a Transport, not int"),
        ({"transport": "ipc"}, "needs endpoint="),
        ({"transport": FakeTransport(), "endpoint": "h:1"}, "a Transport object knows its own"),
        ({"transport": "fake", "dialect": "esperanto"}, "choose one of classic, flat"),
        ({"transport": "fake", "encoding": "latin-1"}, "encoding must be 'utf-8', or None for bytes"),
        ({"transport": "fake", "timeout": -1}, "timeout must be above 0"),
        ({"transport": "fake", "timeout": "1"}, "timeout must be a number of seconds"),
        ({"transport": "fake", "max_connections": 0}, "max_connections must be 1 or more"),
        ({"transport": "fake", "max_connections": True}, "max_connections must be a whole number, not bool"),
        ({"transport": "ipc", "endpoint": "/" + "x" * 120}, "longer than 107 bytes"),
    ],
)
def test_arguments_that_make_no_sense_are_refused_with_a_reason(options, says):
    with pytest.raises(UsageError, match=says):
        Elevator(**options)


def test_without_a_server_the_error_says_what_to_do():
    with pytest.raises(ConnectTimeout) as caught:
        Elevator(endpoint="127.0.0.1:9", timeout=0.2, connect_timeout=FOREVER)
    assert str(caught.value) == (
        "cannot connect to the Elevator server at tcp://127.0.0.1:9: connection refused (tried for 0.2 s); start one with "
        "`elevator serve`"
    )
    assert isinstance(caught.value, (RequestTimeout, ConnectFailed))
    assert isinstance(caught.value, TimeoutError)
    assert isinstance(caught.value, ConnectionError)


def test_a_server_that_says_nothing_times_out(silent):
    with pytest.raises(RequestTimeout):
        Elevator(endpoint=silent, timeout=0.2)


def test_not_connected_is_said_and_connect_mends_it():
    E = Elevator(transport="fake", auto_connect=False)
    assert E.db_name is None
    with pytest.raises(UsageError, match="not connected to a database; call connect"):
        E.Get("k")
    E.connect()
    with pytest.raises(KeyNotFound):
        E.Get("k")
    E.disconnect()


def test_disconnect_forgets_the_database_but_connect_remembers_it():
    with Elevator(transport=FakeTransport()) as E:
        E.createdb("testdb")
        E.connect("testdb")
        E.disconnect()
        E.connect()
        assert E.db_name == "testdb"


def test_a_batch_that_is_not_connected_connects_by_itself():
    transport = FakeTransport()
    batch = WriteBatch(transport=transport, auto_connect=False)
    batch.Put("k", "v")
    batch.Write()
    batch.disconnect()
    with Elevator(transport=transport) as E:
        assert E.Get("k") == "v"


def test_a_batch_that_could_not_be_written_keeps_its_operations():
    transport = FakeTransport()
    with Elevator(transport=transport) as E:
        E.createdb("testdb")
        E.connect("testdb")
        batch = E.WriteBatch()
        batch.Put("k", "v")
        E.dropdb("testdb")
        with pytest.raises(DatabaseError):
            batch.Write()
        assert len(batch) == 1
        E.createdb("testdb")
        batch.Write()
        E.connect("testdb")
        assert E.Get("k") == "v"


def test_a_batch_of_a_client_stays_with_the_database_it_was_made_for():
    with Elevator(transport=FakeTransport()) as E:
        batch = E.WriteBatch()
        E.createdb("testdb")
        E.connect("testdb")
        batch.Put("k", "v")
        batch.Write()
        assert not E.Exists("k")
        E.connect("default")
        assert E.Get("k") == "v"


def test_a_batch_s_own_timeout_is_in_force(silent):
    batch = WriteBatch(endpoint=silent, timeout=0.2, connect_timeout=FOREVER, auto_connect=False)
    batch.Put("k", "v")
    with pytest.raises(RequestTimeout, match=r"within 0\.2 s"):
        batch.Write()
    assert len(batch) == 1
    batch.Clear()
    batch.disconnect()


def test_the_fakes_of_two_objects_are_two_servers():
    with Elevator(transport=FakeTransport()) as one, Elevator(transport=FakeTransport()) as other:
        one.Put("k", "v")
        assert other.Range() == []


def test_a_failed_call_leaves_the_client_s_timeout_as_it_was(server):
    with Elevator.from_url(server.urls[0]) as E:
        E.timeout = 9
        with pytest.raises(KeyNotFound):
            E.Get("missing", timeout=3)
        assert E.timeout == 9


def test_an_old_flat_server_s_empty_answer_is_told_from_a_missing_key():
    with Elevator(transport=OldServer("0.7"), dialect="flat") as E:
        E.Put("empty", "")
        assert E.Get("empty") == ""
        with pytest.raises(KeyNotFound):
            E.Get("missing")
        assert E.MGet(["missing", "empty"]) == [None, ""]


def test_flat_refuses_a_batch_that_its_server_would_misread():
    with Elevator(transport="fake", dialect="flat") as E:
        batch = E.WriteBatch()
        batch.Put("k", "BPUT")
        with pytest.raises(UsageError, match="BPUT"):
            batch.Write()
        batch.Clear()


def test_repr_says_where_and_what():
    with Elevator(transport=FakeTransport()) as E:
        assert repr(E) == "<Elevator fake:// connected to 'default'>"
    assert repr(E) == "<Elevator fake:// not connected>"


def test_every_error_is_an_elevator_error():
    with Elevator(transport="fake") as E, pytest.raises(ElevatorError):
        E.Get("missing")


def test_operations_that_other_threads_add_during_write_are_kept():
    transport = FakeTransport()
    with Elevator(transport=transport) as E:
        batch = E.WriteBatch()

        def put(name):
            for i in range(2000):
                batch.Put(f"{name}{i}", "v")

        writers = [threading.Thread(target=put, args=(name,)) for name in "abc"]
        for writer in writers:
            writer.start()
        while any(writer.is_alive() for writer in writers):
            batch.Write()
        batch.Write()
        assert len(E.Range(include_value=False)) == 6000


@pytest.mark.parametrize(
    "endpoint", ["127.0.0.1:4141/testdb", "tcp://127.0.0.1:4141", "h:1?timeout=3", "user@h:1", 4141, None]
)
def test_an_endpoint_that_is_no_host_and_port_is_refused(endpoint):
    with pytest.raises(UsageError, match="host:port"):
        Elevator(endpoint=endpoint, timeout=0.1)


@pytest.mark.parametrize("timeout", [10**400, float("nan"), 1e300])
def test_timeouts_that_no_clock_can_count_are_refused(timeout):
    with pytest.raises(UsageError, match="timeout must be above 0"):
        Elevator(transport="fake", timeout=timeout)


def test_large_timeouts_are_fine(server):
    with Elevator.from_url(server.urls[0]) as E:
        assert E.ping(timeout=3_000_000_000) == "PONG"


def test_what_is_given_wins_over_the_environment(monkeypatch, server):
    monkeypatch.setenv("ELEVATOR_URL", f"{server.urls[0]}?encoding=none&dialect=flat&timeout=3")
    with Elevator(encoding="utf-8", dialect="classic", timeout=None) as E:
        E.Put("k", "v")
        assert E.Get("k") == "v"
        E.repairdb()  # which flat could not say
        assert E.timeout is None
    monkeypatch.setenv("ELEVATOR_URL", f"{server.urls[0]}?encoding=utf-8")
    with Elevator(encoding=None) as B:
        assert B.Get("k") == b"v"


@pytest.mark.parametrize("compression", ["yes", 1, None, object()])
def test_compression_is_a_flag(compression):
    with Elevator(transport="fake") as E, pytest.raises(TypeError, match="compression must be True or False"):
        E.Range(compression=compression)


@pytest.mark.parametrize("options", [{"max_connections": "4"}, {"max_connections": True}, {"dialect": ["classic"]}])
def test_options_of_the_wrong_type_are_refused(options):
    with pytest.raises(UsageError, match=next(iter(options))):
        Elevator(transport="fake", **options)
