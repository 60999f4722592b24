"""What the rows run on: databases, servers and peers, each made when it is first asked for, all gone at the end."""

import os
import shutil
import tempfile
import time
from collections.abc import Sequence
from contextlib import ExitStack
from functools import cache, cached_property
from pathlib import Path
from typing import Any, Final, Self

from attrs import frozen

from benchmarks import peers
from pyelevator import Elevator
from pyelevator.engines.leveldb.binding.library import load_binding
from pyelevator.loadtest.processes import LoadProcesses
from pyelevator.loadtest.workloads import connect, pairs
from pyelevator.testing.servers import ServerProcess

PAIRS: Final = 100_000
OPTIONS: Final = {"paranoid_checks": True}
"""What our server opens a database with by default."""

CHECKED: Final = {"verify_checksums": True}
"""What it reads with then."""

_CHUNK: Final = 100_000
_BEHIND_ALL: Final = b"\xff" * 64
_CPU_CLOCK: Final = 2  # as clock_getcpuclockid(3) makes them
_QUIET: Final = 0.05
_WAIT_TIMEOUT: Final = 5.0


@frozen
class Plan:
    """How much is done.

    Attributes:
        all_parts: whether the parts beside the goal table are measured too, if none is named.
        rounds: of each comparison.
        calls: single calls in one run of a round.
        seconds: of a run that is measured by time.
        streamed: pairs of the long RangeIter.
        exponents: database sizes, as powers of ten.
        trial: rounds and seconds of each trial about the hand-over.
    """

    all_parts: bool
    rounds: int
    calls: int
    seconds: float
    streamed: int
    exponents: Sequence[int]
    trial: tuple[int, float]


QUICK: Final = Plan(False, 5, 500, 0.25, 200_000, (4, 5), (1, 0.1))
DEFAULT: Final = Plan(True, 7, 4_000, 1.0, 10_000_000, (4, 5, 6, 7), (3, 0.2))
FULL: Final = Plan(True, 9, 10_000, 2.0, 10_000_000, (4, 5, 6, 7), (5, 0.5))


class Bed:
    """Databases, servers and peers of one run; ``with`` clears everything away.

    Attributes:
        plan: how much is done.
        folder: where everything is kept.
    """

    def __init__(self, plan: Plan) -> None:
        self.plan = plan
        self._stack = ExitStack()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    @cached_property
    def folder(self) -> Path:
        return Path(self._stack.enter_context(tempfile.TemporaryDirectory(prefix="elevator-bench-")))

    @cached_property
    def server(self) -> ServerProcess:
        """`elevator serve` on an empty data directory."""
        return self._stack.enter_context(ServerProcess(data=self.folder / "data"))

    @cached_property
    def writer(self) -> Elevator[bytes]:
        """A client of the server's own database, for writes."""
        return self.client("default")

    @cached_property
    def reader(self) -> Elevator[bytes]:
        """A client of a database of PAIRS pairs, all of them in compacted table files."""
        return self.client(self.registered(self.copy(PAIRS)))

    def client(self, database: str) -> Elevator[bytes]:
        return self._stack.enter_context(connect(self.server.urls[0], database))

    def registered(self, path: Path) -> str:
        """The name under which the server serves the LevelDB at ``path``."""
        self.writer.createdb(str(path))
        return str(path)

    @cached_property
    def peer(self) -> Any:
        """LevelDB's binding in this process, on the same files as the reader's."""
        return self.in_process(self.copy(PAIRS))

    @cached_property
    def scratch(self) -> Any:
        """LevelDB's binding in this process, on a copy that may be written to."""
        return self.in_process(self.copy(PAIRS))

    def in_process(self, path: Path) -> Any:
        """The binding on the LevelDB at ``path``."""
        return self._stack.enter_context(load_binding().DB(str(path), **OPTIONS))

    @cache  # noqa: B019 - there is one bed, and it lives to the end
    def database(self, count: int) -> Path:
        """A closed LevelDB with default options and so many pairs, compacted; it is to be copied."""
        path = self.folder / f"pairs-{count}"
        with load_binding().DB(str(path), create_if_missing=True, **OPTIONS) as database:
            for first in range(0, count, _CHUNK):
                with database.write_batch() as batch:
                    for key, value in pairs(first, min(_CHUNK, count - first)):
                        batch.put(key, value)
            database.compact_range(start=b"", stop=_BEHIND_ALL)
        return path

    def copy(self, count: int) -> Path:
        """A copy of that LevelDB, in files of the same content (hard links: table files never change)."""
        path = Path(tempfile.mkdtemp(prefix=f"copy-{count}-", dir=self.folder))
        shutil.copytree(self.database(count), path, dirs_exist_ok=True, copy_function=_copy_or_link)
        return path

    @cached_property
    def redis(self) -> tuple[int, int]:
        """The port and the process id of redis-server, filled with the same pairs.

        Raises:
            Missing: it is not installed.
        """
        if reason := peers.why_no_redis():
            raise Missing(reason)
        port, pid = self._stack.enter_context(peers.redis_process())
        peers.redis_client(port).mset(dict(pairs(0, PAIRS)))
        return port, pid

    @cached_property
    def redis_client(self) -> Any:
        return peers.redis_client(self.redis[0])

    @cached_property
    def processes(self) -> LoadProcesses:
        """Sixteen client processes; a row takes as many as it needs, and the rest sleeps."""
        return self._stack.enter_context(LoadProcesses(16))

    def settle(self) -> None:
        """Waits until the server computes no more: LevelDB compacts in the background after large writes."""
        end = time.monotonic() + _WAIT_TIMEOUT
        spent = cpu_seconds(self.server.pid)
        while time.monotonic() < end:
            time.sleep(_QUIET)
            before, spent = spent, cpu_seconds(self.server.pid)
            if spent - before < _QUIET / 50:
                return


class Missing(Exception):
    """A peer is not installed, so the comparison is left out."""


def _copy_or_link(source: str, target: str) -> None:
    if source.endswith((".ldb", ".sst")):
        os.link(source, target)
    else:
        shutil.copy2(source, target)


def cpu_seconds(pid: int) -> float:
    """Processor time of all threads of a process so far, in seconds, by the clock that Linux keeps for each process."""
    return time.clock_gettime(~pid << 3 | _CPU_CLOCK)
