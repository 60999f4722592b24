"""`python -m benchmarks proxy`: what a proxy in front of the server costs, in throughput and in latency.

The client is a bare DEALER with the frames of a Get in all cases, so that all that is measured is on the way. The peer for
the latency is the least that a proxy written in Python can do: a ROUTER, a DEALER, and a loop between them.
"""

import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from functools import partial
from multiprocessing.connection import Connection
from typing import Final, TypeAlias

import zmq

from benchmarks.bed import PAIRS, Bed
from benchmarks.measure import Goal, Row, compare, in_turn, rate
from benchmarks.peers import SPAWN, dealer
from pyelevator import Elevator
from pyelevator.codec import ClassicCodec
from pyelevator.commands import Get
from pyelevator.loadtest.workloads import connect, random_keys
from pyelevator.messages import Request

WINDOW: Final = 1000
"""Requests in flight of the client that does not wait."""

Socket: TypeAlias = "zmq.Socket[bytes]"


def forward(ready: Connection, upstream: str) -> None:
    """Passes messages of one client on, without a look inside."""
    context = zmq.Context.instance()
    front, back = context.socket(zmq.ROUTER), context.socket(zmq.DEALER)
    ready.send(front.bind_to_random_port("tcp://127.0.0.1"))
    back.connect(upstream)
    poller = zmq.Poller()
    poller.register(front, zmq.POLLIN)
    poller.register(back, zmq.POLLIN)
    identity = b""
    while True:
        for socket, _ in poller.poll():
            if socket is front:
                identity, *frames = front.recv_multipart()
                back.send_multipart(frames)
            else:
                front.send_multipart([identity, *back.recv_multipart()])


@contextmanager
def forwarder_process(upstream: str) -> Iterator[str]:
    """The URL of a bare forwarder in a process of its own."""
    here, there = SPAWN.Pipe()
    process = SPAWN.Process(target=forward, args=(there, upstream), daemon=True)
    process.start()
    try:
        yield f"tcp://127.0.0.1:{here.recv()}"
    finally:
        process.kill()
        process.join()


@contextmanager
def proxy_process(upstream: str) -> Iterator[str]:
    """The URL of `elevator proxy` without interceptors."""
    words = [sys.executable, "-m", "pyelevator", "proxy", "--listen", "tcp://127.0.0.1:0", "--upstream", upstream]
    with subprocess.Popen(words, stdout=subprocess.PIPE, text=True) as process:
        try:
            yield process.stdout.readline().split()[1]  # type: ignore[union-attr]
        finally:
            process.kill()


def one_by_one(socket: Socket, messages: Sequence[Sequence[bytes]]) -> float:
    """Microseconds of a round trip, the median."""
    taken = []
    for frames in messages:
        start = time.perf_counter()
        socket.send_multipart(frames)
        socket.recv_multipart()
        taken.append(time.perf_counter() - start)
    return statistics.median(taken) * 1e6


def in_window(socket: Socket, messages: Sequence[Sequence[bytes]]) -> None:
    """Keeps WINDOW requests in flight until all are answered."""
    for frames in messages[:WINDOW]:
        socket.send_multipart(frames)
    for frames in messages[WINDOW:]:
        socket.recv_multipart()
        socket.send_multipart(frames)
    for _ in messages[:WINDOW]:
        socket.recv_multipart()


def messages_of(bed: Bed, count: int) -> list[list[bytes]]:
    """So many Gets, each with an id of its own."""
    codec, uid = ClassicCodec(), bed.reader.db_uid
    return [codec.encode_request(Request(Get(key), uid, n)) for n, key in enumerate(random_keys(PAIRS, count), 1)]


def rows(bed: Bed) -> Iterator[Row]:
    url = bed.server.urls[0]
    messages = messages_of(bed, 5 * bed.plan.calls)
    with ExitStack() as stack:
        proxy = stack.enter_context(proxy_process(url))
        forwarder = stack.enter_context(forwarder_process(url))
        direct, through, bare = (stack.enter_context(dealer(to)) for to in (url, proxy, forwarder))
        yield _throughput(bed, messages, direct, through, "direct", Goal(0.6, 0.9))
        yield _throughput(bed, messages, bare, through, "a bare ROUTER/DEALER forwarder", None)
        yield _pipelined(bed, url, proxy)
        yield _added(bed, messages[: bed.plan.calls // 4], (direct, through, bare))


def _throughput(
    bed: Bed, messages: list[list[bytes]], other: Socket, through: Socket, peer: str, goal: Goal | None
) -> Row:
    ours, theirs = (partial(rate, partial(in_window, socket, messages), len(messages)) for socket in (through, other))
    name = f"pass-through proxy, Gets with {WINDOW} in flight"
    return compare(name, peer, ours, theirs, goal, bed.plan.rounds, settle=bed.settle)


def pipelined(client: Elevator[bytes], keys: Sequence[bytes]) -> None:
    """Gets of one pipeline."""
    with client.pipeline(timeout=120) as pipe:
        for some in keys:
            pipe.Get(some)


def _pipelined(bed: Bed, direct: str, through: str) -> Row:
    """The same with a client of ours, whose commands travel in one message."""
    keys = random_keys(PAIRS, 20_000)
    with ExitStack() as stack:
        clients = [stack.enter_context(connect(url, bed.reader.db_name)) for url in (through, direct)]
        ours, theirs = (partial(rate, partial(pipelined, client, keys), len(keys)) for client in clients)
        goal = Goal(0.6, 0.9)
        return compare(
            f"pass-through proxy, pipeline of {len(keys):,} Gets", "direct", ours, theirs, goal, bed.plan.rounds
        )


def _added(bed: Bed, messages: list[list[bytes]], sockets: Sequence[Socket]) -> Row:
    """How much longer a Get takes through each, by how much longer it takes through the forwarder."""
    sides: list[Callable[[], float]] = [partial(one_by_one, socket, messages) for socket in sockets]
    for side in sides:
        side()
    direct, through, bare = in_turn(sides, 2 * bed.plan.rounds, bed.settle)
    added, least = ([b - a for a, b in zip(direct, other, strict=True)] for other in (through, bare))
    ratios = [a / b for a, b in zip(added, least, strict=True)]
    show = "{:,.0f} µs".format
    ours, theirs = show(statistics.median(added)), show(statistics.median(least))
    goal = Goal(1.7, 1.2, smaller=True, unit="x")
    return Row("pass-through proxy, added to a Get", "a bare ROUTER/DEALER forwarder", ours, theirs, ratios, goal)
