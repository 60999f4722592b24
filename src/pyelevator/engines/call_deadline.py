"""The deadline of the call that a thread is in, for engines that wait for a network."""

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Final

_DEADLINE: Final[ContextVar[float | None]] = ContextVar("call_deadline", default=None)


def call_deadline(default: float) -> float:
    """Return when the running call has to end, on the monotonic clock; the default if none was set."""
    deadline = _DEADLINE.get()
    return default if deadline is None else deadline


@contextmanager
def calling_until(deadline: float) -> Iterator[None]:
    """Have the calls of engines in the block end by then.

    Args:
        deadline: on the monotonic clock.
    """
    token = _DEADLINE.set(deadline)
    try:
        yield
    finally:
        _DEADLINE.reset(token)
