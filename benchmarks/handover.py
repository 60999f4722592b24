"""Trials about the hand-over: between a program and ZeroMQ's own thread a message changes threads four times a trip.

Each trial is a minimal ROUTER server in a process of its own and some clients, also processes; messages are as long as
a Get's. What comes of it stands with each trial, and in docs/benchmarks.md with the figures.
"""

import os
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from itertools import count
from multiprocessing.connection import Connection
from pathlib import Path
from statistics import median
from typing import Any, Final, TypeAlias

import zmq
from attrs import frozen

from benchmarks.bed import Bed
from benchmarks.measure import table
from benchmarks.peers import SPAWN
from benchmarks.zmtp import Direct
from pyelevator.cli.crowd import Crowd, Steps
from pyelevator.transports.zmq import Spin

REQUEST: Final = (b"r" * 110,)
REPLY: Final = (b"h" * 60, b"c" * 110)
_FIXED: Final = 200
_BUFFER: Final = 1 << 20

First: TypeAlias = Callable[[Callable[..., Any]], Any]
"""Receives the first frame of a message, given the socket's ``recv``."""


def _blocking(receive: Callable[..., Any]) -> Any:
    return receive()


def _trying(receive: Callable[..., Any]) -> Any:
    for _ in range(_FIXED):
        try:
            return receive(zmq.NOBLOCK)
        except zmq.Again:
            continue
    return receive()


WAITS: Final[Mapping[str, Callable[[], First]]] = {
    "blocks": lambda: _blocking,
    "tries 200 times": lambda: _trying,
    "adapts": lambda: Spin().first,
}
"""How one side waits for a message -> what makes the waiting."""


@frozen
class Trial:
    """One way to do it.

    Attributes:
        server, client: how each waits (see WAITS); a client may also be "direct": ZMTP 3 on a blocking socket.
        verdict: what became of it, and why.
        scheme: ``tcp`` or ``ipc``.
        io_threads: of both sides' contexts.
        buffers: bytes of the kernel's buffers on both sides; 0 for the system's choice.
        pinned: each process, with its I/O thread, on one core: the server on the first, clients on the last.
    """

    server: str
    client: str
    verdict: str
    scheme: str = "tcp"
    io_threads: int = 1
    buffers: int = 0
    pinned: bool = False

    @property
    def name(self) -> str:
        extras = [
            "" if self.scheme == "tcp" else self.scheme,
            "" if self.io_threads == 1 else f"{self.io_threads} I/O threads",
            f"buffers of {self.buffers >> 20} MB" if self.buffers else "",
            "one core per side" if self.pinned else "",
        ]
        return ", ".join([f"server {self.server}, client {self.client}", *filter(None, extras)])


TRIALS: Final[Sequence[Trial]] = (
    Trial("blocks", "blocks", "plain libzmq on both sides, the limit that there is without any of this"),
    Trial("blocks", "tries 200 times", "wins for one client on an idle machine, and loses as soon as cores are busy"),
    Trial("tries 200 times", "blocks", "wins too, but a server whose clients are slow burns a core for nothing"),
    Trial("tries 200 times", "tries 200 times", "loses: two sides that spin starve the I/O threads on two cores"),
    Trial("adapts", "blocks", "**kept**: the server tries while that pays (`Spin`), and backs off where it does not"),
    Trial("blocks", "adapts", "not kept: it gains less than the server's, and together they lose"),
    Trial("adapts", "adapts", "not kept: as two fixed spins, milder"),
    Trial("blocks", "direct", "alone it saves the client's two hand-overs"),
    Trial("adapts", "direct", "the fastest with what is kept on the server; see below"),
    Trial("tries 200 times", "direct", "no better than with the server that adapts, and it burns more"),
    Trial("blocks", "blocks", "cheaper in the kernel than TCP, the same hand-overs", scheme="ipc"),
    Trial("adapts", "blocks", "what `transport='ipc'` gives today", scheme="ipc"),
    Trial("adapts", "direct", "the same over a Unix socket", scheme="ipc"),
    Trial("adapts", "blocks", "not kept: messages this small never fill a buffer", scheme="ipc", buffers=_BUFFER),
    Trial(
        "adapts", "blocks", "not kept: one connection is one I/O thread's, a second one has nothing to do", io_threads=2
    ),
    Trial(
        "blocks",
        "blocks",
        "not kept: gains where it fits, but a server must not choose cores for its users",
        pinned=True,
    ),
    Trial(
        "adapts",
        "blocks",
        "not kept: on one core a server that tries takes the time that its I/O thread needs",
        pinned=True,
    ),
)


@frozen
class Load:
    """What goes on: so many clients, and so many busy cores beside them."""

    clients: int
    busy: int

    @property
    def name(self) -> str:
        clients = f"{self.clients} client{'s' if self.clients > 1 else ''}"
        return clients + (f", {self.busy} busy core{'s' if self.busy > 1 else ''}" if self.busy else "")


LOADS: Final = (Load(1, 0), Load(1, 1), Load(1, 2), Load(2, 0), Load(8, 0))


def serve(ready: Connection, trial: Trial, url: str) -> None:
    """A server that answers every message with the frames of a Get's reply."""
    _pin(trial, 0)
    socket = zmq.Context(trial.io_threads).socket(zmq.ROUTER)
    _tune(socket, trial)
    socket.bind(url)
    ready.send(socket.get_string(zmq.LAST_ENDPOINT).rstrip("\0"))
    first, receive, reply = WAITS[trial.server](), socket.recv, list(REPLY)
    while True:
        identity = first(receive)
        receive()
        socket.send_multipart([identity, *reply])


@contextmanager
def round_trips(trial: Trial, url: str) -> Iterator[Steps]:
    """The round trips of one client (a crowd.Work)."""
    _pin(trial, -1)
    if trial.client == "direct":
        with Direct(url) as lane:
            yield _direct(lane)
        return
    context: zmq.Context[zmq.Socket[bytes]] = zmq.Context(trial.io_threads)
    with context, context.socket(zmq.DEALER) as socket:
        socket.set(zmq.LINGER, 0)
        _tune(socket, trial)
        socket.connect(url)
        yield _over(socket, WAITS[trial.client]())


def _direct(lane: Direct) -> Steps:
    while True:
        lane.send(REQUEST)
        lane.receive()
        yield 1


def _over(socket: "zmq.Socket[bytes]", first: First) -> Steps:
    receive = socket.recv
    while True:
        socket.send_multipart(REQUEST)
        first(receive)
        receive()
        yield 1


def _pin(trial: Trial, core: int) -> None:
    """Also undoes it: the processes of the clients go from trial to trial."""
    cores = range(os.cpu_count() or 1)
    os.sched_setaffinity(0, {cores[core]} if trial.pinned else cores)


def _tune(socket: "zmq.Socket[bytes]", trial: Trial) -> None:
    if trial.buffers:
        socket.set(zmq.SNDBUF, trial.buffers)
        socket.set(zmq.RCVBUF, trial.buffers)


@contextmanager
def served(trial: Trial, url: str) -> Iterator[tuple[str, int]]:
    """The URL and the process id of the trial's server."""
    here, there = SPAWN.Pipe()
    process = SPAWN.Process(target=serve, args=(there, trial, url), daemon=True)
    process.start()
    try:
        yield here.recv(), process.pid or 0
    finally:
        process.kill()
        process.join()


@contextmanager
def busy(cores: int) -> Iterator[None]:
    """So many processes that do nothing but compute."""
    with ExitStack() as stack:
        for _ in range(cores):
            process = subprocess.Popen([sys.executable, "-S", "-E", "-c", "while True: pass"])
            stack.callback(process.wait)
            stack.callback(process.kill)
        yield


def rates(trial: Trial, crowd: Crowd, folder: str, seconds: float, numbers: Iterator[int]) -> list[float]:
    """Round trips per second of all clients together, for each load."""
    url = "tcp://127.0.0.1:*" if trial.scheme == "tcp" else f"ipc://{folder}/{next(numbers)}"
    given = []
    with served(trial, url) as (bound, _):
        for load in LOADS:
            with busy(load.busy):
                shares = crowd.measure(round_trips, trial, bound, seconds=seconds, size=load.clients)
            given.append(sum(share.rate for share in shares))
    return given


def trials(rounds: int, seconds: float) -> list[list[float]]:
    """The median rates of each trial, under each load."""
    given: list[list[list[float]]] = [[] for _ in TRIALS]
    numbers = count()
    with tempfile.TemporaryDirectory(prefix="elevator-") as folder, Crowd(max(load.clients for load in LOADS)) as crowd:
        for _ in range(rounds):
            for rates_of_trial, trial in zip(given, TRIALS, strict=True):
                rates_of_trial.append(rates(trial, crowd, folder, seconds, numbers))
    return [[median(column) for column in zip(*rounds_of_trial, strict=True)] for rounds_of_trial in given]


def section(bed: Bed, _folder: Path) -> str:
    """The table for docs/benchmarks.md."""
    measured = trials(*bed.plan.trial)
    base = measured[0]
    rows = [
        (trial.name, *[f"{rate:,.0f} ({rate / plain:.2f})" for rate, plain in zip(rates, base, strict=True)])
        for trial, rates in zip(TRIALS, measured, strict=True)
    ]
    verdicts = "\n".join(f"- {trial.name}: {trial.verdict}." for trial in TRIALS)
    headings = ("trial", *[load.name for load in LOADS])
    return f"{_INTRODUCTION}\n\n{table(headings, rows)}\n\n{verdicts}\n"


_INTRODUCTION: Final = """## The hand-over, and what was tried about it

A sync call over ZeroMQ changes threads four times: from the program to its I/O thread, and on the other side back, for each of the two messages. Each
trial below is a minimal ROUTER server and its clients in processes of their own, with messages as long as a Get's (`benchmarks/handover.py`): round trips per
second of all clients together, and in brackets the ratio to the first line under the same load."""
