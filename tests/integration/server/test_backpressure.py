"""Clients that send and do not read, that are many, or that have large values: the server's memory stays bounded.

Real processes and sockets. Memory is the resident size of the server process, in bytes.
"""

import os
import time
from concurrent.futures import ThreadPoolExecutor

import pytest
import zmq

from pyelevator import Elevator
from pyelevator.codec import ClassicCodec
from pyelevator.commands import Get, Ping, Put
from pyelevator.messages import Request
from pyelevator.testing.servers import ServerProcess
from support.eventually import eventually
from support.optional import unwrap
from torture.malformed import resident

MB = 1 << 20
WORKERS = 4
UNREAD = 16 * MB
SLACK = 64 * MB
"""What a server may grow by beside what the setting says: buffers of libzmq, the system's and the allocator's."""

CODEC = ClassicCodec()
CUT = "closed a connection: its client sends requests and does not read the answers"


@pytest.fixture
def server(tmp_path):
    with ServerProcess(tmp_path, args=["--max-unread", str(UNREAD)]) as server:
        yield server


def address(server):
    return server.urls[0].partition("://")[2]


@pytest.fixture
def client(server):
    with Elevator(endpoint=address(server), timeout=30) as client:
        yield client


@pytest.fixture
def dealers(server):
    """Opens raw sockets without bounds of their own."""
    with zmq.Context() as context:
        context.set(zmq.MAX_SOCKETS, 2000)
        sockets = []

        def open_dealer():
            sockets.append(context.socket(zmq.DEALER))
            sockets[-1].set(zmq.LINGER, 0)
            sockets[-1].set(zmq.SNDHWM, 0)
            sockets[-1].set(zmq.RCVHWM, 1)
            sockets[-1].set(zmq.RCVTIMEO, 30_000)
            sockets[-1].connect(server.urls[0])
            return sockets[-1]

        yield open_dealer
        for socket in sockets:
            socket.close(0)


def frames(command, uid, number):
    return CODEC.encode_request(Request(command, uid, number))


def watched(server, seconds, during):
    """The largest memory of the server while something is called again and again for so long."""
    largest, end = 0, time.monotonic() + seconds
    while time.monotonic() < end:
        during()
        largest = max(largest, resident(server.pid))
    return largest


def test_a_client_that_never_reads_costs_bounded_memory_and_no_waits(server, client, dealers):
    client.Put("large", "v" * MB)
    client.Put("small", "v")
    before = resident(server.pid)
    greedy = dealers()
    for number in range(2000):
        greedy.send_multipart(frames(Get("large"), client.db_uid, number))
    largest = watched(server, 1.0, lambda: client.Get("small"))
    assert largest - before < UNREAD + SLACK
    answers = [CODEC.decode_response(greedy.recv_multipart(), Request(Get("large"))) for _ in range(100)]
    assert {len(answer.payload) for answer in answers} == {MB}
    ids = {answer.id for answer in answers}
    assert len(ids) == 100
    assert ids <= set(range(100 + WORKERS)), (
        "large ones of one client are made by several workers, and overtake one another"
    )


def test_many_such_clients_cost_no_more(server, client, dealers):
    client.Put("large", "v" * MB)
    before = resident(server.pid)
    for _ in range(20):
        greedy = dealers()
        for number in range(100):
            greedy.send_multipart(frames(Get("large"), client.db_uid, number))
    largest = watched(server, 1.0, client.ping)
    assert largest - before < UNREAD + 20 * 2 * MB + SLACK  # one answer more for each, on its way


def test_a_client_that_sends_for_ever_and_never_reads_is_cut_off(server, client, dealers):
    client.Put("large", "v" * MB)
    before = resident(server.pid)
    greedy = dealers()
    for number in range(100):
        greedy.send_multipart(frames(Get("large"), client.db_uid, number))
    request = frames(Put("k", "v" * 100_000), client.db_uid, 1)

    def send_some():
        for _ in range(20):
            greedy.send_multipart(request)
        client.ping()

    sizes = []

    def is_cut():
        sizes.append(watched(server, 0.1, send_some))
        return CUT in server.output

    eventually(is_cut)
    assert client.ping() == "PONG"
    assert max(sizes) - before < UNREAD + SLACK


def test_500_clients_at_once_are_all_answered(server, client, dealers):
    before = resident(server.pid)
    sockets = [dealers() for _ in range(500)]
    for number, socket in enumerate(sockets):
        socket.send_multipart(frames(Put(f"{number}", f"of {number}"), client.db_uid, 0))
        socket.send_multipart(frames(Get(f"{number}"), client.db_uid, 1))
        socket.send_multipart(frames(Ping(), None, 2))
    for number, socket in enumerate(sockets):
        answers = {}
        for _ in range(3):
            reply = socket.recv_multipart()
            asked = (Put("", ""), Get(""), Ping())[unwrap(CODEC.reply_id(reply))]
            answer = CODEC.decode_response(reply, Request(asked))
            answers[answer.id] = answer.payload
        assert answers == {0: None, 1: f"of {number}".encode(), 2: b"PONG"}
    assert resident(server.pid) - before < SLACK


def test_values_of_64_mb_come_back_and_do_not_pile_up(server):
    size = 64 * MB
    value = os.urandom(MB) * 64

    def put_and_get(number):
        with Elevator(endpoint=address(server), timeout=60, encoding=None) as client:
            client.Put(f"{number}", value)
            assert client.Get(f"{number}") == value

    with ThreadPoolExecutor(2) as threads:
        list(threads.map(put_and_get, range(2)))
        before = resident(server.pid)
        list(threads.map(put_and_get, range(4)))
    assert resident(server.pid) - before < 8 * size  # LevelDB keeps two of each database, and the allocator some
