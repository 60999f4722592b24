"""`python -m benchmarks.counting [ROUNDS]`: what STATS costs a Get of the server, in instructions and in processor time.

Two server processes, one with what counts and one without, answer 1,024 Gets of a client over TCP each, in turn.
Without is made of the same source, by taking out what counts: verbs, bytes, the time at which a request was read, and
what is done when something is due. Instructions are callgrind's (Debian: valgrind), under which everything takes much
longer, and so the times from which on something is slow, or measured again, are longer as well: as if a Get took
``GET_SECONDS``. The clock is that of the thread's processor time then, which other programs do not disturb, and there
is no busy polling, whose looks they would make more or fewer.
"""

import gc
import inspect
import os
import re
import statistics
import subprocess
import sys
import tempfile
import textwrap
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import closing
from pathlib import Path
from queue import SimpleQueue
from typing import Any, Final

from pyelevator import Elevator
from pyelevator.application import Application
from pyelevator.native import native_messages
from pyelevator.server import Server, observer
from pyelevator.server.responder import Responder
from pyelevator.testing.servers import ANY_PORT
from pyelevator.transports.polling import busy_poll
from pyelevator.transports.sockets.listener.peer import PeerConnection

GETS: Final = int(os.environ.get("GETS", "1024"))
WARM_UP: Final = 64
GET_SECONDS: Final = 0.0001

COUNTING: Final[Mapping[tuple[type, str], Mapping[str, str]]] = {
    (Server, "_loop"): {
        r"ended = now": "pass",
        r"started = max\(.*\)": "pass",
        r"self\._observe\(.*\)": "pass",
        r" or now - started >= slow": "",
    },
    (Server, "_next_due"): {r"min\(.*, self\._maintenance\.due_at\)": "self._maintenance.due_at"},
    (Responder, "try_respond"): {r"self\._answered\.append\(.*\)": "pass"},
    (PeerConnection, "_read"): {
        r"counter = self\._counter": "pass",
        r"counter\.received \+= len\(data\)": "pass",
        r"counter\.read_at = monotonic\(\)": "pass",
    },
    (PeerConnection, "_receive_short"): {r", self\._counter": ""},
    (PeerConnection, "_send_short"): {r", self\._counter": ""},
}
"""Methods -> what counts in them, and what is there without."""


def without(owner: type, name: str, changes: Mapping[str, str]) -> Callable[..., Any]:
    """Return a method without what counts in it."""
    source = textwrap.dedent(inspect.getsource(getattr(owner, name)))
    for pattern, replacement in changes.items():
        source, times = re.subn(pattern, replacement, source)
        if times != 1:
            raise RuntimeError(f"{owner.__name__}.{name} has {times} times {pattern!r}")
    found: dict[str, Any] = {}
    exec(source, vars(sys.modules[owner.__module__]), found)
    made: Callable[..., Any] = found[name]
    return made


def serve(side: str, clock: str) -> None:
    """Serve with or without what counts; each line of the standard input says by how much all is slower from now on."""
    if clock != "monotonic":
        for kind in (Server, PeerConnection):
            vars(sys.modules[kind.__module__])["monotonic"] = getattr(time, clock)
        busy_poll.MOMENT = 0.0  # type: ignore[misc]
    slow, interval = observer.SLOW, observer._SAMPLING_INTERVAL
    observer._ALL = 0  # type: ignore[misc]
    for (owner, name), changes in COUNTING.items() if side == "without" else ():
        setattr(owner, name, without(owner, name, changes))
    server, wanted = Server(Application.in_memory(), [ANY_PORT]), SimpleQueue[str]()
    threading.Thread(target=read_factors, args=(server, wanted), daemon=True).start()
    gc.freeze()
    print(server.urls[0], flush=True)
    while True:
        factor = float(wanted.get())
        observer._SAMPLING_INTERVAL = interval * factor  # type: ignore[misc]
        server._observer.threshold = slow * factor
        server._is_stopping = False
        print("ready", flush=True)
        server._loop()


def read_factors(server: Server, wanted: "SimpleQueue[str]") -> None:
    """Let the server's loop end, and begin again with another factor."""
    for line in sys.stdin:
        wanted.put(line)
        server.stop()


class Side:
    """A server in a process of its own, and its client.

    Args:
        command: under which it runs; empty for none.
        side: ``with`` or ``without``.
        used: returns what a process has used since its last call.
    """

    def __init__(self, command: Sequence[str], side: str, used: Callable[[int], int]) -> None:
        clock = "thread_time" if command else "monotonic"
        arguments = [*command, sys.executable, "-m", "benchmarks.counting", "--serve", side, clock]
        self.process = subprocess.Popen(
            arguments,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
            env={**os.environ, "PYTHONHASHSEED": "0"},
        )
        self._used, self._factor = used, 1000.0 if command else 1.0
        self._is_slower = bool(command)
        self._client: Elevator[str] | None = None

    def connect(self) -> None:
        """Connect the client, and write what is read."""
        url = self.process.stdout.readline().strip()  # type: ignore[union-attr]
        self._start()
        self._client = Elevator.from_url(url, timeout=60)
        self._client.Put("k", "v" * 100)

    def _start(self) -> None:
        self.process.stdin.write(f"{self._factor}\n")  # type: ignore[union-attr]
        self.process.stdin.flush()  # type: ignore[union-attr]
        self.process.stdout.readline()  # type: ignore[union-attr]

    def measure(self) -> float:
        """Return what a Get takes."""
        self._start()
        self._gets(WARM_UP)
        self._used(self.process.pid)
        begin = nanoseconds(self.process.pid)
        self._gets(GETS)
        if self._is_slower:
            self._factor = (nanoseconds(self.process.pid) - begin) / GETS / GET_SECONDS / 1e9
        return self._used(self.process.pid) / GETS

    def _gets(self, count: int) -> None:
        for _ in range(count):
            self._client.Get("k")  # type: ignore[union-attr]

    def close(self) -> None:
        """End the server."""
        self.process.kill()
        self.process.communicate()


def instructions(pid: int, folder: Path) -> int:
    """Return how many instructions callgrind has counted since the last call."""
    subprocess.run(["callgrind_control", "--dump", str(pid)], check=True, capture_output=True)
    latest = max(folder.glob(f"out.{pid}.*"), key=lambda path: int(path.suffix[1:]))
    return int(re.search(r"^totals: (\d+)", latest.read_text(), re.MULTILINE)[1])  # type: ignore[index]


def nanoseconds(pid: int) -> int:
    """Return the processor time of a process."""
    return sum(int(path.read_text().split()[0]) for path in Path(f"/proc/{pid}/task").glob("*/schedstat"))


def measure(command: Sequence[str], rounds: int, used: Callable[[int], int]) -> list[tuple[float, float]]:
    """Return what a Get takes with and without, for each round."""
    counting, plain = (Side(command, side, used) for side in ("with", "without"))
    with closing(counting), closing(plain):
        found = []
        for side in (counting, plain):
            side.connect()
        for number in range(rounds + 1):
            costs = {side: side.measure() for side in (counting, plain)[:: 1 if number % 2 else -1]}
            found.append((costs[counting], costs[plain]))
    return found[1:]


def main(rounds: int) -> None:
    """Measure, and print both."""
    extension = "with" if native_messages() else "without"
    with tempfile.TemporaryDirectory(prefix="elevator-bench-") as folder:
        valgrind = ["valgrind", "--tool=callgrind", f"--callgrind-out-file={folder}/out.%p"]
        counted = measure(valgrind, rounds, lambda pid: instructions(pid, Path(folder)))
    since: dict[int, int] = {}

    def spent(pid: int) -> int:
        now = nanoseconds(pid)
        before, since[pid] = since.get(pid, now), now
        return now - before

    timed = measure([], 40 * rounds, spent)
    for unit, pairs in (("instructions", counted), ("ns of processor time", timed)):
        ratios = [a / b - 1 for a, b in pairs]
        both = [statistics.median(side) for side in zip(*pairs, strict=True)]
        print(
            f"{extension} the extension: {both[0]:,.0f} {unit} with, {both[1]:,.0f} without: {statistics.median(ratios):+.2%} ({min(ratios):+.2%} to {max(ratios):+.2%})"
        )


if __name__ == "__main__":
    serve(*sys.argv[2:]) if sys.argv[1:2] == ["--serve"] else main(int(sys.argv[1]) if sys.argv[1:] else 5)
