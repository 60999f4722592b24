"""The proxy without sockets and without a clock: messages and the time go in, actions come out.

Each request of a client is a flow, the interceptors around the router (:mod:`pyelevator.proxy.tasks`), or, where
nothing has to be looked into, is passed through (:mod:`pyelevator.proxy.passthrough`). At an upstream that echoes ids
each client with requests in flight has a connection of its own, as long as there are enough. An upstream that does not
takes one request at a time on each of a few connections, and a connection whose request was given up is replaced
(:mod:`pyelevator.proxy.pool`).
"""

from collections import deque
from collections.abc import Mapping, Sequence
from typing import Final, Unpack

from attrs import evolve

from pyelevator._options import complete, signature_from
from pyelevator.application.monitoring.monitor import Monitor
from pyelevator.codec import ClassicCodec
from pyelevator.commands import Ping
from pyelevator.errors import ConnectFailed, ElevatorError, ProtocolError, RequestTimeout
from pyelevator.flows import Interceptor, compose
from pyelevator.messages import Request, Response
from pyelevator.peers.client_table import ClientTable, Message
from pyelevator.protocol import IncomingRequest, RequestDecoder
from pyelevator.proxy.actions import Action, PauseReading, ResetConnection, ResumeReading, SendToClient, SendToUpstream
from pyelevator.proxy.cursors import ClientCursors, cursors_in
from pyelevator.proxy.options import CoreOptions
from pyelevator.proxy.passthrough import PassThrough
from pyelevator.proxy.pool import ConnectionState, ForwardedRequest, ProxyClient, UpstreamPool
from pyelevator.proxy.routing import Router, Upstream
from pyelevator.proxy.tasks import RequestTasks

__all__ = ["Action", "Core", "PauseReading", "ResetConnection", "ResumeReading", "SendToClient", "SendToUpstream"]

_MAX_IN_FLIGHT: Final = 1000
"""Requests of one client that are in flight at once; more wait, so that there is room for those of others."""

_MAX_RESUMED: Final = 16
"""Requests of a client that are taken together when it reads again, so that their answers do not all come together."""


class Core:
    """The state of a proxy.

    Args:
        upstreams: the servers behind it.
        interceptors: what happens to each request, outermost first.
        timeout: seconds that an upstream may take for each request, waiting for a connection included.
        capacity: requests taken and not answered; at that number the core ``is_full`` and must not take more.
        capacity_bytes: bytes of their frames; at that number it is full, too.
        limits: what is taken from clients and upstreams.
        codecs: of dialects that clients may speak beside the two.

    Attributes:
        blocked: the clients that do not read, by their identities; their requests wait.
        monitor: counts the requests.

    The methods take a client's ``identity``, or an ``upstream`` by its name and the number of one of its connections,
    the ``frames`` of a message, and the time ``now`` (seconds, any monotonic clock); they return actions for the caller
    to perform.
    """

    @signature_from(CoreOptions)
    def __init__(
        self,
        upstreams: Sequence[Upstream],
        interceptors: Sequence[Interceptor] = (),
        *,
        capacity_bytes: int = 256 << 20,
        **options: Unpack[CoreOptions],
    ) -> None:
        given = complete(CoreOptions, options, type(self))
        self._actions: list[Action] = []
        act = self._actions.append
        timeout, limits, codecs = given["timeout"], given["limits"], given["codecs"]
        router = Router(upstreams, lambda name: self._pools[name].is_legacy())
        self._pools = {name: UpstreamPool(upstream, act, limits) for name, upstream in router.upstreams.items()}
        answer = compose(interceptors, router.forward)
        self._tasks = RequestTasks(answer, self._pools, timeout, act, self._reply)
        self.monitor = Monitor()
        self._capacity, self._capacity_bytes = given["capacity"], capacity_bytes
        self._clients = ClientTable(ProxyClient)
        self.blocked: Mapping[bytes, ProxyClient] = self._clients.blocked
        self._own = ProxyClient(b"")  # of the proxy's own requests: they are not dropped with the client that has left
        self._decoder = RequestDecoder(
            limits, codecs, getattr(interceptors[0], "refuses", None) if interceptors else None
        )
        pool, *others = self._pools.values()
        self._pass_through = PassThrough(pool, timeout, self._decoder.limits, self.monitor)
        is_classic = pool.upstream.codec is None and pool.upstream.dialect == ClassicCodec.name
        self._passes = is_classic and not (interceptors or codecs or others)
        self._sizes: dict[int, int] = {}
        self._cursors = ClientCursors()
        self._with_room: deque[ProxyClient] = deque()
        self._finished_ordered: deque[ProxyClient] = deque()

    @property
    def is_full(self) -> bool:
        """True if as many requests as there may be are unanswered; take no more until one is answered."""
        clients = self._clients
        return (
            clients.pending_count - clients.stalled_count >= self._capacity
            or clients.pending_bytes - clients.stalled_bytes >= self._capacity_bytes
        )

    @property
    def unanswered(self) -> int:
        """The number of requests that were taken and are not answered, but for those of clients that do not read."""
        return self._clients.pending_count - self._clients.stalled_count

    def client_sent(
        self, identity: bytes, frames: Sequence[bytes], now: float, peer: str | None = None
    ) -> list[Action]:
        """Take a client's message; what is no request is answered here, and no upstream ever sees it."""
        self._tasks.now = now
        client = self._clients.get_or_create(identity)
        if client.is_blocked or client.queue or client.in_flight >= _MAX_IN_FLIGHT:
            self._clients.enqueue(client, Message(frames, peer))
        else:
            self._take(client, frames, peer)
        return self._take_actions()

    def _take(self, client: ProxyClient, frames: Sequence[bytes], peer: str | None) -> None:
        if self._passes and client.ordered is None:
            forward = self._pass_through.forward(client, frames, self._tasks.now)
            if forward is not None:
                self._clients.request_started(client, len(frames[0]))
                self._actions.append(forward)
                return
        incoming = self._decoder.read(frames, peer)
        self._sizes[id(incoming)] = size = sum(map(len, frames))
        self._clients.request_started(client, size)
        if incoming.has_id:
            self._begin(client, incoming)
        elif client.ordered is not None:
            client.ordered.append(incoming)
        else:
            client.ordered = deque()
            self._begin(client, incoming)

    def _answered(self, client: ProxyClient, size: int) -> None:
        """Count a request that is answered: another one of its client has room."""
        self._clients.request_finished(client, size)
        if client.queue:
            self._with_room.append(client)
        if not client.in_flight:
            self._release_connections(client)

    def _release_connections(self, client: ProxyClient) -> None:
        """Release the connections of a client that has nothing in flight."""
        for pool in self._pools.values():
            pool.release(client)
        self._clients.forget_if_idle(client)

    def _take_queued(self, client: ProxyClient, max_count: int) -> None:
        """Take the client's next requests, as many as may be in flight."""
        if client.is_blocked:
            return
        for _ in range(min(max_count, len(client.queue), _MAX_IN_FLIGHT - client.in_flight)):
            message = self._clients.dequeue(client)
            self._take(client, message.frames, message.peer)
        if not client.queue and not client.in_flight:
            self._release_connections(client)

    def client_blocked(self, identity: bytes) -> list[Action]:
        """Queue the messages of a client that does not read its answers, until ``client_unblocked``.

        The answers on their way to it wait, too, where none to a client that reads waits behind them.
        """
        client = self._clients.get_or_create(identity)
        if not client.is_blocked:
            self._clients.mark_blocked(client)
            self._notify_pools(client)
        return self._take_actions()

    def _unblock(self, client: ProxyClient) -> None:
        if client.is_blocked:
            self._clients.mark_unblocked(client)
            self._clients.unsuspend(client)
            self._notify_pools(client)

    def _notify_pools(self, client: ProxyClient) -> None:
        for pool in self._pools.values():
            pool.client_changed(client)

    def client_unblocked(self, identity: bytes, now: float) -> list[Action]:
        """Take a few requests of a client that reads again; with each answer another one is taken."""
        self._tasks.now = now
        client = self._clients.get_or_create(identity)
        self._unblock(client)
        self._take_queued(client, _MAX_RESUMED)
        return self._take_actions()

    def client_disconnected(self, identity: bytes, now: float) -> list[Action]:
        """Close the cursors of a client whose connection has ended, and let others have its upstream connections."""
        self._tasks.now = now
        client = self._clients.get(identity)
        if client is not None:
            client.is_disconnected = True
        for pool in self._pools.values():
            pool.client_disconnected(identity)
        self._close_cursors(identity)
        return self._take_actions()

    def discard_client(self, identity: bytes, now: float) -> list[Action]:
        """Drop the waiting requests of a client, and those in flight on connections that no other client uses."""
        self._tasks.now = now
        client = self._clients.get_or_create(identity)
        self._clients.clear_queue(client)
        owned = [(pool, pool.exclusive_connection(client)) for pool in self._pools.values()]
        for pool, connection in owned:
            if connection is not None:
                self._fail_connection(pool, connection, ElevatorError("the client does not read"))
        self._unblock(client)
        if not client.in_flight:
            self._release_connections(client)
        return self._take_actions()

    def upstream_sent(self, upstream: str, connection_number: int, frames: Sequence[bytes], now: float) -> list[Action]:
        """Take an upstream's message on one of its connections."""
        self._tasks.now = now
        pool = self._pools[upstream]
        connection = pool.connections[connection_number]
        if connection.forwarded:
            forwarded_reply = self._pass_through.deliver(connection, frames)
            if forwarded_reply is not None:
                if not pool.echoes_ids:
                    pool.observe_reply(True)
                self._reply_forwarded(*forwarded_reply)
                pool.reset_if_drained(connection)
                self._tasks.serve_waiting(pool)
                return self._take_actions()
        try:
            reply = connection.protocol.receive(frames)
        except ProtocolError as error:
            pool.forget_features()
            self._fail_connection(pool, connection, error)
        else:
            if reply is None:
                pool.retire(connection)
            else:
                self._tasks.deliver(pool, connection, *reply)
                pool.reset_if_drained(connection)
        self._tasks.serve_waiting(pool)
        return self._take_actions()

    def upstream_failed(self, upstream: str, connection_number: int, error: ConnectFailed, now: float) -> list[Action]:
        """Fail what waits for an upstream that cannot be connected to."""
        self._tasks.now = now
        pool = self._pools[upstream]
        reason = f"there is no connection to the upstream: {error.reason or 'it does not answer'}"
        waiting, pool.waiting = pool.waiting, deque()
        # what is on the connection may have left over an earlier one, and been executed
        self._fail_connection(pool, pool.connections[connection_number], RequestTimeout(reason))
        self._tasks.fail(waiting, ConnectFailed(reason))
        return self._take_actions()

    def upstream_lost(self, upstream: str, connection_number: int, error: ElevatorError, now: float) -> list[Action]:
        """Fail what was in flight on a connection that has ended: it may have been executed."""
        self._tasks.now = now
        pool = self._pools[upstream]
        connection = pool.connections[connection_number]
        if connection.is_idle:
            connection.protocol = pool.protocol()  # the next connection may lead to another server
        else:
            self._fail_connection(pool, connection, error)
            self._tasks.serve_waiting(pool)
        return self._take_actions()

    def _reply_forwarded(self, pending: ForwardedRequest, reply: SendToClient) -> None:
        """Answer a request that was passed through."""
        self._actions.append(reply)
        if pending.cursor:
            uid = pending.uid
            request = Request(Ping(), uid.decode("utf-8", "surrogateescape") if isinstance(uid, bytes) else None)
            self._record_cursor(pending.client, request, pending.cursor, pending.opened_cursor)
        self._answered(pending.client, pending.size)

    def on_timer(self, now: float) -> list[Action]:
        """Time out what is due."""
        self._tasks.now = now
        for expired in self._pass_through.expire(now):
            self._reply_forwarded(*expired)
        self._tasks.on_timer()
        return self._take_actions()

    def next_timeout(self) -> float | None:
        """Return when ``on_timer`` is due; None if there is nothing to wait for."""
        due = self._tasks.next_timeout(), self._pass_through.next_timeout()
        return min([at for at in due if at is not None], default=None)

    def _take_actions(self) -> list[Action]:
        while self._finished_ordered or self._with_room:
            if self._finished_ordered:
                self._begin_next_ordered(self._finished_ordered.popleft())
            else:
                self._take_queued(self._with_room.popleft(), 1)
        actions = self._actions.copy()
        self._actions.clear()
        return actions

    # Requests

    def _begin(self, client: ProxyClient, incoming: IncomingRequest) -> None:
        if incoming.request is None:
            self._reply(client, incoming, incoming.refusal or Response())
        else:
            self._tasks.start(client, incoming, incoming.request)

    def _reply(self, client: ProxyClient, incoming: IncomingRequest, response: Response) -> None:
        """Answer under the client's own id; then begin its next request, if it sends no ids."""
        if client is not self._own:
            self._reply_to(client, incoming, response)
        self._answered(client, self._sizes.pop(id(incoming)))

    def _reply_to(self, client: ProxyClient, incoming: IncomingRequest, response: Response) -> None:
        request = incoming.request
        if request is None:
            self.monitor.refused += 1
        else:
            self.monitor.count(request, response)
            response = evolve(response, id=request.id)
            for cursor, kept in cursors_in(request.command, response):
                self._record_cursor(client, request, cursor, kept)
        self._actions.append(SendToClient(client.identity, incoming.encode(response)))
        if not incoming.has_id:
            self._finished_ordered.append(client)

    def _record_cursor(self, client: ProxyClient, request: Request, asked: object, kept: bytes | None) -> None:
        self._cursors.record(client.identity, request, asked, kept)
        if client.is_disconnected:
            self._close_cursors(client.identity)

    def _close_cursors(self, identity: bytes) -> None:
        """Close the open cursors of a client, by requests of the proxy's own."""
        for request in self._cursors.take(identity):
            incoming = IncomingRequest(ClassicCodec(), request)
            self._sizes[id(incoming)] = 0
            self._clients.request_started(self._own, 0)
            self._begin(self._own, incoming)

    def _begin_next_ordered(self, client: ProxyClient) -> None:
        if client.ordered:
            self._begin(client, client.ordered.popleft())
        else:
            client.ordered = None

    def _fail_connection(self, pool: UpstreamPool, connection: ConnectionState, error: ElevatorError) -> None:
        """Reset a connection on which nothing can be answered: every request there fails with the error."""
        pool.reset(connection)
        unanswered, connection.tasks = connection.tasks, {}
        self._tasks.fail(unanswered.values(), error)
        for lost in self._pass_through.fail_all(connection, error):
            self._reply_forwarded(*lost)
