"""Trials about the hand-over: between a program and ZeroMQ's own thread a message changes threads four times a trip.

Each trial is a minimal ROUTER server in a process of its own and some clients, also processes; messages are as long as
a Get's. What comes of it stands with each trial, and in docs/benchmarks.md with the figures.
"""

import os
import socket as sockets
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from itertools import count
from multiprocessing.connection import Connection
from pathlib import Path
from statistics import median
from typing import Final

import zmq
from attrs import frozen

from benchmarks import zmtp
from benchmarks.bed import Bed
from benchmarks.measure import table
from benchmarks.peers import SPAWN
from benchmarks.waits import WAITS, First
from pyelevator.loadtest.processes import LoadProcesses, Workload

REQUEST: Final = (b"r" * 110,)
REPLY: Final = (b"h" * 60, b"c" * 110)
_BUFFER: Final = 1 << 20


@frozen
class Trial:
    """One way to do it.

    Attributes:
        server, client: how each waits (see WAITS), or "direct": ZMTP 3 on a socket of its own, without libzmq.
        verdict: what became of it, and why.
        scheme: ``tcp`` or ``ipc``.
        io_threads: of both sides' contexts.
        buffers: bytes of the kernel's buffers on both sides; 0 for the system's choice.
        pinned: each process, with its I/O thread, on one core: the server on the first, and the clients on the core of
            this index; None for the system's choice.
    """

    server: str
    client: str
    verdict: str
    scheme: str = "tcp"
    io_threads: int = 1
    buffers: int = 0
    pinned: int | None = None

    @property
    def name(self) -> str:
        extras = [
            "" if self.scheme == "tcp" else self.scheme,
            "" if self.io_threads == 1 else f"{self.io_threads} I/O threads",
            f"buffers of {self.buffers >> 20} MB" if self.buffers else "",
            {None: "", -1: "one core per side", 0: "all on one core"}[self.pinned],
        ]
        return ", ".join([f"server {self.server}, client {self.client}", *filter(None, extras)])


TRIALS: Final[Sequence[Trial]] = (
    Trial("blocks", "blocks", "plain libzmq on both sides; what the others are compared with"),
    Trial(
        "blocks",
        "tries 200 times",
        "not kept: twice the rate for one client on an idle machine, but the tries take the core from threads that have work: "
        "it loses beside busy cores, and most with eight clients",
    ),
    Trial(
        "tries 200 times",
        "blocks",
        "not kept: the same gain with less loss, as there is one server to many clients; but it burns the most under a "
        "trickle (below)",
    ),
    Trial(
        "tries 200 times",
        "tries 200 times",
        "lost everywhere: on two cores the sides that spin keep both from the I/O threads that they wait for",
    ),
    Trial(
        "adapts",
        "blocks",
        "kept while there was a listener of libzmq (`AdaptiveSpin` in benchmarks/waits.py): gains on an idle machine what 200 tries gain, and "
        "burns next to nothing under a trickle; it takes every try that succeeds for a gain, and so still tries where "
        "blocking would be quicker",
    ),
    Trial("adapts", "adapts", "not kept: no more than the server alone, and it loses more beside load"),
    Trial(
        "measures",
        "blocks",
        "open: looks at the clock to see whether trying pays (benchmarks/waits.py), and so does not lose with eight "
        "clients; beside one busy core it is no steadier than the one that adapts",
    ),
    Trial("blocks", "measures", "not kept: twice the rate in some runs, nothing in others"),
    Trial(
        "blocks",
        "direct",
        "**kept** (transports/sockets/transport.py), for sync clients without keys: two of the four hand-overs are gone, the "
        "client's; slower than libzmq under none of these loads",
    ),
    Trial("adapts", "direct", "what sync clients do where a listener is libzmq's"),
    Trial(
        "measures",
        "direct",
        "the best of those that keep libzmq in the server: gains where it is idle, and loses nowhere, as the one that "
        "adapts does beside a busy core",
    ),
    Trial(
        "direct",
        "blocks",
        "**kept** (transports/sockets/listener/listener.py), for listeners without keys: gains for every client that there is, and most "
        "with several",
    ),
    Trial(
        "direct",
        "direct",
        "what sync clients and servers do today: the most by far wherever cores are awake, as no hand-over is left but the "
        "kernel's; on an idle machine it still waits for cores to wake up",
    ),
    Trial("blocks", "blocks", "the kernel's part is small: about TCP's rate, with the same hand-overs", scheme="ipc"),
    Trial("adapts", "blocks", "what `transport='ipc'` gave with libzmq in the client", scheme="ipc"),
    Trial("measures", "direct", "as over TCP, and somewhat quicker", scheme="ipc"),
    Trial("adapts", "blocks", "not kept: messages this small never fill a buffer", scheme="ipc", buffers=_BUFFER),
    Trial("adapts", "blocks", "not kept: a connection belongs to one I/O thread, the second has no work", io_threads=2),
    Trial("blocks", "blocks", "not kept: threads of one process no longer make room for others' load", pinned=-1),
    Trial("adapts", "blocks", "lost: on one core the tries keep the server's own I/O thread from running", pinned=-1),
    Trial(
        "blocks",
        "blocks",
        "shows the cause: on one core no thread has to be woken up on another one, and plain libzmq is up to four times as "
        "fast; of no use to a server that is meant to use more than one",
        pinned=0,
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
    if trial.server == "direct":
        listener = _listening(url)
        ready.send(_bound(listener, url))
        zmtp.echo(listener, REPLY)
    socket = zmq.Context(trial.io_threads).socket(zmq.ROUTER)
    _tune(socket, trial)
    socket.bind(url)
    ready.send(socket.get_string(zmq.LAST_ENDPOINT).rstrip("\0"))
    first, receive, reply = WAITS[trial.server](), socket.recv, list(REPLY)
    while True:
        identity = first(receive)
        receive()
        socket.send_multipart([identity, *reply])


def _listening(url: str) -> sockets.socket:
    if url.startswith("ipc://"):
        listener = sockets.socket(sockets.AF_UNIX)
        listener.bind(url.removeprefix("ipc://"))
        listener.listen()
        return listener
    return sockets.create_server(("127.0.0.1", 0))


def _bound(listener: sockets.socket, url: str) -> str:
    return url if url.startswith("ipc://") else f"tcp://127.0.0.1:{listener.getsockname()[1]}"


@contextmanager
def round_trips(trial: Trial, url: str) -> Iterator[Workload]:
    """The round trips of one client (a processes.OpenWorkload)."""
    _pin(trial, trial.pinned or 0)
    if trial.client == "direct":
        with zmtp.Direct(url) as client_connection:
            yield _direct(client_connection)
        return
    context: zmq.Context[zmq.Socket[bytes]] = zmq.Context(trial.io_threads)
    with context, context.socket(zmq.DEALER) as socket:
        socket.set(zmq.LINGER, 0)
        _tune(socket, trial)
        socket.connect(url)
        yield _over(socket, WAITS[trial.client]())


def _direct(client_connection: zmtp.Direct) -> Workload:
    while True:
        client_connection.send(REQUEST)
        client_connection.receive()
        yield 1


def _over(socket: "zmq.Socket[bytes]", first: First) -> Workload:
    receive = socket.recv
    while True:
        socket.send_multipart(REQUEST)
        first(receive)
        receive()
        yield 1


def _pin(trial: Trial, core: int) -> None:
    """Also undoes it: the processes of the clients go from trial to trial."""
    cores = range(os.cpu_count() or 1)
    os.sched_setaffinity(0, cores if trial.pinned is None else {cores[core]})


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


def rates(trial: Trial, processes: LoadProcesses, folder: str, seconds: float, numbers: Iterator[int]) -> list[float]:
    """Round trips per second of all clients together, for each load."""
    url = "tcp://127.0.0.1:*" if trial.scheme == "tcp" else f"ipc://{folder}/{next(numbers)}"
    given = []
    with served(trial, url) as (bound, _):
        for load in LOADS:
            with busy(load.busy):
                shares = processes.measure(round_trips, trial, bound, seconds=seconds, size=load.clients)
            given.append(sum(share.rate for share in shares))
    return given


def trials(rounds: int, seconds: float) -> list[list[float]]:
    """The median rates of each trial, under each load."""
    given: list[list[list[float]]] = [[] for _ in TRIALS]
    numbers = count()
    with (
        tempfile.TemporaryDirectory(prefix="elevator-") as folder,
        LoadProcesses(max(load.clients for load in LOADS)) as processes,
    ):
        for _ in range(rounds):
            for rates_of_trial, trial in zip(given, TRIALS, strict=True):
                rates_of_trial.append(rates(trial, processes, folder, seconds, numbers))
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

A sync call over ZeroMQ changes threads four times: from the program to its I/O thread, and on the other side back, for each of the two messages. What that
costs depends on where the threads run. A thread that is woken on its own core runs within microseconds; to wake a core that sleeps takes 20 to 50 of them on a
virtual machine. So a machine where something else is busy is often *faster* here than an idle one, and a ratio to the bare echo says little without the load
beside it.

Each trial below is a minimal ROUTER server and its clients in processes of their own, with messages as long as a Get's (`benchmarks/handover.py`): round trips
per second of all clients together, and in brackets the ratio to the first line under the same load. "Direct" is ZMTP 3 on a socket of its own, without libzmq
(`benchmarks/zmtp.py`): blocking in a client, epoll in a server."""
