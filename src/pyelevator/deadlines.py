"""Deadline: a timeout in seconds becomes a point in time once, and everything below shares it."""

import math
import time
from typing import Final, Self

from pyelevator._attrs import hot_value
from pyelevator.arguments import is_number
from pyelevator.errors import ArgumentTypeError, UsageError


@hot_value
class Deadline:
    """A point on the monotonic clock.

    Attributes:
        at: the point, as ``time.monotonic`` counts; infinity for "never".
        seconds: how long it was when it was set, for messages.
    """

    at: float
    seconds: float

    @classmethod
    def after(cls, seconds: float | None) -> Self:
        """Return the deadline that many seconds from now; None means never.

        >>> Deadline.after(None).remaining()
        inf
        """
        seconds = math.inf if seconds is None else seconds
        return cls(time.monotonic() + seconds, seconds)

    def __str__(self) -> str:
        return f"{round(self.seconds, 3) or self.seconds} s"

    def remaining(self) -> float:
        """Return the seconds left, never negative; infinity if there is no end."""
        return max(0.0, self.at - time.monotonic())

    def earlier(self, other: "Deadline") -> "Deadline":
        """Return the one of the two that comes first."""
        return self if self.at <= other.at else other

    def expired(self) -> bool:
        """Return True once nothing is left."""
        return time.monotonic() >= self.at


MAX_TIMEOUT: Final = 1e15  # a clock of floats cannot count such seconds; and they are no time to wait
NEVER: Final = Deadline(math.inf, math.inf)


def check_timeout(timeout: float | None, name: str = "timeout") -> float | None:
    """Return ``timeout`` itself when it is a number of seconds above zero, or None for no limit.

    Args:
        timeout: what was given.
        name: of the argument, for messages.

    Raises:
        ArgumentTypeError: not a number.
        UsageError: zero, negative or not a number (NaN).
    """
    if timeout is None:
        return None
    if not is_number(timeout):
        raise ArgumentTypeError(f"{name} must be a number of seconds or None, not {type(timeout).__name__}")
    if not timeout > 0 or MAX_TIMEOUT < timeout != math.inf:
        raise UsageError(f"{name} must be above 0 seconds, not {timeout!r:.40}; None waits for ever")
    return timeout
