"""The observer: measures how long a server takes for its requests.

Slow requests are all measured. Of quick ones only every so many is, and stands for the others: to take them all down
would cost more than a hundredth of a Get.
"""

from collections.abc import Callable, Sequence
from math import inf
from typing import Any, Final

from pyelevator._attrs import hot_value
from pyelevator.application import Application
from pyelevator.application.monitoring.monitor import Monitor
from pyelevator.protocol import IncomingRequest

SLOW: Final = 0.001
"""Seconds from which on every request is measured."""

_ALL: Final = 1000
"""Quick requests at the beginning that are all measured."""

_SAMPLING_INTERVAL: Final = 0.01
"""Seconds, at least, from one quick request that is measured to the next."""

_MAX_ANSWERED: Final = 512
"""Requests that are counted together, about."""


@hot_value
class Observed:
    """A request that was answered.

    Attributes:
        identity: of the connection that it came from.
        incoming: the request.
        request_bytes: of its message.
        frames: of the response.
    """

    identity: bytes
    incoming: IncomingRequest | None
    request_bytes: int
    frames: Sequence[bytes]


class RequestObserver:
    """Measures requests, for the monitor of an application.

    Attributes:
        threshold: seconds from which on every request is measured.
    """

    def __init__(self, application: Any, monitor: Monitor, address_of: Callable[[bytes], str]) -> None:
        self._application = application if isinstance(application, Application) else None
        self._monitor, self._address_of = monitor, address_of
        self._logged_from = inf if self._application is None else self._application.observed_from(inf)
        self._measured = self._counted = 0
        self._sample_at = 0.0
        self.threshold = SLOW if self._application is None else self._application.observed_from(SLOW)

    def next_due(self) -> float:
        """Add up what was answered, and return the time of the next sample."""
        if len(self._monitor.answered) >= _MAX_ANSWERED:
            self._monitor.add_answered()
        return self._sample_at

    def observe_quick(self, observed: Observed, started: float, now: float) -> None:
        """Measure a request that was answered at once if it was slow, or if its turn has come.

        The turn is that of the first one that begins after ``_sample_at``: to take the one that is under way at that
        time would find long ones more often than they are.
        """
        seconds = now - started
        is_slow, is_due = seconds >= self.threshold, started >= self._sample_at
        if is_slow or is_due:
            self.observe(observed, seconds, self._take_weight(is_slow))
        if is_due:
            self._measured += 1
            self._sample_at = now + _SAMPLING_INTERVAL if self._measured >= _ALL else 0.0

    def _take_weight(self, is_slow: bool) -> int:
        """Return how many requests one stands for: a slow one for itself, another for all since the last one."""
        weight = 1 if is_slow else max(1, self._monitor.answered_count - self._counted)
        self._counted += weight
        return weight

    def observe(self, observed: Observed, seconds: float, weight: int = 1) -> None:
        """Measure a request, which stands for ``weight`` of them; from any thread."""
        request = None if observed.incoming is None else observed.incoming.request
        if request is None:
            return
        if self._application is None or seconds < self._logged_from:
            self._monitor.observe(request, seconds, weight)
            return
        sizes = observed.request_bytes, sum(map(len, observed.frames))
        self._application.observe(request, seconds, self._address_of(observed.identity), sizes, weight)
