"""The fake on an event loop."""

import asyncio
from collections.abc import Callable, Sequence

from pyelevator.transports.base import AsyncTransport, Receiver


class AsyncFakeTransport(AsyncTransport):
    """The application in process, which answers in a later turn of the loop, so that awaits interleave.

    Args:
        url: of the fake, for messages.
        answer: returns the answer to a message.
        leave: tells the application that the connection has ended.
    """

    def __init__(self, url: str, answer: Callable[[Sequence[bytes]], list[bytes]], leave: Callable[[], None]) -> None:
        self._url, self._answer, self._leave = url, answer, leave
        self._receiver: Receiver | None = None

    @property
    def url(self) -> str:
        return self._url

    def open(self, receiver: Receiver) -> None:
        self._receiver = receiver
        self._loop = asyncio.get_running_loop()

    def send(self, frames: Sequence[bytes]) -> bool:
        self._loop.call_soon(self._deliver, frames)
        return True

    def _deliver(self, frames: Sequence[bytes]) -> None:
        answer = self._answer(frames)
        if self._receiver is not None:
            self._receiver.message_received(answer)

    def close(self) -> None:
        self._receiver = None
        self._leave()
