"""The monitor of an application: it counts requests, and collects what STATS answers."""

import os
import resource
import sys
import threading
import time
from collections import defaultdict
from collections.abc import Callable, Mapping
from contextlib import suppress
from importlib import import_module
from pathlib import Path
from time import monotonic
from typing import Final, TypeVar

from attrs import evolve

from pyelevator.application.monitoring.latencies import Histogram, RecentHistogram
from pyelevator.commands import Command, Unknown
from pyelevator.errors import ErrorCode
from pyelevator.messages import Request, Response
from pyelevator.monitoring import ProcessStats, ServerStats, VerbStats

T = TypeVar("T")

OTHER_VERB: Final = "OTHER"
"""What verbs that are not known are counted as: clients choose them, and each name takes memory for ever."""

_NO_LATENCIES: Final = RecentHistogram()
_MEMORY_PAGE: Final = resource.getpagesize()
_PEAK_UNIT: Final = 1 if sys.platform == "darwin" else 1024


class Monitor:
    """Counts the requests of an application, by verb and outcome; cheap enough to count every one.

    Its methods may be called from several threads: each count is one operation on a dict or a list.

    Attributes:
        counts: answered requests by the class of their commands.
        answered: classes of commands that were answered since the last ``add_answered``; to append to a list takes a
            fourth of what to count in a dict takes.
        refused: messages that were no requests.
        describe: completes the figures with those of the server around the application.
    """

    def __init__(self) -> None:
        self.counts: defaultdict[type[Command], int] = defaultdict(int)
        self.answered: list[type[Command]] = []
        self.refused = 0
        self.describe: Callable[[ServerStats], ServerStats] = lambda stats: stats
        self._failures: defaultdict[tuple[type[Command], ErrorCode], int] = defaultdict(int)
        self._latencies: defaultdict[type[Command], Histogram] = defaultdict(Histogram)
        self._recent: defaultdict[type[Command], RecentHistogram] = defaultdict(RecentHistogram)
        self._added = 0
        self._lock = threading.Lock()
        self._started_at, self._started = time.time(), monotonic()

    def count(self, request: Request, response: Response) -> None:
        """Count a request that is answered."""
        self.counts[type(request.command)] += 1
        if not response.is_minimal:
            self.count_outcome(request, response)

    def add_answered(self) -> None:
        """Add the classes in ``answered`` to the counts; to be called before there are many."""
        with self._lock:
            found = self.answered[:]
            del self.answered[: len(found)]
            self._added += len(found)
            while found:  # mostly of one class, which a list counts by identity, in a tenth of the time of a Counter
                kind = found[0]
                times = found.count(kind)
                self.counts[kind] += times
                found = [] if times == len(found) else [each for each in found if each is not kind]

    @property
    def answered_count(self) -> int:
        """The number of requests that were answered at once, since the start."""
        return self._added + len(self.answered)

    def count_outcome(self, request: Request, response: Response) -> None:
        """Count the failure of a request that is counted already, if it is one; a minimal response never is."""
        if response.code is not None:
            self.count_failure(type(request.command), response.code)

    def count_failure(self, kind: type[Command], code: ErrorCode) -> None:
        """Count the failure of a request of a class that is counted already."""
        self._failures[kind, code] += 1

    def observe(self, request: Request, seconds: float, weight: int = 1) -> None:
        """Add the latency of a request, which stands for ``weight`` of them."""
        with self._lock:
            self._latencies[type(request.command)].add(seconds, weight)
            self._recent[type(request.command)].add(seconds, weight)

    def stats(self) -> ServerStats:
        """Return the figures, without those of databases."""
        self.add_answered()
        stats = ServerStats(
            version=str(import_module("pyelevator").__version__),  # no module imports the top one, which says it
            started_at=self._started_at,
            uptime=monotonic() - self._started,
            requests={verb_of(kind): self._verb(kind, count) for kind, count in sorted_by_verb(self.counts)},
            refused=self.refused,
            latency=Histogram.merged(list(self._latencies.values())).summary(),
            recent_latency=Histogram.merged([one.merged() for one in list(self._recent.values())]).summary(),
            process=process_stats(),
        )
        return self.describe(stats)

    def _verb(self, kind: type[Command], count: int) -> VerbStats:
        failures = {code.name.lower(): n for (failed, code), n in self._failures.copy().items() if failed is kind}
        recent = self._recent.get(kind, _NO_LATENCIES).merged()
        return VerbStats(count, failures, self._latencies.get(kind, _NO_LATENCIES.merged()).summary(), recent.summary())

    def histograms(self) -> Mapping[str, Histogram]:
        """Return the latencies by verb."""
        return {verb_of(kind): histogram for kind, histogram in sorted_by_verb(self._latencies)}


def monitor_of(application: object) -> Monitor:
    """Return the monitor of an application; a new one for whatever else answers requests."""
    monitor = getattr(application, "monitor", None)
    return monitor if isinstance(monitor, Monitor) else Monitor()


def verb_of(kind: type[Command]) -> str:
    """Return the verb under which a command is counted."""
    return OTHER_VERB if kind is Unknown else kind.verb


def sorted_by_verb(by_kind: Mapping[type[Command], T]) -> list[tuple[type[Command], T]]:
    """Return the items of a mapping that other threads may change, in the order of the verbs."""
    return sorted(dict(by_kind).items(), key=lambda item: verb_of(item[0]))


def process_stats() -> ProcessStats:
    """Return the figures of this process."""
    used = resource.getrusage(resource.RUSAGE_SELF)
    limit, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    stats = ProcessStats(
        pid=os.getpid(),
        peak_memory=used.ru_maxrss * _PEAK_UNIT,
        max_descriptors=None if limit == resource.RLIM_INFINITY else limit,
        threads=threading.active_count(),
        cpu_seconds=used.ru_utime + used.ru_stime,
    )
    with suppress(OSError, ValueError, IndexError):
        stats = evolve(stats, memory=int(Path("/proc/self/statm").read_text().split()[1]) * _MEMORY_PAGE)
    for directory in ("/proc/self/fd", "/dev/fd"):
        with suppress(OSError):
            return evolve(stats, descriptors=sum(1 for _ in Path(directory).iterdir()) - 1)
    return stats
