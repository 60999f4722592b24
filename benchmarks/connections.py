"""The connections of sync clients: direct ones beside those over libzmq, whole clients and the real server, in one run."""

import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from statistics import median
from typing import Final

from attrs import frozen

from benchmarks.bed import PAIRS, Bed
from benchmarks.handover import LOADS, Load, busy
from benchmarks.libzmq import ZmqTransport
from benchmarks.measure import in_turn, table
from pyelevator import Elevator
from pyelevator.loadtest.processes import LoadProcesses, Workload
from pyelevator.loadtest.workloads import Dataset, batches, gets, pairs, random_keys, ranges
from pyelevator.testing.servers import ServerProcess
from pyelevator.transports.sockets.transport import ZmtpTransport

KINDS: Final = {"direct": ZmtpTransport, "libzmq": ZmqTransport}


def large(size: int) -> Callable[[Elevator[bytes], Dataset], Workload]:
    """A Put and a Get of one value a step."""

    def steps(client: Elevator[bytes], _dataset: Dataset) -> Workload:
        content = bytes(size)
        while True:
            client.Put(b"large", content)
            assert len(client.Get(b"large")) == size
            yield 1

    return steps


WORKS: Final[Mapping[str, Callable[[Elevator[bytes], Dataset], Workload]]] = {
    "Get": gets,
    "Put and Get of 1 MB": large(1 << 20),
    "Put and Get of 64 MB": large(64 << 20),
    "Range of 100,000": ranges,
    "batch of 100,000 puts": batches,
}
"""What is measured -> its steps."""


@contextmanager
def steps_of(work: str, kind: str, url: str) -> Iterator[Workload]:
    """The work of one client (a processes.OpenWorkload)."""
    dataset = Dataset(pairs(0, PAIRS) if work.startswith("batch") else (), random_keys(PAIRS, 10_000))
    with Elevator("default", transport=KINDS[kind](url), encoding=None, timeout=120) as client:
        yield WORKS[work](client, dataset)


@frozen
class Compared:
    """The median rates of both, and the median of the ratios, with the smallest and the largest."""

    direct: float
    libzmq: float
    ratios: list[float]

    @property
    def cells(self) -> tuple[str, ...]:
        low, high = min(self.ratios), max(self.ratios)
        return (
            f"{self.direct:,.4g}/s",
            f"{self.libzmq:,.4g}/s",
            f"**{median(self.ratios):.2f}**",
            f"{low:.2f} to {high:.2f}",
        )


@frozen
class Case:
    """What is measured: so many rounds of a work under a load, over a scheme."""

    work: str
    scheme: str = "tcp"
    load: Load = LOADS[0]
    rounds: int = 9


CASES: Final = (
    *(Case("Get", scheme, load) for scheme in ("tcp", "ipc") for load in LOADS),
    *(
        Case(work, scheme, rounds=5)
        for work in ("Put and Get of 1 MB", "Range of 100,000")
        for scheme in ("tcp", "ipc")
    ),
    Case("batch of 100,000 puts", rounds=5),
    Case("Put and Get of 64 MB", rounds=3),
)


def compared(processes: LoadProcesses, case: Case, url: str, seconds: float) -> Compared:
    def side(kind: str) -> Callable[[], float]:
        work = partial(processes.measure, steps_of, case.work, kind, url, seconds=seconds, size=case.load.clients)
        return lambda: sum(share.rate for share in work())

    with busy(case.load.busy):
        ours, theirs = in_turn([side("direct"), side("libzmq")], case.rounds)
    return Compared(median(ours), median(theirs), [one / other for one, other in zip(ours, theirs, strict=True)])


def section(bed: Bed, _folder: Path) -> str:
    """The table for docs/benchmarks.md."""
    binds = ["tcp://127.0.0.1:0", f"ipc://{bed.folder}/connections.sock"]
    rows = []
    with ServerProcess(data=bed.folder / "connections", binds=binds) as server, LoadProcesses(8) as processes:
        urls = {url.partition("://")[0]: url for url in server.urls}
        fill(server.urls[0])
        for case in CASES:
            found = compared(processes, case, urls[case.scheme], bed.plan.trial[1] / 2)
            rows.append((f"{case.work}, {case.load.name}", case.scheme, *found.cells))
            print(" ".join(rows[-1]), file=sys.stderr, flush=True)
    return f"{_INTRODUCTION}\n\n{table(('work', 'over', 'direct', 'libzmq', 'ratio', 'spread'), rows)}\n"


def fill(url: str) -> None:
    """The pairs that are read."""
    with Elevator.from_url(url) as client, client.WriteBatch(timeout=60) as batch:
        for key, value in pairs(0, PAIRS):
            batch.Put(key, value)


_INTRODUCTION: Final = """## Sync connections: direct beside libzmq

Whole clients and `elevator serve`, the two kinds of connections in turn in one run: what the trial became. Operations per second of all clients together; the ratio
is the median of the rounds' ratios."""
