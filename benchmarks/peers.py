"""What we measure ourselves against: a bare pyzmq echo and redis-server as processes, and the clients of both."""

import multiprocessing
import os
import shutil
import socket as sockets
import subprocess
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from itertools import cycle
from multiprocessing.connection import Connection
from typing import Any, Final

import zmq

from pyelevator.loadtest.processes import Workload
from pyelevator.loadtest.workloads import random_keys, value

SPAWN = multiprocessing.get_context("spawn")
_MIX: Final = 5


def echo_server(ready: Connection, reply: Sequence[bytes]) -> None:
    """A ROUTER that answers every request with the same frames."""
    socket = zmq.Context.instance().socket(zmq.ROUTER)
    ready.send(socket.bind_to_random_port("tcp://127.0.0.1"))
    while True:
        identity, _request = socket.recv_multipart()
        socket.send_multipart([identity, *reply])


@contextmanager
def echo_process(reply: Sequence[bytes]) -> Iterator[str]:
    """The URL of an echo server in a process of its own."""
    here, there = SPAWN.Pipe()
    process = SPAWN.Process(target=echo_server, args=(there, reply), daemon=True)
    process.start()
    try:
        yield f"tcp://127.0.0.1:{here.recv()}"
    finally:
        process.kill()
        process.join()


@contextmanager
def dealer(url: str) -> Iterator["zmq.Socket[bytes]"]:
    """A DEALER socket with nothing around it."""
    socket = zmq.Context.instance().socket(zmq.DEALER)
    socket.set(zmq.LINGER, 0)
    socket.connect(url)
    try:
        yield socket
    finally:
        socket.close()


@contextmanager
def echo_workload(url: str, frames: Sequence[bytes]) -> Iterator[Workload]:
    """The round trips of one process of a processes (a processes.OpenWorkload)."""
    with dealer(url) as socket:
        yield _echoes(socket, frames)


def _echoes(socket: "zmq.Socket[bytes]", frames: Sequence[bytes]) -> Workload:
    while True:
        socket.send_multipart(frames)
        socket.recv_multipart()
        yield 1


def why_no_redis() -> str:
    """What is missing for a comparison with redis; empty if nothing is."""
    try:
        import hiredis  # noqa: F401
        import redis  # noqa: F401
    except ImportError:
        return "redis-py with hiredis is not installed (the extra `bench`)"
    return "" if shutil.which("redis-server") else "redis-server is not installed (`apt-get install redis-server`)"


@contextmanager
def redis_process() -> Iterator[tuple[int, int]]:
    """The port and the process id of a redis-server without persistence, on loopback."""
    with tempfile.TemporaryDirectory(prefix="elevator-bench-redis-") as folder, sockets.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
        free.close()
        options = {"port": port, "bind": "127.0.0.1", "save": "", "appendonly": "no", "dir": folder}
        words = [word for name, setting in options.items() for word in (f"--{name}", str(setting))]
        with subprocess.Popen(["redis-server", *words], stdout=subprocess.PIPE, text=True) as process:
            try:
                if not any("Ready to accept connections" in line for line in process.stdout or ()):
                    raise RuntimeError("redis-server did not come up")
                yield port, process.pid
            finally:
                process.kill()


def redis_client(port: int) -> Any:
    """redis-py as its documentation shows it; replies are bytes."""
    import redis

    return redis.Redis(host="127.0.0.1", port=port)


@contextmanager
def redis_mixed_workload(port: int, among: int) -> Iterator[Workload]:
    """The same mix as workloads.mixed_workload, on redis (a processes.OpenWorkload)."""
    client = redis_client(port)
    try:
        yield _mixed(client, random_keys(among, 10_000, seed=os.getpid()))
    finally:
        client.close()


def _mixed(client: Any, keys: Sequence[bytes]) -> Workload:
    for turn, some in enumerate(cycle(keys)):
        if turn % _MIX:
            client.get(some)
        else:
            client.set(some, value(turn))
        yield 1
