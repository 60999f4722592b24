"""The server: an application behind sockets.

One thread owns the sockets. It decodes requests and answers the fast ones. The slow ones are executed and encoded by a
few workers, whose frames come back through a queue. Every message gets exactly one response, whatever it contains and
whatever fails, if its sender reads responses at all.
"""

import logging
import threading
from collections.abc import Sequence
from time import monotonic
from typing import Unpack

from attrs import evolve

from pyelevator._options import complete, signature_from
from pyelevator.application import Application, InterceptedApplication
from pyelevator.application.monitoring.metric_families import Family, server_metrics
from pyelevator.application.monitoring.monitor import monitor_of
from pyelevator.auth import ClientAuth
from pyelevator.codec import Limits
from pyelevator.deadlines import Deadline
from pyelevator.flows import Interceptor
from pyelevator.monitoring import ConnectionStats, ServerStats, TrafficStats
from pyelevator.peers.service import Service
from pyelevator.protocol import Refuses, RequestDecoder
from pyelevator.server.maintenance_timer import MaintenanceTimer
from pyelevator.server.observer import Observed, RequestObserver
from pyelevator.server.options import ServerLimits, ServerOptions
from pyelevator.server.request_dispatcher import RequestDispatcher
from pyelevator.server.responder import Responder
from pyelevator.transports.sockets.listener.listener import ZmtpListener

_LOG = logging.getLogger("pyelevator.server")


class Server(Service):
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

    @signature_from(ServerOptions)
    def __init__(self, application: Application, binds: Sequence[str], **options: Unpack[ServerOptions]) -> None:
        given = complete(ServerOptions, options, type(self))
        self._auth, self._grace = given["auth"], given["grace"]
        limits, self._limits = given["limits"] or Limits(), given["server_limits"] or ServerLimits()
        self._application, refuses = _wrap(application, given["interceptors"], self._auth)
        self._listener = ZmtpListener(
            *binds,
            curve=None if self._auth is None else self._auth.curve,
            max_message=2 * limits.frame_bytes,
            ipc_mode=given["ipc_mode"],
            max_unread=self._limits.max_unsent_bytes,
            max_connections=self._limits.max_connections,
        )
        self.urls = self._listener.urls
        monitor = monitor_of(self._application)
        monitor.describe = self._describe
        self._observer = RequestObserver(self._application, monitor, self._listener.address_of)
        self._responder = Responder(self._application, RequestDecoder(limits, given["codecs"], refuses), monitor)
        self._dispatcher = RequestDispatcher(
            self._application,
            self._listener,
            self._responder,
            self._observer,
            worker_count=given["workers"],
            limits=self._limits,
        )
        self._maintenance = MaintenanceTimer(self._application, self._dispatcher.workers.run, monotonic())

    @property
    def unanswered(self) -> int:
        """The number of pending requests; above 0 after the end if the grace period was too short."""
        return self._dispatcher.scheduler.pending_count

    def __repr__(self) -> str:
        count = self._listener.connection_count
        return f"<Server at {' '.join(self.urls)}: {count} connections, {self.unanswered} unanswered>"

    def serve_forever(self) -> None:
        """Serve until ``stop`` is called, then answer pending requests and close the sockets and the application."""
        try:
            self._loop()
        finally:
            self._finish()

    def _wake_up(self, probe: threading.Event | None) -> None:
        self._dispatcher.completed.put(probe)
        self._listener.wakeup()

    def metrics(self) -> list[Family]:
        """Return the metrics as Prometheus names them; from any thread."""
        return server_metrics(self._application.stats(), self._application.monitor.histograms())

    def reload_keys(self) -> None:
        """Read keys and permissions again; from any thread."""
        if self._auth is not None:
            self._auth.clients.reload()

    def _describe(self, stats: ServerStats) -> ServerStats:
        """Complete the figures of the application; called in a worker."""
        listener, traffic = self._listener, self._listener.traffic
        return evolve(
            stats,
            connections=ConnectionStats(listener.connection_count, self._limits.max_connections, traffic.accepted),
            queues=self._dispatcher.queue_stats(),
            traffic=TrafficStats(traffic.bytes_received, traffic.bytes_sent),
        )

    def _loop(self) -> None:
        listener, dispatcher, maintenance = self._listener, self._dispatcher, self._maintenance
        wait, on_message, scheduler = listener.wait, dispatcher.on_message, dispatcher.scheduler
        slow, due_at, look_at, now = self._observer.threshold, 0.0, 0.0, 0.0
        unsent, paused = listener.send_queues.peers, scheduler.paused  # live views, empty most of the time
        disconnected = listener.disconnected
        while not self._is_stopping:
            message = wait()
            if message is not None:
                ended = now  # the one before
                frames = on_message(*message)
                if (now := monotonic()) >= look_at:  # else it was quick, as none between two looks takes longer
                    started = max(ended, listener.read_at)
                    if now >= due_at or now - started >= slow:
                        self._observe(message, frames, started, now)
                        due_at = self._next_due(now)
                    look_at = min(now + slow, due_at)
                message = frames = None  # which may be large, and the next one may not come for long
            else:
                dispatcher.process_completed()
                if (now := monotonic()) >= due_at:
                    due_at = self._next_due(now)
            while disconnected:
                self._connection_ended(disconnected.popleft())
            if (unsent or paused) and not self._is_stopping:
                dispatcher.flush_if_due(monotonic())
                now = monotonic()
            while scheduler.pending_count and dispatcher.is_full and not self._is_stopping:
                dispatcher.wait_for_capacity()
                maintenance.start_if_due(now := monotonic())

    def _connection_ended(self, identity: bytes) -> None:
        self._dispatcher.scheduler.connection_ended(identity)
        self._application.connection_ended(identity)

    def _observe(
        self, message: tuple[bytes, Sequence[bytes]], frames: list[bytes] | None, started: float, now: float
    ) -> None:
        """Measure a request if it was answered at once, and was slow or its turn has come."""
        if frames is not None:
            request_bytes = sum(map(len, message[1]))
            observed = Observed(message[0], self._responder.latest, request_bytes, frames)
            self._observer.observe_quick(observed, started, now)

    def _next_due(self, now: float) -> float:
        """Do what is due now and then, and return the time at which something is due again."""
        if not self._is_stopping:
            self._maintenance.start_if_due(now)
        return min(self._observer.next_due(), self._maintenance.due_at)

    def _finish(self) -> None:
        """Read nothing more, answer pending requests, and close everything.

        The URLs stay bound until then: to unbind one would close the connections that responses are sent on.
        """
        for message in self._listener.drain():
            self._dispatcher.on_message(*message)
        self._listener.flush()
        self._dispatcher.drain(Deadline.after(self._grace))
        self._dispatcher.workers.shutdown(wait=not self.unanswered)
        self._listener.close()
        if self.unanswered:  # a worker is still in the engine, which must stay open
            _LOG.error("gave up on %d requests after %s s; the databases are left open", self.unanswered, self._grace)
        else:
            self._application.close()


def _wrap(
    application: Application, interceptors: Sequence[Interceptor], auth: ClientAuth | None
) -> tuple[Application, Refuses | None]:
    """Return the application with its wrappers, and what refuses clients before their requests are decoded.

    Authorization is outermost, so that no interceptor (for instance a cache) answers unauthorized requests.
    """
    application = InterceptedApplication(application, interceptors) if interceptors else application
    if auth is None:
        return application, None
    authorizing = auth.wrap(application)
    return authorizing, authorizing.refuses
