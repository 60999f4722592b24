"""The async session, and the dispatcher that gives its calls to connections and watches their deadlines."""

import asyncio
import warnings
from asyncio import get_running_loop
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Iterator
from contextlib import suppress
from itertools import chain
from math import inf
from time import monotonic
from typing import Any, Final

from pyelevator.client.aio.multiplexing import MultiplexedConnection, PeerFeatures, PendingCall
from pyelevator.client.pooling import UNASKED, BaseSession, pool_timeout_error
from pyelevator.codec import Codec
from pyelevator.commands import Command
from pyelevator.deadlines import Deadline
from pyelevator.errors import ConnectFailed, PoolTimeout, RequestTimeout, TransportError, UsageError
from pyelevator.flows import Effect, Sleep
from pyelevator.forks import FORKS
from pyelevator.messages import Request, Response
from pyelevator.transports import Transport
from pyelevator.transports.base import IDLE
from pyelevator.transports.threaded import ThreadedTransport

_MIN_TIMER: Final = 0.002
"""Seconds between two looks at the deadlines, at least."""


class Dispatcher:
    """Assigns calls to the connections of one event loop.

    A server that echoes ids gets all calls over one shared connection. One that does not, or not yet, gets one call at
    a time on each of up to ``max_connections``; the first answer tells which it is.
    """

    def __init__(
        self, transport: Transport, codec: Codec, max_connections: int, pool_timeout: float | None = None
    ) -> None:
        self.loop = get_running_loop()
        self.forks = FORKS.count
        self._transport = transport
        self._codec = codec
        self._max_connections = max_connections
        self._pool_timeout = pool_timeout
        self._is_serial = False
        """True once an answer without an id has come."""
        self._shared: MultiplexedConnection | None = None
        self._connections: list[MultiplexedConnection] = []
        self._retired: list[MultiplexedConnection] = []
        """Connections that still wait for answers, and carry no new requests."""
        self._queue: OrderedDict[PendingCall, None] = OrderedDict()
        self._peer = PeerFeatures()
        self._timer_due = inf
        self._timer: asyncio.TimerHandle | None = None

    @property
    def is_open(self) -> bool:
        """True while a connection holds something of the system's."""
        return any(connection.transport.is_open for connection in chain(self._connections, self._retired))

    def submit(
        self, command: Command, uid: str | None, compression: bool, expires_at: float, seconds: float
    ) -> PendingCall:
        """Begin a call; its future holds the outcome, at the latest soon after ``expires_at``."""
        call = PendingCall(command, uid, compression, expires_at, seconds, self.loop.create_future())
        if expires_at < self._timer_due:
            self._schedule_timer(expires_at)
        if self._shared is not None:
            self._shared.add(call)
        else:
            self._queue[call] = None
            self._assign()
            if self._pool_timeout is not None and call in self._queue:
                limit = Deadline.after(self._pool_timeout)
                self.loop.call_later(self._pool_timeout, self._on_pool_timeout, call, limit)
        return call

    def _on_pool_timeout(self, call: PendingCall, limit: Deadline) -> None:
        if call in self._queue:
            call.set_exception(pool_timeout_error(self._max_connections, limit))
            self.discard(call)

    def discard(self, call: PendingCall) -> None:
        """Take a call out of the queue, if it is there."""
        self._queue.pop(call, None)

    def close(self) -> None:
        """Close everything; calls under way fail."""
        calls = list(self._calls())
        for connection in chain(self._connections, self._retired):
            connection.close()
        if self._timer is not None:
            self._timer.cancel()
        for call in calls if not self.loop.is_closed() else ():
            call.set_exception(_disconnected_error(call))
        self._connections, self._retired, self._shared = [], [], None
        self._queue.clear()

    def _calls(self) -> Iterator[PendingCall]:
        connections = chain(self._connections, self._retired)
        return chain(self._queue, chain.from_iterable(connection.calls() for connection in connections))

    # Which call gets which connection

    def _assign(self) -> None:
        while self._queue:
            try:
                connection = self._available()
            except TransportError as error:
                self._queue.popitem(last=False)[0].set_exception(error)
                continue
            if connection is None:
                return
            connection.add(self._queue.popitem(last=False)[0])

    def _available(self) -> MultiplexedConnection | None:
        if self._shared is not None:
            return self._shared
        self._close_idle(monotonic() - IDLE)
        idle = [connection for connection in self._connections if connection.is_idle]
        if idle:
            return max(idle, key=lambda connection: connection.idle_since)
        if len(self._connections) < (self._max_connections if self._is_serial else 1):
            transport = self._transport.to_async() or ThreadedTransport(self._transport.clone())
            connection = MultiplexedConnection(transport, self._codec, self._on_change, self._peer)
            self._connections.append(connection)
            return connection
        return None

    def _close_idle(self, since: float) -> None:
        """Close the connections that have been idle since then or longer, as the pool of a sync client does."""
        for connection in [one for one in self._connections if one.is_idle and one.idle_since <= since]:
            self._retire(connection)

    def _on_change(self, connection: MultiplexedConnection) -> None:
        """React to an answer, to a call that was given up, and to a connection that is closed or became idle."""
        if connection.received_count and not connection.multiplexes:
            self._is_serial = True
        if connection.has_failed:
            self._close_idle(connection.idle_since)
        elif connection.is_idle:
            connection.idle_since = monotonic()
        if connection.is_closed:
            self._retire(connection)
        elif connection in self._retired:
            self._close_if_idle(connection)
        elif connection.multiplexes and self._shared is None:
            self._shared = connection  # by all calls; other connections carry no new ones
            for other in [other for other in self._connections if other is not connection]:
                self._retire(other)
        if self._queue:
            self._assign()

    def _retire(self, connection: MultiplexedConnection) -> None:
        """Let the connection carry no new requests; what it has not sent goes to the head of the queue."""
        if self._shared is connection:
            self._shared = None
        if connection in self._connections:
            self._connections.remove(connection)
            self._retired.append(connection)
        for call in reversed(connection.detach_unsent()):
            self._queue[call] = None
            self._queue.move_to_end(call, last=False)
        self._close_if_idle(connection)

    def _close_if_idle(self, connection: MultiplexedConnection) -> None:
        if connection.is_idle and connection in self._retired:
            self._retired.remove(connection)
            connection.close()

    # Deadlines: one timer for all of them, because most calls are answered long before

    def _schedule_timer(self, due: float) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._timer_due = due
        self._timer = self.loop.call_later(max(due - monotonic(), 0.0), self._on_timer)

    def _on_timer(self) -> None:
        now = monotonic()
        self._timer_due, self._timer = inf, None
        for call in [call for call in self._calls() if call.expires_at <= now]:
            self._time_out(call)
        due = min((call.expires_at for call in self._calls()), default=inf)
        if due < self._timer_due:
            self._schedule_timer(max(due, now + _MIN_TIMER))

    def _time_out(self, call: PendingCall) -> None:
        connection = call.connection
        call.set_exception(self._timeout_error(call))
        if connection is None:
            self.discard(call)
            return
        connection.cancel(call)
        if self._shared is not None and connection is self._shared and connection.is_silent_since(call):
            self._retire(self._shared)  # it may be dead, and new calls shall not wait for it
            self._assign()

    def _timeout_error(self, call: PendingCall) -> RequestTimeout:
        if call.connection is not None and call.message is not None:
            error = call.connection.transport.request_timeout_error(call.deadline)
            return RequestTimeout(f"{error}; {UNASKED}") if call.connection.is_spent else error
        for connection in self._connections:
            if connection.has_unsent:
                return connection.transport.connect_timeout_error(call.deadline)
        if self._is_serial:
            return pool_timeout_error(self._max_connections, call.deadline)
        return PoolTimeout(
            f"nothing was sent: {self._transport.url} has not answered the first request, within "
            f"{call.deadline}; raise timeout="
        )


def _disconnected_error(call: PendingCall) -> TransportError:
    if call.message is None:
        return ConnectFailed("the client was disconnected; nothing was sent")
    return TransportError(
        "the client was disconnected before the answer came; whether the server executed the request is not known"
    )


class AsyncSession(BaseSession):
    """The connections of one client to its server, on the event loop that runs when it is used."""

    _dispatcher: Dispatcher | None = None

    async def send(self, request: Request, deadline: Deadline) -> Response:
        """Send a request, and return its response."""
        dispatcher = self._dispatcher_for_loop()
        call = dispatcher.submit(request.command, request.uid, request.compression, deadline.at, deadline.seconds)
        try:
            outcome = await call.future
        except BaseException:
            self.cancel(call)
            raise
        return outcome if isinstance(outcome, Response) else Response(outcome)

    def submit(self, command: Command, uid: str | None, timeout: float | None) -> PendingCall:
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
            own = effect.request.context.deadline
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
