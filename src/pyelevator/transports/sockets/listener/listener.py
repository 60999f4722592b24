"""A listener, in the thread that answers."""

import logging
import os
import socket as sockets
import threading
from collections import OrderedDict, deque
from collections.abc import Iterator, Sequence
from contextlib import suppress
from itertools import count, islice
from math import inf
from time import monotonic, sleep
from typing import Final, Unpack

from pyelevator._options import complete, signature_from
from pyelevator.deadlines import Deadline
from pyelevator.transports import socket_options
from pyelevator.transports.authentication import CurveServer
from pyelevator.transports.base import Listener
from pyelevator.transports.options import ListenerOptions
from pyelevator.transports.polling.busy_poll import BusyEpoll
from pyelevator.transports.polling.poller import open_epoll
from pyelevator.transports.polling.readiness import READ, WRITE
from pyelevator.transports.send_queues import DRAIN_TIMEOUT, FLUSH_INTERVAL, SendQueues, Traffic
from pyelevator.transports.sockets.listener.acceptor import ListeningSockets
from pyelevator.transports.sockets.listener.freed_memory import FreedMemory
from pyelevator.transports.sockets.listener.partial_messages import PartialMessages
from pyelevator.transports.sockets.listener.peer import Disconnected, PeerConnection
from pyelevator.transports.sockets.listener.refusal_log import RefusalLog
from pyelevator.transports.sockets.socket import HANDSHAKE_TIMEOUT
from pyelevator.transports.zmtp.mechanism import UnknownKey, UnsupportedProtocol

_LOG: Final = logging.getLogger("pyelevator.server")

_MAX_EVENTS: Final = 16  # connections that are read from before the messages are answered
_MAX_BACKLOGGED: Final = 4  # those of them that have unread messages already
_MAX_DISCONNECTED: Final = 1 << 16  # identities of ended connections that are kept until they are taken out
_FLUSH_BYTES: Final = 1 << 16  # that are buffered at most for one peer
_MAX_PARTIAL: Final = 1 << 30  # bytes of incomplete messages
_BACKLOG_GRACE: Final = 1.0  # seconds until a peer with unread messages is checked for silence again


class ZmtpListener(Listener):
    """Listens with sockets of the system, by epoll or what the system has instead.

    Messages that one connection sends together are answered together, with one system call, up to a limit; then other
    connections have their turn.

    Args:
        urls: what to bind.
        max_message: bytes; a longer one ends the connection.
        curve: asks for keys over TCP; connections over socket files have none.
        ipc_mode: permissions of the socket files.
        max_unread: bytes of unsent messages to all peers together.
        max_connections: connections at once. Above the limit the oldest connection still in its handshake is closed,
            or else the new one.
        max_unfinished: bytes of incomplete messages of all peers together; by default 1 GiB, or four times
            ``max_message`` if that is more.

    Raises:
        UsageError: a URL cannot be bound.
        MissingExtra: ``curve`` is given, and PyNaCl is missing.
    """

    @signature_from(ListenerOptions)
    def __init__(
        self,
        *urls: str,
        curve: CurveServer | None = None,
        max_unfinished: int | None = None,
        **options: Unpack[ListenerOptions],
    ) -> None:
        given = complete(ListenerOptions, options, type(self))
        self._curve = curve
        if curve is not None:
            curve.check()
        self._listening = ListeningSockets(urls, given["ipc_mode"])
        self.urls = self._listening.urls
        self.peer: str | None = None
        self.timeout: float | None = None
        self.send_queues = SendQueues(given["max_unread"])
        self.disconnected: deque[bytes] = deque(maxlen=_MAX_DISCONNECTED)
        self._accepted = 0
        self._max_message, self._max_connections = given["max_message"], given["max_connections"]
        self._partial = PartialMessages(max_unfinished or max(_MAX_PARTIAL, 4 * self._max_message))
        self._limit_logged = False
        self._freed_memory = FreedMemory()
        self._refusal_log = RefusalLog()
        self._closed = False
        self._ids = count()
        self._peers: dict[bytes, PeerConnection] = {}
        self._handshaking: OrderedDict[bytes, PeerConnection] = OrderedDict()  # and some whose handshake has ended
        self._by_fd: dict[int, PeerConnection] = {}
        self._received: deque[tuple[bytes, list[bytes], str | None]] = deque()
        self._backlogged: dict[bytes, PeerConnection] = {}
        self._buffered: dict[bytes, PeerConnection] = {}
        self._expiring: dict[bytes, PeerConnection] = {}
        self._next_timeout = inf
        self._epoll = open_epoll()
        self._events = BusyEpoll(self._epoll.poll, _MAX_EVENTS)
        self._wakeup_lock = threading.RLock()  # reentrant: a signal handler may call ``wakeup``
        self._wakeup_fd, self._wakeup_writer = os.pipe()
        self._is_wakeup_pending = False
        for descriptor in (self._wakeup_fd, *self._listening.by_fd):
            self._epoll.register(descriptor, READ)

    # Messages

    @property
    def pollable(self) -> int:
        return self._epoll.fileno()

    @property
    def connection_count(self) -> int:
        return len(self._peers)

    @property
    def traffic(self) -> Traffic:
        counter = self.send_queues.counter
        return Traffic(self._accepted, counter.received, counter.sent)

    @property
    def has_message(self) -> bool:
        return bool(self._received)

    @property
    def has_backlog(self) -> bool:
        return bool(self._backlogged)

    @property
    def next_timeout(self) -> float:
        return self._next_timeout

    @property
    def read_at(self) -> float:
        return self.send_queues.counter.read_at

    def is_connected(self, identity: bytes) -> bool:
        peer = self._peers.get(identity)
        return peer is not None and not peer.is_broken

    def address_of(self, identity: bytes) -> str:
        peer = self._peers.get(identity)
        return "" if peer is None else peer.address

    def wait(self) -> tuple[bytes, Sequence[bytes]] | None:
        received = self._received
        if not received:
            if self._buffered:
                self.flush()
            if self._poll(self.timeout) or not received:
                return None
        elif self._buffered and received[0][0] not in self._buffered:
            self.flush()
        identity, frames, self.peer = received.popleft()
        return identity, frames

    def receive(self) -> tuple[bytes, Sequence[bytes]] | None:
        if not self._received:
            self._poll(0)
        if not self._received:
            return None
        identity, frames, self.peer = self._received.popleft()
        return identity, frames

    def _poll(self, timeout: float | None) -> bool:
        """Wait for events and handle them; return True if ``wakeup`` was called."""
        if self._freed_memory.is_much:
            self._freed_memory.trim()
        woken, backlogged = False, list(islice(self._backlogged.values(), _MAX_BACKLOGGED)) if self._backlogged else []
        if self._expiring:
            timeout = min(inf if timeout is None else timeout, max(0.0, self._next_timeout - monotonic()))
        for descriptor, event in self._events.poll(0 if backlogged else timeout):
            peer = self._by_fd.get(descriptor)
            if peer is not None:
                self._on_ready(peer, event)
            elif descriptor == self._wakeup_fd:
                woken = True
                os.read(self._wakeup_fd, 1)
                self._is_wakeup_pending = False  # only now: what a wakeup is for precedes it, and is looked at next
            elif descriptor in self._listening.by_fd:  # else a connection that was evicted by an event before this one
                self._accept(self._listening.by_fd[descriptor])
        for peer in backlogged:
            if self._backlogged.pop(peer.identity, None) is not None:
                self._on_ready(peer, READ)
        if self._expiring and monotonic() >= self._next_timeout:
            self._close_silent_peers()
        return woken

    def _close_silent_peers(self) -> None:
        """Close the connections whose peers were silent for longer than the TTL of their PING.

        What such a peer has sent is read first, because it may not have been read for lack of time.
        """
        now = monotonic()
        for peer in [peer for peer in self._expiring.values() if peer.expires_at <= now]:
            if peer.has_unread:
                peer.expires_at = now + _BACKLOG_GRACE
            else:
                self._on_ready(peer, READ)
            if peer.expires_at <= now:
                _LOG.info("closed a connection: its peer was silent for longer than the time to live of its PING")
                self._remove(peer)
        self._next_timeout = min([peer.expires_at for peer in self._expiring.values()], default=inf)

    def _on_ready(self, peer: PeerConnection, event: int) -> None:
        if event & WRITE:
            peer.flush()
        if event & ~WRITE:
            try:
                messages = peer.receive()
            except Disconnected as error:
                if isinstance(error.__cause__, (UnsupportedProtocol, UnknownKey)):
                    self._refusal_log.log(peer.host, str(error.__cause__))
                _LOG.debug("a connection from %s has ended: %s", peer.host, error.__cause__ or "its peer left")
                self._remove(peer)
                return
            identity = peer.identity
            if peer.expires_at < inf:
                self._expiring[identity] = peer
                self._next_timeout = min(self._next_timeout, peer.expires_at)
            if messages:
                while messages:
                    self._received.append((identity, messages.popleft(), peer.peer))
                if self._partial.sizes:
                    self._partial.record(identity, 0)
            elif not self._is_within_partial_limit(peer):
                return
            if peer.has_unread:
                self._backlogged[identity] = peer
        if not peer.is_settled:
            self._update_interest(peer)

    def _is_within_partial_limit(self, peer: PeerConnection) -> bool:
        """Return False if the connection was closed because incomplete messages are over their limit.

        The connections with the largest ones are closed. After a complete message there is no need to ask, because no
        more than one buffer of the next one can have been read.
        """
        self._partial.record(peer.identity, peer.partial_bytes)
        while (largest := self._partial.largest_over_limit()) is not None:
            _LOG.info("closed a connection: incomplete messages are over their limit, and its was the largest")
            self._remove(self._peers[largest])
        return peer.identity in self._peers

    def drain(self) -> Iterator[tuple[bytes, Sequence[bytes]]]:
        while self._received:
            identity, frames, self.peer = self._received.popleft()
            yield identity, frames

    def send(self, identity: bytes, frames: Sequence[bytes]) -> bool:
        if self._received and self._received[0][0] == identity:
            return self.send_buffered(identity, frames)
        peer = self._peers.get(identity)
        if peer is None:
            return False
        peer.send(frames)
        return not peer.is_settled and self._report_unsent(peer)

    def send_buffered(self, identity: bytes, frames: Sequence[bytes]) -> bool:
        peer = self._peers.get(identity)
        if peer is None:
            return False
        peer.enqueue(frames)
        if peer.unsent_bytes >= _FLUSH_BYTES:
            return self._flush(peer)
        self._buffered[identity] = peer
        return False

    def flush(self) -> list[bytes]:
        buffered, self._buffered = self._buffered, {}
        return [identity for identity, peer in buffered.items() if self._flush(peer)]

    def _flush(self, peer: PeerConnection) -> bool:
        peer.flush()
        return not peer.is_settled and self._report_unsent(peer)

    def _report_unsent(self, peer: PeerConnection) -> bool:
        """Return whether the connection is blocked by what is unsent."""
        return self._update_interest(peer) and self.send_queues.is_blocked(peer.identity)

    def _update_interest(self, peer: PeerConnection) -> bool:
        """Poll for what the connection waits for now; return True if it has unsent messages."""
        has_unsent = peer.has_unsent
        if has_unsent:
            self.send_queues.peers[peer.identity] = peer
        events = (0 if peer.has_unread else READ) | (WRITE if has_unsent else 0)
        if events != peer.registered_events:
            self._register(peer, events)
        return has_unsent

    def _register(self, peer: PeerConnection, events: int) -> None:
        """Poll for other events; 0 for none, not even for the end, which epoll always tells of otherwise."""
        descriptor = peer.socket.fileno()
        if not events:
            self._epoll.unregister(descriptor)
        elif not peer.registered_events:
            self._epoll.register(descriptor, events)
        else:
            self._epoll.modify(descriptor, events)
        peer.registered_events = events

    # Connections

    def _accept(self, listening: sockets.socket) -> None:
        self._evict_slow_handshakes()
        for connection in self._listening.accept(listening):
            self._add_peer(connection)

    def _add_peer(self, connection: sockets.socket) -> None:
        if not self._make_room():
            connection.close()
            if not self._limit_logged:
                _LOG.warning(
                    "more than %d connections; further ones are closed (--max-connections)", self._max_connections
                )
                self._limit_logged = True
            return
        connection.setblocking(False)
        with suppress(OSError):  # of macOS, where the peer has left already; the next read finds that
            socket_options.configure(connection)
        mechanism = None if self._curve is None else self._curve.mechanism(connection)
        identity = next(self._ids).to_bytes(8, "big")
        peer = PeerConnection(identity, connection, self.send_queues.counter, self._max_message, mechanism)
        self._accepted += 1
        self._peers[peer.identity] = self._by_fd[connection.fileno()] = self._handshaking[peer.identity] = peer
        self._epoll.register(connection.fileno(), READ)
        _LOG.debug("a connection from %s has begun", peer.host)
        self._update_interest(peer)

    def _make_room(self) -> bool:
        """Return True if one more connection is within the limit, after evicting one still in its handshake if needed.

        Otherwise a few peers that never end their handshakes could keep all others out.
        """
        while len(self._peers) >= self._max_connections and self._handshaking:
            self._evict_oldest_handshake()
        return len(self._peers) < self._max_connections

    def _evict_slow_handshakes(self) -> None:
        since = monotonic() - HANDSHAKE_TIMEOUT
        while self._handshaking and (next(iter(self._handshaking.values())).handshake_started or 0.0) < since:
            self._evict_oldest_handshake()

    def _evict_oldest_handshake(self) -> None:
        _, peer = self._handshaking.popitem(last=False)
        if peer.handshake_started is not None:
            self._remove(peer)

    def _remove(self, peer: PeerConnection) -> None:
        if self._peers.pop(peer.identity, None) is None:
            return
        self.disconnected.append(peer.identity)
        for group in (self._buffered, self._backlogged, self._handshaking, self._expiring):
            group.pop(peer.identity, None)
        self._partial.record(peer.identity, 0)
        self._freed_memory.add(peer.partial_bytes + peer.unsent_bytes)
        del self._by_fd[peer.socket.fileno()]
        if peer.registered_events:
            self._register(peer, 0)
        peer.close()  # the next flush of the send queues finds that nothing is unsent
        self._limit_logged = self._limit_logged and len(self._peers) >= self._max_connections

    def disconnect(self, identity: bytes) -> None:
        self.send_queues.discard(identity)
        peer = self._peers.get(identity)
        if peer is not None:
            self._remove(peer)

    def wakeup(self) -> None:
        with self._wakeup_lock:
            if not self._closed and not self._is_wakeup_pending:
                self._is_wakeup_pending = True
                os.write(self._wakeup_writer, b"\0")

    def close(self) -> None:
        with self._wakeup_lock:
            if self._closed:
                return
            self._closed = True
        self._listening.close()
        self._flush_all(Deadline.after(DRAIN_TIMEOUT))
        for peer in list(self._peers.values()):
            self._remove(peer)
        self._epoll.close()
        for descriptor in (self._wakeup_fd, self._wakeup_writer):
            os.close(descriptor)

    def _flush_all(self, deadline: Deadline) -> None:
        self.flush()
        self.send_queues.flush()
        while self.send_queues.peers and not deadline.expired():
            sleep(FLUSH_INTERVAL)
            self.send_queues.flush()
