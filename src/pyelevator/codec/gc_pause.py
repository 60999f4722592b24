"""Pause: no garbage collection while very many objects are made in one go."""

import gc
import os
import threading
from contextlib import AbstractContextManager, nullcontext
from typing import Final

from pyelevator.forks import FORKS


class Pause(AbstractContextManager[None]):
    """As a context: Python's collector of cycles holds still until every thread that is inside has left.

    Python looks for cycles each time some hundreds of containers were made, and now and then among all there are; while
    a large message is taken apart that is up to half of the time, and finds nothing, as a message has no cycles. A
    collector that was off stays off.
    """

    def __init__(self) -> None:
        self._begin_anew()
        os.register_at_fork(after_in_child=self._leave_all)  # at once, not only with the next pause

    def _begin_anew(self) -> None:
        self._forks = FORKS.count
        self._lock = threading.RLock()  # reentrant: a signal handler or a finalizer may come in between
        self._inside = 0
        self._was_on = False

    def _leave_all(self) -> None:
        """Forget the threads inside, and the lock: they are the parent's."""
        was_on = self._inside and self._was_on
        self._begin_anew()
        if was_on:
            gc.enable()

    def __enter__(self) -> None:
        if self._forks != FORKS.count:
            self._leave_all()
        try:
            with self._lock:
                self._inside += 1  # first: a handler that comes in between, and leaves again, must not be the only one
                if self._inside == 1 and gc.isenabled():
                    self._was_on = True
                    gc.disable()
        except BaseException:
            self.__exit__()
            raise

    def __exit__(self, *_: object) -> None:
        with self._lock:
            self._inside = max(0, self._inside - 1)
            if not self._inside and self._was_on:
                self._was_on = False
                gc.enable()


_LARGE: Final = 64 << 10
_PAUSE: Final = Pause()


def gc_paused(size: int) -> AbstractContextManager[None]:
    """Return the pause of this process while a message of so many bytes is taken apart; none for a small one."""
    return _PAUSE if size > _LARGE else nullcontext()
