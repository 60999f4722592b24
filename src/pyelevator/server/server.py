"""The server: an application behind sockets.

One thread owns the sockets. It decodes requests and answers the fast ones. The slow ones are executed and encoded by a
few workers, whose frames come back through a queue. Every message gets exactly one response, whatever it contains and
whatever fails, if its sender reads responses at all.
"""

import logging
import threading
from collections import deque
from collections.abc import Sequence
from contextlib import suppress
from queue import Empty
from time import monotonic
from typing import Final, Self

from attrs import evolve

from pyelevator.application import Application, InterceptedApplication
from pyelevator.application.monitoring.metrics import Family, server_metrics
from pyelevator.application.monitoring.monitor import monitor_of
from pyelevator.application.response_space import OutOfSpace, limited_to
from pyelevator.auth import ClientAuth
from pyelevator.codec import Codec, Limits
from pyelevator.deadlines import Deadline
from pyelevator.flows import Interceptor
from pyelevator.monitoring import ConnectionStats, QueueStats, ServerStats, TrafficStats
from pyelevator.protocol import IncomingRequest, RequestDecoder
from pyelevator.server.admission import Admission
from pyelevator.server.limits import ServerLimits
from pyelevator.server.maintenance import Maintenance
from pyelevator.server.observer import Observed, RequestObserver
from pyelevator.server.repeats import is_gradual, is_repeatable
from pyelevator.server.responder import Responder
from pyelevator.server.response_budget import LARGE, ResponseBudget
from pyelevator.server.scheduler import Job, Scheduler
from pyelevator.server.workers import CompletedJob, Workers
from pyelevator.transports.listeners import open_listener

_LOG = logging.getLogger("pyelevator.server")

_LARGE: Final = 64 << 10
"""Bytes from which on a worker decodes a message."""

_FLUSH_INTERVAL: Final = 0.005
"""Seconds between two attempts to send what could not be sent."""

_DRAIN_TIMEOUT: Final = 1.0
"""Seconds at the end for clients that do not read their responses."""

_QUEUED_REQUESTS: Final = 256
"""Requests of one client that may wait for a database, if they do not each take a worker."""


class Server:
    """A server for an application on one or several URLs.

    In a program or a test, ``with`` runs it in a thread of its own; a process that only serves calls
    ``serve_forever``. It stops gracefully: received requests are answered for as long as ``grace`` allows.

    Args:
        application: responds to the requests; it is closed when the server has stopped.
        binds: URLs, ``tcp://127.0.0.1:4141`` or ``ipc:///run/elevator.sock``; with port 0 the system chooses one.
        limits: limits on messages; one of twice the frame size closes the connection that sent it.
        workers: number of threads for requests that may be slow.
        server_limits: limits on what is in memory at once.
        grace: seconds for the pending responses when the server is stopped.
        auth: asks clients over TCP for keys, and authorizes their requests; None to allow everything.
        ipc_mode: file mode of the socket files.
        interceptors: wrap each request that may be executed, the outermost first; with any, the workers execute
            everything.
        codecs: of further dialects, see :meth:`Codec.recognizes`.

    Attributes:
        urls: the bound URLs, with the ports that the system chose.

    Raises:
        UsageError: a URL cannot be bound; the application stays open then.
    """

    def __init__(
        self,
        application: Application,
        binds: Sequence[str],
        *,
        limits: Limits | None = None,
        workers: int = 4,
        server_limits: ServerLimits | None = None,
        grace: float = 10.0,
        auth: ClientAuth | None = None,
        ipc_mode: int = 0o600,
        interceptors: Sequence[Interceptor] = (),
        codecs: Sequence[Codec] = (),
    ) -> None:
        application = InterceptedApplication(application, interceptors) if interceptors else application
        refuses = None
        if auth is not None:  # outermost, so that no interceptor (for instance a cache) answers unauthorized requests
            application = authorizing = auth.wrap(application)
            refuses = authorizing.refuses
        limits, self._limits = limits or Limits(), server_limits or ServerLimits()
        self._listener = open_listener(
            binds,
            None if auth is None else auth.curve,
            max_message=2 * limits.frame_bytes,
            ipc_mode=ipc_mode,
            max_unread=self._limits.max_unsent_bytes,
            max_connections=self._limits.max_connections,
        )
        self.urls = self._listener.urls
        self._auth = auth
        self._application = application
        monitor = monitor_of(application)
        monitor.describe = self._describe
        self._observer = RequestObserver(application, monitor, self._listener.address_of)
        self._responder = Responder(application, RequestDecoder(limits, codecs, refuses), monitor)
        self._budget = ResponseBudget(self._listener.send_queues, self._limits.max_unsent_bytes)
        self._admission = Admission(self._budget)
        self._workers = Workers(
            application,
            self._responder,
            self._observer,
            workers,
            wakeup=self._listener.wakeup,
            must_wait=self._admission.must_wait,
        )
        self._completed = self._workers.completed
        self._scheduler = Scheduler(_QUEUED_REQUESTS if self._workers.has_queues else workers)
        self._scheduled = self._scheduler.clients
        self._flush_at = 0.0
        self._running = 0
        self._startable: deque[tuple[bytes, Job]] = deque()
        self._unsent = self._listener.send_queues.peers
        self._postponed: dict[bytes, int] = {}
        self._maintenance = Maintenance(application, self._workers.run, monotonic())
        self._grace = grace
        self._is_stopping = False
        self._thread: threading.Thread | None = None

    @property
    def unanswered(self) -> int:
        """The number of pending requests; above 0 after the end if the grace period was too short."""
        return self._scheduler.pending_count

    def __repr__(self) -> str:
        count = self._listener.connection_count
        return f"<Server at {' '.join(self.urls)}: {count} connections, {self.unanswered} unanswered>"

    def __enter__(self) -> Self:
        self._thread = threading.Thread(target=self.serve_forever, name="elevator-server")
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()
        if self._thread is not None:
            self._thread.join()

    def serve_forever(self) -> None:
        """Serve until ``stop`` is called, then answer pending requests and close the sockets and the application."""
        try:
            self._loop()
        finally:
            self._finish()

    def stop(self) -> None:
        """Ask the server to stop, and return at once; from any thread, and from signal handlers."""
        self._is_stopping = True
        self._completed.put(None)
        self._listener.wakeup()

    @property
    def is_stopping(self) -> bool:
        """True once ``stop`` was called."""
        return self._is_stopping

    def probe(self, timeout: float) -> bool:
        """Return True if the server's loop turns within ``timeout`` seconds; from any thread but its own."""
        turned = threading.Event()
        self._completed.put(turned)
        self._listener.wakeup()
        return turned.wait(timeout)

    def metrics(self) -> list[Family]:
        """Return the metrics as Prometheus names them; from any thread."""
        return server_metrics(self._application.stats(), self._application.monitor.histograms())

    def reload_keys(self) -> None:
        """Read keys and permissions again; from any thread."""
        if self._auth is not None:
            self._auth.clients.reload()

    def _describe(self, stats: ServerStats) -> ServerStats:
        """Complete the figures of the application; called in a worker."""
        scheduler, listener = self._scheduler, self._listener
        traffic, limits = listener.traffic, self._limits
        return evolve(
            stats,
            connections=ConnectionStats(listener.connection_count, limits.max_connections, traffic.accepted),
            queues=QueueStats(
                requests=scheduler.pending_count,
                request_bytes=scheduler.pending_bytes,
                running=self._running,
                workers=self._workers.count,
                unsent_bytes=listener.send_queues.unsent_bytes,
                blocked_clients=len(scheduler.blocked),
            ),
            traffic=TrafficStats(traffic.bytes_received, traffic.bytes_sent),
        )

    def _loop(self) -> None:
        wait, on_message, maintenance = self._listener.wait, self._on_message, self._maintenance
        scheduler, observer, due_at = self._scheduler, self._observer, 0.0
        unsent, paused = self._listener.send_queues.peers, scheduler.paused  # live views, empty most of the time
        disconnected = self._listener.disconnected
        self._listener.timeout = self._maintenance.interval
        while not self._is_stopping:
            message = wait()
            started = now = monotonic()
            if message is not None:
                frames = on_message(*message)
                now = monotonic()
                if now >= due_at and frames is not None:
                    request_bytes = sum(map(len, message[1]))
                    observed = Observed(message[0], self._responder.latest, request_bytes, frames)
                    observer.observe_quick(observed, started, now)
                    del observed
                message = frames = None  # which may be large, and the next one may not come for long
            else:
                self._process_completed()
            while disconnected:
                self._application.connection_ended(disconnected.popleft())
            if (unsent or paused or now >= due_at) and not self._is_stopping:
                self._housekeeping(monotonic())
                due_at = min(observer.next_due(now), maintenance.due_at)
            while scheduler.pending_count and self._is_full() and not self._is_stopping:
                self._wait_for_capacity()

    def _wait_for_capacity(self) -> None:
        """Read nothing until a worker is done; meanwhile responses are sent."""
        self._listener.flush()
        with suppress(Empty):
            self._complete(self._completed.get(timeout=_FLUSH_INTERVAL if self._has_waiting else None))
        if self._has_waiting:
            self._housekeeping(monotonic())

    def _is_full(self) -> bool:
        scheduler, limits = self._scheduler, self._limits
        return scheduler.pending_count >= limits.max_requests or scheduler.pending_bytes >= limits.max_request_bytes

    @property
    def _has_waiting(self) -> bool:
        """True if responses or paused clients wait for the next flush."""
        return bool(self._listener.send_queues.peers or self._scheduler.paused)

    # Requests

    def _on_message(self, identity: bytes, frames: Sequence[bytes]) -> list[bytes] | None:
        """Respond to a message, and return the frames; or schedule it. The first half is the fast path."""
        peer, incoming, refused_bytes = self._listener.peer, None, 0
        if len(frames[-1]) < _LARGE:
            incoming = self._responder.decode(frames, peer, identity)
            if (
                identity not in self._scheduled
                and not (self._running and self._admission.is_at_capacity(incoming))
                and not (self._unsent and self._admission.must_wait(incoming))
            ):
                if self._unsent and is_gradual(incoming):
                    response, refused_bytes = self._try_within_space(incoming)
                else:
                    response = self._responder.try_respond(incoming)
                if response is not None:
                    if (len(response[-1]) < _LARGE and not self._unsent) or self._admission.may_send(
                        incoming, response
                    ):
                        self._send(identity, response)
                        return response
                    refused_bytes = sum(map(len, response))
                    del response
        job, is_tried = Job(frames, peer, incoming, monotonic()), identity not in self._scheduled
        job.refused_bytes = refused_bytes
        if self._scheduler.submit(identity, job):
            self._execute(identity, job, is_tried)
        else:
            self._execute_waiting()
        if self._scheduler.blocked_bytes(identity) > self._limits.max_blocked_bytes:
            self._disconnect_slow_client(identity)
        return None

    def _execute(self, identity: bytes, job: Job, is_tried: bool = False) -> None:
        """Execute a job that the scheduler has released: here if it is fast, otherwise in a worker."""
        if (is_tried or not self._try_respond(identity, job)) and self._scheduler.start(identity, job):
            if job.refused_bytes:
                self._postpone(identity, job)
            elif self._admission.expected_bytes(job) < LARGE:
                self._start_worker(identity, job)
            else:
                self._startable.append((identity, job))
                self._start_workers()

    def _execute_waiting(self) -> None:
        """Execute the waiting jobs that may start now."""
        while (released := self._scheduler.next_job()) is not None:
            self._execute(*released)

    def _try_respond(self, identity: bytes, job: Job) -> bool:
        job.refused_bytes = 0
        if (
            job.incoming is None
            or self._admission.is_at_capacity(job.incoming)
            or self._admission.must_wait(job.incoming)
        ):
            return False
        response, job.refused_bytes = self._try_within_space(job.incoming)
        if response is None:
            return False
        if not self._admission.may_send(job.incoming, response):
            job.refused_bytes = sum(map(len, response))
            return False
        self._send(identity, response)
        self._observer.observe(
            Observed(identity, job.incoming, job.request_bytes, response), monotonic() - job.received_at
        )
        return True

    def _try_within_space(self, incoming: IncomingRequest) -> tuple[list[bytes] | None, int]:
        """Return the response that can be made without waiting and may be sent; or how many bytes have no space."""
        reservation = self._budget.start(0)
        reservation.can_wait = is_repeatable(incoming)
        try:
            with limited_to(reservation):
                return self._responder.try_respond(incoming), 0
        except OutOfSpace:
            return None, reservation.size
        finally:
            self._budget.end(reservation)

    def _postpone(self, identity: bytes, job: Job) -> None:
        """Have a job that was started wait for space, and be executed then."""
        self._postponed[identity] = job.refused_bytes or self._budget.expected_bytes
        self._scheduler.put_back(identity, job)

    def _start_workers(self) -> None:
        """Start the jobs for whose responses there is space."""
        while self._startable:
            identity, job = self._startable[0]
            if not self._budget.can_start(self._admission.expected_bytes(job)):
                return
            self._startable.popleft()
            self._start_worker(identity, job)

    def _start_worker(self, identity: bytes, job: Job) -> None:
        if self._admission.must_wait(job.incoming):
            self._postpone(identity, job)
            return
        self._running += 1
        job.reservation = self._budget.start(self._admission.expected_bytes(job))
        self._workers.execute(identity, job)

    # Responses

    def _process_completed(self) -> None:
        with suppress(Empty):
            while True:
                self._complete(self._completed.get_nowait())

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
            if frames is not None and (self._budget.admits(frames, job.kind) or not job.frames):
                self._send(identity, frames)
                self._scheduler.complete(identity, job)
                self._execute_waiting()
            else:  # it is executed, or executed again, when there is space
                given_up = 0 if reservation is None else reservation.size
                job.refused_bytes = job.expected_bytes = given_up if frames is None else sum(map(len, frames))
                self._postpone(identity, job)
            del completed, frames  # which may be large
            self._start_workers()
            if self._scheduler.paused:
                self._listener.timeout = _FLUSH_INTERVAL

    def _send(self, identity: bytes, frames: Sequence[bytes]) -> None:
        if self._listener.send(identity, frames):
            self._scheduler.block(identity)
        if self._listener.send_queues.peers:
            self._listener.timeout = _FLUSH_INTERVAL

    def _disconnect_slow_client(self, identity: bytes) -> None:
        _LOG.warning("closed a connection: its client sends requests and does not read the answers")
        if identity in self._scheduler:
            self._scheduler.discard(identity)
        self._postponed.pop(identity, None)
        self._listener.disconnect(identity)

    # Periodic work

    def _housekeeping(self, now: float) -> None:
        if self._has_waiting and now >= self._flush_at:
            self._flush(now + _FLUSH_INTERVAL)
            self._flush_at = monotonic() + _FLUSH_INTERVAL
        self._maintenance.start_if_due(now)

    def _flush(self, until: float) -> None:
        """Send what can be sent now, and serve the clients that have read again, until a point in time."""
        send_queues, scheduler = self._listener.send_queues, self._scheduler
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
                if not is_unblocked and self._budget.has_space_for(self._postponed[identity]):  # one at a time
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
        if not self._has_waiting:
            self._listener.timeout = self._maintenance.interval

    # The end

    def _finish(self) -> None:
        """Read nothing more, answer pending requests, and close everything.

        The URLs stay bound until then: to unbind one would close the connections that responses are sent on.
        """
        for message in self._listener.drain():
            self._on_message(*message)
        self._listener.flush()
        self._drain(Deadline.after(self._grace))
        self._workers.shutdown(wait=not self.unanswered)
        self._listener.close()
        if self.unanswered:  # a worker is still in the engine, which must stay open
            _LOG.error("gave up on %d requests after %s s; the databases are left open", self.unanswered, self._grace)
        else:
            self._application.close()

    def _drain(self, deadline: Deadline) -> None:
        """Send all responses, or until the deadline; clients that do not read are not waited for."""
        previous, drain_deadline = -1, deadline
        while (self.unanswered or self._has_waiting) and not deadline.expired():
            with suppress(Empty):
                timeout = _FLUSH_INTERVAL if self._has_waiting else deadline.remaining()
                self._complete(self._completed.get(timeout=timeout))
            self._flush(monotonic() + _FLUSH_INTERVAL)
            unsent = self._listener.send_queues.unsent_bytes
            if unsent != previous or self.unanswered:
                previous, drain_deadline = unsent, Deadline.after(_DRAIN_TIMEOUT)
            elif drain_deadline.expired():
                return
