"""Heartbeats of the connections that no call is using: one thread for all sync clients of a process.

A sync client reads and writes in the threads of its callers, and between two calls there is none. So that servers and
firewalls hear of its idle connections, and it hears of a server that is gone, this thread looks after them. It takes
a connection out of its pool for the few microseconds of that, as a call would; a call meanwhile takes another.
"""

import _thread
import atexit
import os
import queue
import time
from contextlib import suppress
from itertools import count
from math import inf
from time import monotonic
from typing import Final, Protocol
from weakref import WeakValueDictionary

from pyelevator.forks import FORKS

_MIN_ROUND_SECONDS: Final = 0.001
"""Seconds between two rounds, at least."""

_JOIN_TIMEOUT: Final = 0.1
"""Seconds to wait for the end of the thread, which takes microseconds."""


class Beating(Protocol):
    """An owner of connections with heartbeats."""

    @property
    def heartbeat(self) -> float:
        """The seconds between two of them."""

    def beat(self, now: float) -> float:
        """Send the heartbeats that are due; return when (seconds, monotonic) the next one is."""


class Heartbeats:
    """The thread, and its pools; it begins with the first pool, and ends with the last one.

    It is a bare thread of the system's: one of ``threading`` is started with locks held, for which a signal handler
    that opens a connection could wait for ever. It is no reason for a program not to end. Where no thread can be
    started there are no heartbeats, as long as that is so. It ends while Python forks, and is started again: Python
    warns of forks of a process that has several threads. It ends before the interpreter does: a thread that Python
    has to end itself aborts the process where no file can be opened any more, as glibc then loads a library.
    """

    def __init__(self) -> None:
        self._is_registered = False
        self._begin_anew()

    def _begin_anew(self) -> None:
        self._forks = FORKS.count
        self._pools: WeakValueDictionary[int, Beating] = WeakValueDictionary()
        self._numbers = count()
        self._running: object | None = None  # the thread that goes on; another one ends at its next turn
        self._sleep = 0.0
        self._thread = 0

    def watch(self, pool: Beating) -> None:
        """Send heartbeats for a pool from now on, for as long as something else refers to it."""
        if self._forks != FORKS.count:  # the parent's thread and its pools are no concern of a child
            self._begin_anew()
        self._pools[next(self._numbers)] = pool
        if self._running is None:
            self._start()
        elif pool.heartbeat < self._sleep:
            self._news.put(None)

    def pause(self) -> None:
        """End the thread, if there is one, and wait for its end."""
        if self._forks == FORKS.count and self._running is not None and self._thread != _thread.get_ident():
            self._running = None
            self._news.put(None)
            with suppress(queue.Empty):
                _wait_for_end(self._ended.get(timeout=_JOIN_TIMEOUT))

    def resume(self) -> None:
        """Start the thread again, if there is a pool."""
        if self._forks == FORKS.count and self._running is None and self._pools:
            self._start()

    def _start(self) -> None:
        if not self._is_registered:
            self._is_registered = True
            os.register_at_fork(before=self.pause, after_in_parent=self.resume)
            atexit.register(self.pause)
        running = self._running = object()
        self._news: queue.SimpleQueue[None] = queue.SimpleQueue()  # made here, as libraries of green threads patch late
        self._ended: queue.SimpleQueue[int] = queue.SimpleQueue()
        try:
            _thread.start_new_thread(self._work, (running, self._news, self._ended))
        except RuntimeError:  # there are too many, or the interpreter is about to end
            self._running = None

    def _work(self, running: object, news: "queue.SimpleQueue[None]", ended: "queue.SimpleQueue[int]") -> None:
        """Run until no pool is left."""
        self._thread = _thread.get_ident()
        while self._running is running:
            self._sleep = inf  # a pool that comes during the round has another one follow it
            pause = self._round()
            if pause is None:
                self._running = None
                if not self._pools:
                    break
                self._running = running  # one has come meanwhile, and found the thread running
                continue
            self._sleep = pause
            with suppress(queue.Empty):
                news.get(timeout=pause)
        ended.put(_thread.get_native_id())

    def _round(self) -> float | None:
        """Send the heartbeats that are due; return the seconds until the next round, None if there is no pool."""
        now = monotonic()
        pools = [pool for pool in (reference() for reference in self._pools.valuerefs()) if pool is not None]
        if not pools:
            return None
        return max(_MIN_ROUND_SECONDS, min([pool.beat(now) for pool in pools]) - now)


def _wait_for_end(native_id: int) -> None:
    """Wait until the system has no such thread any more, where it tells; it counts those when it warns of a fork."""
    end = monotonic() + _JOIN_TIMEOUT
    if native_id != _thread.get_native_id():  # as that of a green thread is
        while os.path.exists(f"/proc/self/task/{native_id}") and monotonic() < end:  # noqa: PTH110 - loads less
            time.sleep(0)


HEARTBEATS: Final = Heartbeats()
