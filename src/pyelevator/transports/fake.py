"""FakeTransport: the server application in process, for tests without a server."""

import os
from collections import deque
from collections.abc import Sequence
from queue import Empty, SimpleQueue
from threading import Thread, get_ident
from typing import TYPE_CHECKING, Final, Self

from pyelevator.codec import Codec
from pyelevator.deadlines import Deadline
from pyelevator.errors import RequestTimeout
from pyelevator.protocol import RequestDecoder
from pyelevator.transports.base import AsyncTransport, Transport

if TYPE_CHECKING:
    from pyelevator.application import Application


EXECUTING: Final[set[int]] = set()
"""The threads that execute a request of a fake."""
_MAX_WAIT: Final = 5.0
"""Seconds that a call from such a thread may take."""


class FakeTransport(Transport):
    """A server in process. Clients with the same object share it; another object is another, empty server.

    Everything but the socket is real: requests are encoded and decoded, and the application that the server runs
    answers them.

    Args:
        application: answers the requests; a new one on the memory engine if None.
        codecs: of dialects that it reads beside the two.

    >>> from pyelevator import Elevator
    >>> with Elevator(transport=FakeTransport()) as E:
    ...     E.Put("abc", "123")
    ...     E.Get("abc")
    '123'
    """

    def __init__(self, application: "Application | None" = None, codecs: Sequence[Codec] = ()) -> None:
        self.application = application or _in_memory()
        self._codecs = codecs
        self._reader = RequestDecoder(codecs=codecs)
        self._replies: deque[Sequence[bytes]] = deque()
        self._connection = os.urandom(8)

    @property
    def url(self) -> str:
        return "fake://"

    def __repr__(self) -> str:
        return f"<{type(self).__name__} of {self.application!r}>"

    def send(self, frames: Sequence[bytes], deadline: Deadline) -> None:
        if get_ident() in EXECUTING:
            self._replies.append(self._answer_in_thread(frames, deadline))
        else:
            self._replies.append(self.answer(frames))

    def _answer_in_thread(self, frames: Sequence[bytes], deadline: Deadline) -> list[bytes]:
        """Return the answer, executed in another thread.

        It is for a signal handler or a finalizer that has interrupted an application: what it waits for may be a lock
        that its own thread holds.
        """
        answers: SimpleQueue[list[bytes]] = SimpleQueue()
        Thread(target=lambda: answers.put(self.answer(frames)), name="elevator-fake", daemon=True).start()
        try:
            return answers.get(timeout=min(deadline.remaining(), _MAX_WAIT))
        except Empty:
            raise RequestTimeout(
                f"{self.url} executes a request that a signal handler or a finalizer has interrupted; "
                "it cannot be used from there"
            ) from None

    def answer(self, frames: Sequence[bytes]) -> list[bytes]:
        """Return the server's answer to a message."""
        thread = get_ident()
        try:
            EXECUTING.add(thread)
            exchange = self._reader.read(frames, None, self._connection)
            if exchange.request is None:
                return exchange.answer(self.application)
            application = self.application
            return exchange.encode(application.try_handle(exchange.request) or application(exchange.request))
        finally:
            EXECUTING.discard(thread)

    def receive(self, deadline: Deadline) -> Sequence[bytes]:
        try:
            return self._replies.popleft()
        except IndexError:
            raise RequestTimeout(
                f"no answer of {self.url} is pending (waiting {deadline.seconds} s would not help)"
            ) from None

    def reset(self) -> None:
        self.close()

    def close(self) -> None:
        self._replies.clear()
        self.application.connection_ended(self._connection)

    def clone(self) -> Self:
        return type(self)(self.application, self._codecs)

    def to_async(self) -> AsyncTransport:
        from pyelevator.transports.fake_aio import AsyncFakeTransport  # asyncio is only imported where it is used

        clone = self.clone()
        return AsyncFakeTransport(clone.url, clone.answer, clone.close)


def _in_memory() -> "Application":
    """Return a new application; imported here, because a client of a real server does not need it."""
    from pyelevator.application import Application

    return Application.in_memory()
