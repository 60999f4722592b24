"""Any transport on an event loop, in a thread."""

import asyncio
import threading
from collections.abc import Callable, Sequence
from contextlib import suppress
from functools import partial
from queue import SimpleQueue
from typing import Final, TypeVar

from pyelevator.deadlines import Deadline
from pyelevator.errors import RequestTimeout
from pyelevator.transports.base import AsyncTransport, Receiver, Transport

T = TypeVar("T")

_POLL_INTERVAL: Final = 0.05
"""Seconds after which a thread that waits checks that the transport is still open."""


class ThreadedTransport(AsyncTransport):
    """Uses another transport in a thread: one message at a time, and its one answer.

    Args:
        transport: must not be used elsewhere.
    """

    multiplexed = False

    def __init__(self, transport: Transport) -> None:
        self._transport = transport
        self._closed = threading.Event()
        self._messages: SimpleQueue[Sequence[bytes] | None] = SimpleQueue()
        self._unsent = False

    @property
    def url(self) -> str:
        return self._transport.url

    @property
    def is_open(self) -> bool:
        return not self._closed.is_set()

    def open(self, receiver: Receiver) -> None:
        self._receiver = receiver
        self._loop = asyncio.get_running_loop()
        threading.Thread(target=self._run, name="elevator-transport", daemon=True).start()

    def send(self, frames: Sequence[bytes]) -> bool:
        self._unsent = True
        self._messages.put(frames)
        return True

    def close(self) -> None:
        self._closed.set()
        self._messages.put(None)

    def request_timeout_error(self, deadline: Deadline) -> RequestTimeout:
        return self.connect_timeout_error(deadline) if self._unsent else super().request_timeout_error(deadline)

    def _run(self) -> None:
        """Send and receive, until the transport is closed."""
        with self._transport:
            while (frames := self._messages.get()) is not None:
                try:
                    self._retry_until_closed(partial(self._transport.send, frames))
                    self._unsent = False
                    answer = self._retry_until_closed(self._transport.receive)
                except Exception as error:  # noqa: BLE001 - whatever it is, it belongs to the caller
                    self._post(self._receiver.connection_lost, error)
                else:
                    if answer is not None:
                        self._post(self._receiver.message_received, answer)

    def _retry_until_closed(self, step: Callable[[Deadline], T]) -> T | None:
        """Send or receive with short deadlines, until the transport is closed."""
        while not self._closed.is_set():
            deadline = Deadline.after(_POLL_INTERVAL)
            try:
                return step(deadline)
            except RequestTimeout:  # a transport that cannot wait says so at once
                self._closed.wait(deadline.remaining())
        return None

    def _post(self, callback: Callable[[T], None], outcome: T) -> None:
        with suppress(RuntimeError):  # the loop is closed
            self._loop.call_soon_threadsafe(self._deliver, callback, outcome)

    def _deliver(self, callback: Callable[[T], None], outcome: T) -> None:
        if not self._closed.is_set():
            callback(outcome)
