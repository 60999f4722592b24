"""Busy polling: looking for what comes next again and again for a moment, before the thread sleeps.

To wake up a processor that sleeps takes about as long as to answer a short request, so that much of the time of a
client that waits for each answer goes there (docs/benchmarks.md). A thread that looks occupies a processor
meanwhile. So it does only while most of the time something comes within the moment, and no other thread wants the
processor.
"""

from collections.abc import Callable
from functools import partial
from time import monotonic
from typing import Final, TypeAlias, TypeVar

T = TypeVar("T")

MOMENT: Final = 100e-6
"""Seconds for which one looks."""

CREDIT: Final = 16
"""The most that can be earned."""

GAIN: Final = 2
"""What a moment earns in which something came."""

LOSS: Final = 4
"""What a moment costs in which nothing came."""

PROBE: Final = 256
"""Without credit, one wait in so many begins with a moment of looking."""

CHECKED: Final = 64
"""Moments between two checks of how often the scheduler took the processor away."""

PREEMPTED: Final = 3
"""The number of times that it has done so in between if others want the processor."""

REST: Final = 1 << 13
"""Waits until the next moment of looking then."""


class BusyPoll:
    """Looks again and again while that pays; for one thread at a time."""

    def __init__(self) -> None:
        self._credit = self._moments = 0
        self._left = 1
        self._preempted: int | None = None  # at the last check; None before the first one

    def wait(self, look: Callable[[], T]) -> T | None:
        """Call a function until it returns something, for a moment, or not at all; it must not wait itself."""
        if self._credit <= 0:
            self._left -= 1
            if self._left > 0:
                return None
            self._left = PROBE
        if found := look():  # it was there already, which says nothing
            return found
        end = monotonic() + MOMENT
        while monotonic() < end:
            if found := look():
                self._earn()
                return found
        self._credit = max(self._credit - LOSS, 0)
        return None

    def _earn(self) -> None:
        self._credit = min(self._credit + GAIN, CREDIT)
        self._moments += 1
        if self._moments < CHECKED:
            return
        self._moments = 0
        before, self._preempted = self._preempted, preemptions()
        if before is not None and self._preempted - before >= PREEMPTED:
            self._credit, self._left, self._preempted = 0, REST, None


def preemptions() -> int:
    """Return how often another thread took the processor from this one; 0 where that is not known."""
    try:
        from resource import RUSAGE_THREAD, getrusage  # a few systems do not have it
    except ImportError:
        return 0
    return getrusage(RUSAGE_THREAD).ru_nivcsw


ALONE: Final = 8
"""Events of one connection in a row, after which it is taken for the only one in use."""

_Events: TypeAlias = list[tuple[int, int]]


class BusyEpoll:
    """The events of many connections, waited for busily while one of them is the only one in use.

    Where several are, there is nearly always something to do, and their clients need the processor.
    """

    def __init__(self, poll: Callable[[float | None, int], _Events], max_events: int) -> None:
        self._poll, self._max_events = poll, max_events
        self._poll_now = partial(poll, 0, max_events)
        self._busy = BusyPoll()
        self._last, self._alone = -1, 0

    def poll(self, timeout: float | None) -> _Events:
        """Return the next events: pairs of a descriptor and its events."""
        events = None
        if self._alone >= ALONE and timeout != 0:
            events = self._busy.wait(self._poll_now)
        if not events:
            events = self._poll(timeout, self._max_events)
        if len(events) == 1 and events[0][0] == self._last:
            self._alone += 1
        elif events:
            self._last, self._alone = events[0][0], 0
        return events
