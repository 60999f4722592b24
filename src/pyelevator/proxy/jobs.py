"""The long way through a proxy: each request is a flow, the interceptors around the router.

It runs until it asks for something: to send (it waits for a lane, then for the answer), to sleep, or to be done.
"""

import heapq
import logging
from collections.abc import Callable, Iterable, Mapping
from itertools import count
from typing import Any, Final

from pyelevator.errors import ElevatorError, ErrorCode, RequestTimeout, ServerError
from pyelevator.flows import Forward as Answer
from pyelevator.flows import Sleep, encode_failures
from pyelevator.messages import Request, Response
from pyelevator.protocol import IncomingRequest
from pyelevator.proxy.actions import Action, Forward
from pyelevator.proxy.clients import Client
from pyelevator.proxy.lanes import Job, Lane, Pool
from pyelevator.proxy.routing import SendTo

_LOG: Final = logging.getLogger("pyelevator.proxy")


class Jobs:
    """Runs them.

    Args:
        answer: the flow of a request.
        pools: of the upstreams, by their names.
        timeout: seconds that an upstream may take for each request, waiting for a lane included.
        act: takes what is to be done.
        finished: takes a client, its request and the one answer to it.

    Attributes:
        now: seconds, any monotonic clock, which who calls has set.
    """

    def __init__(
        self,
        answer: Answer,
        pools: Mapping[str, Pool],
        timeout: float,
        act: Callable[[Action], None],
        finished: Callable[[Client, IncomingRequest, Response], None],
    ) -> None:
        self._answer, self._pools, self._timeout = answer, pools, timeout
        self._act, self._finished = act, finished
        self._timers: list[tuple[float, int, int, Job]] = []
        self._order = count()
        self.now = 0.0

    def begin(self, client: Client, exchange: IncomingRequest, request: Request[Any]) -> None:
        """Takes up a request of a client."""
        job = Job(client, exchange, self._answer(request))
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
        self._finished(job.client, job.exchange, encode_failures(job.exchange.request, response, _failure))

    def tick(self) -> None:
        """Does what is due."""
        while self._timers and self._timers[0][0] <= self.now:
            _, _, turn, job = heapq.heappop(self._timers)
            if turn == job.turn:
                self._due(job)

    def next_due(self) -> float | None:
        """When ``tick`` is due; None if there is nothing to wait for."""
        while self._timers and self._timers[0][2] != self._timers[0][3].turn:
            heapq.heappop(self._timers)
        return self._timers[0][0] if self._timers else None

    # Effects

    def _send(self, job: Job, effect: SendTo) -> None:
        pool = self._pools[effect.upstream]
        place = (job, effect.request)
        pool.waiting.append(place)
        job.leave = lambda: pool.waiting.remove(place)
        job.until = self.now + self._timeout
        self._set_timer(job, self._timeout)
        self.serve_waiting(pool)

    def _sleep(self, job: Job, effect: Sleep) -> None:
        job.leave = _AWAKE
        self._set_timer(job, effect.seconds)

    def _set_timer(self, job: Job, seconds: float) -> None:
        heapq.heappush(self._timers, (self.now + seconds, next(self._order), job.turn, job))

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

    def serve_waiting(self, pool: Pool) -> None:
        """Puts those who wait for a lane on those that are free."""
        while pool.waiting:
            lane = pool.lane_for(pool.waiting[0][0].client)
            if lane is None:
                return
            self._put_on(pool, lane, *pool.waiting.popleft())

    def _put_on(self, pool: Pool, lane: Lane, job: Job, request: Request[Any]) -> None:
        try:
            number, frames = lane.protocol.submit(request)
        except ElevatorError as failed:
            error = failed
            self._step(job, lambda: job.flow.throw(error))
            return
        lane.jobs[number] = job
        job.leave = lambda: self._abandon(pool, lane, number)
        self._act(Forward(pool.upstream.name, lane.number, frames, job.until))
        pool.attune(lane)

    def deliver(self, pool: Pool, lane: Lane, number: int, response: Response) -> None:
        """Gives a job the answer that has come on a lane."""
        pool.learn(lane.protocol.echoes_ids)
        if lane.protocol.spent:
            pool.renew(lane)
        job = lane.jobs.pop(number)
        pool.attune(lane)
        self._step(job, lambda: job.flow.send(response))

    def _abandon(self, pool: Pool, lane: Lane, number: int) -> None:
        """Gives up a request in flight: forgotten where replies carry ids, else the lane goes with it."""
        lane.jobs.pop(number)
        if lane.protocol.echoes_ids:
            lane.protocol.forget(number)
            lane.late = True
            pool.attune(lane)
            pool.settle(lane)
        else:
            pool.renew(lane)
        self.serve_waiting(pool)

    def fail(self, lane: Lane, error: ElevatorError) -> None:
        """None of those in flight on the lane can be answered."""
        jobs, lane.jobs = list(lane.jobs.values()), {}
        for job in jobs:
            self._step(job, lambda job=job: job.flow.throw(error))  # type: ignore[misc]

    def refuse(self, waiting: Iterable[tuple[Job, Request[Any]]], error: ElevatorError) -> None:
        """Those that waited for a lane will have none."""
        for job, _ in waiting:
            self._step(job, lambda job=job: job.flow.throw(error))  # type: ignore[misc]


def _AWAKE() -> None:
    """Stands in ``Job.leave`` while the job sleeps."""


_PERFORM: Final[Mapping[type, Callable[[Jobs, Job, Any], None]]] = {SendTo: Jobs._send, Sleep: Jobs._sleep}
"""Effect -> how it is carried out."""


def _failure(error: Exception) -> Response:
    """What a client is told of an error on the way."""
    if isinstance(error, ServerError):
        return Response.from_error(error)
    if isinstance(error, ElevatorError):
        return Response.failure(ErrorCode.RUNTIME, f"proxy: {error}")
    _LOG.error("a request failed", exc_info=error)
    return Response.failure(ErrorCode.RUNTIME, f"internal error of the proxy: {type(error).__name__}")
