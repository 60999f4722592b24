"""Retry: tries again what got no answer."""

import random
from collections.abc import Iterator
from typing import Any, Final

from attrs import evolve, field, frozen

from pyelevator.deadlines import NEVER, Deadline, check_timeout
from pyelevator.errors import (
    ArgumentTypeError,
    AuthenticationFailed,
    ConnectFailed,
    PoolTimeout,
    RequestTimeout,
    TransportError,
    UsageError,
)
from pyelevator.flows import Flow, Forward, sleep
from pyelevator.messages import Request, Response

_PASSING: Final = (RequestTimeout, ConnectFailed)
_NOTHING_SENT: Final = (ConnectFailed, PoolTimeout)


def _number(least: float, most: float) -> Any:
    def check(_: Any, attribute: Any, value: Any) -> None:
        if isinstance(value, bool) or not isinstance(value, (int, float)):
            raise ArgumentTypeError(f"{attribute.name} must be a number, not {type(value).__name__}")
        if not least <= value <= most:
            raise UsageError(f"{attribute.name} must be from {least:g} to {most:g}, not {value!r}")

    return check


def _whole(_: Any, attribute: Any, value: Any) -> None:
    if isinstance(value, bool) or not isinstance(value, int):
        raise ArgumentTypeError(f"{attribute.name} must be a whole number, not {type(value).__name__}")
    if value < 1:
        raise UsageError(f"{attribute.name} must be 1 or more, not {value!r}")


@frozen
class Retry:
    """When to send a request again: ``Elevator(retry=Retry())``, or anywhere among ``interceptors``.

    Only requests whose command is marked idempotent, and only after a RequestTimeout or ConnectFailed; an answer of
    the server, a failure included, is the answer. All attempts share the call's timeout. What is raised in the end is
    the last attempt's error, which knows how many there were (``attempts``, ``earlier`` and a note).

    Repeating a write is not as harmless as it looks. A request that got no answer may still be on its way, or wait in
    a server that hangs, and be executed after the repetition, and after whatever was written then: the old value
    comes back. So a write is only repeated if nothing of it was sent, unless ``writes`` says that this may happen,
    because every key is written once, say, or by one writer that never changes its mind.

    Args:
        attempts: how often to send at the most, the first time included.
        backoff: seconds to wait before the second attempt.
        factor: by how much each later wait is longer than the one before.
        jitter: which part of each wait is left to chance, from 0 to 1, so that clients do not come back all at once.
        deadline: seconds for all attempts and waits together; None for as long as the call may take.
        attempt_timeout: seconds for one attempt; None for an equal part of what is left.
        writes: repeat puts, deletes and batches even where the first one may have been executed.
        seed: of the chance, for tests.

    >>> list(Retry(attempts=4, jitter=0).pauses())
    [0.05, 0.1, 0.2]
    """

    attempts: int = field(default=3, validator=_whole)
    backoff: float = field(default=0.05, validator=_number(0, 3600))
    factor: float = field(default=2.0, validator=_number(1, 1000))
    jitter: float = field(default=0.5, validator=_number(0, 1))
    deadline: float | None = field(default=None, converter=check_timeout)
    attempt_timeout: float | None = field(default=None, converter=check_timeout)
    writes: bool = False
    seed: int | None = None

    def pauses(self) -> Iterator[float]:
        """The waits between the attempts, in seconds."""
        chance = random.Random(self.seed)  # noqa: S311 - nothing secret
        pause = self.backoff
        for _ in range(self.attempts - 1):
            yield pause * (1 - self.jitter * chance.random())
            pause *= self.factor

    def __call__(self, request: Request[Any], forward: Forward) -> Flow[Response]:
        if not request.command.idempotent:
            return (yield from forward(request))
        deadline = (request.deadline or NEVER).earlier(Deadline.after(self.deadline))
        earlier: list[TransportError] = []
        pauses = self.pauses()
        while True:
            limit = self._limit(deadline, self.attempts - len(earlier))
            try:
                return (yield from forward(evolve(request, deadline=limit)))
            except AuthenticationFailed:
                raise
            except _PASSING as error:
                pause = next(pauses, None)
                if pause is None or pause >= deadline.remaining() or not self._repeats(request, error):
                    _tell(error, earlier)
                    raise
                earlier.append(error.with_traceback(None))  # with it, the error would keep this frame, and itself
            yield from sleep(pause)

    def _limit(self, deadline: Deadline, attempts: int) -> Deadline:
        """Until when an attempt may take, so that one lost answer leaves time for the ``attempts`` that there are."""
        if self.attempt_timeout is not None:
            return deadline.earlier(Deadline.after(self.attempt_timeout))
        return deadline if attempts == 1 else Deadline.after(deadline.remaining() / attempts)

    def _repeats(self, request: Request[Any], error: TransportError) -> bool:
        return self.writes or not request.command.writes or isinstance(error, _NOTHING_SENT)


def _tell(error: TransportError, earlier: list[TransportError]) -> None:
    error.attempts, error.earlier = len(earlier) + 1, tuple(earlier)
    before = f"; before that: {', '.join(type(one).__name__ for one in earlier)}" if earlier else ""
    error.add_note(f"gave up after {error.attempts} attempt{'s'[: error.attempts > 1]}{before}")
