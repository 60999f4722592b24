"""The proxy's sockets and clock around its core; the only part of it with either."""

import logging
import math
import resource
import threading
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any, Final, Unpack

from attrs import evolve

from pyelevator._options import complete, part_of, signature_from
from pyelevator.application.monitoring.metric_families import Family, proxy_metrics
from pyelevator.codec import Limits
from pyelevator.deadlines import Deadline
from pyelevator.errors import ConnectFailed
from pyelevator.flows import Interceptor
from pyelevator.monitoring import ConnectionStats, QueueStats, ServerStats, TrafficStats
from pyelevator.peers.service import Service
from pyelevator.peers.stalls import StallDetector
from pyelevator.proxy.actions import Action, PauseReading, ResetConnection, ResumeReading, SendToClient, SendToUpstream
from pyelevator.proxy.core import Core
from pyelevator.proxy.options import CoreOptions, ProxyOptions
from pyelevator.proxy.routing import Upstream
from pyelevator.proxy.upstreams import Key, UpstreamConnections
from pyelevator.transports.options import MAX_CONNECTIONS
from pyelevator.transports.polling.poller import Poller
from pyelevator.transports.polling.readiness import READ
from pyelevator.transports.send_queues import DRAIN_TIMEOUT, FLUSH_INTERVAL
from pyelevator.transports.sockets.listener.listener import ZmtpListener
from pyelevator.transports.sockets.upstream import UpstreamConnection

_LOG: Final = logging.getLogger("pyelevator.proxy")

_MAX_PER_TURN: Final = 256
"""Messages that are taken from one socket before others have their turn."""

_MAX_QUEUED_BYTES: Final = 16 << 20
"""Bytes of requests that may wait of a client that does not read; above that its connection is closed."""

_PAUSE_LIMIT: Final = 1.0
"""Seconds that large answers wait for room, after which clients that take it up and do not read are evicted."""

_REPORT_SECONDS: Final = 60.0

_LARGE: Final = 1 << 16
"""Bytes of an answer from which on it is worth a look whether its client is still connected."""


class Proxy(Service):
    """Stands between clients and servers.

    In a program or a test, ``with`` runs it in a thread of its own; a process that is nothing but a proxy calls
    ``serve_forever``.

    Args:
        listen: URLs to take clients from; classic and flat ones alike.
        upstream: the server, or the servers, behind it: URLs or :class:`~pyelevator.proxy.Upstream` objects.
        interceptors: what happens to each request, outermost first.
        timeout: seconds that an upstream may take for a request.
        capacity: requests taken and not answered; at that number nothing is taken from clients.
        unread: bytes of answers on their way to clients, those included that are being read from upstreams; one large
            answer may come on top.
        limits: what is taken from clients and upstreams.
        curve: asks clients that come over TCP for a key.
        ipc_mode: permissions of the socket files.
        codecs: of dialects that clients may speak beside the two, see :meth:`Codec.recognizes`.

    Attributes:
        urls: what is bound, with the ports that the system chose.

    Raises:
        UsageError: a URL cannot be bound, or is no upstream.
    """

    @signature_from(ProxyOptions)
    def __init__(
        self,
        listen: Sequence[str],
        upstream: "str | Upstream | Sequence[str | Upstream]",
        interceptors: Sequence[Interceptor] = (),
        **options: Unpack[ProxyOptions],
    ) -> None:
        given = complete(ProxyOptions, options, type(self))
        upstreams = _as_upstreams(upstream)
        self._core = Core(upstreams, interceptors, **part_of(CoreOptions, given))
        max_message, unread = 2 * (given["limits"] or Limits()).frame_bytes, given["unread"]
        self._poller = Poller()
        self._listener = ZmtpListener(
            *listen,
            curve=given["curve"],
            max_message=max_message,
            ipc_mode=given["ipc_mode"],
            max_connections=_max_clients(),
            max_unread=unread // 2,  # to clients that do not read; the answers in flight come on top
        )
        self._send_queues = self._listener.send_queues
        dialers = {
            each.name: partial(UpstreamConnection, each.target.url, each.curve, max_message=max_message)
            for each in upstreams
        }
        self._upstreams = UpstreamConnections(dialers, self._poller, unread, lambda: self._send_queues.unsent_bytes)
        self._do: Mapping[type, Callable[[Any], None]] = {
            SendToClient: self._reply,
            SendToUpstream: self._upstreams.forward,
            ResetConnection: self._upstreams.reset,
            PauseReading: self._upstreams.pause_reading,
            ResumeReading: self._upstreams.pause_reading,
        }
        self._ready: Mapping[int, int] = {}
        self._evicted: set[bytes] = set()
        self._reported: dict[tuple[str, str], float] = {}
        self._stalls = StallDetector(self._send_queues, _PAUSE_LIMIT, self._takes_room)
        self.urls = self._listener.urls
        self._probes: deque[threading.Event] = deque()

    def _wake_up(self, probe: threading.Event | None) -> None:
        if probe is not None:
            self._probes.append(probe)
        self._listener.wakeup()

    def stats(self) -> ServerStats:
        """Return the figures of the proxy; from any thread."""
        listener, traffic = self._listener, self._listener.traffic
        return evolve(
            self._core.monitor.stats(),
            connections=ConnectionStats(listener.connection_count, _max_clients(), traffic.accepted),
            traffic=TrafficStats(traffic.bytes_received, traffic.bytes_sent),
            queues=QueueStats(
                requests=self._core.unanswered,
                unsent_bytes=self._send_queues.unsent_bytes,
                blocked_clients=len(self._core.blocked),
            ),
        )

    def metrics(self) -> list[Family]:
        """Return the metrics as Prometheus names them; from any thread."""
        return proxy_metrics(self.stats(), self._upstreams.counts())

    def serve_forever(self) -> None:
        """Serve until ``stop`` is called, then answer what it took, for as long as its upstreams may take."""
        try:
            while not (self._is_stopping and not self._core.unanswered and not self._listener.has_message):
                self._run_once()
            self._drain(Deadline.after(DRAIN_TIMEOUT))
        finally:
            self._listener.close()
            self._upstreams.close()
            self._poller.close()

    def _run_once(self) -> None:
        listener = self._listener
        while self._probes:
            self._probes.popleft().set()
        self._poller.set_interest(listener.pollable, 0 if self._core.is_full or self._is_stopping else READ)
        before, self._ready = self._ready, self._poller.wait(self._poll_timeout())
        ready = self._ready
        if self._has_more or listener.pollable in ready or listener.next_timeout <= time.monotonic():
            self._take(_burst(self._has_more or listener.pollable in before))
        now = time.monotonic()
        for key, connection, events in self._upstreams.ready(ready, now):
            self._serve(key, connection, events, connection.pollable in before)
        now = time.monotonic()
        self._perform(self._core.on_timer(now))
        if self._send_queues.peers or self._upstreams.is_paused:
            self._check_blocked_clients(now)
        for identity in listener.flush():
            self._perform(self._core.client_blocked(identity))
        while listener.disconnected:
            self._perform(self._core.client_disconnected(listener.disconnected.popleft(), now))
        self._upstreams.flush(now)  # last, as all of these may forward requests

    @property
    def _has_more(self) -> bool:
        """True if there are messages that no poll reports; once it is stopping, only those that were taken count."""
        return self._listener.has_message or (self._listener.has_backlog and not self._is_stopping)

    def _poll_timeout(self) -> float:
        """Return the seconds to wait for a message."""
        if (self._has_more and not self._core.is_full) or self._upstreams.has_message:
            return 0
        longest = FLUSH_INTERVAL if self._send_queues.peers else 1.0 if self._is_stopping else math.inf
        first = self._core.next_timeout()
        listening = math.inf if self._core.is_full or self._is_stopping else self._listener.next_timeout
        due = min(self._upstreams.next_timeout, listening, math.inf if first is None else first)
        return longest if due == math.inf else min(longest, max(0.0, due - time.monotonic()))

    # Clients that do not read

    def _check_blocked_clients(self, now: float) -> None:
        """Send what can be sent by now, and go on with the clients that have read."""
        send_queues = self._send_queues
        send_queues.flush()
        for identity in list(self._core.blocked):
            if not self._listener.is_connected(identity):
                self._perform(self._core.discard_client(identity, now))
            elif not send_queues.is_blocked(identity):
                self._perform(self._core.client_unblocked(identity, now))
        self._upstreams.resume_large()
        if not self._upstreams.is_paused:
            self._stalls.end()
        elif (stalled := self._stalls.check(now)) is not None:
            self._evict_slow_clients(stalled, now)

    def _evict_slow_clients(self, stalled: Sequence[bytes], now: float) -> None:
        """Evict the stalled clients, or else the one with the most to read."""
        queues = self._send_queues.peers
        largest = sorted(queues, key=lambda identity: queues[identity].unsent_bytes)[-1:]
        for identity in stalled or largest:
            _LOG.warning("dropped the answers to a client that does not read them and delayed the others")
            self._evicted.add(identity)
            self._send_queues.discard(identity)
            self._perform(self._core.discard_client(identity, now))

    def _takes_room(self, identity: bytes) -> bool:
        return bool(self._send_queues.peers[identity].unsent_bytes >= _LARGE)

    def _drain(self, deadline: Deadline) -> None:
        while self._send_queues.peers and not deadline.expired():
            time.sleep(FLUSH_INTERVAL)
            self._send_queues.flush()

    # Messages

    def _take(self, burst: int) -> None:
        core, listener, now = self._core, self._listener, time.monotonic()
        for _ in range(burst):
            is_closed = core.is_full or (self._is_stopping and not self._has_more)
            message = None if is_closed else listener.receive()
            if message is None:
                return
            identity, frames = message
            self._perform(core.client_sent(identity, frames, now, listener.peer))
            if identity in core.blocked or self._evicted:
                self._disconnect_flooding_client(identity, now)

    def _disconnect_flooding_client(self, identity: bytes, now: float) -> None:
        blocked = self._core.blocked.get(identity)
        if identity in self._evicted or (blocked is not None and blocked.queued_bytes > _MAX_QUEUED_BYTES):
            _LOG.warning("closed a connection: its client sends requests and does not read the answers")
            self._evicted.discard(identity)
            self._listener.disconnect(identity)
            self._perform(self._core.discard_client(identity, now))

    def _serve(self, key: Key, connection: UpstreamConnection, events: int, busy: bool) -> None:
        if not self._upstreams.is_current(key, connection):
            return
        now = time.monotonic()
        connection.on_ready(events, now)
        if connection.final_error is not None:
            self._report(key[0], connection.final_error, now)
            self._perform(self._core.upstream_failed(*key, connection.final_error, now))
            return
        for _ in range(_burst(busy or connection.has_message)):
            frames = connection.receive() if self._upstreams.may_read(connection) else None
            if frames is None:
                break
            self._perform(self._core.upstream_sent(*key, frames, now))
            if not self._upstreams.is_current(key, connection):
                return
        lost = connection.take_loss()
        if lost is not None:
            self._perform(self._core.upstream_lost(*key, lost, now))
        if self._upstreams.is_current(key, connection):
            self._upstreams.update_interest(key, connection)

    def _report(self, upstream: str, failure: ConnectFailed, now: float) -> None:
        """Log that an upstream cannot be reached: each reason once a minute."""
        if now >= self._reported.get((upstream, str(failure)), -math.inf) + _REPORT_SECONDS:
            _LOG.warning("upstream %s: %s", upstream, failure)
            self._reported = {(upstream, str(failure)): now}

    def _perform(self, actions: Sequence[Action]) -> None:
        for action in actions:
            self._do[type(action)](action)

    def _reply(self, action: SendToClient) -> None:
        identity, frames = action.identity, action.frames
        if identity in self._evicted:
            return
        if self._listener.send_buffered(identity, frames):
            self._perform(self._core.client_blocked(identity))
        elif len(frames[-1]) >= _LARGE and not self._listener.is_connected(identity):
            self._perform(self._core.discard_client(identity, time.monotonic()))


def _burst(busy: bool) -> int:
    """Return how many messages to take from a socket: one, if it had none before, as a look for a second costs time."""
    return _MAX_PER_TURN if busy else 1


def _max_clients() -> int:
    """Return how many clients there may be at once: the other half of the files is for connections to servers."""
    files, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return MAX_CONNECTIONS if files == resource.RLIM_INFINITY else min(MAX_CONNECTIONS, files // 2)


def _as_upstreams(given: "str | Upstream | Sequence[str | Upstream]") -> list[Upstream]:
    several = [given] if isinstance(given, (str, Upstream)) else given
    return [Upstream(each) if isinstance(each, str) else each for each in several]
