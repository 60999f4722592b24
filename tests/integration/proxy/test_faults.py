"""Proxies as processes, before servers that die, freeze and come back, and behind clients that leave, push or do not read."""

import asyncio
import os
import re
import signal
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from socket import SHUT_RDWR

import pytest
import zmq

from pyelevator import AsyncElevator, Elevator, ServerRuntimeError
from pyelevator.codec import ClassicCodec
from pyelevator.commands import Get, Ping, Put
from pyelevator.messages import Request
from pyelevator.proxy import Proxy, Upstream
from pyelevator.testing.servers import ProxyProcess, ServerProcess
from pyelevator.transports.zmtp.frames import encode_frame, encode_message
from support.optional import unwrap
from support.plain import plain_client, receive_exactly

MB = 1 << 20
CODEC = ClassicCodec()
GARBAGE = encode_frame(b"garbage")


@pytest.fixture
def server():
    with ServerProcess() as process:
        yield process
        os.kill(process.pid, signal.SIGCONT)


def proxy_of(server, *args):
    return ProxyProcess(server.urls[0], args=args)


def address(process):
    return process.urls[0].removeprefix("tcp://")


def resident(process):
    """Bytes of memory of a process."""
    with open(f"/proc/{process.pid}/statm") as file:
        return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")


@pytest.fixture
def dealer():
    context = zmq.Context()
    sockets = []

    def connect(url, **options):
        socket = context.socket(zmq.DEALER)
        sockets.append(socket)
        socket.set(zmq.LINGER, 0)
        socket.set(zmq.RCVTIMEO, 60_000)
        for name, value in options.items():
            socket.set(getattr(zmq, name), value)
        socket.connect(url)
        return socket

    yield connect
    for socket in sockets:
        socket.close()
    context.term()


async def collected(client, count):
    return await asyncio.gather(*[client.Get(str(i)) for i in range(count)], return_exceptions=True)


@pytest.mark.parametrize(
    ("number", "reported"),
    [
        (
            signal.SIGKILL,
            "there is no connection to the upstream: connection refused|closed the connection before it answered",
        ),
        (signal.SIGSTOP, "no answer from upstream within 2.0 s"),
    ],
)
def test_each_request_to_a_server_that_died_or_froze_is_answered_in_time(server, number, reported):
    async def session():
        async with AsyncElevator(endpoint=address(proxy), timeout=60) as E:
            for i in range(100):
                await E.Put(str(i), "v")
            os.kill(server.pid, number)
            lost = await collected(E, 100)
            server.restart() if number == signal.SIGKILL else os.kill(server.pid, signal.SIGCONT)
            await E.Put("again", "v")
            return lost, await E.Get("again")

    with proxy_of(server, "--timeout", "2") as proxy:
        lost, again = asyncio.run(session())
        assert {type(outcome) for outcome in lost} == {ServerRuntimeError}
        assert re.search(reported, str(lost[0]))
        assert again == "v"
        assert proxy.stop() == 0


def test_a_client_that_leaves_with_requests_in_flight_costs_no_other(server, dealer):
    with proxy_of(server, "--timeout", "5") as proxy, Elevator(endpoint=address(proxy), timeout=60) as E:
        E.Put("k", "v")
        leaving = dealer(proxy.urls[0])
        os.kill(server.pid, signal.SIGSTOP)
        for number in range(1, 200):
            leaving.send_multipart(CODEC.encode_request(Request(Get("k"), E.db_uid, number)))
        other = threading.Thread(target=leaving.close)
        other.start()
        other.join()
        os.kill(server.pid, signal.SIGCONT)
        assert [E.Get("k") for _ in range(10)] == ["v"] * 10
        assert proxy.stop() == 0


def test_sigterm_answers_what_was_taken(server, dealer):
    with proxy_of(server, "--timeout", "30") as proxy:
        with Elevator(endpoint=address(proxy), timeout=60) as E:
            E.Put("k", "v")
            uid = E.db_uid
        socket = dealer(proxy.urls[0])
        os.kill(server.pid, signal.SIGSTOP)
        for number in range(1, 51):
            socket.send_multipart(CODEC.encode_request(Request(Get("k"), uid, number)))
        socket.send_multipart([b"\xc1"])  # answered by the proxy itself, so the others have been taken
        socket.recv_multipart()
        os.kill(proxy.pid, signal.SIGTERM)
        os.kill(server.pid, signal.SIGCONT)
        assert sorted(unwrap(CODEC.reply_id(socket.recv_multipart())) for _ in range(50)) == list(range(1, 51))
        assert proxy.wait() == 0


def test_memory_is_bounded_with_a_stuck_server_and_clients_that_push(server, dealer):
    with proxy_of(server, "--timeout", "60") as proxy:
        with Elevator(endpoint=address(proxy), timeout=60) as E:
            E.Put("k", "v")
            uid = E.db_uid
        os.kill(server.pid, signal.SIGSTOP)
        before = resident(proxy)
        offered = push([dealer(proxy.urls[0], SNDHWM=1) for _ in range(4)], uid, 1024 * MB)
        grown = resident(proxy) - before
        assert offered > 256 * MB, "the proxy took less than it may hold"
        assert grown < 600 * MB, f"{offered / MB:.0f} MB were offered, and the proxy has grown by {grown / MB:.0f} MB"
        os.kill(server.pid, signal.SIGCONT)
        with Elevator(endpoint=address(proxy), timeout=60) as E:
            assert E.Get("k") == "v"


def grown_meanwhile(work, process):
    assert work() == "v"
    return resident(process)


def push(sockets, uid, most):
    """Sends puts of 1 MB over all sockets, until no socket has taken one for long; the bytes that were taken."""
    value, sent, last = os.urandom(MB), 0, time.monotonic()
    while sent < most and time.monotonic() < last + (1.0 if sent > 256 * MB else 20.0):
        for socket in sockets:
            try:
                frames = CODEC.encode_request(Request(Put("pushed", value), uid, sent))
                socket.send_multipart(frames, zmq.NOBLOCK)
            except zmq.Again:
                time.sleep(0.001)
            else:
                sent, last = sent + MB, time.monotonic()
    return sent


def test_a_client_that_does_not_read_costs_bounded_memory_and_no_other(server, dealer):
    with proxy_of(server) as proxy, Elevator(endpoint=address(proxy), timeout=60) as E:
        E.Put("large", "v" * MB)
        before = resident(proxy)
        nonreading = dealer(proxy.urls[0], RCVHWM=1)
        for number in range(1, 3000):
            nonreading.send_multipart(CODEC.encode_request(Request(Get("large"), E.db_uid, number)))
        E.Put("k", "v")
        grown = max(grown_meanwhile(lambda: E.Get("k"), proxy) for _ in range(500)) - before
        assert grown < 700 * MB, f"grown by {grown / MB:.0f} MB"


def test_others_wait_no_longer_than_the_timeout_of_a_blocked_client(server, dealer, monkeypatch):
    monkeypatch.setattr("pyelevator.proxy.proxy._PAUSE_LIMIT", 0.5)
    with Proxy(["tcp://127.0.0.1:0"], server.urls[0], unread=MB) as proxy, Elevator(endpoint=address(proxy)) as E:
        E.Put("large", "v" * 16 * MB)
        nonreading = dealer(proxy.urls[0], RCVHWM=1)
        for number in range(1, 20):
            nonreading.send_multipart(CODEC.encode_request(Request(Get("large"), E.db_uid, number)))
        E.Put("k", "v", timeout=20)
        assert [E.Get("k", timeout=20) for _ in range(20)] == ["v"] * 20


@pytest.mark.parametrize(("message", "reads"), [("garbage", True), ("ping", False)])
def test_others_wait_neither_for_blocked_nor_for_flooding_clients(server, message, reads):
    ping = b"".join(encode_message(CODEC.encode_request(Request(Ping(), id=1))))
    flood = {"garbage": GARBAGE, "ping": ping}[message]
    with Proxy(["tcp://127.0.0.1:0"], server.urls[0], unread=8 * MB) as proxy, Elevator(endpoint=address(proxy)) as E:
        E.Put("large", "v" * MB)
        E.Put("k", "v")
        nonreading = [plain_client(proxy.urls[0]) for _ in range(4)]
        for client in nonreading:
            for number in range(1, 100):
                client.sendall(b"".join(encode_message(CODEC.encode_request(Request(Get("large"), E.db_uid, number)))))
        for client in nonreading:
            receive_exactly(client, 1000)  # so the answers are on their way
        pushing = [plain_client(proxy.urls[0]) for _ in range(2)]
        with ThreadPoolExecutor(4) as threads:
            for client in pushing:
                threads.submit(send_for_ever, client, flood)
                if reads:
                    threads.submit(read_for_ever, client, threading.Semaphore())
            try:
                assert [E.Get("k", timeout=10) for _ in range(20)] == ["v"] * 20
            finally:
                for client in pushing:
                    client.shutdown(SHUT_RDWR)
        for client in pushing + nonreading:
            client.close()


def test_large_answers_wait_until_blocked_clients_lost_theirs(server, monkeypatch):
    monkeypatch.setattr("pyelevator.proxy.proxy._PAUSE_LIMIT", 0.5)
    with Proxy(["tcp://127.0.0.1:0"], server.urls[0], unread=MB) as proxy, Elevator(endpoint=address(proxy)) as E:
        E.Put("large", "v" * 16 * MB)
        nonreading = [plain_client(proxy.urls[0]) for _ in range(2)]
        for client in nonreading:
            client.sendall(b"".join(encode_message(CODEC.encode_request(Request(Get("large"), E.db_uid, 1)))))
            receive_exactly(client, 1000)
        assert E.Get("large", timeout=20) == "v" * 16 * MB
        for client in nonreading:
            client.close()


def test_on_a_shared_connection_a_blocked_client_is_dropped_too(server, dealer, monkeypatch):
    monkeypatch.setattr("pyelevator.proxy.proxy._PAUSE_LIMIT", 0.5)
    shared = Upstream(server.urls[0], max_connections=1)
    with Proxy(["tcp://127.0.0.1:0"], shared, unread=4 * MB) as proxy, Elevator(endpoint=address(proxy)) as E:
        E.Put("large", "v" * MB)
        E.Put("k", "v")
        with plain_client(proxy.urls[0]) as nonreading:
            for number in range(1, 100):
                nonreading.sendall(
                    b"".join(encode_message(CODEC.encode_request(Request(Get("large"), E.db_uid, number))))
                )
            receive_exactly(nonreading, 1000)  # so the answers are on their way
            assert [E.Get("k", timeout=20) for _ in range(20)] == ["v"] * 20


def in_window(socket, uid, count, window):
    """Keeps so many Gets in flight until all are answered; the ids in the answers."""
    messages = [CODEC.encode_request(Request(Get("k"), uid, number)) for number in range(1, count + 1)]
    for frames in messages[:window]:
        socket.send_multipart(frames)
    answers = []
    for frames in messages[window:]:
        answers.append(CODEC.reply_id(socket.recv_multipart()))
        socket.send_multipart(frames)
    return answers + [CODEC.reply_id(socket.recv_multipart()) for _ in range(window)]


@pytest.mark.parametrize("behind", [False, True], ids=["server", "proxy"])
def test_a_client_that_reads_late_again_and_again_gets_every_answer(server, dealer, behind):
    """Its queue is full and empties again all the time, and no such change may be missed."""
    with proxy_of(server) as proxy, Elevator(endpoint=address(server)) as E:
        E.Put("k", "v" * 100)
        socket = dealer((proxy if behind else server).urls[0])
        for _ in range(5):
            assert sorted(in_window(socket, E.db_uid, 10_000, 1000)) == list(range(1, 10_001))


def test_a_queued_message_is_answered_once_its_sender_has_read(server):
    with Elevator(endpoint=address(server), timeout=30) as direct:
        direct.Put("large", "v" * 16 * MB)
        asked, question = (
            encode_message(CODEC.encode_request(Request(Get("large"), direct.db_uid, 1))),
            encode_frame(b"\xc1"),
        )
    with Proxy(["tcp://127.0.0.1:0"], server.urls[0], unread=2 * MB) as proxy, plain_client(proxy.urls[0]) as client:
        for _ in range(10):
            client.sendall(b"".join(asked))
            receive_exactly(client, 1000)  # the others cannot leave yet
            client.sendall(question)
            left = receive_exactly(client, 16 * MB - 1000)
            while b"not a msgpack value" not in left:
                left = left[-1000:] + receive_exactly(client, 1)


def test_a_proxy_can_be_stopped_while_clients_go_on_sending(server):
    proxy = Proxy(["tcp://127.0.0.1:0"], server.urls[0])
    serving = threading.Thread(target=proxy.serve_forever)
    serving.start()
    clients = [plain_client(proxy.urls[0]) for _ in range(4)]
    answered = threading.Semaphore(0)
    with ThreadPoolExecutor(8) as threads:
        for client in clients:
            threads.submit(send_for_ever, client)
            threads.submit(read_for_ever, client, answered)
        for _ in range(40):
            assert answered.acquire(timeout=20)
        proxy.stop()
        serving.join(20)
        ended = not serving.is_alive()
        for client in clients:
            client.close()
        serving.join()
    assert ended


def send_for_ever(client, message=GARBAGE):
    with suppress(OSError):
        while True:
            client.sendall(message * 5000)


def read_for_ever(client, answered):
    with suppress(OSError):
        while client.recv(MB):
            answered.release()
