"""Watch: waits for descriptors, and for sockets of libzmq, if there are any."""

import math
import select
from contextlib import suppress
from typing import Any, Final

import zmq

READ: Final = int(zmq.POLLIN)
WRITE: Final = int(zmq.POLLOUT)
OTHER: Final = int(zmq.POLLERR)

_AT_ONCE: Final = 64  # things that are told at once; the system begins with others next time
_EPOLL: Final = hasattr(select, "epoll")
_ASKED: Final = (0, 1, 4, 5)  # READ and WRITE in the numbers of epoll
_HEARD: Final = tuple([(e & 1) | (e & 4) >> 1 | (OTHER if e & ~5 else 0) for e in range(32)])  # and the other way round


class Watch:
    """Tells what happens on many descriptors.

    The system's epoll waits for those, where there is one: however many there are, that costs the same. libzmq's
    poller waits for its own sockets, and for the epoll as a whole.
    """

    def __init__(self) -> None:
        self._wanted: dict[Any, int] = {}
        self._poller = zmq.Poller()
        self._epoll = select.epoll() if _EPOLL else None
        self._sockets = 0
        if self._epoll is not None:
            self._poller.register(self._epoll.fileno(), READ)

    def want(self, at: Any, events: int) -> None:
        """Waits for something on a descriptor or a socket, 0 for nothing."""
        before = self._wanted.pop(at, 0)
        if events:
            self._wanted[at] = events
        if before == events:
            return
        if self._epoll is None or not isinstance(at, int):
            self._sockets += bool(events) - bool(before)
            self._poller.register(at, events)  # with nothing to wait for, it is taken out
        elif not events:
            with suppress(OSError):  # it has been closed
                self._epoll.unregister(at)
        elif before:
            self._epoll.modify(at, _ASKED[events])
        else:
            self._epoll.register(at, _ASKED[events])

    def wait(self, seconds: float) -> dict[Any, int]:
        """What has happened where, as soon as something has, or the time is over."""
        if self._epoll is None or self._sockets:
            timeout = None if seconds == math.inf else math.ceil(seconds * 1000)
            ready = dict(self._poller.poll(timeout))
            if self._epoll is None or not ready.pop(self._epoll.fileno(), 0):
                return ready
            return ready | self._heard(0)
        return self._heard(-1 if seconds == math.inf else seconds)

    def _heard(self, seconds: float) -> dict[Any, int]:
        if self._epoll is None:
            return {}
        return {at: _HEARD[events & 31] for at, events in self._epoll.poll(seconds, _AT_ONCE)}

    def close(self) -> None:
        """Nothing can be waited for any more."""
        if self._epoll is not None:
            self._epoll.close()
