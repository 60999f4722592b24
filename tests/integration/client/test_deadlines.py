"""Every call ends in time with an error of ours, whatever state the server is in. (How closely: docs/reliability.md.)"""

import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

import pytest

from pyelevator import (
    ConnectTimeout,
    Elevator,
    PoolTimeout,
    RequestTimeout,
    Retry,
    TransportError,
    WriteBatch,
)
from pyelevator.application import Application
from pyelevator.testing.servers import ServerProcess, serve
from pyelevator.transports import FakeTransport
from support.connections import pretend_connected, transport_of
from support.eventually import FOREVER
from support.puppets import Puppet, Relay, losing, silent_listener, unused_endpoint
from torture.frozen import stopped

TIMEOUT = 0.15
"""Seconds that a call may take; all else that it could wait for takes forever."""


def batch(client, timeout):
    writes = client.WriteBatch()
    writes.Put("k", "v")
    try:
        writes.Write(timeout=timeout)
    finally:
        writes.Clear()


CALLS = {
    "connect": lambda client, timeout: client.connect(timeout=timeout),
    "createdb": lambda client, timeout: client.createdb("other", timeout=timeout),
    "listdb": lambda client, timeout: client.listdb(timeout=timeout),
    "ping": lambda client, timeout: client.ping(timeout=timeout),
    "Get": lambda client, timeout: client.Get("k", timeout=timeout),
    "Put": lambda client, timeout: client.Put("k", "v", timeout=timeout),
    "Delete": lambda client, timeout: client.Delete("k", timeout=timeout),
    "Exists": lambda client, timeout: client.Exists("k", timeout=timeout),
    "MGet": lambda client, timeout: client.MGet(["k", "l"], timeout=timeout),
    "Range": lambda client, timeout: client.Range("a", "z", timeout=timeout),
    "Slice": lambda client, timeout: client.Slice("a", 5, timeout=timeout),
    "RangeIter": lambda client, timeout: list(client.RangeIter("a", "z", timeout=timeout)),
    "WriteBatch": batch,
}


def ends_in_time(call, error=TransportError, timeout=TIMEOUT):
    with pytest.raises(error) as caught:
        call(timeout)
    return caught.value


@contextmanager
def connected(endpoint):
    """A client that believes that it is connected."""
    with Elevator(endpoint=endpoint, auto_connect=False, timeout=FOREVER, connect_timeout=FOREVER) as client:
        pretend_connected(client, "some-uid")
        yield client


@contextmanager
def no_listener():
    with connected(unused_endpoint()) as client:
        yield client


@contextmanager
def no_answer():
    with silent_listener() as endpoint, connected(endpoint) as client:
        yield client


@contextmanager
def the_name_is_unknown():
    with connected("no-such-host.invalid:4141") as client:
        yield client


@contextmanager
def the_server_froze():
    with ServerProcess() as server, Elevator.from_url(server.urls[0], timeout=FOREVER) as client:
        with stopped(server.pid):
            yield client


@contextmanager
def the_server_is_frozen_from_the_start():
    with ServerProcess() as server, stopped(server.pid), connected(server.urls[0].partition("://")[2]) as client:
        yield client


@contextmanager
def the_server_died():
    with ServerProcess() as server, Elevator.from_url(server.urls[0], timeout=FOREVER) as client:
        server.kill()
        yield client


@contextmanager
def the_server_loses_every_answer():
    with Puppet(lambda request, reply: [reply] if request.command.verb == "DBCONNECT" else []) as server:
        with Elevator(endpoint=server.endpoint, timeout=FOREVER) as client:
            server.behave = lambda request, reply: []
            yield client


STATES = [
    no_listener,
    no_answer,
    the_name_is_unknown,
    the_server_froze,
    the_server_is_frozen_from_the_start,
    the_server_died,
    the_server_loses_every_answer,
]


@pytest.mark.parametrize("state", STATES, ids=lambda state: state.__name__)
def test_every_call_ends_in_time_when(state):
    with state() as client:
        for call in CALLS.values():
            assert not isinstance(ends_in_time(lambda timeout, call=call: call(client, timeout)), PoolTimeout)


def test_a_call_ends_in_time_when_a_flood_of_other_answers_comes():
    """Faster than any client reads, answers to requests that were not made."""
    over = threading.Event()

    def flood(request, reply):
        while not over.is_set():
            yield [b"\x82\xa6status\x01\xa2id\xcd\xff\xff", b"\x81\xa5datas\xc0"]

    with (
        Puppet(lambda request, reply: [reply]) as server,
        Elevator(endpoint=server.endpoint, timeout=FOREVER) as client,
    ):
        server.behave = flood
        ends_in_time(lambda timeout: client.Get("k", timeout=timeout), RequestTimeout)
        over.set()


@pytest.mark.parametrize("client", [Elevator, WriteBatch])
@pytest.mark.parametrize("state", [no_listener, no_answer])
def test_making_a_client_ends_in_time_when(state, client):
    with state() as other:
        endpoint = transport_of(other).url.partition("://")[2]
        ends_in_time(lambda timeout: client(endpoint=endpoint, timeout=timeout), ConnectTimeout)


def test_calls_of_many_threads_all_end_in_time_when_the_server_froze():
    with the_server_froze() as client, ThreadPoolExecutor(32) as pool:
        calls = [pool.submit(client.Get, "k", timeout=TIMEOUT) for _ in range(32)]
        errors = [call.exception() for call in calls]
    assert all(isinstance(error, TransportError) for error in errors)


@contextmanager
def its_one_connection_is_busy(**options):
    """A client whose only connection waits for an answer, which comes at the end of the block."""
    asked, over = threading.Event(), threading.Event()

    def behave(request, reply):
        if request.command.verb == "PING":
            asked.set()
            over.wait(FOREVER)
        return [reply]

    with (
        Puppet(behave) as server,
        Elevator(endpoint=server.endpoint, timeout=FOREVER, max_connections=1, **options) as client,
    ):
        busy = threading.Thread(target=client.ping)
        busy.start()
        try:
            assert asked.wait(60)
            yield client
        finally:
            over.set()
            busy.join()


def test_waiting_for_a_connection_ends_with_the_call():
    with its_one_connection_is_busy() as client:
        error = ends_in_time(lambda timeout: client.ping(timeout=timeout), PoolTimeout)
    assert str(error) == "all 1 connections of the client were busy for 0.15 s; raise max_connections= or timeout="


def test_pool_timeout_ends_it_earlier():
    with its_one_connection_is_busy(pool_timeout=0.05) as client:
        error = ends_in_time(lambda _: client.ping(), PoolTimeout)
    assert "busy for 0.05 s" in str(error)


class Noting(FakeTransport):
    """Notes the deadline of each message."""

    def __init__(self, application=None, noted=None):
        super().__init__(application)
        self.noted = [] if noted is None else noted

    def send(self, frames, deadline):
        self.noted.append(deadline)
        super().send(frames, deadline)

    def receive(self, deadline):
        self.noted.append(deadline)
        return super().receive(deadline)

    def clone(self):
        return Noting(self.application, self.noted)


def test_everything_that_a_call_does_shares_one_deadline():
    transport = Noting()
    with WriteBatch(transport=transport, auto_connect=False) as writes:
        writes.Put("empty", "")
        writes.Write(timeout=7)
    assert len(set(transport.noted)) == 1
    assert (len(transport.noted), transport.noted[0].seconds) == (4, 7)
    with Elevator(transport=transport, dialect="flat") as client:
        del transport.noted[:]
        assert client.MGet(["empty"], timeout=6) == [""]
        # MGET and one question about the empty value, each after a look whether the uid is still the database's
        assert (len(transport.noted), len(set(transport.noted)), transport.noted[0].seconds) == (8, 1, 6)


def test_connecting_and_waiting_share_one_deadline_on_a_socket():
    """The server connects the batch late and never answers the write."""
    over = threading.Event()

    def behave(request, reply):
        if request.command.verb == "DBCONNECT":
            over.wait(0.3)
            return [reply]
        return []

    with Puppet(behave) as server:
        writes = WriteBatch(endpoint=server.endpoint, auto_connect=False)
        writes.Put("k", "v")
        error = ends_in_time(lambda timeout: writes.Write(timeout=timeout), RequestTimeout, timeout=0.5)
        assert "within 0.5 s" in str(error)
        writes.Clear()
        writes.disconnect()


LARGE = "x" * (8 << 20)


def test_a_large_request_that_is_partly_sent_is_not_executed():
    with serve(Application.in_memory()) as server, Relay(server.urls[0].partition("://")[2]) as relay:
        with Elevator(endpoint=relay.endpoint) as client:
            relay.up = 1 << 20
            ends_in_time(lambda timeout: client.Put("large", LARGE, timeout=timeout), RequestTimeout, timeout=1)
            assert relay.stalled.wait(30)
            relay.heal()
            assert client.Exists("large", timeout=30) is False
            client.Put("large", "small", timeout=30)
            assert client.Get("large", timeout=30) == "small"


def test_a_large_answer_that_comes_partly_is_no_answer_to_the_next_call():
    with serve(Application.in_memory()) as server, Relay(server.urls[0].partition("://")[2]) as relay:
        with Elevator(endpoint=relay.endpoint) as client:
            client.Put("large", LARGE, timeout=30)
            client.Put("small", "s", timeout=30)
            relay.down = 1 << 20
            ends_in_time(lambda timeout: client.Get("large", timeout=timeout), RequestTimeout)
            relay.heal()
            assert client.Get("small", timeout=30) == "s"
            assert client.Get("large", timeout=30) == LARGE


def test_one_lost_answer_leaves_time_for_a_retry():
    with Puppet(losing(GET=1)) as server:
        with Elevator(endpoint=server.endpoint) as client:
            client.Put("k", "v")
        retry = Retry(attempts=20, attempt_timeout=1.0)
        with Elevator(endpoint=server.endpoint, retry=retry, timeout=FOREVER) as client:
            assert client.Get("k") == "v"
        assert server.verbs.count("GET") >= 2


def test_closing_is_immediate_whatever_is_under_way():
    with the_server_froze() as client:
        caller = threading.Thread(
            target=ends_in_time, args=(lambda timeout: client.Get("k", timeout=timeout),), kwargs={"timeout": 1}
        )
        caller.start()
        ends_in_time(lambda timeout: client.Put("large", LARGE, timeout=timeout), RequestTimeout)
        client.disconnect()
        caller.join()
