"""A blocking client connection, used by one thread."""

import select
from collections.abc import Sequence
from functools import partial
from math import inf
from time import monotonic
from typing import Any, Final

from pyelevator.deadlines import Deadline
from pyelevator.errors import ProtocolError
from pyelevator.native import native_messages
from pyelevator.transports.base import HEARTBEAT, HEARTBEATS, IDLE
from pyelevator.transports.curve import Curve, client_protocol
from pyelevator.transports.polling.busy_poll import BusyPoll
from pyelevator.transports.polling.readiness import Poll, poll_for
from pyelevator.transports.sockets.socket import (
    HANDSHAKE_TIMEOUT,
    SEND_FLAGS,
    Address,
    ClientSocket,
    finish_connect,
    start_connect,
    time_to_live,
)
from pyelevator.transports.zmtp.frames import LARGE, MAX_MESSAGE
from pyelevator.transports.zmtp.protocol import Protocol

_MAX_POLL: Final = 86_400.0  # seconds; longer waits are cut into several, as poll() counts 32 bits of milliseconds
_MAX_READS: Final = 16
_POLL: Final = type(select.poll()) if hasattr(select, "poll") else None  # the system's own
_RECENT: Final = 0.0002  # seconds; ZeroMQ's own thread needs about as long to notice that a connection has ended


class ConnectionClosed(Exception):
    """The connection has ended."""


class DeadlineExceeded(Exception):
    """The deadline has passed."""


class BlockingConnection:
    """A connection to a server, after its handshake.

    The socket never blocks; ``poll`` does, because its timeout is a real one: Python goes on with what is left of it
    after a signal.

    Attributes:
        partially_sent: True if some bytes of the last message were sent.
    """

    def __init__(self, socket: ClientSocket, protocol: Protocol, heartbeat: float | None) -> None:
        self.partially_sent = False
        self._last_received = self._last_ping = monotonic()
        self._unanswered_pings = 0  # of an idle connection
        self._heartbeat = heartbeat if heartbeat and protocol.understands_ping else inf
        self._socket = socket
        self._send, self._recv = socket.send, socket.recv
        self._readable = poll_for(socket, select.POLLIN)
        self._writable = poll_for(socket, select.POLLIN | select.POLLOUT)
        self._protocol, self._encode, self._messages = protocol, protocol.encode_message, protocol.messages
        self._native: Any = native_messages()
        self._waits_in_system = type(self._readable) is _POLL  # and no library of green threads has patched it
        self._busy, self._poll_now = BusyPoll(), partial(self._readable.poll, 0)

    @classmethod
    def open(
        cls,
        address: Address,
        url: str,
        deadline: Deadline,
        curve: Curve | None = None,
        max_message: int = MAX_MESSAGE,
        *,
        heartbeat: float | None = HEARTBEAT,
    ) -> "BlockingConnection":
        """Connect, and do the handshake; with keys, the connection is encrypted or fails.

        Raises:
            ConnectFailed: there can be no socket.
            DeadlineExceeded, ConnectionClosed, OSError: the connection failed.
            HandshakeRefused, ProtocolError: the peer is no server for this client.
        """
        deadline = deadline.earlier(Deadline.after(HANDSHAKE_TIMEOUT))
        socket = start_connect(address, url)
        try:
            protocol = client_protocol(curve, max_message)
            _establish(socket, protocol, deadline)
            return cls(socket, protocol, heartbeat)
        except BaseException:
            socket.close()
            raise

    def close(self) -> None:
        """Close the socket, even if something else still refers to it, such as the traceback of an error."""
        self._socket.close()

    def has_ended(self) -> bool:
        """Return True if the server is known to have closed the connection, or it was silent for too long.

        It is asked before each message, so that none is lost on a connection that was idle. A connection that received
        something just now is not checked: that costs as much as sending. One that was silent for long may have been
        forgotten by a firewall, which cannot be found out.
        """
        silent = monotonic() - self._last_received
        if silent < _RECENT or silent > IDLE:
            return silent > IDLE
        return self._has_failed()

    def _has_failed(self) -> bool:
        """Read what is there; return True if the connection has ended."""
        try:
            self._read_all()
        except (ConnectionClosed, ProtocolError):
            return True
        return False

    def _read_all(self) -> bool:
        """Read what is there, up to a limit; return True if there was something."""
        for reads in range(_MAX_READS):
            if not self._read():
                return reads > 0
        return True

    @property
    def has_message(self) -> bool:
        """True if a message was read that was not received yet."""
        return bool(self._messages)

    def has_unread(self) -> bool:
        """Return True if a message or a part of one has come, or the connection has ended."""
        return self._has_failed() or bool(self._messages or self._protocol.buffered_bytes)

    def keep_alive(self, expecting: bool) -> None:
        """See :meth:`Transport.keep_alive`.

        Raises:
            ConnectionClosed: the connection has ended, or the server no longer answers, or sends unexpected messages.
            ProtocolError: what was received is no message.
        """
        if self._read_all():
            self._last_received = monotonic()
        if self._messages and not expecting:
            raise ConnectionClosed
        if self._last_received > self._last_ping:
            self._unanswered_pings = 0
        if self._unanswered_pings >= HEARTBEATS:
            raise ConnectionClosed
        if self._heartbeat < inf:
            self._unanswered_pings += 1
            self._send_ping()

    def _send_ping(self) -> None:
        """Send a PING, if there is room; half a PING would leave none for anything else."""
        data = self._protocol.encode_ping(time_to_live(self._heartbeat))
        self._last_ping = monotonic()
        if 0 < self._try_send(data) < len(data):
            raise ConnectionClosed

    def send(self, frames: Sequence[bytes], deadline: Deadline) -> None:
        """Send a message; after a failure the connection cannot be used any more.

        Raises:
            DeadlineExceeded, ConnectionClosed: it was not sent, or not all of it.
            ProtocolError: what was received is no message.
        """
        self.partially_sent = False
        for buffer in self._encode(frames):
            sent = self._try_send(buffer)
            self.partially_sent = self.partially_sent or sent > 0
            if sent < len(buffer):
                self._send_rest(memoryview(buffer)[sent:], deadline)

    @property
    def is_quick(self) -> bool:
        """True if ``round_trip`` can be called: there is C++ for it, no keys, and nothing that was read in advance."""
        return self._native is not None and self._protocol.is_idle

    def round_trip(self, frames: Sequence[bytes], deadline: Deadline) -> Sequence[bytes]:
        """Send a message and return the next one; as ``send`` and ``receive``, with less work for short messages.

        Raises:
            DeadlineExceeded, ConnectionClosed, ProtocolError: as of both.
        """
        self.partially_sent = False
        try:
            sent = self._native.send_frames(self._socket.fileno(), frames)
        except OSError as error:
            raise ConnectionClosed from error
        if sent is None:
            self.send(frames, deadline)
        else:
            self.partially_sent = sent[0] > 0
            if sent[1]:
                self._send_rest(memoryview(sent[1]), deadline)
        return self._receive_short(deadline) or self.receive(deadline)

    def _receive_short(self, deadline: Deadline) -> Sequence[bytes] | None:
        """Return the next message if it comes alone, and is short; else read what there is, if it comes soon."""
        if not self._waits_in_system:
            return None
        descriptor, native = self._socket.fileno(), self._native
        try:
            if self._busy.wait(self._poll_now):
                received = native.receive(descriptor)
            else:
                seconds = min(deadline.at - monotonic(), self._heartbeat, _MAX_POLL)
                received = native.receive_within(descriptor, seconds)
        except OSError as error:
            raise ConnectionClosed from error
        if received is None:
            if deadline.expired():
                raise DeadlineExceeded
            self._ping_if_due()
            return None
        if type(received) is list:
            self._last_received = monotonic()
            return received
        self._on_data(received)
        return None

    def _try_send(self, data: bytes | memoryview) -> int:
        """Send what the system takes now; return the number of bytes."""
        try:
            return self._send(data, SEND_FLAGS)
        except BlockingIOError:
            return 0
        except OSError as error:
            raise ConnectionClosed from error

    def _send_rest(self, data: memoryview, deadline: Deadline) -> None:
        """Send while reading: the server may wait for the same on its side.

        A peer that sends more than MAX_MESSAGE while it reads nothing is treated as failed.
        """
        unread = 0
        while data:
            ((_, events),) = _wait(self._writable, deadline)
            if events & select.POLLOUT:
                sent = self._try_send(data)
                self.partially_sent = self.partially_sent or sent > 0
                data = data[sent:]
            elif not (received := self._read()) or (unread := unread + received) > MAX_MESSAGE:
                raise ConnectionClosed
            if data and deadline.expired():
                raise DeadlineExceeded

    def receive(self, deadline: Deadline) -> Sequence[bytes]:
        """Return the next message.

        Raises:
            DeadlineExceeded, ConnectionClosed: none came.
            ProtocolError: what was received is no message.
        """
        messages = self._messages
        while not messages:
            self._wait_readable(deadline)
            self._read()
            if not messages:
                if deadline.expired():
                    raise DeadlineExceeded
                self._ping_if_due()
        self._last_received = monotonic()
        return messages.popleft()

    def _wait_readable(self, deadline: Deadline) -> None:
        """Wait until something comes in; send PINGs to a server that is silent for long, if it understands them."""
        events = self._busy.wait(self._poll_now) if self._waits_in_system else None
        if events:
            return
        if deadline.seconds <= self._heartbeat:
            _wait(self._readable, deadline)
            return
        for _ in range(HEARTBEATS + 1):
            if self._readable.poll(max(0.0, min(deadline.at - monotonic(), self._heartbeat)) * 1000):
                return
            if deadline.expired():
                raise DeadlineExceeded
            self._send_ping()
        raise ConnectionClosed

    def _ping_if_due(self) -> None:
        """Send a PING while a long answer comes in, so that the server knows that this side is alive."""
        if monotonic() - self._last_ping > self._heartbeat:
            self._send_ping()

    def _read(self) -> int:
        """Read what is there; return the number of bytes."""
        try:
            data = self._recv(self._protocol.read_size)
        except BlockingIOError:
            return 0
        except OSError as error:
            raise ConnectionClosed from error
        self._on_data(data)
        return len(data)

    def _on_data(self, data: bytes) -> None:
        if not data:
            raise ConnectionClosed
        self._protocol.receive_data(data)
        if self._protocol.pending:
            self._send_pongs()

    def _send_pongs(self) -> None:
        """Answer PINGs; a peer that does not read is treated as failed."""
        pongs = self._protocol.data_to_send()
        if self._try_send(pongs) < len(pongs):
            raise ConnectionClosed


def _establish(socket: ClientSocket, protocol: Protocol, deadline: Deadline) -> None:
    """Wait for the connection, and do the handshake."""
    _wait(poll_for(socket, select.POLLOUT), deadline)
    finish_connect(socket)
    readable = poll_for(socket, select.POLLIN)
    while True:
        if protocol.pending:
            socket.send(protocol.data_to_send(), SEND_FLAGS)
        if protocol.is_established:
            return
        _wait(readable, deadline)
        data = socket.recv(LARGE)
        if not data:
            raise ConnectionClosed
        protocol.receive_data(data)


def _wait(poll: Poll, deadline: Deadline) -> list[tuple[int, int]]:
    """Return what happens before the deadline on the one socket that ``poll`` watches."""
    while True:
        left = deadline.remaining()
        events = poll.poll(min(left, _MAX_POLL) * 1000)
        if events:
            return events
        if left <= _MAX_POLL:
            raise DeadlineExceeded
