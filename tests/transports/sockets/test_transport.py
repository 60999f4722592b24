"""Lanes without libzmq: what they owe to other people's ROUTERs, and to callers when a connection ends."""

import os
import socket
import threading
import time
from typing import Any

import pytest
import zmq

from pyelevator import (
    AuthenticationFailed,
    ConnectionLost,
    ConnectTimeout,
    Elevator,
    LimitExceeded,
    MalformedMessage,
    RequestTimeout,
)
from pyelevator.application import Application
from pyelevator.deadlines import Deadline
from pyelevator.errors import TransportError
from pyelevator.testing.servers import serve
from pyelevator.transports import IpcTransport, TcpTransport
from pyelevator.transports.sockets.socket import ClientSocket, finish_connect
from pyelevator.transports.sockets.transport import ZmtpTransport
from support.connections import connection_of, has_input, socket_of
from support.eventually import FOREVER, eventually
from support.old_peers import OldPeer
from support.optional import unwrap
from support.programs import run
from support.puppets import silent_listener
from support.routers import echoing, played, shake_hands, taken


def soon():
    return Deadline.after(30)


def echoed(link, frames):
    link.send(frames, soon())
    return list(link.receive(soon()))


def idles(link):
    """Until something comes, its end at least, and long enough to count as idle."""
    assert has_input(connection_of(link), 30)
    time.sleep(0.01)


def is_direct(link):
    return isinstance(link, ZmtpTransport)


# Which way a link takes


@pytest.mark.parametrize("url", ["tcp://127.0.0.1:*", "ipc://{}/socket", "ipc://@pyelevator-test-{pid}"])
def test_a_router_of_libzmq_is_spoken_with_directly(url, tmp_path):
    with echoing(url.format(tmp_path, pid=os.getpid())) as bound:
        scheme, _, address = bound.partition("://")
        with TcpTransport(address) if scheme == "tcp" else IpcTransport(address) as link:
            assert echoed(link, [b"a", b"", b"c" * 300]) == [b"a", b"", b"c" * 300]
            assert is_direct(link)


@pytest.mark.parametrize("revision", [0, 1], ids=["ZMTP 1.0", "ZMTP 2.0"])
def test_an_old_peer_is_spoken_with_and_never_gets_a_bad_message(revision):
    with OldPeer(revision) as server:
        with Elevator(endpoint=server.endpoint) as E:
            E.Put("k", "v" * 1000)
            assert E.Get("k") == "v" * 1000
            assert E.Range() == [["k", "v" * 1000]]
        assert server.connections == 1
    assert server.garbage == []


def test_keys_need_no_libzmq():
    from pyelevator.transports.curve import Curve, KeyPair

    pair = KeyPair.generate()
    link = TcpTransport("127.0.0.1:1", Curve(pair.public_key, pair.public_key, pair.secret_key))
    assert isinstance(link, ZmtpTransport)
    assert isinstance(link.clone(), ZmtpTransport)


def refuse(peer):
    peer.sendall(b"\xff\0\0\0\0\0\0\0\x01\x7f\x03\x00" + b"NULL".ljust(20, b"\0") + bytes(32))
    peer.sendall(b"\x04\x0a\x05ERROR\x03400")
    while peer.recv(1000):
        pass


def test_a_server_that_refuses_is_not_asked_again_in_the_same_call():
    with played(refuse, shake_hands) as endpoint, TcpTransport(endpoint) as link:
        with pytest.raises(AuthenticationFailed, match="refuses this client: 400"):
            link.send([b"x"], soon())
        link.send([b"x"], soon())


# Heartbeats


def beating(router):
    router.set(zmq.HEARTBEAT_IVL, 50)
    router.set(zmq.HEARTBEAT_TIMEOUT, 300)


def test_a_server_that_asks_whether_we_live_is_answered_while_we_wait():
    with echoing("tcp://127.0.0.1:*", beating, delay=1.5) as url, TcpTransport(url[6:]) as link:
        assert echoed(link, [b"late"]) == [b"late"]


def is_up(connection):
    """Whether it is established, seen from the system; TCP_INFO begins with the state."""
    return connection.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 1) == b"\x01"


def test_a_server_that_closed_an_idle_connection_is_connected_again():
    with echoing("tcp://127.0.0.1:*", beating) as url, TcpTransport(url[6:]) as link:
        assert echoed(link, [b"1"]) == [b"1"]
        line = unwrap(connection_of(link))
        assert has_input(line, 10)  # PINGs, which are not read
        eventually(lambda: not is_up(socket_of(line)))
        assert echoed(link, [b"2"]) == [b"2"]
        assert connection_of(link) is not line


def test_pings_to_an_idle_connection_are_answered_before_the_next_message():
    idle = threading.Event()

    def part(peer):
        shake_hands(peer)
        peer.sendall(taken(peer, 3))
        assert idle.wait(30)
        peer.sendall(b"\x04\x0b\x04PING\x00\x0aabcd")
        assert taken(peer, 14) == b"\x04\x09\x04PONGabcd" + b"\x00\x012"
        peer.sendall(b"\x00\x012")

    with played(part) as endpoint, TcpTransport(endpoint) as link:
        assert echoed(link, [b"1"]) == [b"1"]
        idle.set()
        idles(link)
        assert echoed(link, [b"2"]) == [b"2"]


# When a connection ends


def answer_once(peer):
    shake_hands(peer)
    peer.sendall(taken(peer, 3))


def test_an_end_while_idle_is_detected_before_anything_is_sent():
    with played(answer_once, answer_once, answer_once) as endpoint, TcpTransport(endpoint) as link:
        for number in (b"1", b"2", b"3"):
            assert echoed(link, [number]) == [number]
            idles(link)


@pytest.mark.parametrize(
    "answer", [b"", b"\x01", b"\x01\x05hi", b"\x01\x02hi", b"\x02" + (1 << 20).to_bytes(8, "big") + b"x"]
)
def test_an_end_before_the_whole_answer_is_an_error_at_once(answer):
    def part(peer):
        shake_hands(peer)
        taken(peer, 3)
        peer.sendall(answer)

    with played(part, answer_once) as endpoint, TcpTransport(endpoint) as link:
        link.send([b"1"], soon())
        with pytest.raises(ConnectionLost) as caught:
            link.receive(soon())
        assert str(caught.value) == (
            f"the Elevator server at tcp://{endpoint} closed the connection before it answered; "
            "whether it executed the request is not known"
        )
        assert not link.is_open
        with pytest.raises(TransportError, match="nothing was sent"):
            link.receive(soon())
        assert echoed(link, [b"2"]) == [b"2"]


def test_a_large_request_that_the_server_cuts_short_is_an_error_at_once():
    with played(shake_hands) as endpoint, TcpTransport(endpoint) as link:
        with pytest.raises(ConnectionLost):
            echoed(link, [bytes(64 << 20)])


def test_a_message_of_which_nothing_left_is_sent_over_a_new_connection():
    def broken(*_):
        raise BrokenPipeError(32, "Broken pipe")

    with played(answer_once, answer_once) as endpoint, TcpTransport(endpoint) as link:
        assert echoed(link, [b"1"]) == [b"1"]
        connection: Any = connection_of(link)
        connection._send = broken
        connection.has_ended = lambda: False
        assert echoed(link, [b"2"]) == [b"2"]


def test_a_program_that_dies_of_sigpipe_does_not_die_of_a_server_that_left():
    def part(peer):
        answer_once(peer)
        peer.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\x01\0\0\0\0\0\0\0")  # it ends with a reset

    program = """
    import signal, sys
    from pyelevator.deadlines import Deadline
    from pyelevator.errors import TransportError
    from pyelevator.transports import TcpTransport
    signal.signal(signal.SIGPIPE, signal.SIG_DFL)
    with TcpTransport(sys.argv[1]) as link:
        link.send([b"1"], Deadline.after(30))
        link.receive(Deadline.after(30))
        line = link._connection
        line._readable.poll(30000)
        for _ in range(3):
            try:
                line.send([b"2"], Deadline.after(1))
            except Exception as error:
                print(type(error).__name__)
    """
    with played(part) as endpoint:
        ran = run(program, endpoint)
    assert (ran.code, ran.err) == (0, "")
    assert "ConnectionClosed" in ran.out


@pytest.mark.parametrize(
    ("garbage", "error"),
    [(b"\xff" * 20, MalformedMessage), (b"\x02" + b"\xff" * 8, LimitExceeded), (b"\x04\x00", MalformedMessage)],
)
def test_garbage_is_an_error_of_ours_and_costs_the_connection(garbage, error):
    def part(peer):
        shake_hands(peer)
        taken(peer, 3)
        peer.sendall(garbage)
        while peer.recv(1000):
            pass

    with played(part, answer_once) as endpoint, TcpTransport(endpoint) as link:
        with pytest.raises(error):
            echoed(link, [b"1"])
        assert echoed(link, [b"2"]) == [b"2"]


def test_a_server_that_sends_a_drop_now_and_then_does_not_hold_a_call():
    over = threading.Event()

    def part(peer):
        shake_hands(peer)
        peer.sendall(b"\x02" + (1 << 20).to_bytes(8, "big"))
        while not over.wait(0.005):
            peer.sendall(b"x")

    with played(part) as endpoint, TcpTransport(endpoint) as link:
        link.send([b"1"], soon())
        with pytest.raises(RequestTimeout, match=r"no answer came .* within 0\.2 s"):
            link.receive(Deadline.after(0.2))
        over.set()


def test_large_messages_both_ways_do_not_wait_for_one_another():
    """Neither side reads while it cannot write, if it only writes; so a link reads meanwhile."""
    with echoing("tcp://127.0.0.1:*") as url, TcpTransport(url[6:]) as link:
        messages = [[bytes([number]) * (1 << 20), b"x"] for number in range(60)]
        for message in messages:
            link.send(message, soon())
        assert [list(link.receive(soon())) for _ in messages] == messages


def test_a_server_that_takes_nothing_does_not_hold_a_large_request():
    over = threading.Event()

    def part(peer):
        shake_hands(peer)
        over.wait(FOREVER)

    with played(part) as endpoint, TcpTransport(endpoint) as link:
        with pytest.raises(RequestTimeout, match=r"no answer came .* within 0\.2 s"):
            link.send([bytes(64 << 20)], Deadline.after(0.2))
        assert not link.is_open
        over.set()


# Where a name leads


def resolving(monkeypatch, answer):
    asked, before = [], socket.getaddrinfo

    def getaddrinfo(host, *args, **options):
        if host != b"db.example":
            return before(host, *args, **options)
        if options["flags"] & socket.AI_NUMERICHOST:
            raise socket.gaierror(socket.EAI_NONAME, "no number")
        asked.append(host)
        return answer()

    monkeypatch.setattr(socket, "getaddrinfo", getaddrinfo)
    return asked


def test_every_address_of_a_name_is_tried(monkeypatch):
    with serve(Application.in_memory()) as server:
        port = int(server.urls[0].rpartition(":")[2])
        family, kind = socket.AF_INET, socket.SOCK_STREAM
        answer = [(family, kind, 6, "", (f"127.0.0.{last}", port)) for last in (9, 8, 1)]
        asked = resolving(monkeypatch, lambda: answer)
        with Elevator(endpoint=f"db.example:{port}") as E:
            assert E.ping() == "PONG"
    assert asked == [b"db.example"]


def test_a_name_not_resolved_in_time_is_looked_up_once_and_blocks_no_call(monkeypatch):
    over = threading.Event()
    asked = resolving(monkeypatch, lambda: over.wait(FOREVER) and [])
    link = TcpTransport("db.example:4141")
    for _ in range(5):
        with pytest.raises(ConnectTimeout, match=r"no Elevator server answered at tcp://db\.example:4141"):
            link.send([b"x"], Deadline.after(0.1))
        link.reset()
    over.set()
    assert asked == [b"db.example"]


def test_localhost_and_ipv6():
    with serve(Application.in_memory()) as server:
        with Elevator(endpoint=f"localhost:{server.urls[0].rpartition(':')[2]}") as E:
            assert E.ping() == "PONG"
    if not socket.has_ipv6:
        pytest.skip("this machine has no IPv6")
    with serve(Application.in_memory(), "tcp://[::1]:0") as server, Elevator.from_url(server.urls[0]) as E:
        assert E.ping() == "PONG"


def test_a_socket_whose_making_was_interrupted_is_dropped_without_noise():
    half_made = ClientSocket.__new__(ClientSocket)
    socket.SocketType.__init__(half_made, socket.AF_INET, socket.SOCK_STREAM)  # as far as Python's own had come
    descriptor = half_made.fileno()
    del half_made
    with pytest.raises(OSError, match="Bad file descriptor"):
        os.fstat(descriptor)


def test_a_connection_that_met_itself_is_none():
    with ClientSocket(socket.AF_INET) as lonely:
        lonely.bind(("127.0.0.1", 0))
        lonely.connect(lonely.getsockname())
        with pytest.raises(ConnectionRefusedError):
            finish_connect(lonely)


# What it costs


def test_idle_and_waiting_connections_use_no_processor_time():
    with silent_listener() as silent, echoing("tcp://127.0.0.1:*") as url:
        with TcpTransport(url[6:]) as idle, TcpTransport(silent) as waiting:
            assert echoed(idle, [b"1"]) == [b"1"]
            before = time.thread_time()
            with pytest.raises(ConnectTimeout):
                waiting.send([b"x"], Deadline.after(1))
            with pytest.raises(RequestTimeout):
                idle.receive(Deadline.after(1))
            assert time.thread_time() - before < 0.5  # of two seconds


def test_no_thread_of_zeromq_is_started_for_it():
    program = """
    import os, sys
    from pyelevator import Elevator
    with Elevator.from_url(sys.argv[1], heartbeat=0) as E:
        E.Put("k", "v")
        print(len(os.listdir("/proc/self/task")))
    """
    with serve(Application.in_memory()) as server:
        ran = run(program, server.urls[0])
    assert (ran.code, ran.out, ran.err) == (0, "1\n", "")
