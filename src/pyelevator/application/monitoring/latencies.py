"""Latencies by verb: histograms with buckets whose width is an eighth of their value or less."""

from bisect import bisect_left
from collections import Counter, deque
from collections.abc import Callable, Iterable, Mapping
from itertools import accumulate
from time import monotonic
from typing import Final, Self

from pyelevator.monitoring import Latency

_PER_SECOND: Final = 1e6
_BUCKET_BITS: Final = 3
_LINEAR: Final = 1 << (_BUCKET_BITS + 1)
"""Microseconds up to which there is a bucket for each."""

_SLOT_SECONDS: Final = 10
_SLOTS: Final = 6
"""Histograms that the last minute is made of, and seconds of each: the latest is not full yet."""


def bucket_of(seconds: float) -> int:
    """Return the number of the bucket of a latency.

    >>> bucket_of(0.000007), bucket_of(0.001), upper_bound(bucket_of(0.001))
    (7, 63, 0.001024)
    """
    microseconds = int(seconds * _PER_SECOND)
    if microseconds < _LINEAR:
        return max(0, microseconds)
    shift = microseconds.bit_length() - _BUCKET_BITS - 1
    return (shift << _BUCKET_BITS) + (microseconds >> shift)


def upper_bound(bucket: int) -> float:
    """Return the seconds above which a latency is in the next bucket."""
    if bucket < _LINEAR:
        return (bucket + 1) / _PER_SECOND
    shift = (bucket >> _BUCKET_BITS) - 1
    return (((bucket & (_LINEAR // 2 - 1)) + _LINEAR // 2 + 1) << shift) / _PER_SECOND


class Histogram:
    """Latencies, of which some may stand for several: how many in all and in each bucket, their sum and maximum."""

    def __init__(self) -> None:
        self._buckets: Counter[int] = Counter()
        self.total = 0
        self.seconds = 0.0
        self.max = 0.0

    def add(self, seconds: float, weight: int = 1) -> None:
        """Add a latency that stands for ``weight`` of them."""
        self._buckets[bucket_of(seconds)] += weight
        self.total += weight
        self.seconds += seconds * weight
        self.max = max(self.max, seconds)

    @classmethod
    def merged(cls, histograms: Iterable["Histogram"]) -> Self:
        """Return what is in several together, which other threads may change."""
        merged = cls()
        for one in histograms:
            merged._buckets.update(one._buckets.copy())
            merged.total += one.total
            merged.seconds += one.seconds
            merged.max = max(merged.max, one.max)
        return merged

    def summary(self) -> Latency:
        """Return the percentiles; no percentile is above the largest latency."""
        buckets = sorted(self._buckets.copy().items())
        below = list(accumulate([count for _, count in buckets]))
        if not below:
            return Latency()
        p50, p99 = [upper_bound(buckets[bisect_left(below, below[-1] * part)][0]) for part in (0.5, 0.99)]
        return Latency(min(self.max, p50), min(self.max, p99), self.max, self.seconds / max(1, self.total))

    def cumulative(self, bounds: tuple[float, ...]) -> Mapping[float, int]:
        """Return how many latencies are within each bound, in seconds."""
        buckets = self._buckets.copy().items()
        return {bound: sum([count for bucket, count in buckets if upper_bound(bucket) <= bound]) for bound in bounds}


class RecentHistogram:
    """Latencies of the last minute, to within ten seconds."""

    def __init__(self, clock: Callable[[], float] = monotonic) -> None:
        self._clock = clock
        self._slots: deque[tuple[int, Histogram]] = deque(maxlen=_SLOTS)

    def add(self, seconds: float, weight: int = 1) -> None:
        """Add a latency that stands for ``weight`` of them."""
        now = int(self._clock() / _SLOT_SECONDS)
        if not self._slots or self._slots[-1][0] != now:
            self._slots.append((now, Histogram()))
        self._slots[-1][1].add(seconds, weight)

    def merged(self) -> Histogram:
        """Return the latencies of the last minute."""
        oldest = int(self._clock() / _SLOT_SECONDS) - _SLOTS + 1
        return Histogram.merged(histogram for slot, histogram in list(self._slots) if slot >= oldest)
