"""Requests of a server: which are executed when and where, and how their responses reach the clients."""

import logging
import threading
from collections import deque
from collections.abc import Sequence
from contextlib import suppress
from enum import Enum, auto
from math import inf
from queue import Empty
from time import monotonic
from typing import Final

from pyelevator.application import Application
from pyelevator.application.response_space import OutOfSpace, limited_to
from pyelevator.commands import Get
from pyelevator.deadlines import Deadline
from pyelevator.monitoring import QueueStats
from pyelevator.protocol import IncomingRequest
from pyelevator.server.admission import Admission
from pyelevator.server.large_values import LargeValues, key_of
from pyelevator.server.observer import Observed, RequestObserver
from pyelevator.server.options import ServerLimits
from pyelevator.server.repeats import is_gradual, is_repeatable, reads_values
from pyelevator.server.responder import Responder
from pyelevator.server.response_budget import LARGE, ResponseBudget
from pyelevator.server.scheduler import LARGE_WORK, Job, Scheduler
from pyelevator.server.worker_pool import CompletedJob, WorkerPool
from pyelevator.transports.base import Listener
from pyelevator.transports.send_queues import DRAIN_TIMEOUT, FLUSH_INTERVAL

_LOG = logging.getLogger("pyelevator.server")

_LARGE: Final = 64 << 10
"""Bytes from which on a worker decodes a message."""

_QUEUED_REQUESTS: Final = 256
"""Requests of one client that may wait for a database, if they do not each take a worker."""


class _ExecutionPlace(Enum):
    """The place of execution: the loop, any worker, or the one worker that does what the loop would do."""

    LOOP = auto()
    WORKER = auto()
    PROBE_WORKER = auto()


class RequestDispatcher:
    """Takes the messages of clients, has them executed here or in a worker, and sends the responses.

    It runs in the thread that owns the sockets.

    Attributes:
        scheduler: the requests that are not answered yet.
        workers: the threads for what may be slow.
        completed: what the workers have done, see :class:`WorkerPool`.
    """

    def __init__(
        self,
        application: Application,
        listener: Listener,
        responder: Responder,
        observer: RequestObserver,
        *,
        worker_count: int,
        limits: ServerLimits,
    ) -> None:
        self._listener, self._responder, self._observer, self._limits = listener, responder, observer, limits
        self._budget = ResponseBudget(listener.send_queues, limits.max_unsent_bytes)
        self._admission = Admission(self._budget)
        self.workers = WorkerPool(
            application, responder, observer, worker_count, wakeup=listener.wakeup, must_wait=self._admission.must_wait
        )
        self.completed = self.workers.completed
        is_queued = self.workers.has_queues
        self.scheduler = Scheduler(_QUEUED_REQUESTS if is_queued else worker_count, inf if is_queued else worker_count)
        self._scheduled, self._quick = self.scheduler.clients, self.scheduler.quick
        self._unsent = listener.send_queues.peers
        self._running = 0
        self._startable: deque[tuple[bytes, Job]] = deque()
        self._large_values = LargeValues()
        self._probes: deque[tuple[bytes, Job]] = deque()
        self._is_probing = self._is_newest_next = self._is_long_turn = False
        self._postponed: dict[bytes, int] = {}
        self._flush_at = 0.0
        self._idle_timeout = listener.timeout = application.maintenance_interval

    @property
    def is_full(self) -> bool:
        """True if as many requests as there may be are unanswered."""
        scheduler, limits = self.scheduler, self._limits
        return scheduler.pending_count >= limits.max_requests or scheduler.pending_bytes >= limits.max_request_bytes

    @property
    def has_waiting(self) -> bool:
        """True if responses or paused clients wait for the next flush."""
        return bool(self._listener.send_queues.peers or self.scheduler.paused)

    def flush_if_due(self, now: float) -> None:
        """Send what could not be sent, and serve the clients that have read again, now and then."""
        if self.has_waiting and now >= self._flush_at:
            self._flush(now + FLUSH_INTERVAL)
            self._flush_at = monotonic() + FLUSH_INTERVAL

    def queue_stats(self) -> QueueStats:
        """Return the figures of the queues; from any thread."""
        return QueueStats(
            requests=self.scheduler.pending_count,
            request_bytes=self.scheduler.pending_bytes,
            running=self._running,
            workers=self.workers.count,
            unsent_bytes=self._listener.send_queues.unsent_bytes,
            blocked_clients=len(self.scheduler.blocked),
        )

    def wait_for_capacity(self) -> None:
        """Read nothing until a worker is done; meanwhile responses are sent."""
        self._listener.flush()
        with suppress(Empty):
            self._complete(self.completed.get(timeout=FLUSH_INTERVAL if self.has_waiting else None))
        self.flush_if_due(monotonic())

    # Requests

    def on_message(self, identity: bytes, frames: Sequence[bytes]) -> list[bytes] | None:
        """Respond to a message, and return the frames; or schedule it. The first half is the fast path."""
        peer, incoming, where, refused_bytes = self._listener.peer, None, None, 0
        is_new = identity not in self._scheduled  # which a large response changes
        if len(frames[-1]) < _LARGE:
            incoming = self._responder.decode(frames, peer, identity)
            if is_new:
                is_busy = self._running or self._unsent or self._is_long_turn
                if is_busy:
                    where, response, refused_bytes = self._respond_if_possible(identity, incoming)
                else:
                    response = self._responder.try_respond(incoming)
                if response is not None:
                    if (not is_busy and len(response[-1]) < _LARGE) or self._may_send(identity, incoming, response):
                        self._send(identity, response)
                        if identity not in self._quick:
                            self._record_quick(identity, incoming, response)
                        return response
                    refused_bytes = sum(map(len, response))
                    del response
                elif where is not _ExecutionPlace.PROBE_WORKER and is_gradual(incoming):  # much was read, perhaps
                    self._record_long(identity)
        job = Job(frames, peer, incoming, monotonic())
        job.refused_bytes, job.value_key = refused_bytes, key_of(incoming)
        job.expected_bytes = refused_bytes or self._large_values.expected_bytes(job.value_key)
        job.is_probe = where is _ExecutionPlace.PROBE_WORKER
        self._schedule(identity, job, is_tried=is_new)
        return None

    def _respond_if_possible(
        self, identity: bytes, incoming: IncomingRequest
    ) -> tuple[_ExecutionPlace, list[bytes] | None, int]:
        """Respond to a request while others run or are not read, unless it has to be executed elsewhere, or later.

        Returns:
            Where it is executed, the response or None, and how many bytes have no space.
        """
        is_limited = self._running > 0 and self._admission.is_at_capacity(incoming)
        where = _ExecutionPlace.LOOP
        if is_limited or self._unsent or self._is_long_turn:
            where = self._choose_place(identity, incoming)
        if where is not _ExecutionPlace.LOOP:
            return where, None, 0
        if is_limited or (self._unsent and is_gradual(incoming)):
            return where, *self._try_within_space(incoming)
        return where, self._responder.try_respond(incoming), 0

    def _schedule(self, identity: bytes, job: Job, *, is_tried: bool) -> None:
        self._is_long_turn = self._is_long_turn and self._listener.has_message
        if self.scheduler.submit(identity, job):
            self._execute(identity, job, is_tried)
        else:
            self._execute_waiting()
        if self.scheduler.blocked_bytes(identity) > self._limits.max_blocked_bytes:
            self._disconnect_slow_client(identity)

    def _execute(self, identity: bytes, job: Job, is_tried: bool = False) -> None:
        """Execute a job that the scheduler has released: here if it is fast, otherwise in a worker."""
        if (is_tried or not self._try_respond(identity, job)) and self.scheduler.start(identity, job):
            if job.refused_bytes:
                self._postpone(identity, job)
            else:
                self._start(identity, job)

    def _execute_waiting(self) -> None:
        """Execute the waiting jobs that may start now."""
        while (released := self.scheduler.next_job()) is not None:
            self._execute(*released)

    def _try_respond(self, identity: bytes, job: Job) -> bool:
        job.refused_bytes, job.is_probe = 0, False
        if job.incoming is None or job.expected_bytes >= LARGE or self.scheduler.has_large(identity):
            return False
        where = self._choose_place(identity, job.incoming)
        if where is not _ExecutionPlace.LOOP:
            job.is_probe = where is _ExecutionPlace.PROBE_WORKER
            return False
        response, job.refused_bytes = self._try_within_space(job.incoming)
        if response is None:
            return False
        if not self._may_send(identity, job.incoming, response):
            job.refused_bytes = job.expected_bytes = sum(map(len, response))
            return False
        self._send(identity, response)
        self._observer.observe(
            Observed(identity, job.incoming, job.request_bytes, response), monotonic() - job.received_at
        )
        return True

    def _choose_place(self, identity: bytes, incoming: IncomingRequest) -> _ExecutionPlace:
        """Return where a request is executed that the loop could execute.

        What may read large values is left to one worker for the rest of a turn that was long, and while there is no
        space for what such commands had lately; unless its client reads small ones.
        """
        is_long, self._is_long_turn = self._is_long_turn, self._is_long_turn and self._listener.has_message
        if self._admission.must_wait(incoming) or self._large_values.expected_bytes(key_of(incoming)):
            return _ExecutionPlace.WORKER
        if identity in self._quick:
            return _ExecutionPlace.LOOP
        is_at_capacity = self._admission.is_at_capacity(incoming)
        if reads_values(incoming) and not self.scheduler.has_large(identity):
            is_probe = is_long or is_at_capacity or not self._admission.has_space_for(incoming)
            return _ExecutionPlace.PROBE_WORKER if is_probe else _ExecutionPlace.LOOP
        return _ExecutionPlace.WORKER if is_at_capacity else _ExecutionPlace.LOOP

    def _record_quick(self, identity: bytes, incoming: IncomingRequest, response: Sequence[bytes]) -> None:
        """Note that a client reads small values, if it has read one."""
        if reads_values(incoming) and len(response[-1]) < LARGE:
            self._quick.add(identity)

    def _record_long(self, identity: bytes) -> None:
        """Note that the loop has read large values for a client."""
        self._is_long_turn = self._listener.has_message
        self._quick.discard(identity)

    def _may_send(self, identity: bytes, incoming: IncomingRequest, response: Sequence[bytes]) -> bool:
        """Return True if a response that the loop has made may be sent; what took it long is noted."""
        size = len(response[-1])
        if size >= LARGE_WORK:
            self._record_long(identity)
        if size >= LARGE:
            self._large_values.record(key_of(incoming), size)
        if not self._admission.may_send(incoming, response):
            return False
        if size >= LARGE and self._listener.is_connected(identity):
            self.scheduler.record_inline(identity, size, is_last=not self._listener.has_message)
        return True

    def _try_within_space(self, incoming: IncomingRequest) -> tuple[list[bytes] | None, int]:
        """Return the response that can be made without waiting and may be sent; or how many bytes have no space."""
        reservation = self._budget.start(0)
        reservation.can_wait = is_repeatable(incoming)
        try:
            with limited_to(reservation):
                return self._responder.try_respond(incoming, is_limited=True), 0
        except OutOfSpace:
            return None, reservation.refused_bytes
        finally:
            self._budget.end(reservation)

    def _postpone(self, identity: bytes, job: Job) -> None:
        """Have a job that was started wait for space, and be executed then."""
        self._postponed[identity] = job.refused_bytes or self._budget.expected_bytes
        self.scheduler.put_back(identity, job)

    def _start(self, identity: bytes, job: Job) -> None:
        """Have a worker execute a job: now, or when there is space for its response, or as the next probe."""
        if not job.is_probe and self._admission.expected_bytes(job) < LARGE:
            self._start_worker(identity, job)
        else:
            (self._probes if job.is_probe else self._startable).append((identity, job))
            self._start_workers()

    def _start_workers(self) -> None:
        """Start the jobs for whose responses there is space, and one probe, which is given up if there is none.

        Probes are the oldest and the newest in turn, so that after many large ones a small one does not wait for all.
        """
        waiting = self._startable
        while waiting and self._budget.can_start(self._admission.expected_bytes(waiting[0][1])):
            self._start_worker(*waiting.popleft())
        if self._probes and not self._is_probing:
            self._is_probing, self._is_newest_next = True, not self._is_newest_next
            self._start_worker(*(self._probes.popleft() if self._is_newest_next else self._probes.pop()))

    def _start_worker(self, identity: bytes, job: Job) -> None:
        if self._admission.lacks_space_for(job):
            job.refused_bytes = job.expected_bytes
        if job.refused_bytes or self._admission.must_wait(job.incoming):
            self._postpone(identity, job)
            return
        self._running += 1
        is_certain = job.incoming is not None and not is_gradual(job.incoming)
        job.reservation = self._budget.start(self._admission.expected_bytes(job), is_certain=is_certain)
        self.workers.execute(identity, job)

    # Responses

    def process_completed(self) -> None:
        """Send the responses of the workers."""
        with suppress(Empty):
            while True:
                self._complete(self.completed.get_nowait())

    def _complete(self, completed: CompletedJob | threading.Event | None) -> None:
        """Send the response of a job, and execute those that waited for it; None only ends a wait, as an event does."""
        if isinstance(completed, threading.Event):
            completed.set()
        elif completed is not None:
            identity, job, frames = completed
            self._running -= 1
            reservation, job.reservation = job.reservation, None
            if reservation is not None:
                self._budget.end(reservation)
            if job.kind is Get:
                self._large_values.record(job.value_key, job.refused_bytes if frames is None else len(frames[-1]))
            is_probe, job.is_probe = job.is_probe, False
            self._is_probing = self._is_probing and not is_probe
            if is_probe and frames is None and not job.refused_bytes:  # it takes waiting, or much work
                self._start(identity, job)
            elif frames is not None and (self._budget.admits(frames, job.kind) or not job.frames):
                self._send(identity, frames)
                self.scheduler.record_response(identity, len(frames[-1]), job.kind)
                self.scheduler.complete(identity, job)
                self._execute_waiting()
            else:  # it is executed, or executed again, when there is space
                job.refused_bytes = job.refused_bytes if frames is None else sum(map(len, frames))
                job.expected_bytes = job.refused_bytes
                self._postpone(identity, job)
            del completed, frames  # which may be large
            self._start_workers()
            if self.scheduler.paused:
                self._listener.timeout = FLUSH_INTERVAL

    def _send(self, identity: bytes, frames: Sequence[bytes]) -> None:
        if self._listener.send(identity, frames):
            self.scheduler.block(identity)
        if self._listener.send_queues.peers:
            self._listener.timeout = FLUSH_INTERVAL

    def _disconnect_slow_client(self, identity: bytes) -> None:
        _LOG.warning("closed a connection: its client sends requests and does not read the answers")
        if identity in self.scheduler:
            self.scheduler.discard(identity)
        self._postponed.pop(identity, None)
        self._listener.disconnect(identity)

    def _flush(self, until: float) -> None:
        """Send what can be sent now, and serve the clients that have read again, until a point in time."""
        send_queues, scheduler = self._listener.send_queues, self.scheduler
        send_queues.flush()
        needed = min(self._postponed.values(), default=None)
        for identity in self._budget.stalled_clients(needed, monotonic()):
            self._disconnect_slow_client(identity)
        is_unblocked = False
        for identity in scheduler.blocked_clients():
            if not self._listener.is_connected(identity):
                scheduler.discard(identity)
                self._postponed.pop(identity, None)
            elif identity in self._postponed:
                if not is_unblocked and self._budget.can_make(self._postponed[identity]):  # one at a time
                    is_unblocked = True
                    del self._postponed[identity]
                    scheduler.unblock(identity)
            elif not send_queues.is_blocked(identity):
                scheduler.unblock(identity)
        while scheduler.paused:
            scheduler.resume()
            self._execute_waiting()
            if monotonic() >= until:
                break
        if not self.has_waiting:
            self._listener.timeout = self._idle_timeout

    def drain(self, deadline: Deadline) -> None:
        """Send all responses, or until the deadline; clients that do not read are not waited for."""
        previous, drain_deadline = -1, deadline
        while (self.scheduler.pending_count or self.has_waiting) and not deadline.expired():
            with suppress(Empty):
                timeout = FLUSH_INTERVAL if self.has_waiting else deadline.remaining()
                self._complete(self.completed.get(timeout=timeout))
            self._flush(monotonic() + FLUSH_INTERVAL)
            unsent = self._listener.send_queues.unsent_bytes
            if unsent != previous or self.scheduler.pending_count:
                previous, drain_deadline = unsent, Deadline.after(DRAIN_TIMEOUT)
            elif drain_deadline.expired():
                return
