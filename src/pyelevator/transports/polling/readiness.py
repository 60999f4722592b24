"""Waiting for one descriptor, by what the system has, or what a library of green threads has left of it."""

import _socket
import math
import select
from typing import Final, Protocol

READ: Final = 1
WRITE: Final = 4
"""Events, in the numbers of poll and epoll."""


class Poll(Protocol):
    """The interface of :func:`select.poll`."""

    def register(self, descriptor: _socket.socket, events: int, /) -> None:
        """Wait for events of a descriptor."""

    def poll(self, milliseconds: float, /) -> list[tuple[int, int]]:
        """Return the events, as soon as there are some, or the time is over."""


class SelectPoll:
    """The same for one descriptor by :func:`select.select`: eventlet removes ``select.poll``, and patches this."""

    def __init__(self) -> None:
        self._descriptor = -1
        self._events = 0

    def register(self, descriptor: _socket.socket, events: int, /) -> None:
        """Wait for events of a descriptor."""
        self._descriptor = descriptor.fileno()
        self._events = events

    def poll(self, milliseconds: float, /) -> list[tuple[int, int]]:
        """Return the events, as soon as there are some, or the time is over."""
        reading = [self._descriptor] if self._events & select.POLLIN else []
        writing = [self._descriptor] if self._events & select.POLLOUT else []
        timeout = None if milliseconds == math.inf else milliseconds / 1000
        readable, writable, _ = select.select(reading, writing, [], timeout)
        events = (select.POLLIN if readable else 0) | (select.POLLOUT if writable else 0)
        return [(self._descriptor, events)] if events else []


def poll_for(descriptor: _socket.socket, events: int) -> Poll:
    """Return what waits for ``events`` of one descriptor; ``select`` may be patched after this module is imported."""
    poll: Poll = getattr(select, "poll", SelectPoll)()
    poll.register(descriptor, events)
    return poll
