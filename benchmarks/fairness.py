"""`python -m benchmarks.fairness`: how long a GET takes beside requests that are slow, each kind without end.

Not a part of `make bench`; its figures stand in docs/decisions.md. The slow client only sends frames and throws the
answers away, so that it takes as little of the machine as can be.
"""

import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, Final

import zmq

from benchmarks.peers import SPAWN
from pyelevator import Elevator
from pyelevator.codec import ClassicCodec
from pyelevator.commands import PUT, Batch, Command, DbRepair, MGet, Put, Range
from pyelevator.messages import Request
from pyelevator.testing.servers import ServerProcess

PAIRS: Final = 100_000
SECONDS: Final = 6.0


def key(number: int) -> bytes:
    return b"%016d" % number


SLOW: Final[Mapping[str, Callable[[], Command[Any] | None]]] = {
    "nothing": lambda: None,
    "full scans of 100,000 pairs": Range,
    "MGET of 10,000 keys": lambda: MGet([key(number) for number in range(0, PAIRS, 10)]),
    "batches of 10,000 puts": lambda: Batch([(PUT, key(number), b"v" * 100) for number in range(10_000)]),
    "batches of 500,000 puts": lambda: Batch([(PUT, key(number % PAIRS), b"v" * 100) for number in range(500_000)]),
    "puts of 16 MB": lambda: Put("large", b"v" * (16 << 20)),
    "repairs of another database": DbRepair,
}
"""What goes on beside the GETs."""


def keep_asking(url: str, frames: list[bytes]) -> None:
    """One slow request after the other, for ever."""
    socket = zmq.Context.instance().socket(zmq.DEALER)
    socket.connect(url)
    while True:
        socket.send_multipart(frames)
        socket.recv_multipart(copy=False)


@contextmanager
def beside(server: ServerProcess, command: Command[Any] | None, clients: int = 1) -> Iterator[None]:
    """A process that keeps asking for the command, for as long as the block."""
    with Elevator.from_url(server.urls[0]) as client:
        if isinstance(command, DbRepair):
            client.connect("other")
        uid = client.db_uid
    frames = [] if command is None else ClassicCodec().encode_request(Request(command, uid, 1))
    processes = [SPAWN.Process(target=keep_asking, args=(server.urls[0], frames), daemon=True) for _ in range(clients)]
    for process in processes if command else []:
        process.start()
    try:
        yield
    finally:
        for process in processes if command else []:
            process.kill()
            process.join()


def latencies(client: Elevator[bytes], seconds: float) -> list[float]:
    """Microseconds of each of as many GETs as fit into the time, sorted."""
    taken = []
    end = time.perf_counter() + seconds
    while (start := time.perf_counter()) < end:
        client.Get(key(len(taken) * 7919 % PAIRS))
        taken.append((time.perf_counter() - start) * 1e6)
    return sorted(taken)


def row(name: str, taken: list[float]) -> str:
    p50, p99 = statistics.median(taken), taken[len(taken) * 99 // 100]
    return f"| {name} | {p50:,.0f} | {p99:,.0f} | {taken[-1]:,.0f} | {len(taken):,} |"


def main(chosen: str = "") -> None:
    with tempfile.TemporaryDirectory(prefix="elevator-bench-") as folder, ServerProcess(data=folder) as server:
        with Elevator(endpoint=server.urls[0].partition("://")[2], encoding=None, timeout=60) as client:
            client.createdb("other")
            for name in ("other", "default"):
                client.connect(name)
                with client.WriteBatch(timeout=60) as batch:
                    for number in range(PAIRS):
                        batch.Put(key(number), b"v" * 100)
            latencies(client, 0.5)
            print("| beside | p50 µs | p99 µs | largest | GETs |\n|---|---|---|---|---|")
            for name, command in SLOW.items():
                if chosen in name or name == "nothing":
                    with beside(server, command()):
                        latencies(client, 1.5 if command() else 0.1)
                        print(row(name, latencies(client, SECONDS)), flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
