"""Connections of a loop to a server: dialled again and again, never waited for, to servers of any ZMTP."""

import gc
import os
import select
import socket
import threading
import time
import warnings
from contextlib import closing
from typing import Any

import pytest
import zmq

from pyelevator.application import Application
from pyelevator.codec import ClassicCodec
from pyelevator.commands import Ping
from pyelevator.deadlines import Deadline
from pyelevator.messages import Request
from pyelevator.testing.servers import serve
from pyelevator.transports.polling.readiness import READ, WRITE
from pyelevator.transports.sockets import nonblocking
from pyelevator.transports.sockets.upstream import UpstreamConnection
from support.connections import socket_of
from support.eventually import eventually
from support.forking import forks_with_threads
from support.old_peers import OldPeer
from support.puppets import silent_listener, unused_endpoint
from support.routers import GREETING, echoing, played, shake_hands, taken

CODEC = ClassicCodec()


class Loop:
    """Does for one line what the runner of a proxy does for many."""

    def __init__(self, url, **options):
        self.line = UpstreamConnection(url, **options)
        self.line.on_ready(0, time.monotonic())
        self.first = socket_of(self.line)
        self.reading = True
        self.turns = 0

    def turn(self, most=1.0):
        self.turns += 1
        poller, at = select.poll(), self.line.pollable
        wanted = self.line.poll_key(self.reading)[1]
        if at is not None and wanted:
            poller.register(at, wanted)
        left = 0 if self.line.has_message else min(most, max(0.0, self.line.next_timeout - time.monotonic()))
        ready = dict(poller.poll(left * 1000 + 1))
        self.line.on_ready(0 if at is None else ready.get(at, 0), time.monotonic())

    def put(self, frames, seconds=30.0):
        now = time.monotonic()
        self.line.enqueue(frames, now + seconds)
        self.line.flush(now)

    def until(self, true):
        return eventually(lambda: true() or self.turn(), pause=0)

    def answer(self):
        return self.until(self.line.receive)

    def echoed(self, *frames):
        self.put(frames)
        return list(self.answer())

    def has_lost_the_first(self):
        return socket_of(self.line) is not self.first

    def is_up(self):
        return self.line.is_connected

    def close(self):
        self.line.close()


def loop(url, **options):
    return closing(Loop(url, **options))


# Which way it goes


@pytest.mark.parametrize("url", ["tcp://127.0.0.1:*", "tcp://[::1]:*", "ipc://{}/socket", "ipc://@pyelevator-up-{pid}"])
def test_a_router_of_libzmq_is_spoken_with_directly(url, tmp_path):
    with echoing(url.format(tmp_path, pid=os.getpid()), lambda router: router.set(zmq.IPV6, "[" in url)) as bound:
        with loop(bound) as on:
            assert on.echoed(b"a", b"", b"c" * 300, b"d" * (1 << 20)) == [b"a", b"", b"c" * 300, b"d" * (1 << 20)]


def test_many_messages_of_all_sizes_come_whole_and_in_order():
    with echoing("tcp://127.0.0.1:*") as url, loop(url) as on:
        messages = [[b"%d" % number, b"x" * (number * number // 4)] for number in range(600)]
        for message in messages:
            on.line.enqueue(message, time.monotonic() + 60)
        on.line.flush(time.monotonic())
        assert [list(on.answer()) for _ in messages] == messages


@pytest.mark.parametrize("revision", [0, 1], ids=["ZMTP 1.0", "ZMTP 2.0"])
def test_an_old_peer_is_spoken_with(revision):
    def pinged(on):
        return CODEC.decode_response(on.echoed(*CODEC.encode_request(Request(Ping(), id=7))), Request(Ping()))

    with OldPeer(revision) as server, loop(f"tcp://{server.endpoint}") as on:
        assert pinged(on).payload == b"PONG"
    assert server.garbage == []


# Where nothing answers


def test_queued_messages_are_sent_once_connected_and_late_ones_never():
    endpoint = unused_endpoint()
    with loop(f"tcp://{endpoint}") as on:
        on.put([b"late"], seconds=0.01)
        on.put([b"in time"])
        delayed = Deadline.after(0.01)
        on.until(delayed.expired)
        with echoing(f"tcp://{endpoint}"):
            assert list(on.answer()) == [b"in time"]


def test_dialling_in_vain_is_no_work(monkeypatch):
    module: Any = nonblocking

    dialled = []
    before = module.start_connect
    monkeypatch.setattr(module, "start_connect", lambda *args: dialled.append(args) or before(*args))
    with loop(f"tcp://{unused_endpoint()}") as on:
        pauses, last = list[float](), 0.0
        while len(pauses) < 7:
            on.turn(30)
            if on.line.pollable is None and on.line.next_timeout != last:
                pauses.append(on.line._pause)
                last = on.line.next_timeout
        assert pauses == [0.04, 0.08, 0.16, 0.32, 0.5, 0.5, 0.5]
        assert len(dialled) <= 8
        assert on.turns <= 4 * len(dialled)


def test_a_server_that_is_silent_in_the_handshake_is_given_up_in_time(monkeypatch):
    monkeypatch.setattr("pyelevator.transports.sockets.nonblocking.HANDSHAKE_TIMEOUT", 0.05)
    with silent_listener() as endpoint, loop(f"tcp://{endpoint}") as on:
        on.until(lambda: socket_of(on.line) not in (on.first, None))
        assert on.first.fileno() < 0


@pytest.mark.parametrize("last", [GREETING + b"\x04\x0a\x05ERROR\x03400", GREETING + b"\x00\x05hello", b""])
def test_a_server_that_refuses_or_leaves_a_handshake_is_tried_again(last):
    def refuse(peer):
        peer.sendall(last)

    def answer(peer):
        shake_hands(peer)
        peer.sendall(taken(peer, 3))

    with played(refuse, refuse, answer) as endpoint, loop(f"tcp://{endpoint}") as on:
        assert on.echoed(b"1") == [b"1"]


# When a connection ends


def answer_one(peer):
    shake_hands(peer)
    peer.sendall(taken(peer, 3))


def test_an_ended_connection_is_made_again_and_nothing_is_sent_twice():
    def lose(peer):
        shake_hands(peer)
        assert taken(peer, 3) == b"\x00\x011"

    with played(lose, answer_one) as endpoint, loop(f"tcp://{endpoint}") as on:
        on.put([b"1"])
        on.until(on.has_lost_the_first)
        assert on.echoed(b"2") == [b"2"]


def test_answers_that_came_before_the_end_are_heard():
    def answer_and_leave(peer):
        shake_hands(peer)
        peer.sendall(b"\x00\x011\x00\x012\x00\x013")

    with played(answer_and_leave, answer_one) as endpoint, loop(f"tcp://{endpoint}") as on:
        assert [list(on.answer()) for _ in range(3)] == [[b"1"], [b"2"], [b"3"]]
        on.until(on.has_lost_the_first)
        assert on.echoed(b"4") == [b"4"]


@pytest.mark.parametrize("garbage", [b"\xff" * 20, b"\x02" + b"\xff" * 8, b"\x04\x00", b"\x02" + bytes(7) + b"\x05"])
def test_garbage_costs_the_connection_and_nothing_else(garbage):
    def part(peer):
        shake_hands(peer)
        peer.sendall(b"\x00\x011" + garbage)

    with played(part, answer_one) as endpoint, loop(f"tcp://{endpoint}") as on:
        assert list(on.answer()) == [b"1"]
        on.until(on.has_lost_the_first)
        assert on.echoed(b"2") == [b"2"]


def test_a_message_over_the_limit_costs_the_connection():
    def part(peer):
        shake_hands(peer)
        peer.sendall(b"\x00\x65" + bytes(101))
        assert peer.recv(1) == b""

    with played(part, answer_one) as endpoint, loop(f"tcp://{endpoint}", max_message=100) as on:
        on.until(on.has_lost_the_first)
        assert on.echoed(b"2") == [b"2"]


def test_a_heartbeat_of_the_peer_is_answered():
    def part(peer):
        shake_hands(peer)
        peer.sendall(b"\x04\x0b\x04PING\x00\x0aabcd")
        assert taken(peer, 11) == b"\x04\x09\x04PONGabcd"
        peer.sendall(b"\x00\x011")

    with played(part) as endpoint, loop(f"tcp://{endpoint}") as on:
        assert list(on.answer()) == [b"1"]


# Who does not read, on either side


def test_a_server_that_does_not_read_blocks_no_loop_and_gets_no_late_ones():
    reads, lates = threading.Event(), []

    def part(peer):
        shake_hands(peer)
        assert reads.wait(30)
        while (head := taken(peer, 9))[8:]:
            content = taken(peer, int.from_bytes(head[1:], "big"))
            lates.append(content[:4])
            if content[:4] != b"late":
                peer.sendall(b"\x00\x04" + content[:4])
                return

    large = bytes(1 << 18)
    with played(part) as endpoint, loop(f"tcp://{endpoint}") as on:
        on.until(on.is_up)
        now = time.monotonic()
        for _ in range(300):  # more than goes out in one call, and than the system takes
            on.line.enqueue([b"late" + large], now + 1)
        on.line.flush(now)
        assert on.line.poll_key(True)[1] == READ | WRITE
        assert len(on.line._queue) > 100
        on.line.enqueue([b"then" + large], now + 60)
        on.line.flush(now + 2)
        reads.set()
        assert list(on.answer()) == [b"then"]
        assert 0 < len(lates) < 300
        assert on.line.poll_key(True)[1] == READ


def test_while_nothing_may_be_read_nothing_is_and_the_loop_rests():
    with echoing("tcp://127.0.0.1:*") as url, loop(url) as on:
        assert on.echoed(b"1") == [b"1"]
        on.put([b"2"])
        on.reading = False
        assert on.line.poll_key(False)[1] == 0
        assert on.line.receive() is None
        on.reading = True
        assert list(on.answer()) == [b"2"]


# Where a name leads


def resolving(monkeypatch, answer):
    before = socket.getaddrinfo

    def getaddrinfo(host, *args, **options):
        if host != b"db.example":
            return before(host, *args, **options)
        if options["flags"] & socket.AI_NUMERICHOST:
            raise socket.gaierror(socket.EAI_NONAME, "no number")
        return answer()

    monkeypatch.setattr(socket, "getaddrinfo", getaddrinfo)


def test_every_address_of_a_name_is_tried_without_waiting_for_the_resolver(monkeypatch):
    known = threading.Event()
    with serve(Application.in_memory()) as server:
        port = int(server.urls[0].rpartition(":")[2])
        found = [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (f"127.0.0.{last}", port)) for last in (9, 8, 1)]
        resolving(monkeypatch, lambda: known.wait(30) and found)
        with loop(f"tcp://db.example:{port}") as on:
            on.put(CODEC.encode_request(Request(Ping(), id=7)))
            for _ in range(5):
                on.turn()
            assert on.line.pollable is None
            known.set()
            assert CODEC.decode_response(on.answer(), Request(Ping())).payload == b"PONG"


def test_a_name_that_is_not_found_is_looked_up_again(monkeypatch):
    asked = []

    def answer():
        asked.append(1)
        raise socket.gaierror(socket.EAI_NONAME, "unknown")

    resolving(monkeypatch, answer)
    with loop("tcp://db.example:1") as on:
        on.until(lambda: len(asked) == 3)
        assert on.line.pollable is None


# At the end


def test_one_that_is_closed_or_dropped_leaves_nothing_behind():
    with echoing("tcp://127.0.0.1:*") as url, warnings.catch_warnings():
        warnings.simplefilter("error")
        with loop(url) as on:
            assert on.echoed(b"1") == [b"1"]
            connection = socket_of(on.line)
        assert connection.fileno() < 0
        assert on.line.pollable is None
        assert on.line.next_timeout == float("inf")
        on.line.on_ready(READ, time.monotonic())
        assert on.line.receive() is None
        dropped = Loop(url)
        assert dropped.echoed(b"2") == [b"2"]
        del dropped
        gc.collect()


@forks_with_threads
def test_a_forked_child_that_closes_its_copy_costs_the_parent_nothing():
    with echoing("tcp://127.0.0.1:*") as url, loop(url) as on:
        assert on.echoed(b"1") == [b"1"]
        child = os.fork()
        if not child:
            on.close()
            os._exit(0)
        assert os.waitpid(child, 0)[1] == 0
        assert on.echoed(b"2") == [b"2"]
