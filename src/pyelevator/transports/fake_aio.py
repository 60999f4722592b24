"""The fake on an event loop."""

import asyncio
import threading
from collections.abc import Sequence

from pyelevator.transports.base import AsyncTransport, Receiver
from pyelevator.transports.fake import INSIDE, FakeTransport


class FakeConnection(AsyncTransport):
    """The server application in process; it answers in a later turn of the loop, so that awaits interleave."""

    def __init__(self, lane: FakeTransport) -> None:
        self._lane = lane
        self._receiver: Receiver | None = None

    @property
    def url(self) -> str:
        return self._lane.url

    def open(self, receiver: Receiver) -> None:
        self._receiver = receiver
        self._loop = asyncio.get_running_loop()

    def send(self, frames: Sequence[bytes]) -> bool:
        self._loop.call_soon(self._answer, frames)
        return True

    def _answer(self, frames: Sequence[bytes]) -> None:
        thread = threading.get_ident()
        try:
            INSIDE.add(thread)
            answer = self._lane.answer(frames)
        finally:
            INSIDE.discard(thread)
        if self._receiver is not None:
            self._receiver.received(answer)

    def close(self) -> None:
        self._receiver = None
        self._lane.close()
