"""The observer: measures how long a server takes for its requests.

Slow requests are all measured. Of quick ones only every so many is, and stands for the others: to take them all down
would cost more than a hundredth of a Get.
"""

from collections.abc import Sequence
from typing import Final

from pyelevator.application.monitor import Monitor
from pyelevator.protocol import IncomingRequest

SLOW: Final = 0.001
"""Seconds from which on every request is measured."""

_ALL: Final = 1000
"""Quick requests at the beginning that are all measured."""

_INTERVAL: Final = 64
"""Quick requests afterwards of which one is measured."""


class RequestObserver:
    """Measures requests, for the monitor of an application.

    Args:
        monitor: of the application.

    Attributes:
        threshold: seconds from which on every request is measured.
    """

    def __init__(self, monitor: Monitor) -> None:
        self._monitor = monitor
        self._measured = 0
        self._interval = 1
        self.threshold = SLOW

    def observe_quick(
        self, incoming: IncomingRequest | None, frames: Sequence[bytes], seconds: float, countdown: int
    ) -> int:
        """Measure a request that was answered at once: it was slow, or its turn has come.

        Args:
            incoming: the request.
            frames: of the response.
            seconds: that it took.
            countdown: quick requests until one is measured; 0 if it is this one.

        Returns:
            The countdown for those that follow.
        """
        self._observe(incoming, frames, seconds, 1 if seconds >= self.threshold else self._interval)
        if countdown:
            return countdown
        self._measured += 1
        self._interval = 1 if self._measured < _ALL else _INTERVAL
        return self._interval

    def observe(self, incoming: IncomingRequest, frames: Sequence[bytes], seconds: float) -> None:
        """Measure a request that a worker has executed; called in any thread, as for ``observe_quick``."""
        self._observe(incoming, frames, seconds, 1)

    def _observe(self, incoming: IncomingRequest | None, frames: Sequence[bytes], seconds: float, weight: int) -> None:  # noqa: ARG002
        if incoming is not None and incoming.request is not None:
            self._monitor.observe(incoming.request, seconds, weight)
