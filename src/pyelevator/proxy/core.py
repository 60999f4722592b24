"""The proxy without sockets and without a clock: messages and the time go in, actions come out.

Each request of a client is a flow, the interceptors around the router (:mod:`pyelevator.proxy.tasks`), or, where
nothing has to be looked into, is passed through (:mod:`pyelevator.proxy.passthrough`). At an upstream that echoes ids
each client with requests under way has a connection of its own, as long as there are enough. An upstream that does not
takes one request at a time on each of a few connections, and a connection whose request was given up is replaced
(:mod:`pyelevator.proxy.pool`).
"""

from collections import deque
from collections.abc import Mapping, Sequence
from typing import Any, Final

from attrs import evolve

from pyelevator.application.monitor import Monitor
from pyelevator.codec import ClassicCodec, Codec, Limits
from pyelevator.commands import Ping
from pyelevator.errors import ConnectFailed, ElevatorError, ProtocolError, RequestTimeout
from pyelevator.flows import Interceptor, compose
from pyelevator.messages import Request, Response
from pyelevator.protocol import IncomingRequest, RequestDecoder
from pyelevator.proxy.actions import Action, Forward, Reply, Reset, Rest, Resume
from pyelevator.proxy.clients import Client, Clients
from pyelevator.proxy.cursors import Cursors, cursors_in
from pyelevator.proxy.passthrough import PassThrough
from pyelevator.proxy.pool import ForwardedRequest, PooledConnection, UpstreamPool
from pyelevator.proxy.routing import Router, Upstream
from pyelevator.proxy.tasks import RequestTasks

__all__ = ["Action", "Core", "Forward", "Reply", "Reset", "Rest", "Resume"]

_MAX_IN_FLIGHT: Final = 1000
"""Requests of one client that are under way at once; more wait, so that there is room for those of others."""

_RESUMED_AT_ONCE: Final = 16
"""Requests of a client that go on at once when it reads again, so that their answers do not all come upon it."""


class Core:
    """What a proxy does.

    Args:
        upstreams: the servers behind it.
        interceptors: what happens to each request, outermost first.
        timeout: seconds that an upstream may take for each request, waiting for a connection included.
        capacity: requests taken and not answered; at that number the proxy is ``full`` and must not take more.
        capacity_bytes: likewise, of their frames.
        limits: what is taken from clients and upstreams.
        codecs: of dialects that clients may speak beside the two.

    The methods take the time (seconds, any monotonic clock) and return what is to be done.
    """

    def __init__(
        self,
        upstreams: Sequence[Upstream],
        interceptors: Sequence[Interceptor] = (),
        *,
        timeout: float = 30.0,
        capacity: int = 10_000,
        capacity_bytes: int = 256 << 20,
        limits: Limits | None = None,
        codecs: Sequence[Codec] = (),
    ) -> None:
        router = Router(upstreams, lambda name: self._pools[name].is_legacy())
        self._pools = {name: UpstreamPool(upstream, self._act, limits) for name, upstream in router.upstreams.items()}
        answer = compose(interceptors, router.forward)
        self._tasks = RequestTasks(answer, self._pools, timeout, self._act, self._reply)
        self.monitor = Monitor()
        self._clients = Clients(capacity, capacity_bytes)
        self._own = Client(b"")  # of what the proxy gives back: it is not dropped with the client that left
        self._reader = RequestDecoder(
            limits, codecs, getattr(interceptors[0], "refuses", None) if interceptors else None
        )
        self._pass_through = (
            None
            if interceptors or codecs
            else PassThrough.for_pools(list(self._pools.values()), timeout, self._reader.limits, self.monitor)
        )
        self._sizes: dict[int, int] = {}
        self._cursors = Cursors()
        self._freed: deque[Client] = deque()
        self._done_with: deque[Client] = deque()
        self._actions: list[Action] = []

    @property
    def full(self) -> bool:
        """Whether as many requests as it may hold are unanswered; take no more until one is answered."""
        return self._clients.full

    @property
    def unanswered(self) -> int:
        """The number of requests that were taken and are not answered, but for those of clients that do not read."""
        return self._clients.unanswered

    @property
    def idle(self) -> bool:
        """Whether every request is answered, but for those of clients that do not read."""
        return self._clients.idle

    def client_sent(
        self, identity: bytes, frames: Sequence[bytes], now: float, peer: str | None = None
    ) -> list[Action]:
        """Take a client's message; what is no request is answered here, and no upstream ever sees it."""
        self._tasks.now = now
        client = self._clients.of(identity)
        if client.held or client.queue or client.under_way >= _MAX_IN_FLIGHT:
            self._clients.put(client, frames, peer)
        else:
            self._take(client, frames, peer)
        return self._done()

    def _take(self, client: Client, frames: Sequence[bytes], peer: str | None) -> None:
        if self._pass_through is not None and client.ordered is None:
            forward = self._pass_through.forward(client, frames, self._tasks.now)
            if forward is not None:
                self._clients.add(client, len(frames[0]))
                self._actions.append(forward)
                return
        incoming = self._reader.read(frames, peer)
        self._sizes[id(incoming)] = size = sum(map(len, frames))
        self._clients.add(client, size)
        if _has_id(incoming):
            self._begin(client, incoming)
        elif client.ordered is not None:
            client.ordered.append(incoming)
        else:
            client.ordered = deque()
            self._begin(client, incoming)

    def _answered(self, client: Client, size: int) -> None:
        """Count a request that is answered: another one of its client has room."""
        self._clients.answered(client, size)
        if client.queue:
            self._freed.append(client)
        if not client.under_way:
            self._leave(client)

    def _leave(self, client: Client) -> None:
        """Release the connections of a client that has nothing under way."""
        for pool in self._pools.values():
            pool.leave(client)
        self._clients.leave(client)

    def _go_on(self, client: Client, most: int) -> None:
        """Take the client's next requests, as many as have room."""
        if client.held:
            return
        for _ in range(min(most, len(client.queue), _MAX_IN_FLIGHT - client.under_way)):
            self._take(client, *self._clients.take(client))
        if not client.queue and not client.under_way:
            self._leave(client)

    def hold(self, identity: bytes) -> list[Action]:
        """Queue what a client sends that does not read its answers, until ``release``.

        What is on its way to it waits, too, where no client that reads waits behind it.
        """
        client = self._clients.of(identity)
        if not client.held:
            self._clients.hold(client)
            self._notify_pools(client)
        return self._done()

    def _unhold(self, client: Client) -> None:
        if client.held:
            self._clients.release(client)
            self._notify_pools(client)

    def _notify_pools(self, client: Client) -> None:
        for pool in self._pools.values():
            pool.client_changed(client)

    def _exclusive_connections(self, client: Client) -> list[tuple[UpstreamPool, PooledConnection]]:
        """Return the connections that are the client's alone."""
        owned = [(pool, pool.exclusive_connection(client)) for pool in self._pools.values()]
        return [(pool, connection) for pool, connection in owned if connection is not None]

    @property
    def held(self) -> Mapping[bytes, Client]:
        """Clients whose requests wait because they do not read, by their identities."""
        return self._clients.held

    def queued_bytes(self, identity: bytes) -> int:
        """Return the bytes of the requests of a client that does not read, with what Python takes for keeping them."""
        return self._clients.queued_bytes(identity)

    def release(self, identity: bytes, now: float) -> list[Action]:
        """Go on with a few requests of a client that reads again; each answer makes room for another one."""
        self._tasks.now = now
        client = self._clients.of(identity)
        self._unhold(client)
        self._go_on(client, _RESUMED_AT_ONCE)
        return self._done()

    def left(self, identity: bytes, now: float) -> list[Action]:
        """Give back what servers keep for a client whose connection has ended."""
        self._tasks.now = now
        known = self._clients.known(identity)
        if known is not None:
            known.left = True
        if self._cursors.holds(identity):
            self._give_back(identity)
        return self._done()

    def drop(self, identity: bytes, now: float) -> list[Action]:
        """Give up on a client: forget what waits, and what is under way on connections that are its alone."""
        self._tasks.now = now
        client = self._clients.of(identity)
        self._clients.forget(client)
        for pool, connection in self._exclusive_connections(client):
            self._give_up(pool, connection, ElevatorError("the client does not read"))
        self._unhold(client)
        if not client.under_way:
            self._leave(client)
        return self._done()

    def upstream_sent(self, upstream: str, connection_number: int, frames: Sequence[bytes], now: float) -> list[Action]:
        """Take an upstream's message on one of its connections."""
        self._tasks.now = now
        pool = self._pools[upstream]
        connection = pool.connections[connection_number]
        if connection.forwarded and self._pass_through is not None:
            forwarded_reply = self._pass_through.deliver(connection, frames)
            if forwarded_reply is not None:
                if not pool.echoes_ids:
                    pool.observe_reply(True)
                self._passed(*forwarded_reply)
                pool.reset_if_drained(connection)
                self._tasks.serve_waiting(pool)
                return self._done()
        try:
            reply = connection.protocol.receive(frames)
        except ProtocolError as error:
            pool.forget_features()
            self._give_up(pool, connection, error)
        else:
            if reply is None:
                pool.retire(connection)
            else:
                self._tasks.deliver(pool, connection, *reply)
                pool.reset_if_drained(connection)
        self._tasks.serve_waiting(pool)
        return self._done()

    def upstream_failed(self, upstream: str, connection_number: int, error: ConnectFailed, now: float) -> list[Action]:
        """Fail what waits for an upstream that cannot be connected to."""
        self._tasks.now = now
        pool = self._pools[upstream]
        told = f"there is no connection to the upstream: {error.reason or 'it does not answer'}"
        waiting, pool.waiting = pool.waiting, deque()
        # what is on the connection may have left over an earlier one, and been executed
        self._give_up(pool, pool.connections[connection_number], RequestTimeout(told))
        self._tasks.refuse(waiting, ConnectFailed(told))
        return self._done()

    def upstream_lost(self, upstream: str, connection_number: int, error: ElevatorError, now: float) -> list[Action]:
        """Fail what was under way on a connection that has ended: it may have been executed."""
        self._tasks.now = now
        pool = self._pools[upstream]
        connection = pool.connections[connection_number]
        if not connection.is_idle:
            self._give_up(pool, connection, error)
            self._tasks.serve_waiting(pool)
        return self._done()

    def _passed(self, pending: ForwardedRequest, reply: Reply) -> None:
        """Answer a request that was passed through."""
        self._actions.append(reply)
        if pending.cursor:
            uid = pending.uid
            request = Request(Ping(), uid.decode("utf-8", "surrogateescape") if isinstance(uid, bytes) else None)
            self._note_cursor(pending.client, request, pending.cursor, pending.kept)
        self._answered(pending.client, pending.size)

    def tick(self, now: float) -> list[Action]:
        """Do what is due."""
        self._tasks.now = now
        for expired in self._pass_through.expire(now) if self._pass_through else ():
            self._passed(*expired)
        self._tasks.tick()
        return self._done()

    def next_due(self) -> float | None:
        """Return when ``tick`` is due; None if there is nothing to wait for."""
        due = self._tasks.next_due(), self._pass_through.next_due() if self._pass_through else None
        return min([at for at in due if at is not None], default=None)

    def _act(self, action: Action) -> None:
        self._actions.append(action)

    def _done(self) -> list[Action]:
        while self._done_with or self._freed:
            if self._done_with:
                self._next_of(self._done_with.popleft())
            else:
                self._go_on(self._freed.popleft(), 1)
        actions, self._actions = self._actions, []
        return actions

    # The way of a request

    def _begin(self, client: Client, incoming: IncomingRequest) -> None:
        if incoming.request is None:
            self._reply(client, incoming, incoming.refusal or Response())
        else:
            self._tasks.start(client, incoming, incoming.request)

    def _reply(self, client: Client, incoming: IncomingRequest, response: Response) -> None:
        """Answer under the client's own id; then begin its next request, if it sends no ids."""
        if client is not self._own:
            self._tell(client, incoming, response)
        self._answered(client, self._sizes.pop(id(incoming)))

    def _tell(self, client: Client, incoming: IncomingRequest, response: Response) -> None:
        request = incoming.request
        if request is None:
            self.monitor.refused += 1
        else:
            self.monitor.count(request, response)
            response = evolve(response, id=request.id)
            for cursor, kept in cursors_in(request.command, response):
                self._note_cursor(client, request, cursor, kept)
        self._actions.append(Reply(client.identity, incoming.encode(response)))
        if not _has_id(incoming):
            self._done_with.append(client)

    def _note_cursor(self, client: Client, request: Request[Any], asked: Any, kept: bytes | None) -> None:
        self._cursors.note(client.identity, request, asked, kept)
        if client.left:
            self._give_back(client.identity)

    def _give_back(self, identity: bytes) -> None:
        """Give back the cursors that a client has left behind, as requests of the proxy's own."""
        for request in self._cursors.left_by(identity):
            incoming = IncomingRequest(ClassicCodec(), request)
            self._sizes[id(incoming)] = 0
            self._clients.add(self._own, 0)
            self._begin(self._own, incoming)

    def _next_of(self, client: Client) -> None:
        if client.ordered:
            self._begin(client, client.ordered.popleft())
        else:
            client.ordered = None

    def _give_up(self, pool: UpstreamPool, connection: PooledConnection, error: ElevatorError) -> None:
        """Reset a connection on which nothing can be answered: every request there fails with the error."""
        pool.reset(connection)
        self._tasks.fail_all(connection, error)
        for lost in self._pass_through.fail_all(connection, error) if self._pass_through else ():
            self._passed(*lost)


def _has_id(incoming: IncomingRequest) -> bool:
    said = incoming.request or incoming.refusal
    return said is not None and said.id is not None
