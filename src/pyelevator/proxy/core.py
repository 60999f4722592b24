"""The proxy without sockets and without a clock: messages and the time go in, actions come out.

Each request of a client is a flow, the interceptors around the router (:mod:`pyelevator.proxy.jobs`), or, where nothing
has to be looked into, takes a shorter way (:mod:`pyelevator.proxy.relay`). At an upstream that echoes ids each client
with requests under way has a lane of its own, as long as there are enough; one that does not takes one on each of a few
lanes, and a lane whose request was given up is replaced (:mod:`pyelevator.proxy.lanes`).
"""

from collections import deque
from collections.abc import Mapping, Sequence
from typing import Any, Final

from attrs import evolve

from pyelevator.codec import ClassicCodec, Codec, Limits
from pyelevator.commands import Ping
from pyelevator.errors import ConnectFailed, ElevatorError, ProtocolError, RequestTimeout
from pyelevator.flows import Interceptor, compose
from pyelevator.messages import Request, Response
from pyelevator.protocol import IncomingRequest, RequestDecoder
from pyelevator.proxy.actions import Action, Forward, Renew, Reply, Rest, Resume
from pyelevator.proxy.clients import Client, Clients
from pyelevator.proxy.cursors import Cursors, cursors_in
from pyelevator.proxy.jobs import Jobs
from pyelevator.proxy.lanes import Lane, Passenger, Pool
from pyelevator.proxy.relay import Relay
from pyelevator.proxy.routing import Router, Upstream

__all__ = ["Action", "Core", "Forward", "Renew", "Reply", "Rest", "Resume"]

_SHARE: Final = 1000
"""Requests of one client that are under way at once; more wait, so that there is room for those of others."""

_FEW: Final = 16
"""Requests of a client that go on at once when it reads again, so that their answers do not all come upon it."""


class Core:
    """What a proxy does.

    Args:
        upstreams: the servers behind it.
        interceptors: what happens to each request, outermost first.
        timeout: seconds that an upstream may take for each request, waiting for a lane included.
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
        router = Router(upstreams, lambda name: self._pools[name].is_old())
        self._pools = {name: Pool(upstream, self._act, limits) for name, upstream in router.upstreams.items()}
        answer = compose(interceptors, router.forward)
        self._jobs = Jobs(answer, self._pools, timeout, self._act, self._reply)
        self._clients = Clients(capacity, capacity_bytes)
        self._reader = RequestDecoder(
            limits, codecs, getattr(interceptors[0], "refuses", None) if interceptors else None
        )
        self._relay = (
            None if interceptors or codecs else Relay.over(list(self._pools.values()), timeout, self._reader.limits)
        )
        self._sizes: dict[int, int] = {}
        self._cursors = Cursors()
        self._freed: deque[Client] = deque()
        self._done_with: deque[Client] = deque()
        self._actions: list[Action] = []

    @property
    def full(self) -> bool:
        """As many requests as it may hold are unanswered; take no more until one is."""
        return self._clients.full

    @property
    def idle(self) -> bool:
        """Every request is answered, but for those of clients that do not read."""
        return self._clients.idle

    def client_sent(
        self, identity: bytes, frames: Sequence[bytes], now: float, peer: str | None = None
    ) -> list[Action]:
        """A client's message. What is no request is answered here, and no upstream ever sees it."""
        self._jobs.now = now
        client = self._clients.of(identity)
        if client.held or client.queue or client.under_way >= _SHARE:
            self._clients.put(client, frames, peer)
        else:
            self._take(client, frames, peer)
        return self._done()

    def _take(self, client: Client, frames: Sequence[bytes], peer: str | None) -> None:
        if self._relay is not None and client.ordered is None:
            forward = self._relay.board(client, frames, self._jobs.now)
            if forward is not None:
                self._clients.begun(client, len(frames[0]))
                self._actions.append(forward)
                return
        exchange = self._reader.read(frames, peer)
        self._sizes[id(exchange)] = size = sum(map(len, frames))
        self._clients.begun(client, size)
        if _is_tagged(exchange):
            self._begin(client, exchange)
        elif client.ordered is not None:
            client.ordered.append(exchange)
        else:
            client.ordered = deque()
            self._begin(client, exchange)

    def _answered(self, client: Client, size: int) -> None:
        """One request less is under way, and another of its client has room."""
        self._clients.answered(client, size)
        if client.queue:
            self._freed.append(client)
        if not client.under_way:
            self._leave(client)

    def _leave(self, client: Client) -> None:
        """Nothing of the client is under way: its lanes are free for others."""
        for pool in self._pools.values():
            pool.leave(client)
        self._clients.leave(client)

    def _go_on(self, client: Client, most: int) -> None:
        """The client's next requests, as many as have room."""
        if client.held:
            return
        for _ in range(min(most, len(client.queue), _SHARE - client.under_way)):
            self._take(client, *self._clients.take(client))
        if not client.queue and not client.under_way:
            self._leave(client)

    def hold(self, identity: bytes) -> list[Action]:
        """Lets what the client sends from now on wait, because it does not read its answers, until ``release``.

        What is on its way to it waits, too, where nobody who reads waits behind it.
        """
        client = self._clients.of(identity)
        if not client.held:
            self._clients.hold(client)
            self._heed(client)
        return self._done()

    def _unhold(self, client: Client) -> None:
        if client.held:
            self._clients.release(client)
            self._heed(client)

    def _heed(self, client: Client) -> None:
        for pool in self._pools.values():
            pool.heed(client)

    def _own(self, client: Client) -> list[tuple[Pool, Lane]]:
        """The lanes that are the client's alone."""
        owned = [(pool, pool.own(client)) for pool in self._pools.values()]
        return [(pool, lane) for pool, lane in owned if lane is not None]

    @property
    def held(self) -> Mapping[bytes, Client]:
        """The clients whose requests wait because they do not read, by their identities."""
        return self._clients.held

    def parked(self, identity: bytes) -> int:
        """Bytes of the requests of a client that does not read, with what Python takes for keeping them."""
        return self._clients.parked(identity)

    def release(self, identity: bytes, now: float) -> list[Action]:
        """The client reads again: a few of its requests go on, and each answer makes room for another."""
        self._jobs.now = now
        client = self._clients.of(identity)
        self._unhold(client)
        self._go_on(client, _FEW)
        return self._done()

    def left(self, identity: bytes, now: float) -> list[Action]:
        """The connection of a client has ended: what servers keep for it is given back."""
        self._jobs.now = now
        known = self._clients.known(identity)
        if known is not None:
            known.left = True
        if self._cursors.holds(identity):
            self._give_back(self._clients.of(identity))
        return self._done()

    def drop(self, identity: bytes, now: float) -> list[Action]:
        """Gives up on a client: forgets what waits, and what is under way on lanes that are its alone."""
        self._jobs.now = now
        client = self._clients.of(identity)
        self._clients.forget(client)
        for pool, lane in self._own(client):
            self._give_up(pool, lane, ElevatorError("the client does not read"))
        self._unhold(client)
        if not client.under_way:
            self._leave(client)
        return self._done()

    def upstream_sent(self, upstream: str, lane_number: int, frames: Sequence[bytes], now: float) -> list[Action]:
        """An upstream's message on one of its lanes."""
        self._jobs.now = now
        pool = self._pools[upstream]
        lane = pool.lanes[lane_number]
        if lane.passengers and self._relay is not None:
            passed = self._relay.alight(lane, frames)
            if passed is not None:
                if not pool.tagged:
                    pool.learn(True)
                self._passed(*passed)
                pool.settle(lane)
                self._jobs.serve_waiting(pool)
                return self._done()
        try:
            reply = lane.protocol.receive(frames)
        except ProtocolError as error:
            pool.doubt()
            self._give_up(pool, lane, error)
        else:
            if reply is None:
                pool.retire(lane)
            else:
                self._jobs.deliver(pool, lane, *reply)
                pool.settle(lane)
        self._jobs.serve_waiting(pool)
        return self._done()

    def upstream_failed(self, upstream: str, lane_number: int, error: ConnectFailed, now: float) -> list[Action]:
        """There is no connection to an upstream, and trying again is of no use to those who wait for it."""
        self._jobs.now = now
        pool = self._pools[upstream]
        told = f"there is no connection to the upstream: {error.reason or 'it does not answer'}"
        waiting, pool.waiting = pool.waiting, deque()
        # what is on the lane may have left over a connection before this one, and been executed
        self._give_up(pool, pool.lanes[lane_number], RequestTimeout(told))
        self._jobs.refuse(waiting, ConnectFailed(told))
        return self._done()

    def upstream_lost(self, upstream: str, lane_number: int, error: ElevatorError, now: float) -> list[Action]:
        """The connection of a lane has ended: whether what was under way there was executed, nobody knows."""
        self._jobs.now = now
        pool = self._pools[upstream]
        lane = pool.lanes[lane_number]
        if not lane.empty:
            self._give_up(pool, lane, error)
            self._jobs.serve_waiting(pool)
        return self._done()

    def _passed(self, passenger: Passenger, reply: Reply) -> None:
        """A request that was passed on has its answer."""
        self._actions.append(reply)
        if passenger.cursor:
            uid = passenger.uid
            request = Request(Ping(), uid.decode("utf-8", "surrogateescape") if isinstance(uid, bytes) else None)
            self._note_cursor(passenger.client, request, passenger.cursor, passenger.kept)
        self._answered(passenger.client, passenger.size)

    def tick(self, now: float) -> list[Action]:
        """Does what is due."""
        self._jobs.now = now
        for expired in self._relay.expired(now) if self._relay else ():
            self._passed(*expired)
        self._jobs.tick()
        return self._done()

    def next_due(self) -> float | None:
        """When ``tick`` is due; None if there is nothing to wait for."""
        due = self._jobs.next_due(), self._relay.next_due() if self._relay else None
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

    def _begin(self, client: Client, exchange: IncomingRequest) -> None:
        if exchange.request is None:
            self._reply(client, exchange, exchange.refusal or Response())
        else:
            self._jobs.begin(client, exchange, exchange.request)

    def _reply(self, client: Client, exchange: IncomingRequest, response: Response) -> None:
        """The one answer, under the client's own id; then the client's next request, if it keeps an order."""
        request = exchange.request
        if request is not None:
            response = evolve(response, id=request.id)
            for cursor, kept in cursors_in(request.command, response):
                self._note_cursor(client, request, cursor, kept)
        self._actions.append(Reply(client.identity, exchange.encode(response)))
        if not _is_tagged(exchange):
            self._done_with.append(client)
        self._answered(client, self._sizes.pop(id(exchange)))

    def _note_cursor(self, client: Client, request: Request[Any], asked: Any, kept: bytes | None) -> None:
        self._cursors.note(client.identity, request, asked, kept)
        if client.left:
            self._give_back(client)

    def _give_back(self, client: Client) -> None:
        """Gives back the cursors that a client has left behind; what is answered to that goes to nobody."""
        for request in self._cursors.left_by(client.identity):
            exchange = IncomingRequest(ClassicCodec(), request)
            self._sizes[id(exchange)] = 0
            self._clients.begun(client, 0)
            self._begin(client, exchange)

    def _next_of(self, client: Client) -> None:
        if client.ordered:
            self._begin(client, client.ordered.popleft())
        else:
            client.ordered = None

    def _give_up(self, pool: Pool, lane: Lane, error: ElevatorError) -> None:
        """Nothing on the lane can be answered: every request there fails with that."""
        pool.renew(lane)
        self._jobs.fail(lane, error)
        for lost in self._relay.lost(lane, error) if self._relay else ():
            self._passed(*lost)


def _is_tagged(exchange: IncomingRequest) -> bool:
    said = exchange.request or exchange.refusal
    return said is not None and said.id is not None
