"""Abuse by peers, in real processes: the server's memory stays within bounds, and well-behaved clients are served.

Memory is the resident size of the server's process. What a bound is compared with leaves room for a noisy machine.
"""

import threading
import time
from contextlib import ExitStack, suppress

import pytest

from pyelevator.codec import ClassicCodec
from pyelevator.commands import DbConnect, Get, MGet, Pipeline, Put, Range
from pyelevator.deadlines import Deadline
from pyelevator.messages import Request
from pyelevator.testing.servers import ProxyProcess
from pyelevator.transports.sockets.blocking import ConnectionClosed, DeadlineExceeded
from pyelevator.transports.zmtp.handshake import SIGNATURE
from support.abused import Abused, connected, send_without_end
from support.connections import socket_of
from support.eventually import eventually
from torture.malformed import resident

MB = 1 << 20
CODEC = ClassicCodec()
WAYS = ("plain", "keys", "file")


@pytest.fixture
def abused(tmp_path):
    with ExitStack() as stack:

        def start(way, *args):
            found = Abused(tmp_path, way, *args)
            stack.enter_context(found.process)
            return found

        yield start


def most(pid, done):
    """The largest size of a process until ``done`` is set."""
    sizes = [resident(pid)]
    while not done.wait(0.01):
        sizes.append(resident(pid))
    return max(sizes)


class Watched:
    """How much a process grows meanwhile."""

    def __init__(self, pid):
        self.pid, self._done, self.grown = pid, threading.Event(), 0

    def __enter__(self):
        self._before = resident(self.pid)
        self._thread = threading.Thread(target=self._look)
        self._thread.start()
        return self

    def _look(self):
        self.grown = most(self.pid, self._done) - self._before

    def __exit__(self, *_):
        self._done.set()
        self._thread.join()


def test_unknown_clients_take_a_megabyte_each_at_most(abused):
    server = abused("keys")
    with ExitStack() as stack, Watched(server.pid) as watched:
        for _ in range(5):
            unknown = stack.enter_context(server.unknown_client())
            unknown.settimeout(2)
            greeting = SIGNATURE + b"\x03\x01" + b"CURVE".ljust(20, b"\0") + bytes(32)
            with suppress(OSError):
                unknown.sendall(greeting + b"\x06" + (50 * MB).to_bytes(8, "big") + bytes(20 * MB))
        with server.client() as E:
            assert E.ping() == "PONG"
    assert watched.grown < 5 * MB + 16 * MB
    assert 5 * 20 * MB > 5 * MB + 16 * MB, "what they have sent would not fit"


@pytest.mark.parametrize("way", WAYS)
def test_a_message_that_never_ends_costs_its_sender_the_connection(abused, way):
    server = abused(way, "--max-message", str(MB))
    with Watched(server.pid) as watched:
        line = server.line()
        with pytest.raises((ConnectionClosed, DeadlineExceeded)):
            send_without_end(line, Deadline.after(20))
        line.close()
        with server.client() as E:
            assert E.ping() == "PONG"
    assert watched.grown < 64 * MB


@pytest.mark.parametrize("way", WAYS)
def test_unread_answers_take_their_limit_and_one_more(abused, way):
    server = abused(way, "--max-unread", str(16 * MB))
    size, clients = 5 * MB, 30
    most = 16 * MB + size + 8 * MB  # for what else there is
    with server.client() as E:
        E.Put("large", "v" * size)
        E.Put("small", "v")
        E.Get("large")
        with Watched(server.pid) as watched, ExitStack() as stack:
            for _ in range(clients):
                line = server.line()
                stack.callback(line.close)
                deadline = Deadline.after(20)
                line.send(CODEC.encode_request(Request(DbConnect("default"), id=1)), deadline)
                uid = CODEC.decode_response(
                    line.receive(deadline), Request(DbConnect("default"), id=1)
                ).payload.decode()
                line.send(CODEC.encode_request(Request(Get("large"), uid, id=2)), deadline)
            for _ in range(50):
                assert E.Get("small") == "v"
            assert E.Get("large") == "v" * size
    assert watched.grown < most
    assert clients * size > 2 * most, "all answers would not fit"


@pytest.mark.parametrize(
    ("command", "others"),
    [
        (Range("b", "c"), 8 * MB),
        (Pipeline([Range("b", "c")]), 8 * MB),
        (MGet([f"b{number:02}" for number in range(20)]), 14 * MB),  # each thread reads eight values before it packs
    ],
    ids=["a range", "a range in a pipeline", "values"],
)
def test_unread_scans_of_an_unknown_size_take_the_limit_and_one_more(abused, command, others):
    server = abused("plain", "--max-unread", str(16 * MB))
    size, clients = 5 * MB, 15
    most = 16 * MB + size + others
    with server.client() as E, ExitStack() as stack:
        for number in range(20):
            E.Put(f"b{number:02}", "v" * (size // 20))
        with Watched(server.pid) as watched:
            for _ in range(clients):
                line = server.line()
                stack.callback(line.close)
                line.send(CODEC.encode_request(Request(command, E.db_uid, id=2)), Deadline.after(20))
            for _ in range(20):
                assert not E.Exists("another")
            assert len(E.Range("b", "c")) == 20
    assert watched.grown < most
    assert clients * size > 2 * most, "all answers would not fit"


def test_pipelines_that_write_too_wait_for_space_before_they_are_executed(abused):
    server = abused("plain", "--max-unread", str(16 * MB))
    size, clients = 5 * MB, 20
    with server.client() as E, ExitStack() as stack:
        E.Put("large", "v" * size)
        E.Get("large")
        with Watched(server.pid) as watched:
            for number in range(clients):
                line = server.line()
                stack.callback(line.close)
                pipeline = Pipeline([Put(f"{number}", "v"), Get("large")])
                line.send(CODEC.encode_request(Request(pipeline, E.db_uid, id=2)), Deadline.after(20))
            for _ in range(20):
                assert not E.Exists("another")
    assert watched.grown < 16 * MB + size + 8 * MB
    assert clients * size > 2 * (16 * MB + size + 8 * MB), "all answers would not fit"


def test_a_value_that_is_taken_while_others_do_not_read_is_not_lost(abused):
    server = abused("plain", "--max-unread", str(MB))
    with server.client() as E, ExitStack() as stack:
        E.Put("large", "v" * 20 * MB)
        E.Put("taken", "w" * MB)
        line = server.line()
        stack.callback(line.close)
        line.send(CODEC.encode_request(Request(Get("large"), E.db_uid, id=2)), Deadline.after(20))
        assert E.GetAndDelete("taken") == "w" * MB


@pytest.mark.parametrize("given", ["ids", "no ids"])
def test_a_proxy_keeps_unread_answers_within_the_same_limit(abused, given):
    size, clients = 5 * MB, 40
    most = 16 * MB + size + 8 * MB  # for what else there is
    server = abused("plain")
    with ProxyProcess(server.url, args=["--max-unread", str(16 * MB)]) as proxy, ExitStack() as stack:
        server.url = proxy.urls[0]
        with server.client() as E:
            E.Put("large", "v" * size)
            E.Put("small", "v")
            E.Get("large")
            uid = connected(server.line())
            with Watched(proxy.pid) as watched:
                for _ in range(clients):
                    line = server.line()
                    stack.callback(line.close)
                    request = Request(Get("large"), uid, id=2 if given == "ids" else None)
                    line.send(CODEC.encode_request(request), Deadline.after(20))
                for _ in range(50):
                    assert E.Get("small") == "v"
                assert E.Get("large", timeout=60) == "v" * size
    assert watched.grown < most
    assert clients * size > 2 * most, "all answers would not fit"


def test_silent_handshaking_peers_are_evicted_for_clients_with_keys(abused):
    server = abused("keys", "--max-connections", "20")
    with ExitStack() as stack:
        for _ in range(60):
            stack.enter_context(server.unknown_client())
        for _ in range(3):
            E = stack.enter_context(server.client())
            E.Put("k", "v")
            assert E.Get("k") == "v"


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("element", [b"\x90", b"\x80", b"\xc0", b"\xa2ab"], ids=["arrays", "maps", "nil", "strings"])
def test_a_message_of_very_many_elements_takes_eight_times_its_size(abused, way, element):
    server, size = abused(way), 8 * MB
    count = size // len(element)
    message = b"\x84\xa3cmd\xa4MGET\xa4meta\x81\xa2id\x07\xa3uid\xa1u\xa4args\x91\xdd" + count.to_bytes(4, "big")
    with Watched(server.pid) as watched:
        line = server.line()
        line.send([message + element * count], Deadline.after(30))
        response = CODEC.decode_response(line.receive(Deadline.after(60)), Request(Get("k"), id=7))
        line.close()
    assert response.code is not None
    assert watched.grown < 8 * size + 16 * MB


def test_without_files_connected_clients_with_keys_are_served(abused, tmp_path):
    import resource

    server = abused("keys")
    with server.client() as E:
        E.Put("k", "v")
        resource.prlimit(server.pid, resource.RLIMIT_NOFILE, (3, 4096))
        until = time.monotonic() + 2.5
        while time.monotonic() < until:
            assert E.Get("k") == "v"
        for _ in range(20):
            with suppress(OSError):
                server.unknown_client().close()
        assert E.Get("k") == "v"
        resource.prlimit(server.pid, resource.RLIMIT_NOFILE, (1024, 4096))
    with server.client() as E:
        assert E.Get("k") == "v"
    assert "Traceback" not in server.process.output
    assert server.process.output.count("too many open files") <= 2 * 3


@pytest.mark.parametrize("way", WAYS)
def test_most_of_what_unfinished_messages_took_is_given_back(abused, way):
    server = abused(way)
    before = resident(server.pid)
    lines = [server.line() for _ in range(8)]
    for line in lines:
        socket_of(line).setblocking(True)
        socket_of(line).sendall(b"\x02" + (100 * MB).to_bytes(8, "big") + bytes(20 * MB))
    for line in lines:
        line.close()

    def is_given_back():
        with server.client() as E:
            E.ping()
        return resident(server.pid) - before < 60 * MB

    eventually(is_given_back)
