"""The proxy's sockets and clock around its core; the only part of it with either."""

import logging
import math
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final, Self

import zmq

from pyelevator.codec import Codec, Limits
from pyelevator.deadlines import Deadline
from pyelevator.flows import Interceptor
from pyelevator.proxy.core import Action, Core, Forward, Renew, Reply
from pyelevator.proxy.routing import Upstream
from pyelevator.transports.listeners import listener_on
from pyelevator.transports.outgoing import Outgoing, Road
from pyelevator.transports.zap import CurveServer

_LOG: Final = logging.getLogger("pyelevator.proxy")

_BURST: Final = 256
"""Messages that are taken from one socket before the others are looked at."""

_TOGETHER: Final = 32
"""Requests that go out in one piece: the upstream works on them while further ones are read, and answers likewise."""

_FLUSH: Final = 0.005
"""Seconds between two looks at answers that have not left."""

_PARKED: Final = 16 << 20
"""Bytes of requests that may wait of a client that does not read; above that its connection is closed."""

_GOODBYE: Final = 1.0
"""Seconds at the end for a client that does not read its answers."""

_PATIENCE: Final = 10.0
"""Seconds without any progress after which clients that hold up the others by not reading lose their answers."""


class Proxy:
    """Stands between clients and servers.

    In a program or a test, ``with`` runs it in a thread of its own; a process that is nothing but a proxy calls
    ``serve_forever``.

    Args:
        listen: URLs to take clients from; classic and flat ones alike.
        upstream: the server, or the servers, behind it: URLs or :class:`~pyelevator.proxy.Upstream` objects.
        interceptors: what happens to each request, outermost first.
        timeout: seconds that an upstream may take for a request.
        capacity: requests taken and not answered; at that number nothing is taken from clients.
        unread: bytes of answers on their way to clients; at that number nothing is taken from upstreams.
        limits: what is taken from clients and upstreams.
        curve: asks clients that come over TCP for a key.
        ipc_mode: who may use the socket files.
        codecs: of dialects that clients may speak beside the two, see :meth:`Codec.recognizes`.

    Attributes:
        urls: what is bound, with the ports that the system chose.

    Raises:
        UsageError: a URL cannot be bound, or is no upstream.
    """

    def __init__(
        self,
        listen: Sequence[str],
        upstream: "str | Upstream | Sequence[str | Upstream]",
        interceptors: Sequence[Interceptor] = (),
        *,
        timeout: float = 30.0,
        capacity: int = 10_000,
        unread: int = 256 << 20,
        limits: Limits | None = None,
        curve: CurveServer | None = None,
        ipc_mode: int = 0o600,
        codecs: Sequence[Codec] = (),
    ) -> None:
        upstreams = [_upstream(each) for each in ([upstream] if isinstance(upstream, (str, Upstream)) else upstream)]
        limits = limits or Limits()
        self._core = Core(upstreams, interceptors, timeout=timeout, capacity=capacity, limits=limits, codecs=codecs)
        self._roads = {each.name: Road(each.target.url, each.curve, 2 * limits.frame_bytes) for each in upstreams}
        self._listener = listener_on(
            listen,
            curve,
            max_message=2 * limits.frame_bytes,
            ipc_mode=ipc_mode,
            max_unread=unread // 2,  # to those who do not read; the answers that are under way come on top
        )
        self._outbox, self._unread = self._listener.outbox, unread
        self._choked = False
        self._ready: Mapping[Any, int] = {}
        self._forsaken: set[bytes] = set()
        self._progress = (0, 0.0)
        self.urls = self._listener.urls
        self._lines: dict[tuple[str, int], Outgoing] = {}
        self._loaded: set[Outgoing] = set()
        self._poller = zmq.Poller()
        self._listening = False
        self._stopping = False
        self._thread: threading.Thread | None = None

    def __enter__(self) -> Self:
        self._thread = threading.Thread(target=self.serve_forever, name="elevator-proxy")
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()
        if self._thread is not None:
            self._thread.join()

    def stop(self) -> None:
        """Asks the proxy to stop, and returns at once; from any thread, and from signal handlers."""
        self._stopping = True
        self._listener.wake()

    def serve_forever(self) -> None:
        """Serves until ``stop`` is called, then answers what it took, for as long as its upstreams may take."""
        try:
            while not (self._stopping and self._core.idle and not self._listener.at_hand):
                self._turn()
            self._see_off(Deadline.after(_GOODBYE))
        finally:
            self._listener.close()
            for line in self._lines.values():
                line.close()

    def _turn(self) -> None:
        self._listen(not self._core.full and not self._stopping)
        before, ready = self._ready, dict(self._poller.poll(self._patience()))
        self._ready, listener = ready, self._listener
        if self._has_more or listener.pollable in ready:
            self._take(_burst(self._has_more or listener.pollable in before))
        now = time.monotonic()
        for key, line in list(self._lines.items()):
            events = ready.get(line.watched, 0)
            if events or line.at_hand or line.due <= now:
                self._serve(key, line, events, line.watched in before)
        now = time.monotonic()
        self._perform(self._core.tick(now))
        if self._outbox.peers or self._choked:
            self._look_after_readers(now)
        self._send_off(now)
        for identity in listener.hand_out():
            self._core.hold(identity)

    def _listen(self, wanted: bool) -> None:
        if wanted and not self._listening:
            self._poller.register(self._listener.pollable, zmq.POLLIN)
        elif self._listening and not wanted:
            self._poller.unregister(self._listener.pollable)
        self._listening = wanted

    @property
    def _has_more(self) -> bool:
        """Whether there are messages of which no poll tells; at the end, only those that were taken count."""
        return self._listener.at_hand or (self._listener.behind and not self._stopping)

    def _patience(self) -> int | None:
        """Milliseconds to wait for a message; None for as long as it takes."""
        lines = self._lines.values()
        if (self._has_more and not self._core.full) or (not self._choked and any(x.at_hand for x in lines)):
            return 0
        most = _FLUSH if self._outbox.peers else 1.0 if self._stopping else math.inf
        first = self._core.next_due()
        due = min([line.due for line in lines], default=math.inf)
        due = due if first is None else min(due, first)
        left = min(most, max(0.0, due - time.monotonic()))
        return None if left == math.inf else math.ceil(left * 1000)

    # Clients that do not read their answers

    def _look_after_readers(self, now: float) -> None:
        """Sends what can be sent by now, and serves those again who have read."""
        outbox = self._outbox
        outbox.flush()
        for identity in self._core.held:
            if not outbox.blocked(identity):
                self._perform(self._core.release(identity, now))
        if outbox.unsent != self._progress[0] or not self._choked:
            self._progress = (outbox.unsent, now)
        elif now - self._progress[1] > _PATIENCE:
            self._forsake()
        self._choke(outbox.unsent >= self._unread)

    def _choke(self, wanted: bool) -> None:
        """Takes nothing from upstreams while so many answers wait for clients."""
        if wanted != self._choked:
            self._choked, self._progress = wanted, (self._outbox.unsent, time.monotonic())
            for line in self._lines.values():
                self._watch(line)

    def _forsake(self) -> None:
        """Gives up on those who do not read: the others have waited for them long enough."""
        for identity in [identity for identity in self._outbox.peers if self._outbox.blocked(identity)]:
            _LOG.warning("dropped the answers to a client that does not read them and held up the others")
            self._outbox.forget(identity)
            self._core.drop(identity)
            self._forsaken.add(identity)

    def _see_off(self, deadline: Deadline) -> None:
        while self._outbox.peers and not deadline.expired():
            time.sleep(_FLUSH)
            self._outbox.flush()

    # Messages

    def _take(self, burst: int) -> None:
        for _ in range(burst):
            none = self._core.full or (self._stopping and not self._has_more)
            message = None if none else self._listener.receive()
            if message is None:
                return
            identity, frames = message
            self._perform(self._core.client_sent(identity, frames, time.monotonic(), self._listener.peer))
            if self._core.parked(identity) > _PARKED or identity in self._forsaken:
                _LOG.warning("closed a connection: its client sends requests and does not read the answers")
                self._core.drop(identity)
                self._forsaken.discard(identity)
                self._listener.cut(identity)

    def _serve(self, key: tuple[str, int], line: Outgoing, events: int, busy: bool) -> None:
        line.attend(events, time.monotonic())
        for _ in range(_burst(busy or line.at_hand)):
            if self._outbox.unsent >= self._unread:
                self._choke(True)
                break
            frames = line.receive()
            if frames is None:
                break
            self._perform(self._core.upstream_sent(*key, frames, time.monotonic()))
            if self._lines.get(key) is not line:
                return
        self._watch(line)

    def _perform(self, actions: Sequence[Action]) -> None:
        for action in actions:
            _PERFORM[type(action)](self, action)

    def _reply(self, action: Reply) -> None:
        if action.identity in self._forsaken:
            return
        if self._listener.answer_later(action.identity, action.frames):
            self._core.hold(action.identity)

    def _forward(self, action: Forward) -> None:
        line = self._lines.get((action.upstream, action.lane)) or self._connect(action.upstream, action.lane)
        if line.put(action.frames, action.until) >= _TOGETHER:
            line.flush(time.monotonic())
        self._loaded.add(line)

    def _send_off(self, now: float) -> None:
        """Sends what was forwarded in this turn, all that goes over one connection together."""
        loaded, self._loaded = self._loaded, set()
        for line in loaded:
            line.flush(now)
            self._watch(line)

    def _watch(self, line: Outgoing) -> None:
        at, wanted = place = line.watched, line.wanted(not self._choked)
        if place != line.polled:
            before, line.polled = line.polled[0], place
            if before != at and before is not None:
                self._poller.register(before, 0)
            if at is not None:
                self._poller.register(at, wanted)  # with nothing to watch, it is taken out

    def _connect(self, upstream: str, lane: int) -> Outgoing:
        line = self._lines[upstream, lane] = Outgoing(self._roads[upstream], time.monotonic())
        return line

    def _renew(self, action: Renew) -> None:
        """Closes the connection; the next message opens another."""
        line = self._lines.pop((action.upstream, action.lane), None)
        if line is not None:
            self._loaded.discard(line)
            if line.polled[1]:
                self._poller.unregister(line.polled[0])
            line.polled = (None, 0)
            line.close()


_PERFORM: Final[Mapping[type, Callable[[Proxy, Any], None]]] = {
    Reply: Proxy._reply,
    Forward: Proxy._forward,
    Renew: Proxy._renew,
}
"""Action -> how it is carried out."""


def _burst(busy: bool) -> int:
    """How many messages to take from a socket: of one that had none before, one, as to find no second costs time."""
    return _BURST if busy else 1


def _upstream(given: str | Upstream) -> Upstream:
    return Upstream(given) if isinstance(given, str) else given
