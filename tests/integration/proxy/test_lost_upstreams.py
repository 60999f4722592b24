"""The connection of a proxy to a server ends with requests under way: they are answered at once, and once."""

from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from threading import Event

import pytest

from pyelevator import Elevator, KeyNotFound, ServerRuntimeError
from pyelevator.application import Application
from pyelevator.interceptors import RequestLog, Retry
from pyelevator.proxy import Proxy
from pyelevator.server import Server
from pyelevator.testing.servers import ANY_PORT
from pyelevator.transports.zmtp import frames as zmtp
from support.eventually import FOREVER, eventually
from support.puppets import Relay
from support.routers import played, taken

MAY_HAVE_BEEN_EXECUTED = "closed the connection before it answered; whether it executed the request is not known"

WAYS = {"passed on": (), "with an interceptor": (RequestLog(),)}


@contextmanager
def cut_off(interceptors, under_way=1):
    """A client of a proxy, and what cuts the proxy off from a server that has taken GETs and not answered them."""
    arrived, go_on, took = Event(), Event(), []

    def hold(request, forward):
        if request.command.verb == "GET" and not go_on.is_set():
            took.append(request)
            if len(took) == under_way:
                arrived.set()
            go_on.wait(FOREVER)
        return (yield from forward(request))

    server = Server(Application.in_memory(), [ANY_PORT], interceptors=[hold], workers=under_way)
    with server, Relay(server.urls[0].removeprefix("tcp://")) as relay:
        with Proxy([ANY_PORT], f"tcp://{relay.endpoint}", interceptors, timeout=FOREVER) as proxy:

            def cut():
                assert arrived.wait(60)
                relay.cut()

            try:
                with Elevator.from_url(proxy.urls[0], timeout=FOREVER) as E:
                    E.Put("k", "v")
                    yield E, cut, go_on
            finally:
                go_on.set()


@pytest.mark.parametrize("way", WAYS)
def test_a_request_under_way_is_answered_at_once(way):
    with cut_off(WAYS[way]) as (E, cut, go_on), ThreadPoolExecutor(1) as pool:
        call = pool.submit(E.Get, "k")
        cut()
        with pytest.raises(ServerRuntimeError, match=MAY_HAVE_BEEN_EXECUTED):
            call.result()
        go_on.set()
        assert E.Get("k") == "v"


@pytest.mark.parametrize("way", WAYS)
def test_every_one_of_many_requests_is_answered_at_once(way):
    with cut_off(WAYS[way], under_way=8) as (E, cut, go_on), ThreadPoolExecutor(8) as pool:
        calls = [pool.submit(E.Get, "k") for _ in range(8)]
        cut()
        reported = {str(call.exception()) for call in calls}
        assert len(reported) == 1
        assert MAY_HAVE_BEEN_EXECUTED in reported.pop()
        go_on.set()
        assert E.Get("k") == "v"


def test_a_proxy_that_retries_asks_again_what_is_safe():
    with cut_off((Retry(),)) as (E, cut, go_on), ThreadPoolExecutor(1) as pool:
        call = pool.submit(E.Get, "k")
        cut()
        go_on.set()
        assert call.result() == "v"


@pytest.mark.parametrize("way", WAYS)
def test_a_proxy_ends_though_its_upstream_has_left_with_a_request(way):
    with cut_off(WAYS[way]) as (E, cut, _), ThreadPoolExecutor(1) as pool:
        call = pool.submit(E.Get, "k")
        cut()
        assert isinstance(call.exception(), ServerRuntimeError)


def over_limit(peer):
    """A server that announces an answer of four gigabytes."""
    from support.routers import shake_hands

    shake_hands(peer)
    head = taken(peer, 2)
    taken(peer, head[1])
    peer.sendall(bytes((zmtp.LONG,)) + (1 << 32).to_bytes(8, "big"))
    while peer.recv(100):
        pass


def test_an_answer_over_the_limit_is_told_at_once():
    with played(over_limit) as endpoint, Proxy([ANY_PORT], f"tcp://{endpoint}", timeout=FOREVER) as proxy:
        with Elevator.from_url(proxy.urls[0], auto_connect=False, timeout=FOREVER) as E:
            with pytest.raises(ServerRuntimeError, match="proxy: a message of more than"):
                E.ping()


def answer_and_leave(peer):
    """A server whose last answer comes right before its end."""
    from pyelevator.codec import ClassicCodec
    from pyelevator.messages import Response
    from support.routers import shake_hands

    shake_hands(peer)
    head = taken(peer, 2)
    request = ClassicCodec().decode_request([taken(peer, head[1])])
    reply = Response(b"PONG", id=request.id)
    peer.sendall(b"".join(zmtp.encode_message(ClassicCodec().encode_response(reply, request))))


def test_an_answer_that_came_before_the_end_is_passed_on():
    with played(answer_and_leave) as endpoint, Proxy([ANY_PORT], f"tcp://{endpoint}", timeout=FOREVER) as proxy:
        with Elevator.from_url(proxy.urls[0], auto_connect=False, timeout=FOREVER) as E:
            assert E.ping() == "PONG"


@pytest.mark.parametrize("way", WAYS)
def test_an_idle_connection_that_ends_costs_no_request(way):
    server = Server(Application.in_memory(), [ANY_PORT])
    with server, Relay(server.urls[0].removeprefix("tcp://")) as relay:
        with Proxy([ANY_PORT], f"tcp://{relay.endpoint}", WAYS[way], timeout=FOREVER) as proxy:
            with Elevator.from_url(proxy.urls[0], timeout=FOREVER) as E:
                for _ in range(3):
                    relay.cut()
                    eventually(lambda: relay.connections >= 1, "the proxy has connected again")
                    with pytest.raises(KeyNotFound):
                        E.Get("k")
