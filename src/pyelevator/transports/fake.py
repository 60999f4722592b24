"""FakeTransport: the server application in process, for tests without a server."""

import os
from collections import deque
from collections.abc import Sequence
from queue import Empty, SimpleQueue
from threading import Thread, get_ident
from typing import TYPE_CHECKING, Final, Self

from pyelevator.codec import Codec
from pyelevator.conversation import Reader
from pyelevator.deadlines import Deadline
from pyelevator.errors import RequestTimeout
from pyelevator.transports.base import AsyncTransport, Transport

if TYPE_CHECKING:
    from pyelevator.application import Application


INSIDE: Final[set[int]] = set()
"""The threads that are in the middle of an application."""
_PATIENCE: Final = 5.0
"""Seconds that a call from there may take at the most, as nobody else could end its waiting."""


class FakeTransport(Transport):
    """A server in process. Clients that are given the same object share it; another object is another, empty server.

    Everything but the socket is the real thing: the requests are encoded and decoded, and the application that the
    server runs answers them, on the memory engine unless an ``application`` says otherwise; ``codecs`` are of dialects
    that it reads beside the two.

    >>> from pyelevator import Elevator
    >>> with Elevator(transport=FakeTransport()) as E:
    ...     E.Put("abc", "123")
    ...     E.Get("abc")
    '123'
    """

    def __init__(self, application: "Application | None" = None, codecs: Sequence[Codec] = ()) -> None:
        self.application = application or _in_memory()
        self._codecs = codecs
        self._reader = Reader(codecs=codecs)
        self._inbox: deque[Sequence[bytes]] = deque()
        self._connection = os.urandom(8)

    @property
    def url(self) -> str:
        return "fake://"

    def __repr__(self) -> str:
        return f"<{type(self).__name__} of {self.application!r}>"

    def send(self, frames: Sequence[bytes], deadline: Deadline) -> None:
        if get_ident() in INSIDE:
            self._inbox.append(self._answer_aside(frames, deadline))
        else:
            self._inbox.append(self.answer(frames))

    def _answer_aside(self, frames: Sequence[bytes], deadline: Deadline) -> list[bytes]:
        """The answer by way of another thread, for a signal handler or a finalizer that has interrupted an application:
        what it waits for may be what its own thread holds.
        """
        answers: SimpleQueue[list[bytes]] = SimpleQueue()
        Thread(target=lambda: answers.put(self.answer(frames)), name="elevator-fake", daemon=True).start()
        try:
            return answers.get(timeout=min(deadline.remaining(), _PATIENCE))
        except Empty:
            raise RequestTimeout(
                f"{self.url} is in the middle of a request that a signal handler or a finalizer has interrupted; "
                "it cannot be asked from there"
            ) from None

    def answer(self, frames: Sequence[bytes]) -> list[bytes]:
        """Return the server's answer to a message."""
        thread = get_ident()
        try:
            INSIDE.add(thread)
            exchange = self._reader.read(frames, None, self._connection)
            if exchange.request is None:
                return exchange.answer(self.application)
            application = self.application
            return exchange.encode(application.try_handle(exchange.request) or application(exchange.request))
        finally:
            INSIDE.discard(thread)

    def receive(self, deadline: Deadline) -> Sequence[bytes]:
        try:
            return self._inbox.popleft()
        except IndexError:
            raise RequestTimeout(
                f"no answer is on its way from {self.url} (waiting {deadline.seconds} s would not help)"
            ) from None

    def reset(self) -> None:
        self.close()

    def close(self) -> None:
        self._inbox.clear()
        self.application.connection_ended(self._connection)

    def clone(self) -> Self:
        return type(self)(self.application, self._codecs)

    def to_async(self) -> AsyncTransport:
        from pyelevator.transports.fake_aio import AsyncFakeTransport  # asyncio is only imported where it is used

        clone = self.clone()
        return AsyncFakeTransport(clone.url, clone.answer, clone.close)


def _in_memory() -> "Application":
    """An application of its own; imported here, because a client of a real server has no use for one."""
    from pyelevator.application import Application

    return Application.in_memory()
