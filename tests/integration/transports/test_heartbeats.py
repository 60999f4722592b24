"""Heartbeats: a peer that says how long it may be silent is given up when it is, and TCP looks after the others."""

import asyncio
import os
import signal
import socket
from contextlib import contextmanager

import pytest

from pyelevator import AsyncElevator, ConnectionLost, Curve, Elevator
from pyelevator._options import defaults_of
from pyelevator.application import Application
from pyelevator.auth import ClientAuth
from pyelevator.auth.keys import generate_keys
from pyelevator.codec import ClassicCodec
from pyelevator.commands import Ping
from pyelevator.deadlines import Deadline
from pyelevator.messages import Request, Response
from pyelevator.proxy import Proxy
from pyelevator.server import Server
from pyelevator.server.options import ServerLimits
from pyelevator.testing.servers import serve
from pyelevator.transports import TcpTransport, socket_options
from pyelevator.transports.options import TransportOptions
from pyelevator.transports.sockets.listener.listener import ZmtpListener
from pyelevator.transports.sockets.nonblocking import NonblockingConnection
from pyelevator.transports.sockets.socket import start_connect
from pyelevator.transports.zmtp.frames import encode_message
from support import programs
from support.clocks import Clock
from support.connections import connection_count, shared_connection_of
from support.eventually import eventually, eventually_async
from support.old_peers import SIGNATURE
from support.routers import played, taken

GREETING = SIGNATURE + b"\x03\x01" + b"NULL".ljust(20, b"\0") + bytes(32)
DEALER = b"\x04\x29\x05READY\x0bSocket-Type\x00\x00\x00\x06DEALER\x08Identity\x00\x00\x00\x00"
PONG = b"\x04\x05\x04PONG"
ANSWER = len(SIGNATURE) + 54 + len(DEALER)


def ping(deciseconds):
    return b"\x04\x07\x04PING" + deciseconds.to_bytes(2, "big")


BEATING = r"""
    import sys, time, zmq
    socket = zmq.Context().socket(zmq.DEALER)
    socket.set(zmq.HEARTBEAT_IVL, 100)
    socket.set(zmq.HEARTBEAT_TTL, 300)
    socket.set(zmq.RCVTIMEO, 20000)
    if len(sys.argv) > 2:
        socket.curve_serverkey, socket.curve_publickey, socket.curve_secretkey = map(str.encode, sys.argv[2:])
    socket.connect(sys.argv[1])
    socket.send_multipart([
        b"\x81\xa2id\x01",
        b"\x84\xa4meta\x81\xa2id\x01\xa6DB_UID\xc0\xa7COMMAND\xa4PING\xa4ARGS\x90",
    ])
    socket.recv_multipart()
    time.sleep(0.5)  # the first PING comes after an interval
    print("up", flush=True)
    time.sleep(600)
"""


@contextmanager
def stopped(count, url, *keys):
    """So many libzmq peers with heartbeats, which are stopped once they have been answered."""
    processes = [programs.start(BEATING, url, *keys) for _ in range(count)]
    try:
        for process in processes:
            assert process.stdout.readline() == "up\n"
        for process in processes:
            os.kill(process.pid, signal.SIGSTOP)
        yield
    finally:
        for process in processes:
            process.kill()
            process.communicate()


@pytest.fixture
def keys(tmp_path):
    """The directory of a server's keys, with one client."""
    generate_keys(tmp_path, "server")
    generate_keys(tmp_path / "clients", "ann")
    return tmp_path


def test_stopped_peers_make_room_for_others_after_their_time_to_live():
    with Server(
        Application.in_memory(), ["tcp://127.0.0.1:0"], server_limits=ServerLimits(max_connections=3)
    ) as server:
        with stopped(3, server.urls[0]):
            with Elevator.from_url(server.urls[0] + "?timeout=60") as E:
                assert E.ping() == "PONG"


def test_stopped_peers_with_keys_make_room_for_others(keys):
    curve = Curve.from_files(keys / "clients" / "ann.key_secret", keys / "server.key")
    auth = ClientAuth.from_directory(keys)
    limits = ServerLimits(max_connections=3)
    with Server(Application.in_memory(), ["tcp://127.0.0.1:0"], server_limits=limits, auth=auth) as server:
        endpoint = server.urls[0].removeprefix("tcp://")
        with stopped(3, server.urls[0], curve.server_public_key, curve.public_key, curve.secret_key):
            with Elevator(endpoint=endpoint, curve=curve, timeout=60) as E:
                assert E.ping() == "PONG"


def test_a_proxy_gives_up_stopped_peers():
    with serve(Application.in_memory()) as server, Proxy(["tcp://127.0.0.1:0"], server.urls[0]) as proxy:
        with stopped(2, proxy.urls[0]):
            eventually(lambda: connection_count(proxy) == 0)


@pytest.fixture
def listener():
    listener = ZmtpListener("tcp://127.0.0.1:0")
    listener.timeout = 0.01
    yield listener
    listener.close()


@pytest.fixture
def peer(listener):
    host, _, port = listener.urls[0].removeprefix("tcp://").partition(":")
    with socket.create_connection((host, int(port)), timeout=20) as peer:
        peer.sendall(GREETING + DEALER)
        yield peer


def look(listener, times=3):
    for _ in range(times):
        listener.wait()


def test_a_peer_whose_ping_has_no_time_to_live_stays(listener, peer, monkeypatch):
    clock = clock_of(monkeypatch)
    peer.sendall(ping(0))
    look(listener)
    clock.now += 1e6
    look(listener)
    assert listener.connection_count == 1


def test_whatever_a_peer_sends_extends_its_time_to_live(listener, peer, monkeypatch):
    clock = clock_of(monkeypatch)
    peer.sendall(ping(100))
    look(listener)
    clock.now += 9
    peer.sendall(b"\x00\x01a")
    look(listener)
    clock.now += 9
    look(listener)
    assert listener.connection_count == 1
    clock.now += 2
    look(listener)
    assert listener.connection_count == 0
    taken(peer, ANSWER)
    assert peer.recv(100) == PONG
    assert peer.recv(100) == b""


def test_what_came_while_the_server_was_busy_counts_as_heard(listener, peer, monkeypatch):
    clock = clock_of(monkeypatch)
    peer.sendall(ping(100))
    look(listener)
    clock.now += 11
    peer.sendall(ping(100))
    look(listener)
    assert listener.connection_count == 1


def test_a_time_to_live_can_be_taken_back(listener, peer, monkeypatch):
    clock = clock_of(monkeypatch)
    peer.sendall(ping(100) + ping(0))
    look(listener)
    clock.now += 1e6
    look(listener)
    assert listener.connection_count == 1


def clock_of(monkeypatch):
    """The clock of listeners, which stands still until a test turns it."""
    clock = Clock()
    monkeypatch.setattr("pyelevator.transports.sockets.listener.peer.monotonic", clock)
    monkeypatch.setattr("pyelevator.transports.sockets.listener.listener.monotonic", clock)
    return clock


def test_the_greeting_says_that_pings_are_understood(listener, peer):
    look(listener)
    assert taken(peer, 12) == SIGNATURE + b"\x03\x01"


KEEPALIVE = {
    socket.TCP_KEEPIDLE: socket_options.KEEPALIVE_IDLE,
    socket.TCP_KEEPINTVL: socket_options.KEEPALIVE_INTERVAL,
    socket.TCP_KEEPCNT: socket_options.KEEPALIVE_COUNT,
}


def is_kept_alive(connection):
    asked = {option: connection.getsockopt(socket.IPPROTO_TCP, option) for option in KEEPALIVE}
    return bool(connection.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE)) and asked == KEEPALIVE


def test_both_sides_of_a_connection_are_kept_alive_by_tcp(listener, peer):
    look(listener)
    (connection,) = listener._peers.values()
    assert is_kept_alive(connection.socket)
    with start_connect((socket.AF_INET, peer.getpeername()), listener.urls[0]) as connection:
        assert is_kept_alive(connection)


# What clients ask

READY = DEALER.replace(b"DEALER", b"ROUTER")
GREETINGS = {minor: SIGNATURE + bytes((3, minor)) + b"NULL".ljust(20, b"\0") + bytes(32) for minor in (0, 1)}
PING = ping(10)  # a connection with heartbeats of 0.25 s may be ended after 1 s without one
QUICK = 0.25
REQUEST, REPLY = b"\x00\x01q", b"\x00\x01a"


def begin(peer, minor):
    peer.sendall(GREETINGS[minor] + READY)
    taken(peer, 64 + len(DEALER))
    assert taken(peer, len(REQUEST)) == REQUEST


def alive(peer):
    """Answers a few PINGs and then the request."""
    begin(peer, 1)
    for _ in range(6):
        assert taken(peer, len(PING)) == PING
        peer.sendall(PONG)
    peer.sendall(REPLY)


def old(peer):
    """Understands no PING, and takes its time."""
    begin(peer, 0)
    peer.settimeout(1.5)
    with pytest.raises(TimeoutError):
        peer.recv(100)
    peer.sendall(REPLY)


def dead(peer):
    begin(peer, 1)
    while peer.recv(100):
        pass


@pytest.mark.parametrize("server", [alive, old])
def test_a_waiting_call_sends_pings_to_servers_that_understand_them(server):
    with played(server) as endpoint, TcpTransport(endpoint, heartbeat=QUICK) as connection:
        connection.send([b"q"], Deadline.after(60))
        assert list(connection.receive(Deadline.after(60))) == [b"a"]


def test_a_call_without_an_end_notices_that_its_server_is_gone():
    with played(dead) as endpoint, TcpTransport(endpoint, heartbeat=QUICK) as connection:
        connection.send([b"q"], Deadline.after(None))
        with pytest.raises(ConnectionLost):
            connection.receive(Deadline.after(None))


class Heard:
    """Takes what an async connection tells."""

    def __init__(self):
        self.frames, self.got, self.error = asyncio.Event(), None, None
        self.up = asyncio.Event()

    def message_received(self, frames):
        self.got = list(frames)
        self.frames.set()

    def resume_writing(self):
        self.up.set()

    def connection_lost(self, error):
        self.error = error
        self.frames.set()


async def asked(endpoint):
    heard, connection = Heard(), TcpTransport(endpoint, heartbeat=QUICK).to_async()
    connection.open(heard)
    while not connection.send([b"q"]):
        await heard.up.wait()
    await asyncio.wait_for(heard.frames.wait(), 60)
    connection.close()
    return heard.got or heard.error


@pytest.mark.parametrize("server", [alive, old])
def test_async_connections_send_pings_to_servers_that_understand_them(server):
    with played(server) as endpoint:
        assert asyncio.run(asked(endpoint)) == [b"a"]


def test_an_async_connection_whose_server_is_gone_is_lost():
    with played(dead) as endpoint:
        assert isinstance(asyncio.run(asked(endpoint)), ConnectionLost)


def test_an_idle_async_client_of_our_server_with_keys_stays_connected(keys, monkeypatch):
    pings, ping = list[float](), NonblockingConnection._ping
    monkeypatch.setattr(NonblockingConnection, "_ping", lambda link, now: pings.append(now) or ping(link, now))
    curve = Curve.from_files(keys / "clients" / "ann.key_secret", keys / "server.key")

    async def main(endpoint):
        async with AsyncElevator(endpoint=endpoint, curve=curve, timeout=60, heartbeat=QUICK) as E:
            await E.Put("k", "v")
            before = shared_connection_of(E)
            await eventually_async(lambda: len(pings) >= 8)
            assert await E.Get("k") == "v"
            return before is shared_connection_of(E)

    with Server(Application.in_memory(), ["tcp://127.0.0.1:0"], auth=ClientAuth.from_directory(keys)) as server:
        assert asyncio.run(main(server.urls[0].removeprefix("tcp://")))


@pytest.mark.parametrize("server", [alive, old])
def test_a_proxy_asks_servers_that_understand_it_whether_they_live(server, monkeypatch):
    monkeypatch.setitem(defaults_of(TransportOptions), "heartbeat", QUICK)
    monkeypatch.setattr("pyelevator.proxy.upstreams._ROUND", 0.02)

    def answering(peer):
        peer.sendall(GREETINGS[1 if server is alive else 0] + READY)
        taken(peer, 64 + len(DEALER))
        head = taken(peer, 2)
        taken(peer, head[1])
        if server is alive:
            for _ in range(6):
                assert taken(peer, len(PING)) == PING
                peer.sendall(PONG)
        else:
            peer.settimeout(1.5)
            with pytest.raises(TimeoutError):
                peer.recv(100)
        peer.sendall(zmtp_message(ClassicCodec().encode_response(Response(b"PONG"), Request(Ping()))))

    with played(answering) as endpoint, Proxy(["tcp://127.0.0.1:0"], f"tcp://{endpoint}") as proxy:
        with Elevator.from_url(proxy.urls[0], auto_connect=False, timeout=60) as E:
            assert E.ping() == "PONG"


def zmtp_message(frames):
    return b"".join(encode_message(frames))
