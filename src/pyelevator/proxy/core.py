"""The proxy without sockets and without a clock: messages and the time go in, actions come out.

Each request of a client is a flow: the interceptors around the router. The core runs it until it asks for something:
to send (it waits for a lane, then for the answer), to sleep, or to be done (the client gets its one answer). An
upstream that echoes ids takes many requests on one lane; one that does not takes one on each of a few lanes, and a
lane whose request was given up is replaced.

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
from pyelevator.conversation import Conversation, Exchange, Reader
from pyelevator.errors import ElevatorError, ErrorCode, ProtocolError, RequestTimeout, ServerError
from pyelevator.flows import Interceptor, Sleep, compose, settled
from pyelevator.messages import Request, Response
from pyelevator.proxy.lanes import Action, Forward, Job, Lane, Parked, Pool, Renew, Reply
from pyelevator.proxy.relay import Relay
from pyelevator.proxy.routing import Router, SendTo, Upstream

__all__ = ["Action", "Core", "Forward", "Renew", "Reply"]

_LOG = logging.getLogger("pyelevator.proxy")

_SHARE: Final = 128
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
        self._pools = {name: Pool(upstream) for name, upstream in router.upstreams.items()}
        self._timeout = timeout
        self._capacity, self._capacity_bytes = capacity, capacity_bytes
        self._reader = Reader(limits, codecs)
        self._queues: dict[bytes, deque[Exchange]] = {}
        self._under_way: dict[bytes, int] = {}
        self._unanswered = 0
        self._held = 0
        self._sizes: dict[int, int] = {}
        self._timers: list[tuple[float, int, int, Job]] = []
        self._relay = (
            None if interceptors or codecs else Relay.over(list(self._pools.values()), timeout, self._reader.limits)
        )
        self._parked: dict[bytes, Parked] = {}
        self._freed: deque[bytes] = deque()
        self._order = count()
        self._now = 0.0
        self._actions: list[Action] = []

    @property
    def full(self) -> bool:
        """As many requests as it may hold are unanswered; take no more until one is."""
        return self._unanswered >= self._capacity or self._held >= self._capacity_bytes

    @property
    def idle(self) -> bool:
        """Every request is answered."""
        return not self._unanswered

    def client_sent(
        self, identity: bytes, frames: Sequence[bytes], now: float, peer: str | None = None
    ) -> list[Action]:
        """A client's message. What is no request is answered here, and no upstream ever sees it."""
        self._now = now
        parked = self._parked.get(identity)
        if parked is None and self._under_way.get(identity, 0) >= _SHARE:
            parked = self._parked[identity] = Parked()
        if parked is None:
            self._take(identity, frames, peer)
        else:
            self._count_parked(parked, -1)
            parked.put(frames, peer)
            self._count_parked(parked, +1)
        return self._done()

    def _count_parked(self, parked: Parked, sign: int) -> None:
        """What waits for its turn has been taken, and counts; not so behind a client that may never read again."""
        if not parked.held:
            self._unanswered += sign * len(parked.queue)
            self._held += sign * parked.weight

    def _take(self, identity: bytes, frames: Sequence[bytes], peer: str | None) -> None:
        if self._relay is not None and identity not in self._queues:
            forward = self._relay.board(identity, frames, self._now)
            if forward is not None:
                self._count(identity, len(frames[0]))
                self._actions.append(forward)
                return
        exchange = self._reader.read(frames, peer)
        self._sizes[id(exchange)] = size = sum(map(len, frames))
        self._count(identity, size)
        if _is_tagged(exchange):
            self._begin(identity, exchange)
        elif identity in self._queues:
            self._queues[identity].append(exchange)
        else:
            self._queues[identity] = deque()
            self._begin(identity, exchange)

    def _count(self, identity: bytes, size: int) -> None:
        self._unanswered += 1
        self._held += size
        self._under_way[identity] = self._under_way.get(identity, 0) + 1

    def _answered(self, identity: bytes, size: int) -> None:
        """One request less is under way, and another of its client has room."""
        self._unanswered -= 1
        self._held -= size
        left = self._under_way.pop(identity) - 1
        if left:
            self._under_way[identity] = left
        if identity in self._parked:
            self._freed.append(identity)

    def _go_on(self, identity: bytes, most: int) -> None:
        """The client's next requests, as many as have room."""
        parked = self._parked.get(identity)
        if parked is None or parked.held:
            return
        for _ in range(min(most, len(parked.queue), _SHARE - self._under_way.get(identity, 0))):
            self._count_parked(parked, -1)
            frames, peer = parked.take()
            self._count_parked(parked, +1)
            self._take(identity, frames, peer)
        if not parked.queue:
            self._parked.pop(identity, None)

    def hold(self, identity: bytes) -> None:
        """Lets what the client sends from now on wait, because it does not read its answers, until ``release``."""
        parked = self._parked.setdefault(identity, Parked())
        self._count_parked(parked, -1)
        parked.held = True

    @property
    def held(self) -> list[bytes]:
        """The clients whose requests wait because they do not read."""
        return [identity for identity, parked in self._parked.items() if parked.held]

    def parked(self, identity: bytes) -> int:
        """Bytes of the requests of a client that does not read, with what Python takes for keeping them."""
        parked = self._parked.get(identity)
        return parked.weight if parked is not None and parked.held else 0

    def release(self, identity: bytes, now: float) -> list[Action]:
        """The client reads again: a few of its requests go on, and each answer makes room for another."""
        self._now = now
        parked = self._parked[identity]
        parked.held = False
        self._count_parked(parked, +1)
        self._go_on(identity, _FEW)
        return self._done()

    def drop(self, identity: bytes) -> None:
        """Forgets what waits of a client."""
        parked = self._parked.pop(identity, None)
        if parked is not None:
            self._count_parked(parked, -1)

    def upstream_sent(self, upstream: str, lane_number: int, frames: Sequence[bytes], now: float) -> list[Action]:
        """An upstream's message on one of its lanes."""
        self._now = now
        pool = self._pools[upstream]
        lane = pool.lanes[lane_number]
        if lane.passengers and self._relay is not None:
            passed = self._relay.alight(lane, frames)
            if passed is not None:
                self._passed(*passed)
                self._serve_waiting(pool)
                return self._done()
        try:
            reply = lane.conversation.receive(frames)
        except ProtocolError as error:
            self._give_up(pool, lane, error)
        else:
            self._deliver(pool, lane, reply)
        self._serve_waiting(pool)
        return self._done()

    def _passed(self, size: int, reply: Reply) -> None:
        """A request that was passed on has its answer."""
        self._actions.append(reply)
        self._answered(reply.identity, size)

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

    def _done(self) -> list[Action]:
        while self._freed:
            self._go_on(self._freed.popleft(), 1)
        actions, self._actions = self._actions, []
        return actions

    # The way of a job

    def _begin(self, identity: bytes, exchange: Exchange) -> None:
        if exchange.request is None:
            self._reply(identity, exchange, exchange.refusal or Response())
            return
        job = Job(identity, exchange, self._answer(exchange.request))
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
        self._reply(job.identity, job.exchange, settled(job.exchange.request, response, _failure))

    def _reply(self, identity: bytes, exchange: Exchange, response: Response) -> None:
        """The one answer, under the client's own id; then the client's next request, if it keeps an order."""
        if exchange.request is not None:
            response = evolve(response, id=exchange.request.id)
        self._actions.append(Reply(identity, exchange.encode(response)))
        self._answered(identity, self._sizes.pop(id(exchange)))
        if not _is_tagged(exchange):
            self._next_of(identity)

    def _next_of(self, identity: bytes) -> None:
        queue = self._queues.get(identity)
        if queue:
            self._begin(identity, queue.popleft())
        else:
            self._queues.pop(identity, None)

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
            lane = pool.free_lane()
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
        self._actions.append(Forward(pool.upstream.name, lane.number, frames, job.until))

    def _deliver(self, pool: Pool, lane: Lane, reply: tuple[int, Response] | None) -> None:
        if reply is None:
            return
        number, response = reply
        pool.heard = True
        if lane.conversation.spent:
            self._renew(pool, lane)
        job = lane.jobs.pop(number)
        self._step(job, lambda: job.flow.send(response))

    def _abandon(self, pool: Pool, lane: Lane, number: int) -> None:
        """Gives up a request in flight: forgotten where replies carry ids, else the lane goes with it."""
        lane.jobs.pop(number)
        if lane.conversation.tagged:
            lane.conversation.forget(number)
        else:
            self._renew(pool, lane)
        self._serve_waiting(pool)

    def _give_up(self, pool: Pool, lane: Lane, error: ProtocolError) -> None:
        """A reply that nobody can read: every request on the lane fails with it."""
        jobs, lane.jobs = list(lane.jobs.values()), {}
        for lost in self._relay.lost(lane, error) if self._relay else ():
            self._passed(*lost)
        self._renew(pool, lane)
        for job in jobs:
            self._step(job, lambda job=job: job.flow.throw(error))  # type: ignore[misc]

    def _renew(self, pool: Pool, lane: Lane) -> None:
        lane.conversation = Conversation(lane.conversation.codec)
        self._actions.append(Renew(pool.upstream.name, lane.number))


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
