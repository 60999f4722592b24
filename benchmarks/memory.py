"""How much memory a long RangeIter takes, on both sides."""

import json
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final

from attrs import frozen

from pyelevator.loadtest.workloads import connect
from pyelevator.testing.servers import ServerProcess

_EVERY: Final = 0.01

CLIENT: Final = """
import json, resource, sys
from pyelevator import Elevator
with Elevator(sys.argv[2], endpoint=sys.argv[1], encoding=None, timeout=120) as E:
    E.Slice(None, 100)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    count = sum(1 for _ in E.RangeIter())
    print(json.dumps([count, (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) * 1024]))
"""


@frozen
class Growth:
    """By how much peak memory grew while one client iterated, in bytes.

    Attributes:
        pairs: how many there were.
        client: resident memory of the client.
        server: memory of the server that is its own.
        mapped: of the table files that LevelDB maps, as far as the system kept them; it takes them back at will.
    """

    pairs: int
    client: int
    server: int
    mapped: int


def range_iter_growth(path: Path) -> Growth:
    """A client in a fresh process iterates over the LevelDB at ``path``, which a fresh server serves."""
    with tempfile.TemporaryDirectory(prefix="elevator-bench-") as folder, ServerProcess(data=folder) as server:
        address = server.urls[0].partition("://")[2]
        with connect(server.urls[0], "default") as client:
            client.createdb(str(path))
            client.connect(str(path))
            client.Slice(None, 100)
        before = resident(server.pid, "RssAnon"), resident(server.pid, "RssFile")
        with peak(server.pid, "RssAnon") as own, peak(server.pid, "RssFile") as mapped:
            command = [sys.executable, "-c", CLIENT, address, str(path)]
            ran = subprocess.run(command, capture_output=True, check=True, text=True)
        pairs, grown = json.loads(ran.stdout)
        return Growth(pairs, grown, max(own) - before[0], max(mapped) - before[1])


def resident(pid: int, what: str) -> int:
    """Bytes of one line of a process' status: VmRSS, RssAnon (its own), RssFile (files that it maps)..."""
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith(f"{what}:"):
            return int(line.split()[1]) * 1024
    raise LookupError(what)


@contextmanager
def peak(pid: int, what: str, every: float = _EVERY) -> Iterator[list[int]]:
    """The samples that were taken during the block, every so many seconds."""
    samples: list[int] = [resident(pid, what)]
    done = threading.Event()

    def sample() -> None:
        with suppress(LookupError, FileNotFoundError):  # the process has ended
            while not done.wait(every):
                samples.append(resident(pid, what))

    thread = threading.Thread(target=sample)
    thread.start()
    try:
        yield samples
    finally:
        done.set()
        thread.join()
