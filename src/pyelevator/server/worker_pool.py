"""Workers: the threads of a server that execute and encode what may be slow. They touch no socket."""

import threading
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from math import inf
from queue import SimpleQueue
from time import monotonic
from typing import Final, TypeAlias

from pyelevator.application import Application
from pyelevator.application.handlers.groups import QueueSpec, queue_for
from pyelevator.application.response_space import UNLIMITED, OutOfSpace, limited_to
from pyelevator.commands import Progress, SlowLog, Stats
from pyelevator.engines.call_deadline import calling_until
from pyelevator.protocol import IncomingRequest
from pyelevator.server.observer import Observed, RequestObserver
from pyelevator.server.repeats import is_repeatable
from pyelevator.server.responder import Responder
from pyelevator.server.scheduler import Job
from pyelevator.server.work_queues import QueuedJob, WorkQueues

_MONITORING: Final = (Stats, SlowLog, Progress)
"""The commands that have a worker of their own: they are wanted most when all others are busy."""

_MIN_TIME_SHARE: Final = 0.5
"""The part of the time for a call that a request still has if others before it have used up the rest."""

CompletedJob: TypeAlias = tuple[bytes, Job, list[bytes] | None]
"""The client, the job, and the frames of the response; None for those if the request must wait for space first."""

_Respond: TypeAlias = Callable[[list[IncomingRequest]], Sequence[list[bytes]]]


class WorkerPool:
    """The worker threads of one server: a number of them, one for monitoring, and one for probes.

    They call ``wakeup`` when something was put into ``completed``, and execute nothing that ``must_wait`` for space for
    its response.

    Attributes:
        completed: what the workers have done; the server puts other things there for its own loop.
        has_queues: True if requests that wait for the same database wait in queues, without a worker each.
        count: as given.
    """

    def __init__(
        self,
        application: Application,
        responder: Responder,
        observer: RequestObserver,
        count: int,
        *,
        wakeup: Callable[[], object],
        must_wait: Callable[[IncomingRequest | None], bool],
    ) -> None:
        self._must_wait = must_wait
        self._application, self._responder, self._observer, self._wakeup = application, responder, observer, wakeup
        self.has_queues = getattr(application, "call_timeout", None) is not None  # not every one waits for a network
        self.completed: SimpleQueue[CompletedJob | threading.Event | None] = SimpleQueue()
        self.count, self._pool = count, ThreadPoolExecutor(count, "elevator-worker")
        self._monitoring = ThreadPoolExecutor(1, "elevator-monitoring")
        self._probing = ThreadPoolExecutor(1, "elevator-probing")
        self._queues = WorkQueues(self._pool.submit, self._work_together)

    def execute(self, identity: bytes, job: Job) -> None:
        """Have a job executed in a worker, now or when its turn in its queue has come."""
        spec = self._queue_for(job.incoming)
        if job.is_probe:
            self._probing.submit(self._probe, identity, job)
        elif spec is None:
            is_monitoring = job.kind is not None and issubclass(job.kind, _MONITORING)
            (self._monitoring if is_monitoring else self._pool).submit(self._work, identity, job)
        else:
            self._queues.put(spec, identity, job)

    def run(self, task: Callable[[], None]) -> Future[None]:
        """Run something else in a worker."""
        return self._pool.submit(task)

    def shutdown(self, wait: bool) -> None:
        """End the threads; with ``wait``, return when they have ended."""
        for pool in (self._pool, self._monitoring, self._probing):
            pool.shutdown(wait=wait, cancel_futures=True)

    def _queue_for(self, incoming: IncomingRequest | None) -> QueueSpec | None:
        """Return the queue of a request that is decoded, and whose engine waits for a network."""
        if not self.has_queues or incoming is None or incoming.request is None:
            return None
        return queue_for(self._application.catalog, incoming.request)

    def _probe(self, identity: bytes, job: Job) -> None:
        """Do what the loop would do with a job, without waiting; it keeps its request if nothing came of that."""
        frames, incoming, reservation = None, job.incoming, job.reservation
        if incoming is not None and reservation is not None:
            reservation.can_wait = True
            try:
                with limited_to(reservation):
                    frames = self._responder.try_anywhere(incoming)
            except OutOfSpace:
                job.refused_bytes = reservation.refused_bytes
        if incoming is None or frames is None:
            self.completed.put((identity, job, None))
        else:
            self._finish_job(identity, job, incoming, frames)
        self._wakeup()

    def _work(self, identity: bytes, job: Job) -> None:
        """Execute a job in a worker, without touching a socket."""
        is_new, spec = job.incoming is None, None
        if job.incoming is None:
            job.decoded(self._responder.decode(job.frames, job.peer, identity))
            spec = self._queue_for(job.incoming)
        if is_new and self._must_wait(job.incoming):
            self.completed.put((identity, job, None))
        elif spec is not None:
            self._queues.put(spec, identity, job)
            return
        else:
            self._respond_to([(identity, job)], lambda messages: [self._responder.respond(messages[0])])
        self._wakeup()

    def _work_together(self, jobs: Sequence[QueuedJob]) -> None:
        """Execute the jobs of a queue in a worker; those that have waited too long are refused."""
        timeout, now = self._application.call_timeout or inf, monotonic()
        started = [one for one in jobs if now - one[1].received_at < timeout]
        for identity, job in jobs:
            incoming = job.incoming
            if incoming is not None and now - job.received_at >= timeout:
                self._finish_job(identity, job, incoming, self._responder.expire(incoming))
        if started:
            oldest = min([job.received_at for _, job in started])
            with calling_until(max(oldest + timeout, now + _MIN_TIME_SHARE * timeout)):
                self._respond_to(started, self._responder.respond_together)
        self._wakeup()

    def _respond_to(self, jobs: Sequence[QueuedJob], respond: _Respond) -> None:
        """Execute jobs; those for whose responses there is no space are given up, and executed again later."""
        messages = [job.incoming for _, job in jobs if job.incoming is not None]
        for (_, job), incoming in zip(jobs, messages, strict=True):
            _drop_request(job, incoming)
        reservation = jobs[0][1].reservation if len(jobs) == 1 else None  # those of several are single values
        try:
            with limited_to(reservation or UNLIMITED):
                responses = respond(messages)
        except OutOfSpace:
            identity, job = jobs[0]
            job.refused_bytes = 0 if reservation is None else reservation.refused_bytes
            self.completed.put((identity, job, None))
            return
        for (identity, job), incoming, response in zip(jobs, messages, responses, strict=True):
            self._finish_job(identity, job, incoming, response)

    def _finish_job(self, identity: bytes, job: Job, incoming: IncomingRequest, frames: list[bytes]) -> None:
        observed = Observed(identity, incoming, job.request_bytes, frames)
        self._observer.observe(observed, monotonic() - job.received_at)
        self.completed.put((identity, job, frames))


def _drop_request(job: Job, incoming: IncomingRequest) -> None:
    """Let go of a request that is about to be executed, as it may be large; its frames if it is not repeated."""
    if not is_repeatable(incoming):
        job.frames = ()
    if job.reservation is not None:
        job.reservation.can_wait = bool(job.frames)
    job.incoming = None
