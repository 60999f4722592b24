"""The fake on an event loop."""

import asyncio
from collections.abc import Callable, Sequence
from typing import Any

from pyelevator.errors import RequestTimeout, TransportError
from pyelevator.flows import Effect, Flow, Send, drive_async
from pyelevator.messages import Response
from pyelevator.transports.base import AsyncTransport, Receiver, Transport


class AsyncFakeTransport(AsyncTransport):
    """The application in process, which answers in a later turn of the loop, so that awaits interleave.

    Args:
        fake: a transport of its own to the same application.
        answer: returns the answer to a message; it is of the fake, as what follows is.
        respond: answers it as a flow through interceptors, which may wait; None without any.
        perform: executes a request of such a flow.
    """

    def __init__(
        self,
        fake: Transport,
        answer: Callable[[Sequence[bytes]], list[bytes]],
        respond: Callable[[Sequence[bytes]], Flow[Sequence[bytes]]] | None,
        perform: Callable[[Send[Any]], Response],
    ) -> None:
        self._fake, self._answer, self._flow, self._perform_request = fake, answer, respond, perform
        self._receiver: Receiver | None = None
        self._tasks: set[asyncio.Task[None]] = set()
        self._lost: TransportError | None = None

    @property
    def url(self) -> str:
        return self._fake.url

    def open(self, receiver: Receiver) -> None:
        self._receiver = receiver
        self._loop = asyncio.get_running_loop()

    def send(self, frames: Sequence[bytes]) -> bool:
        if self._flow is not None:
            task = self._loop.create_task(self._respond(self._flow(frames)))
            self._tasks.add(task)
            task.add_done_callback(self._end)
        else:
            self._loop.call_soon(self._deliver, frames)
        return True

    def _deliver(self, frames: Sequence[bytes]) -> None:
        answer = self._answer(frames)
        if self._receiver is not None:
            self._receiver.message_received(answer)

    async def _respond(self, flow: Flow[Sequence[bytes]]) -> None:
        """Answer a message through the interceptors."""
        try:
            answer = await drive_async(flow, self._perform)
        except TransportError as error:
            self._lost = error
            return
        if self._receiver is not None:
            self._receiver.message_received(answer)

    async def _perform(self, effect: Effect) -> Response | None:
        if isinstance(effect, Send):
            return self._perform_request(effect)
        await asyncio.sleep(effect.seconds)
        return None

    def _end(self, task: "asyncio.Task[None]") -> None:
        """Say that messages were lost. A dropped one costs no other its answer, as the loss of the connection does."""
        self._tasks.discard(task)
        lost = self._lost
        if lost is not None and self._receiver is not None and not (self._tasks and type(lost) is RequestTimeout):
            self._lost = None
            self._receiver.connection_lost(lost)

    def close(self) -> None:
        self._receiver = None
        for task in self._tasks:
            task.cancel()
        self._fake.close()
