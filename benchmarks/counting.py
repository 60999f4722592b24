"""`python -m benchmarks.counting [ROUNDS]`: what STATS costs a Get of the server, in instructions and in processor time.

One server process answers 1,024 Gets of a client over TCP with its counting and without, in turn. Without is made of
the same source, by taking out what counts: verbs, bytes, and the second look at the clock, with what is done when
something is due. Instructions are callgrind's (Debian: valgrind), under which everything takes much longer, and so the
times from which on something is slow, or measured again, are longer as well: as if a Get took ``GET_SECONDS``. The
clock is that of the thread's processor time then, which other programs do not disturb.
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
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from queue import SimpleQueue
from typing import Any, Final

from pyelevator import Elevator
from pyelevator.application import Application
from pyelevator.native import native_messages
from pyelevator.server import Server, observer
from pyelevator.server.responder import Responder
from pyelevator.testing.servers import ANY_PORT
from pyelevator.transports.sockets.listener.peer import PeerConnection

GETS: Final = int(os.environ.get("GETS", "1024"))
WARM_UP: Final = 64
GET_SECONDS: Final = 0.0001

COUNTING: Final[Mapping[tuple[type, str], Mapping[str, str]]] = {
    (Server, "_loop"): {
        r"started = monotonic\(\)": "pass",
        r"self\._observe\(.*\)": "pass",
        r" or now - started >= slow": "",
    },
    (Server, "_next_due"): {r"min\(.*, self\._maintenance\.due_at\)": "self._maintenance.due_at"},
    (Responder, "try_respond"): {r"self\._answered\.append\(.*\)": "pass"},
    (PeerConnection, "_read"): {r"self\._counter\.received \+= len\(data\)": "pass"},
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


def serve(clock: str) -> None:
    """Serve, and change sides with each line of the standard input: a side, and by how much all is slower."""
    vars(sys.modules[Server.__module__])["monotonic"] = getattr(time, clock)
    slow, interval = observer.SLOW, observer._SAMPLING_INTERVAL
    observer._ALL = 0  # type: ignore[misc]
    methods = {place: getattr(*place) for place in COUNTING}
    sides = {"with": methods, "without": {place: without(*place, COUNTING[place]) for place in COUNTING}}
    server, wanted = Server(Application.in_memory(), [ANY_PORT]), SimpleQueue[str]()
    threading.Thread(target=read_sides, args=(server, wanted), daemon=True).start()
    gc.freeze()
    print(server.urls[0], flush=True)
    while True:
        side, factor = wanted.get().split()
        observer._SAMPLING_INTERVAL = interval * float(factor)  # type: ignore[misc]
        server._observer.threshold = slow * float(factor)
        for (owner, name), method in sides[side].items():
            setattr(owner, name, method)
        server._is_stopping = False
        print(side, flush=True)
        server._loop()


def read_sides(server: Server, wanted: "SimpleQueue[str]") -> None:
    """Let the server's loop end, and begin again on another side."""
    for line in sys.stdin:
        wanted.put(line.strip())
        server.stop()


@contextmanager
def serving(command: Sequence[str]) -> Iterator["subprocess.Popen[str]"]:
    """Run the server in a process of its own."""
    command = [
        *command,
        sys.executable,
        "-m",
        "benchmarks.counting",
        "--serve",
        "thread_time" if command else "monotonic",
    ]
    environment, pipe = {**os.environ, "PYTHONHASHSEED": "0"}, subprocess.PIPE
    with subprocess.Popen(
        command, stdin=pipe, stdout=pipe, stderr=subprocess.DEVNULL, text=True, env=environment
    ) as server:
        try:
            yield server
        finally:
            server.kill()


def instructions(pid: int, folder: Path) -> int:
    """Return how many instructions callgrind has counted since the last call."""
    subprocess.run(["callgrind_control", "--dump", str(pid)], check=True, capture_output=True)
    latest = max(folder.glob("out.*"), key=lambda path: int(path.suffix[1:]))
    return int(re.search(r"^totals: (\d+)", latest.read_text(), re.MULTILINE)[1])  # type: ignore[index]


def nanoseconds(pid: int) -> int:
    """Return the processor time of a process."""
    return sum(int(path.read_text().split()[0]) for path in Path(f"/proc/{pid}/task").glob("*/schedstat"))


def measure(command: Sequence[str], rounds: int, used: Callable[[int], int]) -> list[tuple[float, float]]:
    """Return what a Get takes with and without, for each round; ``used`` returns what was used since its last call."""
    found = []
    with (
        serving(command) as server,
        Elevator.from_url(server.stdout.readline().strip(), timeout=60, auto_connect=False) as client,
    ):
        costs, factor = {}, 1000.0
        for number in range(rounds + 1):
            for side in ("with", "without")[:: 1 if number % 2 else -1]:
                server.stdin.write(f"{side} {factor if command else 1}\n")
                server.stdin.flush()
                server.stdout.readline()
                if not number:
                    client.connect()
                    client.Put("k", "v" * 100)
                gets(client, WARM_UP)
                used(server.pid)
                begin = nanoseconds(server.pid)
                gets(client, GETS)
                factor = (nanoseconds(server.pid) - begin) / GETS / GET_SECONDS / 1e9
                costs[side] = used(server.pid) / GETS
            found.append((costs["with"], costs["without"]))
    return found[1:]


def gets(client: Elevator, count: int) -> None:
    """Do what is measured."""
    for _ in range(count):
        client.Get("k")


def main(rounds: int) -> None:
    """Measure, and print both."""
    extension = "with" if native_messages() else "without"
    with tempfile.TemporaryDirectory(prefix="elevator-bench-") as folder:
        valgrind = ["valgrind", "--tool=callgrind", f"--callgrind-out-file={folder}/out"]
        counted = measure(valgrind, rounds, lambda pid: instructions(pid, Path(folder)))
    since = {}

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
    serve(sys.argv[2]) if sys.argv[1:2] == ["--serve"] else main(int(sys.argv[1]) if sys.argv[1:] else 5)
