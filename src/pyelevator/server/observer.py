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
from pyelevator.application.monitoring.slow_log import Exchange
from pyelevator.protocol import IncomingRequest

SLOW: Final = 0.001
"""Seconds from which on every request is measured."""

_ALL: Final = 1000
"""Quick requests at the beginning that are all measured."""

_INTERVAL: Final = 64
"""Quick requests afterwards of which one is measured."""


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

    Args:
        application: of the requests.
        monitor: of the application.
        address_of: returns the address of a connection.

    Attributes:
        threshold: seconds from which on every request is measured.
    """

    def __init__(self, application: Any, monitor: Monitor, address_of: Callable[[bytes], str]) -> None:
        self._application = application if isinstance(application, Application) else None
        self._monitor, self._address_of = monitor, address_of
        self._named_from = inf if self._application is None else self._application.observed_from(inf)
        self._measured = 0
        self._interval = 1
        self.threshold = SLOW if self._application is None else self._application.observed_from(SLOW)

    def observe_quick(self, observed: Observed, seconds: float, countdown: int) -> int:
        """Measure a request that was answered at once: it was slow, or its turn has come.

        Args:
            observed: the request.
            seconds: that it took.
            countdown: quick requests until one is measured; 0 if it is this one.

        Returns:
            The countdown for those that follow.
        """
        self.observe(observed, seconds, 1 if seconds >= self.threshold else self._interval)
        if countdown:
            return countdown
        self._measured += 1
        self._interval = 1 if self._measured < _ALL else _INTERVAL
        return self._interval

    def observe(self, observed: Observed, seconds: float, weight: int = 1) -> None:
        """Measure a request, which stands for ``weight`` of them; from any thread."""
        if len(self._monitor.answered) >= _INTERVAL:
            self._monitor.add_answered()
        request = None if observed.incoming is None else observed.incoming.request
        if request is None:
            return
        if self._application is None:
            self._monitor.observe(request, seconds, weight)
            return
        sizes = observed.request_bytes, sum(map(len, observed.frames))
        client = self._address_of(observed.identity) if seconds >= self._named_from else ""
        self._application.observe(request, seconds, Exchange(client, *sizes), weight)
