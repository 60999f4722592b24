"""The async session: any number of calls at once over few sockets.

A server that echoes ids gets all calls over one shared connection. One that does not, or not yet, gets one call at a
time on each of up to ``max_lanes`` connections; the first answer tells which it is.
"""

import asyncio
import math
import time
import warnings
from collections import OrderedDict, deque
from collections.abc import Awaitable, Callable, Iterator
from contextlib import suppress
from itertools import chain
from typing import Any, Final

from pyelevator.client.aio.coalescing import Server
from pyelevator.client.aio.connection import Call, Connection
from pyelevator.client.sync.session import all_busy, check_lanes
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

_TICK: Final = 0.002
"""Seconds between two looks at the deadlines, at least."""


class Switchboard:
    """The connections of one event loop, and who waits for one."""

    def __init__(self, transport: Transport, codec: Codec, max_lanes: int, lane_timeout: float | None = None) -> None:
        self.loop = asyncio.get_running_loop()
        self.forks = FORKS.count
        self._transport = transport
        self._codec = codec
        self._max_lanes = max_lanes
        self._lane_timeout = lane_timeout
        self._serial = False
        """True once an answer without an id has come."""
        self._shared: Connection | None = None
        self._connections: list[Connection] = []
        self._retired: list[Connection] = []
        """Connections that still wait for answers, and carry no new requests."""
        self._waiting: OrderedDict[Call, None] = OrderedDict()
        self._server = Server()
        self._due = math.inf
        self._timer: asyncio.TimerHandle | None = None

    @property
    def is_open(self) -> bool:
        """True while a connection holds something of the system's."""
        return any(connection.transport.is_open for connection in chain(self._connections, self._retired))

    def submit(self, command: Command[Any], uid: str | None, compression: bool, at: float, seconds: float) -> Call:
        """Begins a call; its future holds the outcome, at the latest soon after the point ``at``."""
        call = Call(command, uid, compression, at, seconds, self.loop.create_future(), self)
        if at < self._due:
            self._look_at(at)
        if self._shared is not None:
            self._shared.add(call)
        else:
            self._waiting[call] = None
            self._assign()
            if self._lane_timeout is not None and call in self._waiting:
                self.loop.call_later(self._lane_timeout, self._lose_patience, call, Deadline.after(self._lane_timeout))
        return call

    def _lose_patience(self, call: Call, limit: Deadline) -> None:
        if call in self._waiting:
            call.fail(all_busy(self._max_lanes, limit))
            self.abandon(call)

    def abandon(self, call: Call) -> None:
        """Gives up a call that is not answered; it costs no other call its answer."""
        connection = call.connection
        if connection is None:
            self._waiting.pop(call, None)
        elif connection.forget(call):
            self._changed(connection)

    def close(self) -> None:
        """Closes everything; calls under way fail."""
        calls = list(self._calls())
        for connection in chain(self._connections, self._retired):
            connection.close()
        if self._timer is not None:
            self._timer.cancel()
        for call in calls if not self.loop.is_closed() else ():
            call.fail(_cut_off(call))
        self._connections, self._retired, self._shared = [], [], None
        self._waiting.clear()

    def _calls(self) -> Iterator[Call]:
        connections = chain(self._connections, self._retired)
        return chain(self._waiting, chain.from_iterable(connection.calls() for connection in connections))

    # Who gets which connection

    def _assign(self) -> None:
        while self._waiting:
            try:
                connection = self._free()
            except TransportError as error:
                self._waiting.popitem(last=False)[0].fail(error)
                continue
            if connection is None:
                return
            connection.add(self._waiting.popitem(last=False)[0])

    def _free(self) -> Connection | None:
        if self._shared is not None:
            return self._shared
        connection = self._last_used()
        if connection is not None:
            return connection
        if len(self._connections) < (self._max_lanes if self._serial else 1):
            transport = self._transport.to_async() or ThreadedTransport(self._transport.clone())
            connection = Connection(transport, self._codec, self._changed, self._server)
            self._connections.append(connection)
            return connection
        return None

    def _last_used(self) -> Connection | None:
        """The idle connection that was used last; those that have been idle for long are closed."""
        self._close_idle(time.monotonic() - IDLE)
        idle = [connection for connection in self._connections if connection.idle]
        return max(idle, key=lambda connection: connection.idle_since, default=None)

    def _close_idle(self, since: float) -> None:
        """Closes the connections that have been idle since then or longer (see the pool of the sync client)."""
        for connection in [one for one in self._connections if one.idle and one.idle_since <= since]:
            self._retire(connection)

    def _changed(self, connection: Connection) -> None:
        """An answer has come on the connection, or a call on it was given up, or it is broken or has nothing to do."""
        if connection.heard and not connection.many:
            self._serial = True
        if connection.failed:
            self._close_idle(connection.idle_since)
        elif connection.idle:
            connection.idle_since = time.monotonic()
        if connection.broken:
            self._retire(connection)
        elif connection in self._retired:
            self._bury(connection)
        elif connection.many:
            self._share(connection)
        if self._waiting:
            self._assign()

    def _share(self, connection: Connection) -> None:
        if self._shared is None:
            self._shared = connection
            for other in [other for other in self._connections if other is not connection]:
                self._retire(other)

    def _retire(self, connection: Connection) -> None:
        """Lets the connection carry no new requests; what it has not sent goes to the head of the queue."""
        if self._shared is connection:
            self._shared = None
        if connection in self._connections:
            self._connections.remove(connection)
            self._retired.append(connection)
        for call in reversed(connection.take_back()):
            self._waiting[call] = None
            self._waiting.move_to_end(call, last=False)
        self._bury(connection)

    def _bury(self, connection: Connection) -> None:
        if connection.idle and connection in self._retired:
            self._retired.remove(connection)
            connection.close()

    # Deadlines: one timer for all of them, because most calls are answered long before

    def _look_at(self, at: float) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._due = at
        self._timer = self.loop.call_later(max(at - time.monotonic(), 0.0), self._look)

    def _look(self) -> None:
        now = time.monotonic()
        self._due, self._timer = math.inf, None
        expired = [call for call in self._calls() if call.at <= now]
        for call in expired:
            self._expire(call)
        due = min((call.at for call in self._calls()), default=math.inf)
        if due < self._due:
            self._look_at(max(due, now + _TICK))

    def _expire(self, call: Call) -> None:
        connection = call.connection
        call.fail(self._timeout(call))
        self.abandon(call)
        if connection is not None and connection is self._shared and connection.silent_since(call):
            self._retire(connection)  # it may be dead, and new calls shall not wait for it
            self._assign()

    def _timeout(self, call: Call) -> RequestTimeout:
        if call.connection is not None and call.message is not None:
            return call.connection.transport.request_timeout_error(call.deadline)
        for connection in self._connections:
            if connection.blocked:
                return connection.transport.connect_timeout_error(call.deadline)
        if self._serial:
            return all_busy(self._max_lanes, call.deadline)
        return PoolTimeout(
            f"nothing was sent: {self._transport.url} has not answered the first request, within "
            f"{call.deadline}; raise timeout="
        )


def _cut_off(call: Call) -> TransportError:
    if call.message is None:
        return ConnectFailed("the client was disconnected; nothing was sent")
    return TransportError(
        "the client was disconnected before the answer came; whether the server executed the request is not known"
    )


class AsyncSession:
    """The way of one client to its server, on the event loop that runs when it is used."""

    def __init__(self, transport: Transport, codec: Codec, max_lanes: int, lane_timeout: float | None = None) -> None:
        check_lanes(max_lanes)
        self.transport = transport
        self.codec = codec
        self._max_lanes = max_lanes
        self._lane_timeout = lane_timeout
        self._board: Switchboard | None = None
        self.dropped: deque[Any] = deque()  # the scans that nobody goes on with, see operations.give_back

    async def exchange(self, request: Request[Any], deadline: Deadline) -> Response:
        """The answer to ``request``.

        Raises:
            RequestTimeout: none came before the deadline, or nothing could be sent until then.
            TransportError, ProtocolError: the connection's failure.
            UsageError: another event loop runs than the one that the client is used on.
        """
        board = self._own_board()
        call = board.submit(request.command, request.uid, request.compression, deadline.at, deadline.seconds)
        try:
            outcome = await call.future
        except BaseException:
            call.abandon()
            raise
        return outcome if isinstance(outcome, Response) else Response(outcome)

    def submit(self, command: Command[Any], uid: str | None, timeout: float | None) -> Call:
        """Begins a call that may take ``timeout`` seconds. Who no longer waits for its future abandons it."""
        seconds = math.inf if timeout is None else timeout
        return self._own_board().submit(command, uid, False, time.monotonic() + seconds, seconds)

    def _own_board(self) -> Switchboard:
        board = self._board
        if board is None or board.loop is not asyncio.get_running_loop() or board.forks != FORKS.count:
            board = self._board = self._move()
        return board

    def performer(self, deadline: Deadline) -> Callable[[Effect], Awaitable[Any]]:
        """What carries out the effects of a flow (see flows.drive_async), all before one deadline."""

        def perform(effect: Effect) -> Awaitable[Any]:
            if isinstance(effect, Sleep):
                return asyncio.sleep(min(effect.seconds, deadline.remaining()))
            own = effect.request.deadline
            return self.exchange(effect.request, deadline if own is None else deadline.earlier(own))

        return perform

    def _move(self) -> Switchboard:
        """A switchboard on the running loop. What is left on another loop is let go; a forked child leaves it alone."""
        board = self._board
        if board is not None and board.forks == FORKS.count:
            if board.loop.is_running():
                raise UsageError("the client is in use on another event loop; make one client for each loop")
            board.close()
        return Switchboard(self.transport, self.codec, self._max_lanes, self._lane_timeout)

    def close(self) -> None:
        """Closes the connections, and fails the calls under way; a later call opens new ones."""
        board, self._board = self._board, None
        if board is not None and board.forks == FORKS.count:
            board.close()

    def __del__(self) -> None:
        board = getattr(self, "_board", None)
        if board is not None and board.is_open and board.forks == FORKS.count:
            with suppress(RuntimeError):  # the loop has ended; else it would watch, and keep, what nobody uses
                board.loop.call_soon_threadsafe(board.close)
            warnings.warn(
                f"a client of {self.transport.url} was not closed; use `async with`, or await disconnect()",
                ResourceWarning,
                stacklevel=2,
                source=self,
            )
