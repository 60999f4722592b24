"""Waiting for something that will be so, and that no event tells."""

import asyncio
import time
from collections.abc import Callable
from typing import Any, Final, TypeVar

T = TypeVar("T")
SECONDS: Final = 60.0
"""Much more than anything takes that is waited for, so that a loaded machine fails no test."""

FOREVER: Final = 86_400.0
"""Longer than the suite lets any test run: what a test may not wait for takes so long, and then no test measures time."""

PAUSE: Final = 0.01


def eventually(
    condition: Callable[[], T], what: str | Callable[[], str] = "", *, seconds: float = SECONDS, pause: float = PAUSE
) -> T:
    """Return what ``condition`` gives as soon as that is true; the test fails, and says ``what``, if it never is."""
    end = time.monotonic() + seconds
    while not (found := condition()):
        assert time.monotonic() < end, _failure(what, seconds)
        time.sleep(pause)
    return found


async def eventually_async(condition: Callable[[], T], what: str = "", *, seconds: float = SECONDS) -> T:
    """Do so in an event loop, which goes on meanwhile."""
    end = time.monotonic() + seconds
    while not (found := condition()):
        assert time.monotonic() < end, _failure(what, seconds)
        await asyncio.sleep(PAUSE)
    return found


def _failure(what: Any, seconds: float) -> str:
    return f"not within {seconds:g} s: {what() if callable(what) else what}"
