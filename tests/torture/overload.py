"""Too much at once: clients that never read, many clients, large values, endless scans; memory and latency are watched."""

import os
import threading
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Final

import zmq
from attrs import frozen

from pyelevator import Elevator
from pyelevator.codec import ClassicCodec
from pyelevator.commands import Get, Range
from pyelevator.messages import Request
from pyelevator.testing.servers import ServerProcess
from torture.malformed import Beside, resident
from torture.report import Findings, count, megabytes

MB: Final = 1 << 20
UNREAD: Final = 64 * MB
SLACK: Final = 128 * MB
"""What a server may grow by beside ``--max-unread``: buffers of libzmq, of the system and of the allocator."""

PAIRS: Final = 20_000
CODEC: Final = ClassicCodec()


@frozen
class Sizes:
    """How much of everything.

    Attributes:
        greedy: clients that never read.
        asked: answers of a megabyte that each asks for.
        clients: at once.
        requests: of each.
        large: bytes of a large value.
        times: how often each of two clients writes and reads one.
        scans: of each of two clients.
    """

    greedy: int = 20
    asked: int = 200
    clients: int = 500
    requests: int = 40
    large: int = 64 * MB
    times: int = 4
    scans: int = 100


SMALL: Final = Sizes(greedy=5, asked=100, clients=100, requests=5, large=16 * MB, times=2, scans=5)


@frozen
class Load:
    """What a load did.

    Attributes:
        requests: sent.
        answers: got and right.
        expected: answers that should have come.
    """

    requests: int
    answers: int
    expected: int


@frozen
class Server:
    """The server that is loaded, and where its clients find it."""

    process: ServerProcess
    uid: str

    @property
    def endpoint(self) -> str:
        return self.process.urls[0].partition("://")[2]

    def dealer(self, context: "zmq.Context[zmq.Socket[bytes]]") -> "zmq.Socket[bytes]":
        """A socket that sends as much as one likes, and receives no more than is read."""
        socket = context.socket(zmq.DEALER)
        for option, value in ((zmq.LINGER, 0), (zmq.SNDHWM, 0), (zmq.RCVHWM, 1), (zmq.RCVTIMEO, 60_000)):
            socket.set(option, value)
        socket.connect(self.process.urls[0])
        return socket


def never_read(server: Server, sizes: Sizes) -> Load:
    """Clients that ask for far more than the server may hold, and do not read any of it."""
    with zmq.Context() as context:
        sockets = [server.dealer(context) for _ in range(sizes.greedy)]
        for number in range(sizes.asked):
            for socket in sockets:
                socket.send_multipart(CODEC.encode_request(Request(Get("megabyte"), server.uid, number)))
        threading.Event().wait(2)  # all that the server will do for them, it has done
        for socket in sockets:
            socket.close(0)
    return Load(sizes.greedy * sizes.asked, 0, 0)


def many(server: Server, sizes: Sizes) -> Load:
    """Many clients at once; each sends all of its requests before it reads."""
    right = 0
    with zmq.Context() as context:
        context.set(zmq.MAX_SOCKETS, sizes.clients + 10)
        sockets = [server.dealer(context) for _ in range(sizes.clients)]
        for number in range(sizes.requests):
            for socket in sockets:
                socket.send_multipart(CODEC.encode_request(Request(Get("good"), server.uid, number)))
        for socket in sockets:
            for _ in range(sizes.requests):
                answer = CODEC.decode_response(socket.recv_multipart(), Request(Get("good")))
                right += answer.payload == b"value"
            socket.close(0)
    return Load(sizes.clients * sizes.requests, right, sizes.clients * sizes.requests)


def large(server: Server, sizes: Sizes) -> Load:
    """Two clients that write and read large values."""
    value = os.urandom(MB) * (sizes.large // MB)

    def put_and_get(number: int) -> int:
        with Elevator(endpoint=server.endpoint, timeout=60, encoding=None) as client:
            right = 0
            for _ in range(sizes.times):
                client.Put(f"large {number}", value)
                right += 1 + (client.Get(f"large {number}") == value)
        return right

    with ThreadPoolExecutor(2) as threads:
        right = sum(threads.map(put_and_get, range(2)))
    return Load(4 * sizes.times, right, 4 * sizes.times)


def scans(server: Server, sizes: Sizes) -> Load:
    """Two clients that read everything, again and again."""

    def scan(_: int) -> int:
        right = 0
        with zmq.Context() as context, server.dealer(context) as socket:
            for number in range(sizes.scans):
                socket.send_multipart(CODEC.encode_request(Request(Range(b"0", b"1"), server.uid, number)))
                right += len(socket.recv_multipart(copy=False)[1].buffer) > 100 * PAIRS
        return right

    with ThreadPoolExecutor(2) as threads:
        right = sum(threads.map(scan, range(2)))
    return Load(2 * sizes.scans, right, 2 * sizes.scans)


@frozen
class Trial:
    """A load, and by how much the server may grow meanwhile."""

    load: Callable[[Server, Sizes], Load]
    growth: Callable[[Sizes], int]


TRIALS: Final[Mapping[str, Trial]] = {
    "clients that ask and never read": Trial(never_read, lambda sizes: UNREAD + 2 * sizes.greedy * MB + SLACK),
    "clients at once": Trial(many, lambda _: SLACK),
    "large values": Trial(large, lambda sizes: 12 * sizes.large + SLACK),
    f"full scans of {PAIRS:,} pairs": Trial(scans, lambda _: UNREAD + SLACK),
}


@frozen
class Result:
    """What came of a load."""

    load: Load
    before: int
    most: int
    after: int
    beside: Beside

    def figures(self) -> tuple[str, ...]:
        memory = [megabytes(size) for size in (self.before, self.most, self.after)]
        return count(self.load.requests), count(self.load.answers), " / ".join(memory), self.beside.quantiles()


COLUMNS: Final = (
    *("load", "requests", "right answers"),
    *("server's memory before / most / after", "GETs of another client beside it: median, 99 %, longest"),
)


def attempt(server: Server, client: Elevator[str], load: Callable[[], Load]) -> Result:
    """One load, while another client makes sound requests, and memory is looked at."""
    before, most, over = resident(server.process.pid), [0], threading.Event()

    def watch() -> None:
        while not over.wait(0.01):
            most[0] = max(most[0], resident(server.process.pid))

    beside = Beside(client)
    threads = [threading.Thread(target=watch), threading.Thread(target=beside.run)]
    for thread in threads:
        thread.start()
    try:
        done = load()
    finally:
        over.set()
        beside.over.set()
        for thread in threads:
            thread.join()
    return Result(done, before, most[0], resident(server.process.pid), beside)


def fill(client: Elevator[str]) -> None:
    """What the loads ask for."""
    client.Put("good", "value")
    client.Put("megabyte", "v" * MB)
    with client.WriteBatch(timeout=60) as batch:
        for number in range(PAIRS):
            batch.Put(f"0{number:09}", "v" * 100)


def run(folder: Path, sizes: Sizes = Sizes()) -> Findings:
    """Loads a server, a new one for each kind.

    Args:
        folder: for the data; empty.
        sizes: how much of everything.
    """
    results = {}
    for number, (what, trial) in enumerate(TRIALS.items()):
        with ServerProcess(folder / str(number), args=["--max-unread", str(UNREAD)]) as process:
            with Elevator(endpoint=process.urls[0].partition("://")[2], timeout=60) as client:
                fill(client)
                server = Server(process, str(client.db_uid))
                results[what] = attempt(server, client, partial(trial.load, server, sizes))
    return Findings(
        "Too much at once",
        f"Each kind of load has a server of its own, with `--max-unread` of {megabytes(UNREAD)}: {sizes.greedy} clients "
        f"that ask for {sizes.asked} MB each and read nothing; {sizes.clients} clients with {sizes.requests} requests each; "
        f"values of {megabytes(sizes.large)} written and read by two clients; two clients with full scans in turn. "
        "Beside it another client makes sound requests, and the server's memory is looked at every 10 ms.",
        {what: result.figures() for what, result in results.items()},
        [
            wrong
            for what, result in results.items()
            for wrong in wrong_answers(what, result, TRIALS[what].growth(sizes))
        ],
        COLUMNS,
    )


def wrong_answers(what: str, result: Result, growth: int) -> list[str]:
    load, grown = result.load, result.most - result.before
    checks = (
        (load.answers != load.expected, f"{load.answers} right answers, not {load.expected}"),
        (grown > growth, f"the server grew by {megabytes(grown)}, and not by at most {megabytes(growth)}"),
        (result.beside.wrong > 0, f"{result.beside.wrong} wrong answers to another client"),
        (not result.beside.latencies, "another client got no answer"),
    )
    return [f"{what}: {text}" for wrong, text in checks if wrong]
