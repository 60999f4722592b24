"""A log of requests: one line each, without keys and values."""

import logging
import time
from collections.abc import Callable

from attrs import field, frozen

from pyelevator.flows import Flow, Forward
from pyelevator.messages import Request, Response


@frozen
class RequestLog:
    """An interceptor that logs each request at debug level, and slow ones at warning level.

    A line has the verb, the database's uid, the duration and the outcome; never a key or a value.

    Attributes:
        slow: seconds above which a request is slow; None for no such level.
        logger: ``pyelevator.requests`` by default.
        clock: returns seconds.

    >>> from pyelevator import Elevator
    >>> with Elevator(transport="fake", interceptors=[RequestLog(slow=0.5)]) as E:
    ...     E.Put("k", "v")
    """

    slow: float | None = None
    logger: logging.Logger = field(factory=lambda: logging.getLogger("pyelevator.requests"))
    clock: Callable[[], float] = time.monotonic

    def __call__(self, request: Request, forward: Forward) -> Flow[Response]:
        started = self.clock()
        outcome = "nothing"
        try:
            response = yield from forward(request)
            outcome = response.status.name.lower() if response.code is None else f"failure {response.code.name}"
        except BaseException as error:
            outcome = type(error).__name__
            raise
        finally:
            seconds = self.clock() - started
            level = logging.WARNING if self.slow is not None and seconds > self.slow else logging.DEBUG
            fields = request.command.verb, request.uid or "-", seconds * 1000, outcome
            self.logger.log(level, "%s of %s took %.1f ms: %s", *fields)
        return response
