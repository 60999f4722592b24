"""RateLimit: so many requests a second, and no more."""

import time
from collections.abc import Callable
from typing import Any

from pyelevator.errors import ErrorCode
from pyelevator.flows import Flow, Forward, sleep
from pyelevator.forks import ProcessLock
from pyelevator.messages import Request, Response


class RateLimit:
    """Holds up requests above a rate, and refuses those that would wait too long (a token bucket).

    Args:
        rate: requests a second.
        burst: how many may come at once after a pause.
        max_wait: seconds; a request that would wait longer is answered with a failure (code 4).
        clock: tells the time, in seconds.

    >>> from pyelevator import Elevator
    >>> with Elevator(transport="fake", interceptors=[RateLimit(rate=1, burst=2, max_wait=0)]) as E:
    ...     E.Put("k", "v")
    ...     E.Get("k")
    Traceback (most recent call last):
        ...
    pyelevator.errors.ServerRuntimeError: over the limit of 1 requests a second; try again later
    """

    def __init__(
        self, rate: float, burst: int = 1, max_wait: float = 1.0, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._rate, self._burst, self._max_wait, self._clock = rate, burst, max_wait, clock
        self._free = float(burst)
        self._at = clock()
        self._lock = ProcessLock()

    def __call__(self, request: Request[Any], forward: Forward) -> Flow[Response]:
        wait = self._take()
        if wait > self._max_wait:
            text = f"over the limit of {self._rate:g} requests a second; try again later"
            return Response.failure(ErrorCode.RUNTIME, text, request.id)
        if wait > 0:
            yield from sleep(wait)
        return (yield from forward(request))

    def _take(self) -> float:
        """Takes a token if it can be had in time; seconds until it is there."""
        with self._lock():
            now = self._clock()
            self._free = min(self._burst, self._free + (now - self._at) * self._rate)
            self._at = now
            wait = max(0.0, (1 - self._free) / self._rate)
            if wait <= self._max_wait:
                self._free -= 1
            return wait
