"""Readiness: waiting for one descriptor, by what the system has, or what a library of green threads has left of it."""

import math
import select
from typing import Any, Protocol


class Poll(Protocol):
    """What :func:`select.poll` gives."""

    def register(self, descriptor: Any, events: int, /) -> None:
        """Watches a descriptor."""

    def poll(self, milliseconds: float, /) -> list[tuple[int, int]]:
        """What has happened, as soon as something has, or the time is over."""


class Select:
    """The same for one descriptor by :func:`select.select`, which eventlet lets other green threads run in; it takes
    ``select.poll`` away.
    """

    def __init__(self) -> None:
        self._descriptor = -1
        self._events = 0

    def register(self, descriptor: Any, events: int, /) -> None:
        """Watches a descriptor."""
        self._descriptor = descriptor if isinstance(descriptor, int) else descriptor.fileno()
        self._events = events

    def poll(self, milliseconds: float, /) -> list[tuple[int, int]]:
        """What has happened, as soon as something has, or the time is over."""
        reading = [self._descriptor] if self._events & select.POLLIN else []
        writing = [self._descriptor] if self._events & select.POLLOUT else []
        timeout = None if milliseconds == math.inf else milliseconds / 1000
        readable, writable, _ = select.select(reading, writing, [], timeout)
        happened = (select.POLLIN if readable else 0) | (select.POLLOUT if writable else 0)
        return [(self._descriptor, happened)] if happened else []


def watching(descriptor: Any, events: int) -> Poll:
    """What waits for ``events`` on a descriptor; looked up each time, as libraries are patched after imports, too."""
    poll: Poll = getattr(select, "poll", Select)()
    poll.register(descriptor, events)
    return poll
