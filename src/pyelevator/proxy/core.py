"""The proxy without sockets and without a clock: messages and the time go in, actions come out.

Each request of a client is a flow: the interceptors around the router. The core runs it until it asks for something:
to send (it waits for a lane, then for the answer), to sleep, or to be done (the client gets its one answer). At an
upstream that echoes ids each client with requests under way has a lane of its own, as long as there are enough; one
that does not takes one on each of a few lanes, and a lane whose request was given up is replaced.

Where nothing has to be looked into, a request takes the short way instead (:mod:`pyelevator.proxy.relay`).
"""

import heapq
import logging
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from itertools import count
from typing import Any, Final

from attrs import evolve

from pyelevator.codec import Codec, Limits
from pyelevator.conversation import Exchange, Reader
from pyelevator.errors import ElevatorError, ErrorCode, ProtocolError, RequestTimeout, ServerError
from pyelevator.flows import Interceptor, Sleep, compose, settled
from pyelevator.messages import Request, Response
from pyelevator.proxy.lanes import Action, Client, Forward, Job, Lane, Passenger, Pool, Renew, Reply, Rest, Resume
from pyelevator.proxy.relay import Relay
from pyelevator.proxy.routing import Router, SendTo, Upstream

__all__ = ["Action", "Core", "Forward", "Renew", "Reply", "Rest", "Resume"]

_LOG = logging.getLogger("pyelevator.proxy")

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
        self._answer = compose(interceptors, router.forward)
        self._pools = {name: Pool(upstream, self._act) for name, upstream in router.upstreams.items()}
        self._timeout = timeout
        self._capacity, self._capacity_bytes = capacity, capacity_bytes
        self._reader = Reader(limits, codecs)
        self._clients: dict[bytes, Client] = {}
        self._deaf: dict[bytes, Client] = {}
        self._unanswered = 0
        self._held = 0
        self._sizes: dict[int, int] = {}
        self._timers: list[tuple[float, int, int, Job]] = []
        self._relay = (
            None if interceptors or codecs else Relay.over(list(self._pools.values()), timeout, self._reader.limits)
        )
        self._freed: deque[Client] = deque()
        self._done_with: deque[Client] = deque()
        self._order = count()
        self._now = 0.0
        self._actions: list[Action] = []

    @property
    def full(self) -> bool:
        """As many requests as it may hold are unanswered; take no more until one is."""
        return self._unanswered >= self._capacity or self._held >= self._capacity_bytes

    @property
    def idle(self) -> bool:
        """Every request is answered, but for those of clients that do not read."""
        return not self._unanswered

    def client_sent(
        self, identity: bytes, frames: Sequence[bytes], now: float, peer: str | None = None
    ) -> list[Action]:
        """A client's message. What is no request is answered here, and no upstream ever sees it."""
        self._now = now
        client = self._client(identity)
        if client.held or client.queue or client.under_way >= _SHARE:
            self._count(client, -1)
            client.put(frames, peer)
            self._count(client, +1)
        else:
            self._take(client, frames, peer)
        return self._done()

    def _client(self, identity: bytes) -> Client:
        client = self._clients.get(identity)
        if client is None:
            client = self._clients[identity] = Client(identity)
        return client

    def _count(self, client: Client, sign: int) -> None:
        """What a client has sent counts until it is answered; not so behind one that may never read again."""
        if not client.held:
            self._unanswered += sign * (client.under_way + len(client.queue))
            self._held += sign * (client.size + client.weight)

    def _take(self, client: Client, frames: Sequence[bytes], peer: str | None) -> None:
        if self._relay is not None and client.ordered is None:
            forward = self._relay.board(client, frames, self._now)
            if forward is not None:
                self._begun(client, len(frames[0]))
                self._actions.append(forward)
                return
        exchange = self._reader.read(frames, peer)
        self._sizes[id(exchange)] = size = sum(map(len, frames))
        self._begun(client, size)
        if _is_tagged(exchange):
            self._begin(client, exchange)
        elif client.ordered is not None:
            client.ordered.append(exchange)
        else:
            client.ordered = deque()
            self._begin(client, exchange)

    def _begun(self, client: Client, size: int) -> None:
        client.under_way += 1
        client.size += size
        if not client.held:
            self._unanswered += 1
            self._held += size

    def _answered(self, client: Client, size: int) -> None:
        """One request less is under way, and another of its client has room."""
        client.under_way -= 1
        client.size -= size
        if not client.held:
            self._unanswered -= 1
            self._held -= size
        if client.queue:
            self._freed.append(client)
        if not client.under_way:
            self._leave(client)

    def _leave(self, client: Client) -> None:
        """Nothing of the client is under way: its lanes are free for others."""
        for pool in self._pools.values():
            pool.leave(client)
        if client.idle:
            self._clients.pop(client.identity, None)

    def _go_on(self, client: Client, most: int) -> None:
        """The client's next requests, as many as have room."""
        if client.held:
            return
        for _ in range(min(most, len(client.queue), _SHARE - client.under_way)):
            self._count(client, -1)
            frames, peer = client.take()
            self._count(client, +1)
            self._take(client, frames, peer)
        if not client.queue and not client.under_way:
            self._leave(client)

    def hold(self, identity: bytes) -> list[Action]:
        """Lets what the client sends from now on wait, because it does not read its answers, until ``release``.

        What is on its way to it waits, too, where nobody who reads waits behind it.
        """
        client = self._client(identity)
        if not client.held:
            self._count(client, -1)
            client.held = True
            self._deaf[identity] = client
            self._heed(client)
        return self._done()

    def _unhold(self, client: Client) -> None:
        if self._deaf.pop(client.identity, None):
            client.held = False
            self._count(client, +1)
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
        return self._deaf

    def parked(self, identity: bytes) -> int:
        """Bytes of the requests of a client that does not read, with what Python takes for keeping them."""
        client = self._clients.get(identity)
        return client.weight if client is not None and client.held else 0

    def release(self, identity: bytes, now: float) -> list[Action]:
        """The client reads again: a few of its requests go on, and each answer makes room for another."""
        self._now = now
        client = self._client(identity)
        self._unhold(client)
        self._go_on(client, _FEW)
        return self._done()

    def drop(self, identity: bytes, now: float) -> list[Action]:
        """Gives up on a client: forgets what waits, and what is under way on lanes that are its alone."""
        self._now = now
        client = self._client(identity)
        self._count(client, -1)
        client.forget()
        self._count(client, +1)
        for pool, lane in self._own(client):
            self._give_up(pool, lane, ElevatorError("the client does not read"))
        self._unhold(client)
        if not client.under_way:
            self._leave(client)
        return self._done()

    def upstream_sent(self, upstream: str, lane_number: int, frames: Sequence[bytes], now: float) -> list[Action]:
        """An upstream's message on one of its lanes."""
        self._now = now
        pool = self._pools[upstream]
        lane = pool.lanes[lane_number]
        if lane.passengers and self._relay is not None:
            passed = self._relay.alight(lane, frames)
            if passed is not None:
                if not pool.tagged:
                    pool.learn(True)
                self._passed(*passed)
                self._serve_waiting(pool)
                return self._done()
        try:
            reply = lane.conversation.receive(frames)
        except ProtocolError as error:
            pool.doubt()
            self._give_up(pool, lane, error)
        else:
            self._deliver(pool, lane, reply)
        self._serve_waiting(pool)
        return self._done()

    def _passed(self, passenger: Passenger, reply: Reply) -> None:
        """A request that was passed on has its answer."""
        self._actions.append(reply)
        self._answered(passenger.client, passenger.size)

    def tick(self, now: float) -> list[Action]:
        """Does what is due."""
        self._now = now
        for expired in self._relay.expired(now) if self._relay else ():
            self._passed(*expired)
        while self._timers and self._timers[0][0] <= now:
            _, _, turn, job = heapq.heappop(self._timers)
            if turn == job.turn:
                self._due(job)
        return self._done()

    def next_due(self) -> float | None:
        """When ``tick`` is due; None if there is nothing to wait for."""
        while self._timers and self._timers[0][2] != self._timers[0][3].turn:
            heapq.heappop(self._timers)
        due = [self._timers[0][0]] if self._timers else []
        first = self._relay.next_due() if self._relay else None
        return min(due if first is None else [*due, first], default=None)

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

    # The way of a job

    def _begin(self, client: Client, exchange: Exchange) -> None:
        if exchange.request is None:
            self._reply(client, exchange, exchange.refusal or Response())
            return
        job = Job(client, exchange, self._answer(exchange.request))
        self._step(job, lambda: next(job.flow))

    def _step(self, job: Job, resume: Callable[[], Any]) -> None:
        """Runs the flow to its next effect, or to its end."""
        job.turn += 1
        try:
            effect = resume()
        except StopIteration as stop:
            self._finish(job, stop.value)
        except Exception as error:  # noqa: BLE001 - every request gets an answer
            self._finish(job, _failure(error))
        else:
            _PERFORM[type(effect)](self, job, effect)

    def _finish(self, job: Job, response: Any) -> None:
        if not isinstance(response, Response):
            _LOG.error("an interceptor answered %s, not a Response", type(response).__name__)
            response = Response.failure(ErrorCode.RUNTIME, "the proxy failed on this request; its log says more")
        self._reply(job.client, job.exchange, settled(job.exchange.request, response, _failure))

    def _reply(self, client: Client, exchange: Exchange, response: Response) -> None:
        """The one answer, under the client's own id; then the client's next request, if it keeps an order."""
        if exchange.request is not None:
            response = evolve(response, id=exchange.request.id)
        self._actions.append(Reply(client.identity, exchange.encode(response)))
        if not _is_tagged(exchange):
            self._done_with.append(client)
        self._answered(client, self._sizes.pop(id(exchange)))

    def _next_of(self, client: Client) -> None:
        if client.ordered:
            self._begin(client, client.ordered.popleft())
        else:
            client.ordered = None

    # Effects

    def _send(self, job: Job, effect: SendTo) -> None:
        pool = self._pools[effect.upstream]
        place = (job, effect.request)
        pool.waiting.append(place)
        job.leave = lambda: pool.waiting.remove(place)
        job.until = self._now + self._timeout
        self._set_timer(job, self._timeout)
        self._serve_waiting(pool)

    def _sleep(self, job: Job, effect: Sleep) -> None:
        job.leave = _AWAKE
        self._set_timer(job, effect.seconds)

    def _set_timer(self, job: Job, seconds: float) -> None:
        heapq.heappush(self._timers, (self._now + seconds, next(self._order), job.turn, job))

    def _due(self, job: Job) -> None:
        """The time of a job has come: it slept long enough, or its upstream took too long."""
        waited_for = job.leave
        job.leave = lambda: None
        if waited_for is _AWAKE:
            self._step(job, lambda: job.flow.send(None))
            return
        waited_for()
        self._step(job, lambda: job.flow.throw(RequestTimeout(f"no answer from upstream within {self._timeout} s")))

    # Lanes

    def _serve_waiting(self, pool: Pool) -> None:
        while pool.waiting:
            lane = pool.lane_for(pool.waiting[0][0].client)
            if lane is None:
                return
            self._put_on(pool, lane, *pool.waiting.popleft())

    def _put_on(self, pool: Pool, lane: Lane, job: Job, request: Request[Any]) -> None:
        try:
            number, frames = lane.conversation.submit(request)
        except ElevatorError as failed:
            error = failed
            self._step(job, lambda: job.flow.throw(error))
            return
        lane.jobs[number] = job
        job.leave = lambda: self._abandon(pool, lane, number)
        self._act(Forward(pool.upstream.name, lane.number, frames, job.until))
        pool.attune(lane)

    def _deliver(self, pool: Pool, lane: Lane, reply: tuple[int, Response] | None) -> None:
        if reply is None:
            return
        number, response = reply
        pool.learn(lane.conversation.tagged)
        if lane.conversation.spent:
            pool.renew(lane)
        job = lane.jobs.pop(number)
        pool.attune(lane)
        self._step(job, lambda: job.flow.send(response))

    def _abandon(self, pool: Pool, lane: Lane, number: int) -> None:
        """Gives up a request in flight: forgotten where replies carry ids, else the lane goes with it."""
        lane.jobs.pop(number)
        if lane.conversation.tagged:
            lane.conversation.forget(number)
            lane.late = True
            pool.attune(lane)
        else:
            pool.renew(lane)
        self._serve_waiting(pool)

    def _give_up(self, pool: Pool, lane: Lane, error: ElevatorError) -> None:
        """Nothing on the lane can be answered: every request there fails with that."""
        jobs, lane.jobs = list(lane.jobs.values()), {}
        pool.renew(lane)
        for lost in self._relay.lost(lane, error) if self._relay else ():
            self._passed(*lost)
        for job in jobs:
            self._step(job, lambda job=job: job.flow.throw(error))  # type: ignore[misc]


def _AWAKE() -> None:
    """Stands in ``Job.leave`` while the job sleeps."""


_PERFORM: Final[Mapping[type, Callable[[Core, Job, Any], None]]] = {SendTo: Core._send, Sleep: Core._sleep}
"""Effect -> how it is carried out."""


def _is_tagged(exchange: Exchange) -> bool:
    said = exchange.request or exchange.refusal
    return said is not None and said.id is not None


def _failure(error: Exception) -> Response:
    """What a client is told of an error on the way."""
    if isinstance(error, ServerError):
        return Response.of_error(error)
    if isinstance(error, ElevatorError):
        return Response.failure(ErrorCode.RUNTIME, f"proxy: {error}")
    _LOG.error("a request failed", exc_info=error)
    return Response.failure(ErrorCode.RUNTIME, f"internal error of the proxy: {type(error).__name__}")
