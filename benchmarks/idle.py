"""What a server burns that has nothing to do, or little: processor time of the process, idle and under a trickle."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from benchmarks.bed import Bed, cpu_seconds
from benchmarks.handover import REQUEST, Trial, served
from benchmarks.measure import table
from benchmarks.peers import dealer
from benchmarks.waits import WAITS
from pyelevator.loadtest.workloads import connect
from pyelevator.testing.servers import ServerProcess

_PAUSE: Final = 0.001


@contextmanager
def elevator() -> Iterator[tuple[int, Callable[[], object]]]:
    """`elevator serve`: its process id, and one request to it."""
    with ServerProcess() as server, connect(server.urls[0], "default") as client:
        client.Put("key", "value")
        yield server.pid, lambda: client.Get("key")


@contextmanager
def minimal(waits: str) -> Iterator[tuple[int, Callable[[], object]]]:
    """The server of the trials about the hand-over: the same."""

    def ask() -> None:
        socket.send_multipart(REQUEST)
        socket.recv_multipart()

    with served(Trial(waits, "blocks", ""), "tcp://127.0.0.1:*") as (url, pid), dealer(url) as socket:
        ask()
        yield pid, ask


def share(pid: int, seconds: float, work: Callable[[], object]) -> float:
    """Percent of one core that the process takes while ``work`` is called again and again."""
    begin, before = time.perf_counter(), cpu_seconds(pid)
    while time.perf_counter() - begin < seconds:
        work()
    return (cpu_seconds(pid) - before) / (time.perf_counter() - begin) * 100


def section(bed: Bed, _folder: Path) -> str:
    """The table for docs/benchmarks.md."""
    seconds = max(1.0, bed.plan.seconds * 3)
    sides = {"`elevator serve`": elevator} | {
        f"minimal server that {waits.replace('blocks', 'only blocks')}": lambda waits=waits: minimal(waits)
        for waits in WAITS
    }
    rows = []
    for name, side in sides.items():
        with side() as (pid, ask):
            idle = share(pid, seconds, lambda: time.sleep(0.1))
            trickle = share(pid, seconds, lambda: (time.sleep(_PAUSE), ask()))
        rows.append((name, f"{idle:.2f} %", f"{trickle:.1f} %"))
    headings = ("server", "idle", "one request each ms")
    return f"{_INTRODUCTION.format(seconds)}\n\n{table(headings, rows)}\n"


_INTRODUCTION: Final = """## What an idle server burns

Processor time of the server's process, in percent of one core, over {:g} s each."""
