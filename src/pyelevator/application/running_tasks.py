"""The long tasks of an application that are under way, and how far they have come."""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from time import monotonic
from typing import Final

from pyelevator.engines.progress import reporting
from pyelevator.reports import TaskProgress


class Tasks:
    """The long tasks that are under way.

    Args:
        checkpoint: called at each report, so that others get their turns.
        clock: returns the time, in seconds.
    """

    def __init__(self, checkpoint: Callable[[], None] = lambda: None, clock: Callable[[], float] = monotonic) -> None:
        self._checkpoint: Final = checkpoint
        self._clock: Final = clock
        self._running: list[Callable[[], TaskProgress]] = []
        self._lock: Final = threading.Lock()

    @contextmanager
    def running(self, name: str, database: str) -> Iterator[None]:
        """Note that a task is under way for the block, and take its reports."""
        began, reported = self._clock(), (0, 0)

        def on_report(done: int, total: int) -> None:
            nonlocal reported
            reported = done, total
            self._checkpoint()

        def read() -> TaskProgress:
            return TaskProgress(name, database, self._clock() - began, *reported)

        with self._lock:
            self._running.append(read)
        try:
            with reporting(on_report):
                yield
        finally:
            with self._lock:
                self._running.remove(read)

    def progress(self) -> list[TaskProgress]:
        """Return how far each has come, the oldest first."""
        with self._lock:
            return [read() for read in self._running]
