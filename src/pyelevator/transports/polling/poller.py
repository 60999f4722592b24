"""Waiting for many descriptors, with sockets of libzmq among them."""

import math
import select
from contextlib import suppress
from typing import Any, Final

import zmq

from pyelevator.transports.polling.readiness import READ

ERROR: Final = int(zmq.POLLERR)

_MAX_EVENTS: Final = 64  # that are returned together; the system begins with others next time
_HAS_EPOLL: Final = hasattr(select, "epoll")
_TO_EPOLL: Final = (0, 1, 4, 5)  # READ and WRITE in the numbers of epoll
_FROM_EPOLL: Final = tuple([(e & 1) | (e & 4) >> 1 | (ERROR if e & ~5 else 0) for e in range(32)])


class Poller:
    """Waits for events of many descriptors.

    It uses the system's epoll, where there is one: its cost does not depend on the number of descriptors. libzmq's
    poller waits for sockets of libzmq, and for the epoll as a whole.
    """

    def __init__(self) -> None:
        self._interest: dict[Any, int] = {}
        self._poller = zmq.Poller()
        self._epoll = select.epoll() if _HAS_EPOLL else None
        self._sockets = 0
        if self._epoll is not None:
            self._poller.register(self._epoll.fileno(), READ)

    def set_interest(self, pollable: Any, events: int) -> None:
        """Set the events to wait for of a descriptor, or of a socket of libzmq; 0 for none."""
        before = self._interest.pop(pollable, 0)
        if events:
            self._interest[pollable] = events
        if before == events:
            return
        if self._epoll is None or not isinstance(pollable, int):
            self._sockets += bool(events) - bool(before)
            self._poller.register(pollable, events)  # without events, it is removed
        elif not events:
            with suppress(OSError):  # it has been closed
                self._epoll.unregister(pollable)
        elif before:
            self._epoll.modify(pollable, _TO_EPOLL[events])
        else:
            self._epoll.register(pollable, _TO_EPOLL[events])

    def wait(self, seconds: float) -> dict[Any, int]:
        """Return descriptors and sockets with their events, as soon as there are some, or the time is over."""
        if self._epoll is None or self._sockets:
            timeout = None if seconds == math.inf else math.ceil(seconds * 1000)
            ready = dict(self._poller.poll(timeout))
            if self._epoll is None or not ready.pop(self._epoll.fileno(), 0):
                return ready
            return ready | self._poll_epoll(0)
        return self._poll_epoll(-1 if seconds == math.inf else seconds)

    def _poll_epoll(self, seconds: float) -> dict[Any, int]:
        if self._epoll is None:
            return {}
        return {fd: _FROM_EPOLL[events & 31] for fd, events in self._epoll.poll(seconds, _MAX_EVENTS)}

    def close(self) -> None:
        """Free the descriptor of the poller itself."""
        if self._epoll is not None:
            self._epoll.close()
