"""Waiting for many descriptors, by the system's epoll or what it has instead."""

import math
import select
import selectors
from collections.abc import Mapping
from contextlib import suppress
from random import sample
from typing import Any, Final

from pyelevator.errors import UsageError
from pyelevator.transports.polling.readiness import READ, WRITE

_MAX_EVENTS: Final = 64  # that are returned together; the system begins with others next time
_SELECTOR_EVENTS: Final[Mapping[int, int]] = {
    READ: selectors.EVENT_READ,
    WRITE: selectors.EVENT_WRITE,
    READ | WRITE: selectors.EVENT_READ | selectors.EVENT_WRITE,
}


class SelectorEpoll:
    """The interface of ``select.epoll`` over the selector of a system without one, as kqueue of macOS and the BSDs."""

    def __init__(self) -> None:
        self._selector: Any = selectors.DefaultSelector()

    def fileno(self) -> int:
        """Return the descriptor of the selector, which can be polled itself."""
        if not hasattr(self._selector, "fileno"):
            raise UsageError(
                "this system has neither epoll nor kqueue, and a proxy needs one of them; a server does not"
            )
        descriptor: int = self._selector.fileno()
        return descriptor

    def register(self, descriptor: int, events: int) -> None:
        """Wait for events of one more descriptor."""
        self._selector.register(descriptor, _SELECTOR_EVENTS[events])

    def modify(self, descriptor: int, events: int) -> None:
        """Wait for other events of a descriptor."""
        self._selector.modify(descriptor, _SELECTOR_EVENTS[events])

    def unregister(self, descriptor: int) -> None:
        """Wait for events of a descriptor no more."""
        self._selector.unregister(descriptor)

    def poll(self, timeout: float | None, max_events: int) -> list[tuple[int, int]]:
        """Return some descriptors with their events, any of them if there are more, so that each has its turn."""
        ready: dict[int, int] = {}
        for key, events in self._selector.select(timeout):  # kqueue tells of reading and of writing apart
            found = (READ if events & selectors.EVENT_READ else 0) | (WRITE if events & selectors.EVENT_WRITE else 0)
            ready[key.fd] = ready.get(key.fd, 0) | found
        return sample(list(ready.items()), min(max_events, len(ready)))

    def close(self) -> None:
        """Free the descriptor of the selector itself."""
        self._selector.close()


def open_epoll() -> "select.epoll | SelectorEpoll":
    """Return what waits for many descriptors: its cost does not depend on how many there are."""
    return select.epoll() if hasattr(select, "epoll") else SelectorEpoll()


class Poller:
    """Waits for events of many descriptors, that of a listener among them.

    Raises:
        UsageError: the system has neither epoll nor kqueue, so that a listener has no descriptor.
    """

    def __init__(self) -> None:
        self._interest: dict[int, int] = {}
        self._epoll = open_epoll()
        self._epoll.fileno()  # which raises that

    def set_interest(self, descriptor: int, events: int) -> None:
        """Set the events to wait for of a descriptor; 0 for none."""
        before = self._interest.pop(descriptor, 0)
        if events:
            self._interest[descriptor] = events
        if before == events:
            return
        if not events:
            with suppress(OSError):  # it has been closed
                self._epoll.unregister(descriptor)
        elif before:
            self._epoll.modify(descriptor, events)
        else:
            self._epoll.register(descriptor, events)

    def wait(self, seconds: float) -> dict[int, int]:
        """Return descriptors with their events, as soon as there are some, or the time is over."""
        return dict(self._epoll.poll(None if seconds == math.inf else seconds, _MAX_EVENTS))

    def close(self) -> None:
        """Free the descriptor of the poller itself."""
        self._epoll.close()
