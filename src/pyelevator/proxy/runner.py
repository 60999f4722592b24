"""The proxy's sockets and clock around its core; the only part of it with either."""

import logging
import math
import resource
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final, Self

from pyelevator.codec import Codec, Limits
from pyelevator.deadlines import Deadline
from pyelevator.flows import Interceptor
from pyelevator.proxy.core import Action, Core, Forward, Renew, Reply, Rest, Resume
from pyelevator.proxy.routing import Upstream
from pyelevator.transports.listeners import listener_on
from pyelevator.transports.outgoing import Outgoing, Road
from pyelevator.transports.watch import READ, Watch
from pyelevator.transports.zap import CurveServer

_LOG: Final = logging.getLogger("pyelevator.proxy")

_BURST: Final = 256
"""Messages that are taken from one socket before the others are looked at."""

_TOGETHER: Final = 64
"""Requests that go out in one piece: the upstream works on them while further ones are read, and answers likewise."""

_FLUSH: Final = 0.005
"""Seconds between two looks at answers that have not left."""

_PARKED: Final = 16 << 20
"""Bytes of requests that may wait of a client that does not read; above that its connection is closed."""

_GOODBYE: Final = 1.0
"""Seconds at the end for a client that does not read its answers."""

_PATIENCE: Final = 10.0
"""Seconds that large answers wait for room, after which clients that take it up and do not read lose theirs."""

_MOST_CLIENTS: Final = 4096

_LARGE: Final = 1 << 16
"""Bytes of an answer from which on it is worth a look whether somebody is still there for it."""


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
        unread: bytes of answers on their way to clients; at that number no large ones are taken from upstreams.
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
            max_connections=_connections(),
            max_unread=unread // 2,  # to those who do not read; the answers that are under way come on top
        )
        self._outbox, self._unread = self._listener.outbox, unread
        self._choked = False
        self._ready: Mapping[Any, int] = {}
        self._forsaken: set[bytes] = set()
        self._choked_since, self._sizes = 0.0, dict[bytes, int]()
        self.urls = self._listener.urls
        self._lines: dict[tuple[str, int], Outgoing] = {}
        self._keys: dict[Any, tuple[str, int]] = {}
        self._more: dict[tuple[str, int], Outgoing] = {}
        self._dialling: dict[tuple[str, int], Outgoing] = {}
        self._loaded: dict[tuple[str, int], Outgoing] = {}
        self._watch = Watch()
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
            self._watch.close()

    def _turn(self) -> None:
        listener = self._listener
        self._watch.want(listener.pollable, 0 if self._core.full or self._stopping else READ)
        before, self._ready = self._ready, self._watch.wait(self._patience())
        ready = self._ready
        if self._has_more or listener.pollable in ready:
            self._take(_burst(self._has_more or listener.pollable in before))
        now = time.monotonic()
        for key, line, events in self._stirring(now):
            self._serve(key, line, events, line.watched in before)
        now = time.monotonic()
        self._perform(self._core.tick(now))
        if self._outbox.peers or self._choked:
            self._look_after_readers(now)
        self._send_off(now)
        for identity in listener.hand_out():
            self._perform(self._core.hold(identity))

    def _stirring(self, now: float) -> list[tuple[tuple[str, int], Outgoing, int]]:
        """The lines to servers on which something happened, or is due, or waits to be taken."""
        keys = [self._keys[at] for at in self._ready if at in self._keys]
        if self._more or self._dialling:
            keys += [key for key, line in (self._more | self._dialling).items() if line.at_hand or line.due <= now]
            keys = list(dict.fromkeys(keys))
        lines = [(key, self._lines[key]) for key in keys]
        return [(key, line, self._ready.get(line.watched, 0)) for key, line in lines]

    @property
    def _has_more(self) -> bool:
        """Whether there are messages of which no poll tells; at the end, only those that were taken count."""
        return self._listener.at_hand or (self._listener.behind and not self._stopping)

    def _patience(self) -> float:
        """Seconds to wait for a message."""
        if (self._has_more and not self._core.full) or any(map(self._reads, self._more.values())):
            return 0
        most = _FLUSH if self._outbox.peers else 1.0 if self._stopping else math.inf
        first = self._core.next_due()
        due = min([line.due for line in self._dialling.values()], default=math.inf)
        due = due if first is None else min(due, first)
        return most if due == math.inf else min(most, max(0.0, due - time.monotonic()))

    # Clients that do not read their answers

    def _look_after_readers(self, now: float) -> None:
        """Sends what can be sent by now, and serves those again who have read."""
        outbox = self._outbox
        outbox.flush()
        for identity in list(self._core.held):
            if not self._listener.knows(identity):
                self._perform(self._core.drop(identity, now))
            elif not outbox.blocked(identity):
                self._perform(self._core.release(identity, now))
        if self._choked and now - self._choked_since > _PATIENCE:
            self._forsake(now)
        self._choke(outbox.unsent >= self._unread, now)

    def _choke(self, wanted: bool, now: float) -> None:
        """Takes no large answers from upstreams while so much waits for clients; small ones pass all the time."""
        if wanted != self._choked:
            self._choked = wanted
            self._begin_choke(now)
            for key, line in self._lines.items():
                self._attune(key, line)

    def _begin_choke(self, now: float) -> None:
        self._choked_since = now
        self._sizes = {identity: peer.size for identity, peer in self._outbox.peers.items()}

    def _forsake(self, now: float) -> None:
        """Gives up on those who have read nothing while others waited, or else on the one with the most to read."""
        sizes = {identity: peer.size for identity, peer in self._outbox.peers.items() if self._outbox.blocked(identity)}
        deaf = [identity for identity, size in sizes.items() if size >= self._sizes.get(identity, math.inf)]
        for identity in deaf or sorted(sizes, key=sizes.__getitem__)[-1:]:
            _LOG.warning("dropped the answers to a client that does not read them and held up the others")
            self._forsaken.add(identity)
            self._outbox.forget(identity)
            self._perform(self._core.drop(identity, now))
        self._begin_choke(now)

    def _see_off(self, deadline: Deadline) -> None:
        while self._outbox.peers and not deadline.expired():
            time.sleep(_FLUSH)
            self._outbox.flush()

    # Messages

    def _take(self, burst: int) -> None:
        core, listener, now = self._core, self._listener, time.monotonic()
        for _ in range(burst):
            none = core.full or (self._stopping and not self._has_more)
            message = None if none else listener.receive()
            if message is None:
                return
            identity, frames = message
            for action in core.client_sent(identity, frames, now, listener.peer):
                _PERFORM[type(action)](self, action)
            if identity in core.held or self._forsaken:
                self._cut_one_who_only_sends(identity, now)

    def _cut_one_who_only_sends(self, identity: bytes, now: float) -> None:
        if self._core.parked(identity) > _PARKED or identity in self._forsaken:
            _LOG.warning("closed a connection: its client sends requests and does not read the answers")
            self._forsaken.discard(identity)
            self._listener.cut(identity)
            self._perform(self._core.drop(identity, now))

    def _serve(self, key: tuple[str, int], line: Outgoing, events: int, busy: bool) -> None:
        if self._lines.get(key) is not line:
            return
        now = time.monotonic()
        line.attend(events, now)
        for _ in range(_burst(busy or line.at_hand)):
            if self._outbox.unsent >= self._unread:
                self._choke(True, now)
            frames = line.receive() if self._reads(line) else None
            if frames is None:
                break
            for action in self._core.upstream_sent(*key, frames, now):
                _PERFORM[type(action)](self, action)
            if self._lines.get(key) is not line:
                return
        self._attune(key, line)

    def _perform(self, actions: Sequence[Action]) -> None:
        for action in actions:
            _PERFORM[type(action)](self, action)

    def _reply(self, action: Reply) -> None:
        identity, frames = action.identity, action.frames
        if identity in self._forsaken:
            return
        if self._listener.answer_later(identity, frames):
            self._perform(self._core.hold(identity))
        elif len(frames[-1]) >= _LARGE and not self._listener.knows(identity):
            self._perform(self._core.drop(identity, time.monotonic()))

    def _forward(self, action: Forward) -> None:
        key = (action.upstream, action.lane)
        line = self._lines.get(key) or self._connect(key)
        if line.put(action.frames, action.until) >= _TOGETHER:
            line.flush(time.monotonic())
        self._loaded[key] = line

    def _send_off(self, now: float) -> None:
        """Sends what was forwarded in this turn, all that goes over one connection together."""
        loaded, self._loaded = self._loaded, {}
        for key, line in loaded.items():
            line.flush(now)
            self._attune(key, line)

    def _attune(self, key: tuple[str, int], line: Outgoing) -> None:
        """Waits for what is wanted of a line by now."""
        _keep(self._more, key, line, line.at_hand)
        _keep(self._dialling, key, line, line.due < math.inf)
        place = line.place(self._reads(line))
        if place != line.polled:
            at, wanted, dialled = place
            if line.polled[::2] != (at, dialled):
                self._unwatch(line)
            line.polled = place
            if at is not None:
                self._keys[at] = key
                self._watch.want(at, wanted)

    def _reads(self, line: Outgoing) -> bool:
        return not (line.resting or (self._choked and line.large))

    def _unwatch(self, line: Outgoing) -> None:
        """Waits no longer where a line was."""
        before, *_ = line.polled
        if before is not None:
            del self._keys[before]
            self._watch.want(before, 0)

    def _connect(self, key: tuple[str, int]) -> Outgoing:
        line = self._lines[key] = Outgoing(self._roads[key[0]], time.monotonic())
        return line

    def _renew(self, action: Renew) -> None:
        """Closes the connection; the next message opens another."""
        key = (action.upstream, action.lane)
        line = self._lines.pop(key, None)
        if line is not None:
            for some in (self._loaded, self._more, self._dialling):
                some.pop(key, None)
            self._unwatch(line)
            line.close()

    def _set_resting(self, action: Rest | Resume) -> None:
        key = (action.upstream, action.lane)
        line = self._lines.get(key) or self._connect(key)
        line.resting = isinstance(action, Rest)
        self._attune(key, line)


_PERFORM: Final[Mapping[type, Callable[[Proxy, Any], None]]] = {
    Reply: Proxy._reply,
    Forward: Proxy._forward,
    Renew: Proxy._renew,
    Rest: Proxy._set_resting,
    Resume: Proxy._set_resting,
}
"""Action -> how it is carried out."""


def _burst(busy: bool) -> int:
    """How many messages to take from a socket: of one that had none before, one, as to find no second costs time."""
    return _BURST if busy else 1


def _connections() -> int:
    """How many clients there can be at once: the other half of the files is for connections to servers."""
    files, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return _MOST_CLIENTS if files == resource.RLIM_INFINITY else min(_MOST_CLIENTS, files // 2)


def _keep(some: dict[Any, Any], key: Any, value: Any, wanted: bool) -> None:
    """Has ``value`` among ``some`` or not."""
    if wanted:
        some[key] = value
    elif some:
        some.pop(key, None)


def _upstream(given: str | Upstream) -> Upstream:
    return Upstream(given) if isinstance(given, str) else given
