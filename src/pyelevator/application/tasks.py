"""The long tasks of an application that are under way, and how far they have come."""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import count
from time import monotonic
from typing import Final

from attrs import define

from pyelevator.engines.progress import reporting
from pyelevator.reports import TaskProgress


@define
class _Task:
    """A task that is under way, and how far it is (see ``report``)."""

    name: str
    database: str
    began: float
    done: int = 0
    total: int = 0


class Tasks:
    """The long tasks that are under way.

    Args:
        checkpoint: called at each report, so that others get their turns.
        clock: returns the time, in seconds.
    """

    def __init__(self, checkpoint: Callable[[], None] = lambda: None, clock: Callable[[], float] = monotonic) -> None:
        self._checkpoint: Final = checkpoint
        self._clock: Final = clock
        self._numbers: Final = count()
        self._running: dict[int, _Task] = {}
        self._lock: Final = threading.Lock()

    @contextmanager
    def running(self, name: str, database: str) -> Iterator[None]:
        """Note that a task is under way for the block, and take its reports."""
        task = _Task(name, database, self._clock())

        def on_report(done: int, total: int) -> None:
            task.done, task.total = done, total
            self._checkpoint()

        with self._lock:
            number = next(self._numbers)
            self._running[number] = task
        try:
            with reporting(on_report):
                yield
        finally:
            with self._lock:
                del self._running[number]

    def progress(self) -> list[TaskProgress]:
        """Return how far each has come, the oldest first."""
        now = self._clock()
        with self._lock:
            tasks = list(self._running.values())
        return [TaskProgress(task.name, task.database, now - task.began, task.done, task.total) for task in tasks]
