"""The proxy without sockets and without a clock: messages and the time go in, actions come out.

Each request of a client is a flow: the interceptors around the router. The core runs it until it asks for something:
to send (it waits for a lane, then for the answer), to sleep, or to be done (the client gets its one answer). An
upstream that echoes ids takes many requests on one lane; one that does not takes one on each of a few lanes, and a
lane whose request was given up is replaced.
"""

import heapq
import logging
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from itertools import count
from typing import Any, Final, TypeAlias

from attrs import define, evolve, field, frozen

from pyelevator.codec import Codec, Limits, codec_for
from pyelevator.conversation import Conversation, Exchange, Reader
from pyelevator.errors import ElevatorError, ErrorCode, ProtocolError, RequestTimeout, ServerError
from pyelevator.flows import Flow, Interceptor, Sleep, compose
from pyelevator.messages import Request, Response
from pyelevator.proxy.routing import Router, SendTo, Upstream

_LOG = logging.getLogger("pyelevator.proxy")

WINDOW: Final = 1000
"""Requests in flight on a lane to an upstream that echoes ids."""


@frozen
class Reply:
    """Answer a client."""

    identity: bytes
    frames: Sequence[bytes]


@frozen
class Forward:
    """Send to an upstream, on one of its lanes; not after ``until``, when nobody waits for the answer any more."""

    upstream: str
    lane: int
    frames: Sequence[bytes]
    until: float


@frozen
class Renew:
    """Replace the connection of a lane: what still comes over the old one is for nobody."""

    upstream: str
    lane: int


Action: TypeAlias = Reply | Forward | Renew


@define(eq=False)
class Job:
    """One request of a client, on its way through the proxy.

    Attributes:
        turn: grows with every step; a timer that was set at an earlier turn means nothing any more.
        until: when the upstream's time for the request in hand is over.
        leave: takes the job out of where it waits, if it is given up there.
    """

    identity: bytes
    exchange: Exchange
    flow: Flow[Response]
    turn: int = 0
    until: float = 0.0
    leave: Callable[[], None] = lambda: None


@define(eq=False)
class Lane:
    """One connection to an upstream and what is in flight on it."""

    number: int
    conversation: Conversation
    jobs: dict[int, Job] = field(factory=dict)

    @property
    def has_room(self) -> bool:
        """Another request may ride on it."""
        return len(self.jobs) < (WINDOW if self.conversation.tagged else 1)


@define(eq=False)
class Pool:
    """The lanes to one upstream, and who waits for one."""

    upstream: Upstream
    lanes: list[Lane] = field(factory=list)
    waiting: deque[tuple[Job, Request[Any]]] = field(factory=deque)

    def free_lane(self) -> Lane | None:
        """A lane with room; a new one if there may be more."""
        lane = next((lane for lane in self.lanes if lane.has_room), None)
        tagged = any(lane.conversation.tagged for lane in self.lanes)
        if lane is None and not tagged and len(self.lanes) < self.upstream.max_lanes:
            lane = Lane(len(self.lanes), Conversation(self.upstream.codec or codec_for(self.upstream.dialect)))
            self.lanes.append(lane)
        return lane


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
        router = Router(upstreams)
        self._answer = compose(interceptors, router.forward)
        self._pools = {name: Pool(upstream) for name, upstream in router.upstreams.items()}
        self._timeout = timeout
        self._capacity, self._capacity_bytes = capacity, capacity_bytes
        self._reader = Reader(limits, codecs)
        self._queues: dict[bytes, deque[Exchange]] = {}
        self._unanswered = 0
        self._held = 0
        self._sizes: dict[int, int] = {}
        self._timers: list[tuple[float, int, int, Job]] = []
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
        exchange = self._reader.read(frames, peer)
        self._hold(exchange, sum(map(len, frames)))
        if _is_tagged(exchange):
            self._begin(identity, exchange)
        elif identity in self._queues:
            self._queues[identity].append(exchange)
        else:
            self._queues[identity] = deque()
            self._begin(identity, exchange)
        return self._done()

    def _hold(self, exchange: Exchange, size: int) -> None:
        self._unanswered += 1
        self._held += size
        self._sizes[id(exchange)] = size

    def _let_go(self, exchange: Exchange) -> None:
        self._unanswered -= 1
        self._held -= self._sizes.pop(id(exchange))

    def upstream_sent(self, upstream: str, lane_number: int, frames: Sequence[bytes], now: float) -> list[Action]:
        """An upstream's message on one of its lanes."""
        self._now = now
        pool = self._pools[upstream]
        lane = pool.lanes[lane_number]
        try:
            reply = lane.conversation.receive(frames)
        except ProtocolError as error:
            self._give_up(pool, lane, error)
        else:
            self._deliver(pool, lane, reply)
        self._serve_waiting(pool)
        return self._done()

    def tick(self, now: float) -> list[Action]:
        """Does what is due."""
        self._now = now
        while self._timers and self._timers[0][0] <= now:
            _, _, turn, job = heapq.heappop(self._timers)
            if turn == job.turn:
                self._due(job)
        return self._done()

    def next_due(self) -> float | None:
        """When ``tick`` is due; None if there is nothing to wait for."""
        while self._timers and self._timers[0][2] != self._timers[0][3].turn:
            heapq.heappop(self._timers)
        return self._timers[0][0] if self._timers else None

    def _done(self) -> list[Action]:
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
        self._reply(job.identity, job.exchange, response)

    def _reply(self, identity: bytes, exchange: Exchange, response: Response) -> None:
        """The one answer, under the client's own id; then the client's next request, if it keeps an order."""
        if exchange.request is not None:
            response = evolve(response, id=exchange.request.id)
        self._actions.append(Reply(identity, exchange.encode(response)))
        self._let_go(exchange)
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
