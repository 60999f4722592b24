"""The lanes of sync clients: direct ones beside those over libzmq, whole clients and the real server, in one run."""

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from statistics import median
from typing import Final

from attrs import frozen

from benchmarks.bed import PAIRS, Bed
from benchmarks.handover import LOADS, busy
from benchmarks.measure import in_turn, table
from pyelevator import Elevator
from pyelevator.cli.crowd import Steps
from pyelevator.cli.works import Stock, batches, gets, pairs, random_keys, ranges
from pyelevator.testing.servers import ServerProcess
from pyelevator.transports.direct import DirectTransport
from pyelevator.transports.zmq import ZmqTransport

KINDS: Final = {"direct": DirectTransport, "libzmq": ZmqTransport}


ROUNDS: Final = 9
"""Many short ones: what else the machine does moves each rate far more than the ratio."""


def large(size: int) -> Callable[[Elevator[bytes], Stock], Steps]:
    """A Put and a Get of one value a step."""

    def steps(client: Elevator[bytes], _stock: Stock) -> Steps:
        content = bytes(size)
        while True:
            client.Put(b"large", content)
            assert len(client.Get(b"large")) == size
            yield 1

    return steps


WORKS: Final[Mapping[str, Callable[[Elevator[bytes], Stock], Steps]]] = {
    "Get": gets,
    "Put and Get of 1 MB": large(1 << 20),
    "Put and Get of 64 MB": large(64 << 20),
    "Range of 100,000": ranges,
    "batch of 100,000 puts": batches,
}
"""What is measured -> its steps."""


@contextmanager
def steps_of(work: str, kind: str, url: str) -> Iterator[Steps]:
    """The work of one client (a crowd.Work)."""
    stock = Stock(pairs(0, PAIRS) if work.startswith("batch") else (), random_keys(PAIRS, 10_000))
    with Elevator("default", transport=KINDS[kind](url), encoding=None, timeout=120) as client:
        yield WORKS[work](client, stock)


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


def compared(bed: Bed, work: str, url: str, clients: int, seconds: float) -> Compared:
    def side(kind: str) -> Callable[[], float]:
        return lambda: sum(s.rate for s in bed.crowd.measure(steps_of, work, kind, url, seconds=seconds, size=clients))

    ours, theirs = in_turn([side("direct"), side("libzmq")], ROUNDS)
    return Compared(median(ours), median(theirs), [a / b for a, b in zip(ours, theirs, strict=True)])


def section(bed: Bed, _folder: Path) -> str:
    """The table for docs/benchmarks.md."""
    rows = []
    binds = ["tcp://127.0.0.1:0", f"ipc://{bed.folder}/lanes"]
    with ServerProcess(data=bed.folder / "lanes-data", binds=binds) as server:
        with Elevator.from_url(server.urls[0]) as client, client.WriteBatch(timeout=60) as batch:
            for key, value in pairs(0, PAIRS):
                batch.Put(key, value)
        time.sleep(1)
        for url in server.urls:
            scheme = url.partition("://")[0]
            for load in LOADS:
                with busy(load.busy):
                    found = compared(bed, "Get", url, load.clients, 0.15)
                rows.append((f"Get, {load.name}", scheme, *found.cells))
            for work in list(WORKS)[1:]:
                rows.append((work, scheme, *compared(bed, work, url, 1, 0.15).cells))
    return table(("work", "over", "direct", "libzmq", "ratio", "spread"), rows) + "\n"
