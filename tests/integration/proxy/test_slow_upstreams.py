"""Servers that are slow or half open, directly and through proxies: what it costs their callers, and no other client."""

import asyncio
import os
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from socket import IPPROTO_TCP, SHUT_WR, TCP_NODELAY, create_connection

import pytest

from pyelevator import AsyncElevator, Elevator, RequestTimeout, ServerRuntimeError
from pyelevator.application import Application
from pyelevator.proxy import Proxy, Upstream
from pyelevator.testing.servers import ANY_PORT, serve
from support.accepting import Accepting, end
from support.eventually import SECONDS, eventually

LARGE = 3 << 20
VALUES = {"small": "v", "slow": "a few hundred bytes " * 20, "slow and large": "x" * LARGE}


class Unsteady(Accepting):
    """Relays connections to a server; one whose client asks for a key that begins with "slow" behaves otherwise.

    Attributes:
        behave: takes the connection, an answer of the server in chunks (an iterator), and what ends the wait.
        shakes_hands: new connections hear from the server; else they wait until they are cut.
        reached: is set when a connection behaves otherwise and waits, or has ended before.
        go_on: ends the wait.
    """

    def __init__(self, url):
        super().__init__(self._relay)
        host, _, port = url.removeprefix("tcp://").rpartition(":")
        self._server = host, int(port)
        self.behave, self.shakes_hands = pass_on, True
        self.reached, self.go_on = threading.Event(), threading.Event()

    @property
    def url(self):
        return f"tcp://{self.endpoint}"

    def wait(self):
        self.reached.set()
        assert self.go_on.wait(SECONDS)

    def _relay(self, client):
        if not self.shakes_hands:
            self.reached.set()
            while client.recv(1 << 16):
                pass
            return
        client.setsockopt(IPPROTO_TCP, TCP_NODELAY, 1)
        with create_connection(self._server) as server:
            asked = threading.Event()
            back = threading.Thread(target=self._answer, args=(server, client, asked))
            back.start()
            try:
                while data := client.recv(1 << 16):
                    if b"slow" in data:
                        asked.set()
                    server.sendall(data)
            finally:
                end(server)
                back.join()

    def _answer(self, server, client, asked):
        def chunks():
            while data := server.recv(1 << 16):
                yield data

        answers = chunks()
        try:
            for data in answers:
                if asked.is_set():
                    asked.clear()
                    try:
                        self.behave(self, client, data, answers)
                    finally:
                        self.reached.set()  # also where the caller's time was over before it came so far
                else:
                    client.sendall(data)
        except OSError:
            pass
        finally:
            end(client)

    def __exit__(self, *error):
        self.go_on.set()
        super().__exit__(*error)


def pass_on(relay, client, data, further):
    client.sendall(data)


def a_byte_at_a_time(relay, client, data, further):
    for at in range(len(data)):
        client.send(data[at : at + 1])
        if at == len(data) // 2:
            relay.wait()


def stop_in_the_middle(relay, client, data, further):
    sent = 0
    while sent + len(data) < LARGE // 2:
        client.sendall(data)
        sent += len(data)
        data = next(further)
    relay.wait()
    client.sendall(data)


def answer_delayed(relay, client, data, further):
    relay.wait()
    client.sendall(data)


def close_the_sending_half(relay, client, data, further):
    client.shutdown(SHUT_WR)
    relay.wait()


SLOW = {
    "answers a byte at a time": (a_byte_at_a_time, "slow"),
    "stops in the middle of a large answer": (stop_in_the_middle, "slow and large"),
    "answers late": (answer_delayed, "slow"),
}
WAYS = ["direct", "passed on", "looked into", "one of two servers"]
CLIENTS = ["sync", "async", "sync, flat", "async, flat"]


class Caller:
    """A client of any kind; its calls return, or give a future."""

    def __init__(self, url, kind, **options):
        self._loop = asyncio.new_event_loop() if kind.startswith("async") else None
        self._thread = ThreadPoolExecutor(1)
        make = Elevator if self._loop is None else AsyncElevator
        dialect = "flat" if kind.endswith("flat") else "classic"
        self.client = make.from_url(url, dialect=dialect, timeout=SECONDS, **options)

    def begin(self, method, *args, **options):
        return self._thread.submit(self._call, method, *args, **options)

    def _call(self, method, *args, **options):
        outcome = getattr(self.client, method)(*args, **options)
        return outcome if self._loop is None else self._loop.run_until_complete(_awaited(outcome))

    def __call__(self, method, *args, **options):
        return self.begin(method, *args, **options).result()

    def close(self):
        self("disconnect")
        self._thread.shutdown()
        if self._loop is not None:
            self._loop.close()


async def _awaited(outcome):
    return await outcome


def watching(request, forward):
    """Look at every request, so that a proxy passes none on unread."""
    return (yield from forward(request))


@pytest.fixture(scope="module")
def servers():
    with serve(Application.in_memory()) as east, serve(Application.in_memory()) as west:
        with Elevator.from_url(west.urls[0]) as E:
            E.createdb("west")
        for url in (east.urls[0], west.urls[0] + "/west"):
            with Elevator.from_url(url) as E:
                for key, value in VALUES.items():
                    E.Put(key, value)
        yield east.urls[0], west.urls[0]


class Scene:
    """A slow server, the way to it, and clients that are closed with it."""

    def __init__(self, stack, servers, way, timeout=SECONDS):
        east, west = servers
        self._stack = stack
        self.relay = stack.enter_context(Unsteady(east))
        self.proxy = None
        upstreams = [Upstream(self.relay.url, name="east")]
        if way == "one of two servers":
            upstreams = [Upstream(west, ("west",), name="west"), *upstreams]
        if way != "direct":
            interceptors = [watching] if way == "looked into" else []
            self.proxy = stack.enter_context(Proxy([ANY_PORT], upstreams, interceptors, timeout=timeout))
        self.url = self.relay.url if self.proxy is None else self.proxy.urls[0]
        self.databases = ["", "/west"] if way == "one of two servers" else [""]

    def client(self, kind, database=""):
        caller = Caller(self.url + database, kind)
        self._stack.callback(caller.close)
        assert caller("Get", "small") == "v"
        return caller


@contextmanager
def scene(servers, way, **options):
    with ExitStack() as stack:
        yield Scene(stack, servers, way, **options)


def descriptors():
    return len(os.listdir("/proc/self/fd"))


def others_are_served(scene):
    """Clients that were there, of each server, and one that comes now."""
    for other in scene.others:
        assert other("Get", "small") == "v"
        assert other("ping") == "PONG"
    delayed = Caller(scene.url, "sync")
    assert delayed("Get", "small") == "v"
    delayed.close()


def begin_slow_call(scene, kind, behave, key, **options):
    scene.relay.behave = behave
    caller = scene.client(kind)
    scene.others = [scene.client(kind, database) for database in scene.databases]
    call = caller.begin("Get", key, **options)
    assert scene.relay.reached.wait(60)
    return caller, call


@pytest.mark.parametrize("kind", CLIENTS)
@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("name", SLOW)
def test_a_slow_answer_comes_whole_and_holds_up_no_other(servers, name, way, kind):
    before, (behave, key) = descriptors(), SLOW[name]
    with scene(servers, way) as played:
        caller, call = begin_slow_call(played, kind, behave, key)
        others_are_served(played)
        assert not call.done()
        played.relay.go_on.set()
        assert call.result() == VALUES[key]
        assert caller("Get", "small") == "v"
    eventually(lambda: descriptors() <= before, "all connections are closed")


@pytest.mark.parametrize("kind", CLIENTS)
@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("name", SLOW)
def test_an_answer_after_its_caller_s_timeout_answers_nothing(servers, name, way, kind):
    behave, key = SLOW[name]
    with scene(servers, way) as played:
        caller, call = begin_slow_call(played, kind, behave, key, timeout=0.1)
        with pytest.raises(RequestTimeout):
            call.result()
        started = caller.begin("Get", "small")
        played.relay.go_on.set()
        assert [started.result(), caller("Get", "small"), caller("Get", key)] == ["v", "v", VALUES[key]]
        others_are_served(played)


@pytest.mark.parametrize("kind", CLIENTS)
@pytest.mark.parametrize("way", WAYS)
def test_a_server_that_closes_its_sending_half_is_a_lost_connection(servers, way, kind):
    before = descriptors()
    with scene(servers, way) as played:
        caller, call = begin_slow_call(played, kind, close_the_sending_half, "slow")
        with pytest.raises((RequestTimeout, ServerRuntimeError), match="closed the connection before it answered"):
            call.result()
        assert caller("Get", "small") == "v"
        others_are_served(played)
    eventually(lambda: descriptors() <= before, "all connections are closed")


@pytest.mark.parametrize("kind", CLIENTS)
@pytest.mark.parametrize("way", WAYS[1:])
def test_a_handshake_that_is_never_answered_holds_up_no_connected_client(servers, way, kind):
    with scene(servers, way) as played:
        others = [played.client(kind, database) for database in played.databases]
        played.relay.shakes_hands = False
        caller = Caller(played.url, kind, auto_connect=False)
        call = caller.begin("listdb")
        assert played.relay.reached.wait(60)
        for other in others:
            assert other("Get", "small") == "v"
            assert kind.endswith("flat") or other("ping") == "PONG"  # a flat client pings by the lists of all servers
        assert not call.done()
        played.relay.shakes_hands = True
        played.relay.cut()
        assert "default" in call.result()
        caller.close()


@pytest.mark.parametrize("way", WAYS[1:])
@pytest.mark.parametrize("name", [*SLOW, "never answers the handshake"])
def test_a_proxy_that_is_stopped_waits_no_longer_than_its_timeout(servers, name, way):
    with scene(servers, way, timeout=0.5) as played:
        if name in SLOW:
            _, call = begin_slow_call(played, "sync", *SLOW[name])
            expected = r"no answer from upstream|closed the connection"
        else:
            played.relay.shakes_hands = False
            call = Caller(played.url, "sync", auto_connect=False).begin("listdb")
            assert played.relay.reached.wait(60)
            # a list of databases takes two requests, and the second one comes too late, or finds no proxy any more
            expected = r"no answer from upstream|closed the connection|cannot connect"
        played.proxy.stop()
        with pytest.raises((ServerRuntimeError, RequestTimeout), match=expected):
            call.result()
        played.proxy._thread.join(60)
        assert not played.proxy._thread.is_alive()
