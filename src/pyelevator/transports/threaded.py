"""Any transport on an event loop, by a thread."""

import asyncio
import threading
from collections.abc import Callable, Sequence
from contextlib import suppress
from functools import partial
from queue import SimpleQueue
from typing import Any, Final

from pyelevator.deadlines import Deadline
from pyelevator.errors import RequestTimeout
from pyelevator.transports.base import AsyncTransport, Receiver, Transport

_SLICE: Final = 0.05
"""Seconds after which a thread that waits for an answer looks whether it is still wanted."""


class ThreadedTransport(AsyncTransport):
    """Any other transport, used by a thread of its own: one message at a time, and its one answer."""

    multiplexed = False

    def __init__(self, lane: Transport) -> None:
        self._lane = lane
        self._closed = threading.Event()
        self._messages: SimpleQueue[Sequence[bytes] | None] = SimpleQueue()
        self._unsent = False

    @property
    def url(self) -> str:
        return self._lane.url

    @property
    def is_open(self) -> bool:
        return not self._closed.is_set()

    def open(self, receiver: Receiver) -> None:
        self._receiver = receiver
        self._loop = asyncio.get_running_loop()
        threading.Thread(target=self._work, name="elevator-lane", daemon=True).start()

    def send(self, frames: Sequence[bytes]) -> bool:
        self._unsent = True
        self._messages.put(frames)
        return True

    def close(self) -> None:
        self._closed.set()
        self._messages.put(None)

    def request_timeout_error(self, deadline: Deadline) -> RequestTimeout:
        return self.connect_timeout_error(deadline) if self._unsent else super().request_timeout_error(deadline)

    def _work(self) -> None:
        """What the thread does, until the lane is closed."""
        with self._lane:
            while (frames := self._messages.get()) is not None:
                try:
                    self._insist(partial(self._lane.send, frames))
                    self._unsent = False
                    answer = self._insist(self._lane.receive)
                except Exception as error:  # noqa: BLE001 - whatever it is, it belongs to the caller
                    self._tell(self._receiver.connection_lost, error)
                else:
                    self._tell(self._receiver.message_received, answer)

    def _insist(self, step: Callable[[Deadline], Any]) -> Any:
        """Does a step of the exchange, for as long as somebody waits for it."""
        while not self._closed.is_set():
            patience = Deadline.after(_SLICE)
            try:
                return step(patience)
            except RequestTimeout:  # a transport that cannot wait says so at once
                self._closed.wait(patience.remaining())
        return None

    def _tell(self, report: Callable[[Any], None], outcome: Any) -> None:
        with suppress(RuntimeError):  # the loop is closed, and nobody waits any more
            self._loop.call_soon_threadsafe(self._told, report, outcome)

    def _told(self, report: Callable[[Any], None], outcome: Any) -> None:
        if not self._closed.is_set():
            report(outcome)
