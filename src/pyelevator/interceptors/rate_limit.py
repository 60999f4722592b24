"""A limit on the rate of requests."""

import time
from collections.abc import Callable

from pyelevator.errors import ErrorCode
from pyelevator.flows import Flow, Forward, sleep
from pyelevator.forks import ProcessLock
from pyelevator.messages import Request, Response


class RateLimit:
    """An interceptor that delays requests above a rate, and refuses those that would wait too long (a token bucket).

    Args:
        rate: requests per second.
        burst: the number of requests that may come at once after a pause.
        max_wait: seconds; a request that would wait longer gets a failure (code 4).
        clock: returns seconds.

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
        self._tokens = float(burst)
        self._updated_at = clock()
        self._lock = ProcessLock()

    def __call__(self, request: Request, forward: Forward) -> Flow[Response]:
        wait = self._take_token()
        if wait > self._max_wait:
            text = f"over the limit of {self._rate:g} requests a second; try again later"
            return Response.failure(ErrorCode.RUNTIME, text, request.id)
        if wait > 0:
            yield from sleep(wait)
        return (yield from forward(request))

    def _take_token(self) -> float:
        """Take a token unless that would take longer than ``max_wait``; return the seconds until it is available."""
        with self._lock():
            now = self._clock()
            self._tokens = min(self._burst, self._tokens + (now - self._updated_at) * self._rate)
            self._updated_at = now
            wait = max(0.0, (1 - self._tokens) / self._rate)
            if wait <= self._max_wait:
                self._tokens -= 1
            return wait
