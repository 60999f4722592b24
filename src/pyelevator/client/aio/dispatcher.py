"""The dispatcher: gives the calls of one event loop to connections, and watches their deadlines."""

import asyncio
import math
import time
from collections import OrderedDict
from collections.abc import Iterator
from itertools import chain
from typing import Any, Final

from pyelevator.client.aio.call import PendingCall
from pyelevator.client.aio.coalescing import PeerFeatures
from pyelevator.client.aio.connection import MultiplexedConnection
from pyelevator.client.pooling import UNASKED, pool_timeout_error
from pyelevator.codec import Codec
from pyelevator.commands import Command
from pyelevator.deadlines import Deadline
from pyelevator.errors import ConnectFailed, PoolTimeout, RequestTimeout, TransportError
from pyelevator.forks import FORKS
from pyelevator.transports import Transport
from pyelevator.transports.base import IDLE
from pyelevator.transports.threaded import ThreadedTransport

_MIN_TIMER: Final = 0.002
"""Seconds between two looks at the deadlines, at least."""


class Dispatcher:
    """Assigns calls to the connections of one event loop.

    A server that echoes ids gets all calls over one shared connection. One that does not, or not yet, gets one call at
    a time on each of up to ``max_connections``; the first answer tells which it is.

    Args:
        transport: makes the transports of the connections.
        codec: of what the server speaks.
        max_connections: to a server that does not echo ids.
        pool_timeout: seconds that a call may wait for a connection; None for as long as the call may take.
    """

    def __init__(
        self, transport: Transport, codec: Codec, max_connections: int, pool_timeout: float | None = None
    ) -> None:
        self.loop = asyncio.get_running_loop()
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
        self._timer_due = math.inf
        self._timer: asyncio.TimerHandle | None = None

    @property
    def is_open(self) -> bool:
        """True while a connection holds something of the system's."""
        return any(connection.transport.is_open for connection in chain(self._connections, self._retired))

    def submit(
        self, command: Command[Any], uid: str | None, compression: bool, expires_at: float, seconds: float
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
        self._close_idle(time.monotonic() - IDLE)
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
            connection.idle_since = time.monotonic()
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
        self._timer = self.loop.call_later(max(due - time.monotonic(), 0.0), self._on_timer)

    def _on_timer(self) -> None:
        now = time.monotonic()
        self._timer_due, self._timer = math.inf, None
        for call in [call for call in self._calls() if call.expires_at <= now]:
            self._time_out(call)
        due = min((call.expires_at for call in self._calls()), default=math.inf)
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
