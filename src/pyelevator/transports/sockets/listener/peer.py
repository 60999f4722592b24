"""One connection of a listener that speaks ZMTP itself."""

import socket as sockets
from collections import deque
from collections.abc import Sequence
from contextlib import suppress
from math import inf
from time import monotonic
from types import ModuleType
from typing import Final

from pyelevator.errors import ProtocolError
from pyelevator.native import native_messages
from pyelevator.transports.polling.readiness import READ
from pyelevator.transports.send_queues import TrafficCounter
from pyelevator.transports.sockets.socket import Buffers, send_some
from pyelevator.transports.zmtp.frames import LARGE
from pyelevator.transports.zmtp.mechanism import HandshakeRefused, Mechanism
from pyelevator.transports.zmtp.protocol import Protocol, Role

HIGH_WATER: Final = 500
"""Buffers on their way to one peer from which on it is blocked, however small they are."""

_MAX_MESSAGES: Final = 64  # of one peer that are answered before those of others
_MAX_FINAL_READS: Final = 64


class Disconnected(Exception):
    """The peer has closed the connection, or the connection cannot be used any more."""


class PeerConnection:
    """One connection, beginning with its handshake. The socket never blocks.

    The extension is used if the counter, of what is read and sent, is that one's.

    Attributes:
        identity: its name in this process.
        peer: identity of the client, as its handshake proved it; None without keys.
        handshake_started: time (seconds, monotonic) when the connection was accepted; None after its handshake.
        unsent_bytes: bytes that have not been sent to it.
        registered_events: what its socket is polled for.
        is_broken: some messages to it were dropped, and none can follow.
        expires_at: time (seconds, monotonic) at which it is closed unless it sends something; infinity for never.
    """

    def __init__(
        self,
        identity: bytes,
        socket: sockets.socket,
        counter: TrafficCounter,
        max_message: int,
        mechanism: Mechanism | None,
    ) -> None:
        self.identity = identity
        self.peer: str | None = None
        self.handshake_started: float | None = monotonic()
        self.unsent_bytes = 0
        self.registered_events = READ
        self.is_broken = False
        self.expires_at = inf
        self._counter = counter
        self.socket = socket
        self._recv = socket.recv
        self._protocol = Protocol(Role.SERVER, mechanism, max_message, _MAX_MESSAGES)
        self._native = None if type(counter) is TrafficCounter else native_messages()
        self._send_buffer: Buffers = deque()
        self._sent_of_first = 0  # bytes that were sent of the first buffer, which is kept until all of it is sent
        self._send_pending()

    @property
    def has_unsent(self) -> bool:
        """True if something has not been sent to it."""
        return bool(self._send_buffer)

    @property
    def is_slow(self) -> bool:
        """True if many buffers have not been sent to it."""
        return len(self._send_buffer) > HIGH_WATER

    @property
    def has_unread(self) -> bool:
        """True if more was read from the socket than ``receive`` returned; while it is, nothing more is read."""
        return self._protocol.has_unread

    @property
    def partial_bytes(self) -> int:
        """Bytes of memory, about, that its incomplete message takes."""
        return self._protocol.buffered_bytes

    @property
    def is_settled(self) -> bool:
        """True while nothing is unsent or unread, and the socket is polled for just that: what comes next."""
        return not self._send_buffer and not self._protocol.has_unread and self.registered_events == READ

    def receive(self) -> "deque[list[bytes]]":
        """Read from the socket without waiting; return the next few messages, to be taken out by the caller.

        Raises:
            Disconnected: no more messages will come.
        """
        protocol = self._protocol
        try:
            if self._native is not None and protocol.is_idle:
                self._receive_short(self._native)
            else:
                protocol.receive_data(b"" if protocol.has_unread else self._read())
        except BlockingIOError:
            return protocol.messages
        except (OSError, ProtocolError) as error:
            raise Disconnected from error
        except HandshakeRefused as error:
            self._send_pending()
            raise Disconnected from error
        if protocol.ttl or self.expires_at < inf:
            self.expires_at = monotonic() + (protocol.ttl or inf)
        if protocol.pending:
            self._send_pending()
        if self.handshake_started is not None and protocol.is_established:
            self.handshake_started, self.peer = None, protocol.peer
        return protocol.messages

    def _receive_short(self, native: ModuleType) -> None:
        """Read from the socket at once a message that comes alone, and is short."""
        found = native.receive(self.socket.fileno(), self._counter)
        if type(found) is list:
            self._protocol.messages.append(found)
        elif found:
            self._protocol.receive_data(found)
        elif found is None:
            raise BlockingIOError
        else:
            raise Disconnected

    def _read(self) -> bytes:
        data = self._recv(self._protocol.read_size)
        if not data:
            raise Disconnected
        counter = self._counter
        counter.received += len(data)
        counter.read_at = monotonic()
        return data

    def enqueue(self, frames: Sequence[bytes]) -> None:
        """Queue a message for ``flush``."""
        buffers = self._protocol.encode_message(frames)
        self._send_buffer.extend(buffers)
        size = len(buffers[0]) if len(buffers) == 1 else sum(map(len, buffers))
        self.unsent_bytes += size
        self._counter.queued += size

    def _send_pending(self) -> None:
        """Send bytes of the protocol; PONGs are dropped if much is on its way, as this side is alive then."""
        data = self._protocol.data_to_send()
        if self.unsent_bytes < LARGE and data:
            self._send_buffer.append(data)
            self.unsent_bytes += len(data)
            self._counter.queued += len(data)
            self.flush()

    def send(self, frames: Sequence[bytes]) -> None:
        """Send a message, or queue what cannot be sent now."""
        native = self._native if self._protocol.is_plain and not self._send_buffer else None
        if native is None or not self._send_short(native, frames):
            self.enqueue(frames)
            self.flush()

    def _send_short(self, native: ModuleType, frames: Sequence[bytes]) -> bool:
        """Send a short message at once; return False if nothing was done."""
        try:
            sent = native.send_frames(self.socket.fileno(), frames, self._counter)
        except OSError:  # as ``flush`` will find as well
            return False
        if sent is None:
            return False
        if rest := sent[1]:
            self._send_buffer.append(rest)
            self.unsent_bytes = len(rest)
        return True

    def flush(self) -> None:
        """Send what can be sent now. A closed peer is detected by the next read."""
        buffers = self._send_buffer
        try:
            while buffers:
                sent = send_some(self.socket, buffers)
                self.unsent_bytes -= sent
                self._counter.sent += sent
        except BlockingIOError:
            pass
        except OSError:
            self.discard_unsent()
        if buffers or self._sent_of_first:
            self._count_partly_sent(buffers[0] if buffers else b"")

    def _count_partly_sent(self, first: bytes | memoryview) -> None:
        sent = memoryview(first.obj).nbytes - first.nbytes if isinstance(first, memoryview) else 0
        self._counter.partly_sent += sent - self._sent_of_first
        self._sent_of_first = sent

    def discard_unsent(self) -> None:
        """Drop what has not been sent, and shut the sending side down, because half a frame may have been sent."""
        if self._send_buffer:
            self._send_buffer.clear()
            self._counter.dropped += self.unsent_bytes
            self.unsent_bytes = 0
            self._count_partly_sent(b"")
            self.is_broken = True
            with suppress(OSError):
                self.socket.shutdown(sockets.SHUT_WR)

    @property
    def host(self) -> str:
        """The address of the peer without its port, for the log."""
        return self.address.rpartition(":")[0].strip("[]") or self.address or "an unknown address"

    @property
    def address(self) -> str:
        """The address of the peer; empty if it has left."""
        try:
            if self.socket.family == sockets.AF_UNIX:
                return "a socket file"
            host, port, *_ = self.socket.getpeername()
        except OSError:
            return ""
        return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"

    def close(self) -> None:
        """Close the connection, after reading what the peer has sent: else the system may drop what was sent to it."""
        self.discard_unsent()
        try:
            self.socket.shutdown(sockets.SHUT_WR)
            for _ in range(_MAX_FINAL_READS):
                if not self.socket.recv(LARGE):
                    break
        except OSError:
            pass
        self.socket.close()
