"""What a write asks of the disk: the calls of fdatasync(2) and fsync(2), counted from outside with strace."""

import shutil
import subprocess
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Final, TypeAlias

from pyelevator import Elevator
from pyelevator.testing.servers import ServerProcess
from torture.report import Findings, count

COLUMNS: Final = ("writes, one after the other", "acknowledged", "syncs meanwhile")
WAIT: Final = 20.0

Kinds: TypeAlias = Mapping[str, Callable[[Elevator[str], int], None]]

PLAIN: Final[Kinds] = {
    "Put": lambda client, i: client.Put(f"{i}", "v"),
    "Put, sync=True": lambda client, i: client.Put(f"{i}", "v", sync=True),
    "Delete, sync=True": lambda client, i: client.Delete(f"{i}", sync=True),
    "WriteBatch, sync=True": lambda client, i: batch(client, i, sync=True),
}
SYNCED: Final[Kinds] = {
    "Put, --sync": lambda client, i: client.Put(f"{i}", "v"),
    "WriteBatch, --sync": lambda client, i: batch(client, i, sync=False),
}


def batch(client: Elevator[str], number: int, *, sync: bool) -> None:
    """Writes two pairs."""
    writes = client.WriteBatch()
    writes.Put(f"{number}a", "v")
    writes.Put(f"{number}b", "v")
    writes.Write(sync=sync)


class Trace:
    """strace at a process, until it is closed."""

    def __init__(self, pid: int, file: Path) -> None:
        self._file = file
        command = ["strace", "-f", "-qq", "-e", "trace=fdatasync,fsync", "-o", str(file), "-p", str(pid)]
        self._process = subprocess.Popen(command, stderr=subprocess.DEVNULL)
        self._await(lambda: file.exists() and _traced(pid))

    def _await(self, condition: Callable[[], bool]) -> None:
        end = time.monotonic() + WAIT
        while not condition() and self._process.poll() is None and time.monotonic() < end:
            time.sleep(0.01)

    def count(self) -> int:
        """The calls so far that have succeeded."""
        time.sleep(0.2)  # strace writes behind
        return self._file.read_text().count("= 0")

    def close(self) -> None:
        """Leaves the process alone."""
        self._process.terminate()
        self._process.wait(WAIT)


def _traced(pid: int) -> bool:
    """Whether every thread of the process has a tracer (proc(5), TracerPid)."""
    with suppress(FileNotFoundError):
        return all("TracerPid:\t0" not in file.read_text() for file in Path(f"/proc/{pid}/task").glob("*/status"))
    return False


def available() -> bool:
    """Whether this machine has strace, and this user may use it."""
    if shutil.which("strace") is None:
        return False
    tried = subprocess.run(["strace", "-qq", "-e", "trace=none", "true"], check=False, capture_output=True)
    return tried.returncode == 0


def attempt(folder: Path, args: list[str], kinds: Kinds, writes: int) -> dict[str, int]:
    """The syncs that so many writes of each kind take."""
    counted = {}
    with ServerProcess(folder / "data", args=args) as server:
        with Elevator(endpoint=server.urls[0].partition("://")[2], timeout=WAIT) as client:
            trace = Trace(server.pid, folder / "trace")
            for what, write in kinds.items():
                before = trace.count()
                for number in range(writes):
                    write(client, number)
                counted[what] = trace.count() - before
            trace.close()
    return counted


def run(folder: Path, *, writes: int) -> Findings:
    """Counts, or says that it could not.

    Args:
        folder: for the data; empty.
        writes: of each kind.
    """
    counted: dict[str, int] = {}
    if available():
        for name, args, kinds in (("plain", [], PLAIN), ("synced", ["--sync"], SYNCED)):
            (folder / name).mkdir()
            counted |= attempt(folder / name, args, kinds, writes)
    wrong = [
        f"{what}: {syncs} syncs for {writes} writes"
        for what, syncs in counted.items()
        if syncs < writes and "sync" in what
    ]
    return Findings(
        "What is synced",
        "One client writes, one write after the other, and strace counts the calls of fdatasync and fsync of the server that "
        "succeeded. Each write that is to survive the machine must have had one of its own before its answer came."
        if counted
        else "Not done in this run: strace is not installed, or not allowed.",
        {what: (count(writes), count(syncs)) for what, syncs in counted.items()},
        wrong,
        COLUMNS,
    )
