"""Retries of requests that got no response."""

import random
from collections.abc import Iterator
from typing import Any, Final

from attrs import evolve, field, frozen

from pyelevator.arguments import is_number, positive_integer
from pyelevator.deadlines import NEVER, Deadline, check_timeout
from pyelevator.errors import (
    ArgumentTypeError,
    AuthenticationFailed,
    ConnectFailed,
    DatabaseUnavailable,
    ElevatorError,
    ErrorCode,
    OutcomeUnknown,
    PoolTimeout,
    RequestTimeout,
    TransportError,
    UsageError,
    WriteConflict,
)
from pyelevator.flows import Flow, Forward, sleep
from pyelevator.messages import Request, Response

_RETRYABLE: Final = (RequestTimeout, ConnectFailed)
_NOTHING_DONE: Final = (ConnectFailed, PoolTimeout, DatabaseUnavailable, WriteConflict)
_TRANSIENT: Final[tuple[type[DatabaseUnavailable | WriteConflict | OutcomeUnknown], ...]] = (
    DatabaseUnavailable,
    WriteConflict,
    OutcomeUnknown,
)
"""The failures answered by a server that are not final."""


def _number_validator(minimum: float, maximum: float) -> Any:
    def check(_: Any, attribute: Any, value: Any) -> None:
        if not is_number(value):
            raise ArgumentTypeError(f"{attribute.name} must be a number, not {type(value).__name__}")
        if not minimum <= value <= maximum:
            raise UsageError(f"{attribute.name} must be from {minimum:g} to {maximum:g}, not {value!r}")

    return check


@frozen
class Retry:
    """An interceptor that sends requests again: ``Elevator(retry=Retry())``, or anywhere among ``interceptors``.

    It retries reads and writes, and only after a RequestTimeout or ConnectFailed, or when the server answers
    that what keeps its data was not available (DatabaseUnavailable, WriteConflict, OutcomeUnknown). Any other response,
    also a failure, is final. All attempts share the call's timeout. The error that is raised in the end is that of the
    last attempt; it has the number of attempts and the earlier errors (``attempts``, ``earlier`` and a note).

    Repeating a write is not as harmless as it looks. A request without a response may still be on its way, or wait in
    a server that hangs, and be executed after the repetition and after later writes: the old value comes back. So a
    write is repeated only if nothing of it was sent, unless ``writes`` allows more, for instance because every key is
    written once. What is not idempotent (a conditional batch, an increment) is repeated only if nothing of it was sent,
    whatever ``writes`` says; commands about databases are never repeated.

    Args:
        attempts: the highest number of attempts, the first one included.
        backoff: seconds to wait before the second attempt.
        factor: multiplies the wait after each further attempt.
        jitter: the random part of each wait, from 0 to 1, so that clients do not come back all at once.
        deadline: seconds for all attempts and waits together; None for the call's timeout.
        attempt_timeout: seconds for one attempt; None for an equal part of the remaining time.
        writes: repeat puts, deletes and batches even if an earlier attempt may have been executed.
        seed: of the random numbers, for tests.

    Raises:
        UsageError: a number is out of its range.
        ArgumentTypeError: an argument is no number.

    >>> list(Retry(attempts=4, jitter=0).delays())
    [0.05, 0.1, 0.2]
    """

    attempts: int = field(default=3, validator=lambda _, attribute, value: positive_integer(value, attribute.name))
    backoff: float = field(default=0.05, validator=_number_validator(0, 3600))
    factor: float = field(default=2.0, validator=_number_validator(1, 1000))
    jitter: float = field(default=0.5, validator=_number_validator(0, 1))
    deadline: float | None = field(default=None, converter=check_timeout)
    attempt_timeout: float | None = field(default=None, converter=check_timeout)
    writes: bool = False
    seed: int | None = None

    def delays(self) -> Iterator[float]:
        """Yield the waits between the attempts, in seconds."""
        generator = random.Random(self.seed)  # noqa: S311 - nothing secret
        delay = self.backoff
        for _ in range(self.attempts - 1):
            yield delay * (1 - self.jitter * generator.random())
            delay *= self.factor

    def __call__(self, request: Request, forward: Forward) -> Flow[Response]:
        if not (request.command.idempotent or request.command.writes):
            return (yield from forward(request))
        deadline = (request.context.deadline or NEVER).earlier(Deadline.after(self.deadline))
        earlier: list[ElevatorError] = []
        delays = self.delays()
        while True:
            limit = self._attempt_deadline(deadline, self.attempts - len(earlier))
            try:
                response = yield from forward(request.with_context(evolve(request.context, deadline=limit)))
                failure = _transient_failure(response)
                delay = next(delays, None)
                if failure is None or not self._may_retry(request, failure, delay, deadline):
                    return response
                earlier.append(failure)
            except AuthenticationFailed:
                raise
            except _RETRYABLE as error:
                delay = next(delays, None)
                if not self._may_retry(request, error, delay, deadline):
                    _annotate(error, earlier)
                    raise
                earlier.append(error.with_traceback(None))  # a traceback would keep this frame, and so the error, alive
            yield from sleep(delay or 0)

    def _attempt_deadline(self, deadline: Deadline, attempts: int) -> Deadline:
        """Return the deadline of one attempt, so that a lost response leaves time for the remaining attempts."""
        if self.attempt_timeout is not None:
            return deadline.earlier(Deadline.after(self.attempt_timeout))
        return deadline if attempts == 1 else Deadline.after(deadline.remaining() / attempts)

    def _may_retry(self, request: Request, error: ElevatorError, delay: float | None, deadline: Deadline) -> bool:
        if delay is None or delay >= deadline.remaining():
            return False
        command = request.command
        repeatable = command.idempotent and (self.writes or not command.writes)
        return repeatable or isinstance(error, _NOTHING_DONE)


def _transient_failure(response: Response) -> ElevatorError | None:
    """Return the error that a response stands for, if that is one after which to try again."""
    if response.code is not ErrorCode.DATABASE:
        return None
    kind = next((kind for kind in _TRANSIENT if response.message.startswith(kind.MESSAGE_PREFIX)), None)
    return None if kind is None else kind(response.message)


def _annotate(error: TransportError, earlier: list[ElevatorError]) -> None:
    error.attempts, error.earlier = len(earlier) + 1, tuple(earlier)
    before = f"; before that: {', '.join(type(one).__name__ for one in earlier)}" if earlier else ""
    error.add_note(f"gave up after {error.attempts} attempt{'s'[: error.attempts > 1]}{before}")
