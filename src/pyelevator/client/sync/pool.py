"""The pool of a sync client: its connections, which a call borrows for one request each."""

import math
import queue
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import suppress
from itertools import count
from time import monotonic
from typing import Final
from weakref import WeakSet, WeakValueDictionary

from pyelevator.client.pooling import UNASKED, pool_timeout_error
from pyelevator.client.sync.heartbeats import HEARTBEATS
from pyelevator.codec import Codec
from pyelevator.codec.limits import SMALL
from pyelevator.deadlines import Deadline
from pyelevator.errors import ConnectFailed, ConnectionLost, RequestTimeout, TransportError, UsageError
from pyelevator.forks import FORKS
from pyelevator.messages import Request, Response
from pyelevator.protocol import ClientProtocol, RequestLimits, unguessable_ids
from pyelevator.transports import Transport
from pyelevator.transports.base import IDLE, request_timeout_message

_HEARTBEAT_WAIT: Final = 0.005
"""Seconds that a call waits for a connection with a heartbeat under way."""

_RECHECK_INTERVAL: Final = 0.1
"""Seconds after which a thread that waits for a connection looks whether one was lost (see ConnectionPool)."""


class PooledConnection:
    """A transport with the protocol on it, for one thread at a time.

    A request that fails for any reason (timeout, KeyboardInterrupt, a reply that cannot be read) resets the connection,
    so that a late reply is never taken for the answer to another request.

    Attributes:
        ids: of its requests; none comes twice, even after a reset.
        idle_since: when (seconds, monotonic) it was released last; long ago if it never was.
        heartbeat_at: when (seconds, monotonic) its last heartbeat was.
        is_beating: True while a heartbeat is under way.
    """

    def __init__(self, clone: Callable[[], Transport], codec: Codec, limits: RequestLimits | None = None) -> None:
        limits = limits or RequestLimits()
        self.idle_since = self.heartbeat_at = -math.inf
        self.is_beating = False
        self._clone = clone
        self._transport: Transport | None = None
        self._respond: Callable[[Request], Response | None] | None = None
        self._codec = codec
        self._limits = limits
        self._protocol = ClientProtocol(codec, limits=limits)
        self.ids: Iterator[int] = unguessable_ids()

    @property
    def is_open(self) -> bool:
        """True while the transport holds something that has to be closed."""
        return self._transport is not None and self._transport.is_open

    def send(self, request: Request, deadline: Deadline) -> Transport:
        """Send a request that no caller holds, under a new id; return the transport that the answer comes over."""
        request.__dict__["id"] = next(self.ids)  # as in ``round_trip``
        transport, frames = self._begin(request)
        try:
            transport.send(frames, deadline)
        except BaseException:
            self._reset(transport)
            raise
        return transport

    def _begin(self, request: Request) -> tuple[Transport, list[bytes]]:
        """Return the transport, and the frames of a request under a new id."""
        transport = self._transport
        if transport is None:
            transport = self._transport = self._clone()
            self._respond = transport.responder(self._codec)
            if self._respond is not None:
                self.ids = count(next(self.ids))  # its server is in this process, and guesses none
        protocol = self._protocol
        if (
            protocol.pending  # an interrupt came before the reset
            or protocol.must_close
            or (not protocol.echoes_ids and transport.has_unread())  # which would be taken for the answer
        ):
            protocol = self._reset(transport)
        return transport, protocol.register(request)

    def round_trip(self, request: Request, deadline: Deadline) -> Response:
        """Send a request that no caller holds, under a new id, and wait for the response to it."""
        request.__dict__["id"] = next(self.ids)  # no caller has seen it, so it need not be copied
        if self._respond is not None and self._limits.smallest >= SMALL:
            response = self._respond(request)
            if response is not None:
                return response
        transport, frames = self._begin(request)
        return self.receive(transport, deadline, frames)

    def receive(self, transport: Transport, deadline: Deadline, frames: list[bytes] | None = None) -> Response:
        """Send the frames, unless the request was sent before, and wait for the response."""
        protocol = self._protocol
        try:
            reply = transport.receive(deadline) if frames is None else transport.round_trip(frames, deadline)
            answered = protocol.receive(reply) or self._receive_further(transport, deadline)
        except BaseException:
            self._reset(transport)
            raise
        if protocol.must_close:
            self._reset(transport)
        return answered[1]

    def _receive_further(self, transport: Transport, deadline: Deadline) -> tuple[int, Response]:
        """Wait for the response behind replies that answer nothing which was asked over this connection."""
        try:
            while not deadline.expired():  # a server that sends no end of them must not hold the call
                answered = self._protocol.receive(transport.receive(deadline))
                if answered is not None:
                    return answered
        except RequestTimeout as error:
            if isinstance(error, ConnectionLost):
                raise
        raise RequestTimeout(f"{request_timeout_message(transport.url, deadline)}; {UNASKED}")

    def keep_alive(self) -> bool:
        """Send a heartbeat if one is due, without waiting; return whether the connection is still open."""
        transport = self._transport
        if transport is None:
            return False
        try:
            transport.keep_alive(bool(self._protocol.pending))
        except Exception:  # noqa: BLE001 - the transport may be a caller's own, and no call is there to get the error
            transport.close()
        return transport.is_open

    def _reset(self, transport: Transport) -> ClientProtocol:
        transport.reset()
        self._protocol = ClientProtocol(self._codec, limits=self._limits)
        return self._protocol

    def close(self) -> None:
        """Close the transport."""
        if self._transport is not None:
            self._transport.close()


class ConnectionPool:
    """Up to ``size`` connections; the one that was used last is taken first, and those that stay idle are closed.

    A connection that a firewall or a NAT has forgotten looks as sound as any other, until a call on it gets no answer.
    After such a call no connection is trusted that was idle for as long, or longer.

    There are no locks: a signal handler or a finalizer may use the client while its thread stands anywhere in here. A
    KeyboardInterrupt may come between any two instructions, and one that comes while a connection is handed over loses
    it; so the connections are counted by what is left of them.
    """

    def __init__(
        self,
        open_connection: Callable[[], PooledConnection],
        size: int,
        acquire_timeout: float | None = None,
        heartbeat: float | None = None,
    ) -> None:
        self.heartbeat = math.inf if heartbeat is None else heartbeat
        self._is_watched = heartbeat is None
        self._in_heartbeat: PooledConnection | None = None  # it has left the idle ones for a heartbeat
        self.forks = FORKS.count
        self._open_connection = open_connection
        self._size = size
        self._acquire_timeout = acquire_timeout
        self._is_closed = False
        self._idle: deque[PooledConnection] = deque()  # in the order in which they were given back
        self._waiters: dict[int, None] = {}  # the threads that wait for a connection
        # wakes one of them; looked up when it is made, as libraries of green threads patch late
        self._released: queue.SimpleQueue[None] = queue.SimpleQueue()
        self._ages = count()
        self._connections: WeakValueDictionary[int, PooledConnection] = WeakValueDictionary()
        self._prefetching: WeakSet[PooledConnection] = WeakSet()

    @property
    def is_open(self) -> bool:
        """True while some connection holds something that has to be closed."""
        return any(connection.is_open for connection in self.connections())

    def connections(self) -> list[PooledConnection]:
        """Return all connections, idle or in use."""
        return [found for reference in self._connections.valuerefs() if (found := reference()) is not None]

    def acquire(self, deadline: Deadline) -> PooledConnection:
        """Return a connection for one request; it is given back by :meth:`release`."""
        try:
            return self._idle.pop()
        except IndexError:
            pass
        if self._in_heartbeat is not None and (connection := self._wait_for_heartbeat()) is not None:
            return connection
        return self._try_open() or self._wait(deadline.earlier(Deadline.after(self._acquire_timeout)))

    def _wait_for_heartbeat(self) -> PooledConnection | None:
        """Return the connection whose heartbeat is under way, once that is over: a new one would take longer."""
        end = monotonic() + _HEARTBEAT_WAIT
        while self._in_heartbeat is not None and monotonic() < end:
            time.sleep(0)
        with suppress(IndexError):
            return self._idle.pop()
        return None

    def _try_open(self) -> PooledConnection | None:
        """Return a new connection, if it is one of the first ``size``; of those made at once the older ones stay."""
        if not self._is_watched:
            self._is_watched = True
            HEARTBEATS.watch(self)
        age = next(self._ages)
        connection = self._connections[age] = self._open_connection()
        # in the order of the additions: a thread that has drawn a number may come after those of later numbers
        ages = [each.key for each in self._connections.valuerefs()]
        return connection if ages.index(age) < self._size else None

    def _wait(self, deadline: Deadline) -> PooledConnection:
        thread = threading.get_ident()
        self._waiters[thread] = None
        try:
            while not deadline.expired():
                with suppress(IndexError):
                    return self._idle.pop()
                connection = self._try_open()
                if connection is not None:
                    return connection
                with suppress(queue.Empty):
                    self._released.get(timeout=min(deadline.remaining(), _RECHECK_INTERVAL))
        finally:
            self._waiters.pop(thread, None)
        raise pool_timeout_error(self._size, deadline)

    def acquire_for_prefetch(self) -> PooledConnection | None:
        """Return an idle connection for a prefetch, if there is one; at most half of all, or calls would starve."""
        if len(self._prefetching) >= self._size // 2:
            return None
        try:
            connection = self._idle.pop()
        except IndexError:
            return None
        self._prefetching.add(connection)
        return connection

    def end_prefetch(self, connection: PooledConnection, deadline: Deadline) -> None:
        """Take note that a call waits for the answer to a prefetch."""
        self._prefetching.discard(connection)
        while connection.is_beating and not deadline.expired():  # it takes microseconds
            time.sleep(0)

    def release_prefetch(self, connection: PooledConnection) -> None:
        """Give back the connection of a prefetch; one with a heartbeat under way is dropped instead."""
        self._prefetching.discard(connection)
        if not connection.is_beating:
            self.release(connection)

    def release(self, connection: PooledConnection) -> None:
        """Give back a connection."""
        idle = self._idle
        connection.idle_since = now = monotonic()
        idle.append(connection)
        if len(idle) > 1:
            self._close_idle(now - IDLE)
        if self._waiters or self._is_closed:
            self._notify()

    def _notify(self) -> None:
        """Wake a waiting thread: a connection has become idle."""
        if self._waiters and self._released.qsize() < len(self._waiters):
            self._released.put(None)
        if self._is_closed:
            self.close()

    def beat(self, now: float) -> float:
        """Send a heartbeat on each connection without a call for long; return when (monotonic) the next one is due."""
        due = []
        for connection in self.connections():
            at = max(connection.idle_since, connection.heartbeat_at) + self.heartbeat
            if at <= now:
                self._beat(connection, now)
            due.append(at if at > now else now + self.heartbeat)
        return min(due, default=now + self.heartbeat)

    def _beat(self, connection: PooledConnection, now: float) -> None:
        try:
            self._idle.remove(connection)  # as a call would acquire it
        except ValueError:
            self._beat_prefetching(connection, now)
            return
        self._in_heartbeat, connection.heartbeat_at = connection, now
        try:
            if connection.keep_alive():
                self._put_back(connection)
        finally:
            self._in_heartbeat = None

    def _beat_prefetching(self, connection: PooledConnection, now: float) -> None:
        """Do the same for a prefetch. A call that waits for its answer ends the prefetch first, and then sees this."""
        connection.is_beating = True
        try:
            if connection in self._prefetching:
                connection.heartbeat_at = now
                connection.keep_alive()
        finally:
            connection.is_beating = False

    def _put_back(self, connection: PooledConnection) -> None:
        """Put an idle connection back where it was."""
        index = 0
        with suppress(IndexError):
            while self._idle[index].idle_since < connection.idle_since:
                index += 1
        self._idle.insert(index, connection)
        self._notify()

    def close_suspects(self, connection: PooledConnection, error: TransportError) -> None:
        """Close what was idle for as long as the connection, or longer, if the error may mean that it was forgotten."""
        if not isinstance(error, ConnectFailed):
            self._close_idle(connection.idle_since)

    def _close_idle(self, since: float) -> None:
        """Close the connections that have been idle since then or longer, and forget them."""
        idle = self._idle
        with suppress(IndexError):  # another thread took the last one
            while idle[0].idle_since <= since:
                connection = idle.popleft()
                if connection.idle_since > since:  # another thread was faster, and this is the next one
                    idle.appendleft(connection)
                    return
                connection.close()

    def close(self) -> None:
        """Close the idle connections and the prefetches at once; a busy connection is closed when it is released."""
        self._is_closed = True
        for connection in list(self._prefetching):
            connection.close()
        with suppress(IndexError):
            while True:
                self._idle.pop().close()


class PendingResponse:
    """A request whose response has not been read yet; it occupies one connection.

    Dropped or given up, it gives the connection back as it is. The next request sees that an answer is on its way, and
    resets the connection.
    """

    _connection: PooledConnection | None = None  # where an interrupt comes before there is one

    def __init__(self, pool: ConnectionPool, connection: PooledConnection, transport: Transport) -> None:
        self._pool, self._transport = pool, transport
        self._connection = connection

    @property
    def is_of_this_process(self) -> bool:
        """True until the process forks."""
        return self._pool.forks == FORKS.count

    def receive(self, deadline: Deadline) -> Response:
        """Wait for the response; once.

        Raises:
            UsageError: it was received already, or given up.
        """
        if self._connection is None:
            raise UsageError("the answer was received already, or given up")
        self._pool.end_prefetch(self._connection, deadline)
        try:
            return self._connection.receive(self._transport, deadline)
        except TransportError as error:
            self._pool.close_suspects(self._connection, error)
            raise
        finally:
            self.abandon()

    def abandon(self) -> None:
        """Give the connection back."""
        connection, self._connection = self._connection, None
        if connection is not None and self.is_of_this_process:
            self._pool.release_prefetch(connection)

    def __del__(self) -> None:
        self.abandon()
