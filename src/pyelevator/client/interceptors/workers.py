"""Workers: threads that run functions one after the other, in whichever process they are used."""

import threading
from collections.abc import Callable
from concurrent.futures import Future
from queue import SimpleQueue
from typing import Any, Final, TypeVar

from pyelevator.forks import FORKS

R = TypeVar("R")

_Task = tuple[Callable[[], Any], "Future[Any]"]


class _Crew:
    """The threads of one process."""

    def __init__(self) -> None:
        self.forks = FORKS.count
        self.tasks: SimpleQueue[_Task | None] = SimpleQueue()
        self.threads: list[threading.Thread] = []

    def work(self) -> None:
        """Run what is in the queue; each thread does this."""
        while (task := self.tasks.get()) is not None:
            work, future = task
            try:
                future.set_result(work())
            except BaseException as error:  # noqa: BLE001 - whatever it is, it belongs to the caller
                future.set_exception(error)
            del task, work, future


class Workers:
    """Up to ``max_threads`` daemon threads, each started when there is something to do.

    Apart from those of ``concurrent.futures`` they have no locks that a signal handler could meet, and a forked child
    has threads, and a queue, of its own.
    """

    def __init__(self, max_threads: int, name: str) -> None:
        self._max_threads: Final = max_threads
        self._name: Final = name
        self._crew = _Crew()

    def _own(self) -> _Crew:
        if self._crew.forks != FORKS.count:
            self._crew = _Crew()
        return self._crew

    @property
    def waiting(self) -> int:
        """The number of functions that no thread has begun."""
        return self._own().tasks.qsize()

    def submit(self, work: Callable[[], R]) -> "Future[R]":
        """Have a thread run ``work``; return the future of its outcome."""
        crew, future = self._own(), Future[R]()
        crew.tasks.put((work, future))
        if len(crew.threads) < self._max_threads:
            thread = threading.Thread(target=crew.work, name=self._name, daemon=True)
            thread.start()
            crew.threads.append(thread)
        return future

    def close(self) -> None:
        """End the threads after what they were asked to run."""
        crew, self._crew = self._own(), _Crew()
        _end(crew)
        for thread in crew.threads:
            thread.join()

    def __del__(self) -> None:
        crew = getattr(self, "_crew", None)
        if crew is not None and crew.forks == FORKS.count:
            _end(crew)


def _end(crew: _Crew) -> None:
    for _ in crew.threads:
        crew.tasks.put(None)
