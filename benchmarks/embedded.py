"""`python -m benchmarks.embedded`: a scan of 100,000 pairs beside a thread of the same program that never waits.

Not a part of `make bench`; its figures stand in docs/howto/embedded.md. They mean something only on a machine with two
processors that have nothing else to do.
"""

import random
import statistics
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any, Final

from benchmarks.measure import table
from pyelevator import Elevator
from pyelevator.application import Application
from pyelevator.commands import PUT
from pyelevator.engines.base import Bounds, Engine
from pyelevator.engines.leveldb import LevelDbStorage
from pyelevator.testing.servers import ServerProcess
from pyelevator.transports import FakeTransport

PAIRS: Final = 100_000
ROUNDS: Final = 3
OPTIONS: Final[Mapping[str, Mapping[str, Any]]] = {
    "the engine": {},
    "the engine, `lru_cache_size` 64 MiB": {"lru_cache_size": 64 << 20},
    "the engine, `block_size` 64 KiB": {"block_size": 1 << 16},
}


def key(number: int) -> bytes:
    """The key with this number; in order."""
    return b"%08d" % number


def fill(path: Path, options: Mapping[str, Any]) -> None:
    """Writes the pairs, with values of 100 random bytes."""
    values = random.Random(1)
    with LevelDbStorage().open(str(path), options) as engine:
        for first in range(0, PAIRS, 10_000):
            engine.write([(PUT, key(i), values.randbytes(100)) for i in range(first, first + 10_000)])
        engine.compact()


def scan(engine: Engine) -> int:
    """Reads all of it as the server does, and counts the rows."""
    count = 0
    with engine.chunks(Bounds()) as chunks:
        while rows := chunks.read(256, 256 << 10)[0]:
            count += len(rows)
    return count


@contextmanager
def busy() -> Iterator[None]:
    """A thread computes meanwhile."""
    ending = threading.Event()

    def compute() -> None:
        while not ending.is_set():
            sum(range(100))

    thread = threading.Thread(target=compute)
    thread.start()
    yield
    ending.set()
    thread.join()


def ways(folder: Path, stack: ExitStack) -> Iterator[tuple[str, Callable[[], int]]]:
    """What is measured, each with its name; all of them read every pair."""
    for name, options in OPTIONS.items():
        path = folder / "-".join(["engine", *options])
        fill(path, options)
        engine = stack.enter_context(LevelDbStorage().open(str(path), options))
        yield name, lambda engine=engine: scan(engine)  # type: ignore[misc]
    for server in ("embedded", "own"):
        fill(folder / server / "default", {})
    embedded = Elevator(transport=FakeTransport(Application.on_leveldb(str(folder / "embedded"))), timeout=600)
    yield "`Range` of an embedded server (`FakeTransport`)", lambda: len(stack.enter_context(embedded).Range())
    path = folder / "socket"
    stack.enter_context(ServerProcess(folder / "own", binds=[f"ipc://{path}"]))
    client = stack.enter_context(Elevator(transport="ipc", endpoint=str(path), timeout=600))
    yield "`Range` of a server in a process of its own, over ipc", lambda: len(client.Range())


def seconds(read: Callable[[], int]) -> float:
    """How long it takes."""
    start = time.perf_counter()
    assert read() == PAIRS
    return time.perf_counter() - start


def main() -> None:
    """Prints the table."""
    with tempfile.TemporaryDirectory() as folder, ExitStack() as stack:
        for server in ("embedded", "own"):
            Path(folder, server).mkdir()
        reads = dict(ways(Path(folder), stack))
        alone = [{name: seconds(read) for name, read in reads.items()} for _ in range(ROUNDS)]
        with busy():
            beside = [{name: seconds(read) for name, read in reads.items()} for _ in range(ROUNDS)]
        rows = [
            (name, *[f"{statistics.median(one[name] for one in some) * 1000:,.0f}" for some in (alone, beside)])
            for name in reads
        ]
    sys.stdout.write(table(("100,000 pairs read by", "alone, ms", "beside a busy thread, ms"), rows) + "\n")


if __name__ == "__main__":
    main()
