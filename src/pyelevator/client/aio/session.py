"""The async session: any number of calls at once over few connections."""

import asyncio
import warnings
from asyncio import get_running_loop
from collections import deque
from collections.abc import Awaitable, Callable
from contextlib import suppress
from math import inf
from time import monotonic
from typing import Any

from pyelevator.client.aio.call import PendingCall
from pyelevator.client.aio.dispatcher import Dispatcher
from pyelevator.client.pooling import check_max_connections
from pyelevator.codec import Codec
from pyelevator.commands import Command
from pyelevator.deadlines import Deadline
from pyelevator.errors import UsageError
from pyelevator.flows import Effect, Sleep
from pyelevator.forks import FORKS
from pyelevator.messages import Request, Response
from pyelevator.transports import Transport


class AsyncSession:
    """The connections of one client to its server, on the event loop that runs when it is used.

    Attributes:
        transport, codec: of its connections.
        dropped: the pagers of abandoned scans, whose cursors are given back with the next request.
    """

    def __init__(
        self, transport: Transport, codec: Codec, max_connections: int, pool_timeout: float | None = None
    ) -> None:
        check_max_connections(max_connections)
        self.transport = transport
        self.codec = codec
        self._max_connections = max_connections
        self._pool_timeout = pool_timeout
        self._dispatcher: Dispatcher | None = None
        self.dropped: deque[Any] = deque()

    async def send(self, request: Request[Any], deadline: Deadline) -> Response:
        """Send a request, and return its response.

        Raises:
            RequestTimeout: no response came before the deadline, or nothing could be sent until then.
            TransportError, ProtocolError: the connection's failure.
            UsageError: another event loop runs than the one that the client is used on.
        """
        dispatcher = self._dispatcher_for_loop()
        call = dispatcher.submit(request.command, request.uid, request.compression, deadline.at, deadline.seconds)
        try:
            outcome = await call.future
        except BaseException:
            self.cancel(call)
            raise
        return outcome if isinstance(outcome, Response) else Response(outcome)

    def submit(self, command: Command[Any], uid: str | None, timeout: float | None) -> PendingCall:
        """Begin a call that may take ``timeout`` seconds; one that is not waited for is cancelled by :meth:`cancel`."""
        seconds = inf if timeout is None else timeout
        dispatcher = self._dispatcher  # as in ``_dispatcher_for_loop``, without a call: thousands may be made at once
        if dispatcher is None or dispatcher.forks != FORKS.here[0] or dispatcher.loop is not get_running_loop():
            dispatcher = self._dispatcher_for_loop()
        return dispatcher.submit(command, uid, False, monotonic() + seconds, seconds)

    def cancel(self, call: PendingCall) -> None:
        """Give up a call that is not answered; it costs no other call its answer."""
        if call.connection is not None:
            call.connection.cancel(call)
        elif self._dispatcher is not None:
            self._dispatcher.discard(call)

    def _dispatcher_for_loop(self) -> Dispatcher:
        dispatcher = self._dispatcher
        if dispatcher is None or dispatcher.loop is not get_running_loop() or dispatcher.forks != FORKS.count:
            dispatcher = self._dispatcher = self._rebind()
        return dispatcher

    def effect_handler(self, deadline: Deadline) -> Callable[[Effect], Awaitable[Any]]:
        """Return what carries out the effects of a flow (see flows.drive_async), all before one deadline."""

        def perform(effect: Effect) -> Awaitable[Any]:
            if isinstance(effect, Sleep):
                return asyncio.sleep(min(effect.seconds, deadline.remaining()))
            own = effect.request.deadline
            return self.send(effect.request, deadline if own is None else deadline.earlier(own))

        return perform

    def _rebind(self) -> Dispatcher:
        """Make a dispatcher for the running loop. One of an ended loop is closed; a forked child leaves it alone."""
        dispatcher = self._dispatcher
        if dispatcher is not None and dispatcher.forks == FORKS.count:
            if dispatcher.loop.is_running():
                raise UsageError("the client is in use on another event loop; make one client for each loop")
            dispatcher.close()
        return Dispatcher(self.transport, self.codec, self._max_connections, self._pool_timeout)

    def close(self) -> None:
        """Close the connections, and fail the calls under way; a later call opens new ones."""
        dispatcher, self._dispatcher = self._dispatcher, None
        if dispatcher is not None and dispatcher.forks == FORKS.count:
            dispatcher.close()

    def __del__(self) -> None:
        dispatcher = getattr(self, "_dispatcher", None)
        if dispatcher is not None and dispatcher.is_open and dispatcher.forks == FORKS.count:
            with suppress(RuntimeError):  # the loop has ended; else it would watch, and keep, what is not used
                dispatcher.loop.call_soon_threadsafe(dispatcher.close)
            warnings.warn(
                f"a client of {self.transport.url} was not closed; use `async with`, or await disconnect()",
                ResourceWarning,
                stacklevel=2,
                source=self,
            )
