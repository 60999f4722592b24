"""`python -m benchmarks.dumps [PAIRS]`: `elevator dump` and `elevator load` beside RangeIter and batches, and the memory of both sides.

All four are programs of their own, so the start of the interpreter counts on every side. The server is a process with
default settings, a new one for each of the four; the directory is a new one in each round. Pairs have keys of 16 and values of 64 bytes.
"""

import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from benchmarks.memory import peak, resident
from benchmarks.report import machine
from pyelevator.loadtest.workloads import connect, pairs
from pyelevator.testing.servers import ServerProcess

ROUNDS: Final = int(os.environ.get("ROUNDS", "5"))
PAIRS: Final = 2_000_000
_VALUE_BYTES: Final = 64
_CHUNK: Final = 100_000
_MEBI: Final = 1 << 20

ITERATING: Final = """
import sys
from pyelevator import Elevator
with Elevator.from_url(sys.argv[-1], encoding=None, timeout=120, auto_connect=False) as E:
    E.connect("filled")
    print(sum(1 for _ in E.RangeIter()))
"""

BATCHES: Final = """
import sys
from pyelevator import Elevator
from pyelevator.loadtest.workloads import pairs
with Elevator.from_url(sys.argv[-1], encoding=None, timeout=120, auto_connect=False) as E:
    E.createdb("batches")
    E.connect("batches")
    for first in range(0, int(sys.argv[1]), 10_000):
        with E.WriteBatch() as batch:
            for key, value in pairs(first, 10_000, 64):
                batch.Put(key, value)
"""


def run(server: ServerProcess, command: Sequence[str]) -> tuple[float, float, float]:
    """Return seconds, and by how many MiB the program and the server's own memory grew at their peaks."""
    before = resident(server.pid, "RssAnon")
    with peak(server.pid, "RssAnon") as samples:
        begin = time.monotonic()
        with subprocess.Popen(command, stdout=subprocess.DEVNULL) as program, peak(program.pid, "RssAnon") as own:
            program.wait()
        seconds = time.monotonic() - begin
    if program.returncode:
        raise RuntimeError(f"{command} ended with {program.returncode}")
    return seconds, max(own) / _MEBI, (max(samples) - before) / _MEBI


def one_round(count: int) -> dict[str, tuple[float, float, float]]:
    """Return what :func:`run` does, of each of the four."""
    with tempfile.TemporaryDirectory(prefix="elevator-bench-") as folder:
        file = str(Path(folder, "filled.dump"))
        with ServerProcess(data=folder) as server:
            fill(server.urls[0], count)
        works: dict[str, tuple[str, ...]] = {
            "RangeIter": ("-c", ITERATING),
            "dump": ("-m", "pyelevator", "dump", "filled", "--output", file, "--quiet", "--url"),
            "batches": ("-c", BATCHES, str(count)),
            "load": ("-m", "pyelevator", "load", file, "--to-db", "loaded", "--quiet", "--url"),
        }
        return {work: run_on_a_new_server(folder, command) for work, command in works.items()}


def run_on_a_new_server(folder: str, command: Sequence[str]) -> tuple[float, float, float]:
    """Return what :func:`run` does, beside a server that has done nothing else."""
    with ServerProcess(data=folder) as server:
        return run(server, (sys.executable, *command, server.urls[0]))


def fill(url: str, count: int) -> None:
    """Create the database that is read, and write what the buffers hold to tables."""
    with connect(url, "default") as client:
        client.createdb("filled")
        client.connect("filled")
        for first in range(0, count, _CHUNK):
            with client.WriteBatch() as batch:
                for key, value in pairs(first, _CHUNK, _VALUE_BYTES):
                    batch.Put(key, value)
        client.compact()


def main() -> None:
    count = int(sys.argv[1]) if len(sys.argv) > 1 else PAIRS
    rounds = []
    for number in range(ROUNDS):
        rounds.append(one_round(count))
        shown = {work: f"{seconds:.1f} s" for work, (seconds, *_) in rounds[-1].items()}
        print(f"round {number}: {shown}", file=sys.stderr, flush=True)
    print(f"{count:,} pairs of 16 and {_VALUE_BYTES} bytes, {ROUNDS} rounds, on {machine()}\n")
    for work, beside in (("dump", "RangeIter"), ("load", "batches")):
        ratios = [found[beside][0] / found[work][0] for found in rounds]
        seconds, program, server = (statistics.median(found[work][part] for found in rounds) for part in range(3))
        print(
            f"{work}: {count / seconds:,.0f}/s, {statistics.median(ratios):.2f} ({min(ratios):.2f} to {max(ratios):.2f}) "
            f"of {beside}; the program has {program:.0f} MiB of its own at its peak, the server {server:.0f} more"
        )


if __name__ == "__main__":
    main()
