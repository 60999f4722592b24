"""Connections that do not come up: the reason is told, at once where waiting does not help; sync, async, over proxies."""

import asyncio
import re
import threading
from collections.abc import Callable
from contextlib import contextmanager
from typing import Any

import pytest
import zmq

from pyelevator import (
    AsyncElevator,
    AuthenticationFailed,
    ConnectTimeout,
    Elevator,
    Retry,
    ServerRuntimeError,
    UsageError,
    WriteBatch,
)
from pyelevator.application import Application
from pyelevator.client.options import TypedOptions
from pyelevator.proxy import Proxy, Upstream
from pyelevator.testing.servers import serve
from pyelevator.transports import FakeTransport, TcpTransport
from pyelevator.transports.url import shown
from support.connections import first_attempt
from support.eventually import FOREVER, SECONDS
from support.puppets import silent_listener, unused_endpoint
from support.routers import echoing, played


def sync(**options):
    with Elevator(**options) as E:
        assert E.ping() == "PONG"


def asynchronous(**options):
    async def main():
        async with AsyncElevator(**options) as E:
            assert await E.ping() == "PONG"

    asyncio.run(main())


def batch(**options):
    with WriteBatch(**options) as batch:
        batch.Put("k", "v")


BOTH = pytest.mark.parametrize("connect", [sync, asynchronous, batch])


def text_of(connect, kind=ConnectTimeout, **options):
    """Return what the error says; it comes although the call's own time is not over."""
    with pytest.raises(kind) as caught:
        connect(**{"timeout": FOREVER, **options})
    return str(caught.value)


# Servers that ask for keys


def curve_server(router):
    router.set(zmq.CURVE_SERVER, True)
    router.set(zmq.CURVE_SECRETKEY, zmq.curve_keypair()[1])


def plain_server(router):
    router.set(zmq.PLAIN_SERVER, True)


CURVE = "asks for keys (CURVE); give curve=Curve.from_files(...), or curve_key= and server_key= in a URL"
PLAIN = "asks for a user and a password (PLAIN), which no Elevator server does; is the address right?"


@BOTH
@pytest.mark.parametrize(("prepare", "says"), [(curve_server, CURVE), (plain_server, PLAIN)], ids=["CURVE", "PLAIN"])
def test_a_client_without_keys_is_told_at_once_that_they_are_needed(connect, prepare, says):
    with echoing("tcp://127.0.0.1:*", prepare) as url:
        assert text_of(connect, AuthenticationFailed, endpoint=url[6:]) == f"the server at {url} {says}"


@BOTH
def test_an_unknown_mechanism_is_named(connect):
    def gssapi(peer):
        peer.sendall(b"\xff\0\0\0\0\0\0\0\x01\x7f\x03\x00" + b"GSSAPI".ljust(20, b"\0"))
        while peer.recv(1000):
            pass

    with played(gssapi) as endpoint:
        says = "asks for the mechanism 'GSSAPI', which this client does not know"
        assert text_of(connect, AuthenticationFailed, endpoint=endpoint) == f"the server at tcp://{endpoint} {says}"


@contextmanager
def denying():
    """The endpoint of a ROUTER of libzmq whose ZAP handler refuses every client."""
    context = zmq.Context()
    handler = context.socket(zmq.REP)
    handler.bind("inproc://zeromq.zap.01")
    router = context.socket(zmq.ROUTER)
    router.set(zmq.ZAP_DOMAIN, b"global")
    router.bind("tcp://127.0.0.1:*")

    def deny():
        while True:
            try:
                request = handler.recv_multipart()
            except zmq.ZMQError:
                return
            if request == [b""]:
                return
            handler.send_multipart([request[0], request[1], b"400", b"no", b"", b""])

    thread = threading.Thread(target=deny, daemon=True)
    thread.start()
    yield router.get_string(zmq.LAST_ENDPOINT).rstrip("\0").removeprefix("tcp://")
    router.close(0)
    with context.socket(zmq.REQ) as last:
        last.connect("inproc://zeromq.zap.01")
        last.send(b"")
        thread.join(10)
    handler.close(0)
    context.term()


@BOTH
def test_a_client_that_a_server_denies_learns_it_at_once(connect):
    with denying() as endpoint:
        says = "refuses this client: 400"
        assert text_of(connect, AuthenticationFailed, endpoint=endpoint) == f"the server at tcp://{endpoint} {says}"


def test_a_retry_does_not_try_again_what_a_server_refuses():
    with echoing("tcp://127.0.0.1:*", curve_server) as url:
        with pytest.raises(AuthenticationFailed) as caught:
            Elevator(endpoint=url[6:], retry=Retry(attempts=5, backoff=10, jitter=0), timeout=FOREVER)
    assert caught.value.attempts == 1


def test_async_calls_that_wait_are_told_why_there_is_no_connection():
    async def main(endpoint):
        E = AsyncElevator(endpoint=endpoint, timeout=FOREVER)
        errors = await asyncio.gather(*[E.Get("k") for _ in range(20)], return_exceptions=True)
        await E.disconnect()
        return errors

    with echoing("tcp://127.0.0.1:*", curve_server) as url:
        assert {type(error) for error in asyncio.run(main(url[6:]))} == {AuthenticationFailed}


# No server


@BOTH
def test_a_refused_connection_is_given_up_after_connect_timeout(connect):
    endpoint = unused_endpoint()
    assert text_of(connect, endpoint=endpoint, connect_timeout=0.3) == (
        f"cannot connect to the Elevator server at tcp://{endpoint}: connection refused (tried for 0.3 s); start one "
        "with `elevator serve`"
    )


@BOTH
def test_a_call_s_own_time_may_be_over_before_connect_timeout(connect):
    endpoint = unused_endpoint()
    assert "connection refused (tried for 0.2 s)" in text_of(connect, endpoint=endpoint, timeout=0.2)


@BOTH
def test_a_missing_socket_file_is_said(connect, tmp_path):
    path = tmp_path / "socket"
    text = text_of(connect, transport="ipc", endpoint=str(path), connect_timeout=0.1)
    assert text == (
        f"cannot connect to the Elevator server at ipc://{path}: there is no such socket file (tried for 0.1 s); start "
        "one with `elevator serve`"
    )


@BOTH
def test_an_unknown_host_is_said_and_no_server_is_to_be_started(connect):
    text = text_of(connect, endpoint="no-such-host.invalid:4141", connect_timeout=0.1)
    assert re.fullmatch(
        r"cannot connect to the Elevator server at tcp://no-such-host.invalid:4141: unknown host 'no-such-host.invalid' "
        r"\(.+\) \(tried for 0.1 s\)",
        text,
    )


@BOTH
def test_an_unreachable_network_is_said_and_no_server_is_to_be_started(connect, monkeypatch):
    def unreachable(*_):
        raise OSError(101, "Network is unreachable")

    monkeypatch.setattr("pyelevator.transports.sockets.blocking.start_connect", unreachable)
    monkeypatch.setattr("pyelevator.transports.sockets.nonblocking.start_connect", unreachable)
    assert text_of(connect, endpoint="192.0.2.1:4141", connect_timeout=0.1) == (
        "cannot connect to the Elevator server at tcp://192.0.2.1:4141: network is unreachable (tried for 0.1 s)"
    )


@BOTH
def test_a_server_that_says_nothing_is_waited_for_to_the_end(connect):
    with silent_listener() as endpoint:
        text = text_of(connect, endpoint=endpoint, timeout=0.4, connect_timeout=0.1)
    assert text == (
        f"no Elevator server answered at tcp://{endpoint} within 0.4 s; it is stopped or busy, or a firewall is between"
    )


@BOTH
def test_a_server_that_is_just_starting_is_still_met(connect, monkeypatch):
    endpoint, attempted = unused_endpoint(), first_attempt(monkeypatch)
    servers = []

    def begin():
        assert attempted.wait(SECONDS)
        servers.append(serve(Application.in_memory(), f"tcp://{endpoint}"))
        servers[0].__enter__()

    starting = threading.Thread(target=begin)
    starting.start()
    try:
        connect(endpoint=endpoint, timeout=FOREVER, connect_timeout=FOREVER)
    finally:
        starting.join()
        servers[0].__exit__(None, None, None)


def test_with_no_connect_timeout_a_call_waits_for_as_long_as_it_may():
    text = text_of(sync, endpoint=unused_endpoint(), timeout=1.3, connect_timeout=None)
    assert "(tried for 1.3 s)" in text


def test_connect_timeout_is_a_second_by_default():
    assert "(tried for 1.0 s)" in text_of(sync, endpoint=unused_endpoint())


@pytest.mark.parametrize("seconds", [0, -1, "1", True])
def test_a_connect_timeout_that_makes_no_sense_is_refused_by_its_name(seconds):
    with pytest.raises(UsageError, match=r"^connect_timeout must be"):
        Elevator(endpoint="127.0.0.1:1", connect_timeout=seconds, auto_connect=False)


def test_connect_timeout_does_not_go_with_a_transport_object():
    with pytest.raises(UsageError, match="connect_timeout= goes with transport='tcp' or 'ipc'"):
        Elevator(transport=FakeTransport(), connect_timeout=3)
    text = text_of(sync, transport=TcpTransport(unused_endpoint(), connect_timeout=0.1))
    assert "(tried for 0.1 s)" in text


# Proxies


def through_proxy(upstream):
    with Proxy(["tcp://127.0.0.1:0"], upstream, timeout=FOREVER) as proxy:
        with pytest.raises(ServerRuntimeError) as caught:
            sync(endpoint=proxy.urls[0].removeprefix("tcp://"), timeout=FOREVER)
    return str(caught.value)


def test_a_proxy_tells_its_clients_that_its_upstream_asks_for_keys(caplog):
    with echoing("tcp://127.0.0.1:*", curve_server) as url:
        reported = through_proxy(url)
        assert reported == "proxy: there is no connection to the upstream: it asks for keys (CURVE)"
        assert f"the server at {url} {CURVE}" in caplog.text


def test_a_proxy_tells_its_clients_that_its_upstream_denies_it():
    with denying() as endpoint:
        reported = through_proxy(f"tcp://{endpoint}")
    assert reported == "proxy: there is no connection to the upstream: 400"


@pytest.mark.parametrize("query", ["", "?dialect=flat"])
def test_a_proxy_tells_its_clients_that_its_upstream_is_not_there(query):
    reported = through_proxy(f"tcp://{unused_endpoint()}{query}")
    assert reported == "proxy: there is no connection to the upstream: connection refused"


def test_a_proxy_finds_an_upstream_that_comes_up_later():
    endpoint = unused_endpoint()
    with Proxy(["tcp://127.0.0.1:0"], f"tcp://{endpoint}") as proxy:
        url = proxy.urls[0]
        with pytest.raises(ServerRuntimeError, match="connection refused"):
            Elevator.from_url(url, timeout=FOREVER)
        with serve(Application.in_memory(), f"tcp://{endpoint}"), Elevator.from_url(url, timeout=FOREVER) as E:
            assert E.ping() == "PONG"


# URLs


@pytest.mark.parametrize("url", ["tcp://127.0.0.1:4141", "ipc:///run/e.sock", "fake://", "redis://host"])
@pytest.mark.parametrize("client", [Elevator, AsyncElevator, WriteBatch])
def test_a_url_in_the_place_of_a_name_says_from_url(client, url):
    says = f"a database's name is wanted, and this is a URL; use {client.__name__}.from_url(url)"
    with pytest.raises(UsageError) as caught:
        client(url)
    assert str(caught.value) == says


def test_a_url_in_the_place_of_a_name_or_endpoint_says_from_url():
    with Elevator(transport="fake") as E, pytest.raises(UsageError, match=r"use Elevator.from_url\(url\)"):
        E.connect("tcp://127.0.0.1:4141")
    places: list[TypedOptions] = [
        {"endpoint": "tcp://h:1"},
        {"transport": "ipc", "endpoint": "ipc:///e"},
        {"transport": "tcp://h"},
    ]
    for options in places:
        with pytest.raises(UsageError, match=r"for a URL use from_url\(\)"):
            Elevator(**options)


def test_from_url_takes_every_argument_beside_the_url():
    options: dict[str, Any] = {
        "timeout": 7,
        "encoding": None,
        "max_connections": 3,
        "pool_timeout": 2.0,
        "connect_timeout": 3.0,
    }
    with Elevator.from_url("fake://?timeout=5&db=default", auto_connect=False, retry=Retry(), **options) as E:
        assert (E.timeout, E.db_name) == (7, None)
        E.connect()
        E.Put("k", "v")
        value: object = E.Get("k")  # bytes, as its options say
        assert value == b"v"
    with pytest.raises(UsageError, match="the URL says where the server is; leave endpoint= away"):
        Elevator.from_url("fake://", endpoint="x")  # type: ignore[call-arg]
    with pytest.raises(TypeError, match="tiemout"):
        Elevator.from_url("fake://", tiemout=3)  # type: ignore[call-arg]


SECRETS = [
    "tcp://ann:hunter2@host/db",
    "tcp://ann:hunt?er2@host/hunter2",
    "tcp://host:hunter2/",
    "tcp://host/?x=hunter2",
]
SECRETS += ["tcp://host/?timeout=hunter2", "tcp://[hunter2@host/", "tcp://?hunter2", "http://ann:hunter2@host/?hunter2"]
SECRETS += [
    "tcp://host/#hunter2",
    "ipc://?hunter2",
    "ipc://ann:hunter2@/run/e.sock",
    "ipc://hunter2@e.sock",
    "ipc://ann:hunter2@",
    "fake://x?hunter2",
    "tcp://h/?curve_key=hunter2",
    "tcp://\u2100:hunter2@h",
]


def shows(call):
    try:
        call()
    except UsageError as error:
        import traceback

        return "".join(traceback.format_exception(type(error), error, None))
    return ""


@pytest.mark.parametrize("url", SECRETS)
def test_no_error_shows_a_password_or_a_query(url, monkeypatch):
    calls: list[Callable[[], object]]
    calls = [lambda: Elevator.from_url(url), lambda: Elevator(url), lambda: Elevator(endpoint=url)]
    calls += [lambda: Elevator(transport=url), lambda: Upstream(url), lambda: Proxy([url], "tcp://127.0.0.1:1")]
    texts = [shows(call) for call in calls]
    assert texts[0]
    monkeypatch.setenv("ELEVATOR_URL", url)
    texts.append(shows(Elevator))
    assert [text for text in texts if "unter2" in text or "hunt" in text] == []


def test_an_upstream_s_repr_shows_no_query():
    assert "timeout" not in repr(Upstream("tcp://host/?dialect=flat")) + shown("tcp://host/?timeout=3")
    assert "dialect" not in repr(Upstream("tcp://host/?dialect=flat"))
