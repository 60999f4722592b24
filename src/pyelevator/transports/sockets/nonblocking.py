"""A nonblocking client connection for use in an event loop.

What a ``BlockingConnection`` is to a call that has nothing else to do, this is to a loop: the loop passes the events of
its descriptor and the time, and asks what to wait for.
"""

import math
import socket as sockets
from collections import deque
from collections.abc import Callable, Sequence
from time import monotonic
from typing import Final, TypeAlias, Unpack

from pyelevator._options import complete, signature_from
from pyelevator.deadlines import Deadline
from pyelevator.errors import ConnectFailed, ProtocolError
from pyelevator.transports.base import HEARTBEATS
from pyelevator.transports.connect_errors import final_connect_error
from pyelevator.transports.curve import Curve, client_protocol
from pyelevator.transports.options import TransportOptions
from pyelevator.transports.polling.readiness import READ, WRITE
from pyelevator.transports.sockets.blocking import ConnectionClosed
from pyelevator.transports.sockets.resolver import Resolver
from pyelevator.transports.sockets.socket import (
    HANDSHAKE_TIMEOUT,
    MAX_IOVEC,
    MAX_PAUSE,
    MIN_PAUSE,
    SEND_FLAGS,
    Address,
    Buffers,
    ClientSocket,
    finish_connect,
    send_some,
    start_connect,
    time_to_live,
)
from pyelevator.transports.zmtp.frames import LARGE
from pyelevator.transports.zmtp.mechanism import HandshakeRefused

MessageQueue: TypeAlias = "deque[tuple[Sequence[bytes], float]]"
"""Messages to be sent, and the time (seconds, monotonic) at which each is dropped instead."""

_CONNECT_ERRORS: Final = (ConnectionClosed, OSError, HandshakeRefused, ProtocolError)


class NonblockingConnection:
    """A connection to a server, which is made again whenever it has ended.

    Args:
        url: ``tcp://host:port`` or ``ipc://path``.
        curve: keys, for a server that asks for them.
        before_close: called before a socket is closed, for a loop that has to stop polling it first.
        options: as of a :class:`~pyelevator.transports.TcpTransport`.

    Attributes:
        pollable: the descriptor to wait for; None while there is none.
        connect_count: the number of descriptors so far.
        next_timeout: time (seconds, monotonic) at which ``on_ready`` has to be called without an event.
        failure: why the last attempt failed; None if that is not known, or there was none.
        loss: why the last connection has ended, to be taken and set to None by the owner.

    Raises:
        ConnectFailed: the URL has no address.
    """

    @signature_from(TransportOptions)
    def __init__(
        self,
        url: str,
        curve: Curve | None = None,
        before_close: Callable[[], None] = lambda: None,
        **options: Unpack[TransportOptions],
    ) -> None:
        given = complete(TransportOptions, options, type(self))
        self._url, self._curve, self._before_close, self._max_message = url, curve, before_close, given["max_message"]
        self._resolver = Resolver(url)
        self._remaining_addresses: deque[Address] = deque()
        self._attempt_timeout = HANDSHAKE_TIMEOUT
        self._pause = MIN_PAUSE
        self._socket: ClientSocket | None = None
        self._step: Callable[[int], None] = self._finish_connect
        self._connected = self._write_closed = False
        self._messages: deque[list[bytes]] = deque()
        self._protocol = client_protocol(curve, self._max_message)
        self._send_buffer: Buffers = deque()
        self.pollable: int | None = None
        self.connect_count = 0
        self.failure: Exception | None = None
        self.loss: Exception | None = None
        self._connect_timeout = given["connect_timeout"]
        self._failing_since: float | None = None
        self._heartbeat = given["heartbeat"] or math.inf
        self._unanswered_pings = 0
        self.next_timeout = 0.0

    @property
    def has_message(self) -> bool:
        """True if a message has been read already, of which ``pollable`` does not tell."""
        return bool(self._messages)

    @property
    def is_connected(self) -> bool:
        """True while messages can be sent and received."""
        return self._connected

    def has_ended(self) -> bool:
        """Return True if the connection has ended since the last call of ``on_ready``."""
        return self._connected and self._peek() == b""

    def has_unread(self) -> bool:
        """Return True if something of a message has come that was not received."""
        return bool(self._messages) or (self._connected and bool(self.buffered_bytes or self._peek()))

    def _peek(self) -> bytes | None:
        """Return the next byte of the socket, None if there is none now, and nothing if the connection has ended."""
        try:
            return self._require_socket().recv(1, sockets.MSG_PEEK)
        except BlockingIOError:
            return None
        except (OSError, ConnectionClosed):
            return b""

    @property
    def next_is_large(self) -> bool:
        """True if the next message is a large one."""
        return self._protocol.read_size > LARGE

    @property
    def buffered_bytes(self) -> int:
        """Bytes of memory, about, that the incomplete message takes."""
        return self._protocol.buffered_bytes

    @property
    def expected_bytes(self) -> int:
        """Bytes of memory, about, that the incomplete message will take after the frame that has begun."""
        return self._protocol.expected_bytes

    def interest(self, reading: bool, has_unsent: bool) -> int:
        """Return the events of ``pollable`` to wait for.

        Args:
            reading: messages may be read.
            has_unsent: messages wait to be sent.
        """
        if self._connected:
            writing = (has_unsent or self._send_buffer) and not self._write_closed
            return (READ if reading else 0) | (WRITE if writing else 0)
        return READ if self._step == self._continue_handshake else WRITE

    def on_ready(self, events: int, now: float) -> None:
        """Do what can be done without waiting, after ``events`` of ``pollable``.

        Raises:
            ConnectFailed: the server refuses the client, or no connection was made within ``connect_timeout``.
        """
        if events and self._socket is not None:
            try:
                self._step(events)
            except _CONNECT_ERRORS as error:
                self._disconnect(now, error)
        if self._connected and now >= self.next_timeout:
            self._ping(now)
        if now >= self.next_timeout:
            if self._socket is not None:  # it took too long
                self._disconnect(now, None)
            if now >= self.next_timeout:
                self._connect(now)

    def send(self, queue: MessageQueue, now: float) -> None:
        """Send what can be sent of the queue, if the connection is open; drop what is too late."""
        buffers = self._send_buffer
        while self._connected and not self._write_closed:
            while queue and len(buffers) < MAX_IOVEC:  # a message among these may have been sent at any time
                frames, until = queue.popleft()
                if until > now:
                    buffers.extend(self._protocol.encode_message(frames))
            if not buffers or not self._flush(buffers):
                return

    def receive(self) -> Sequence[bytes] | None:
        """Return the next message; None if there is none now."""
        return self._messages.popleft() if self._messages else None

    def close(self) -> None:
        """Close the connection, and drop what has not been sent."""
        self._close_socket()
        self.next_timeout = math.inf

    # Connecting

    def _connect(self, now: float) -> None:
        """Connect to the next address; after the last one there is a pause."""
        if not self._remaining_addresses:
            self._remaining_addresses.extend(self._resolver.resolve(Deadline.after(0)))
            if self._resolver.failure is not None:
                self._record_failure(self._resolver.failure, now)
            self._attempt_timeout = HANDSHAKE_TIMEOUT / max(1, len(self._remaining_addresses))
        while self._remaining_addresses:
            try:
                self._socket = start_connect(self._remaining_addresses.popleft(), self._url)
            except (OSError, ConnectFailed) as error:
                self._record_failure(error, now)
                continue
            self.pollable, self._step = self._socket.fileno(), self._finish_connect
            self.connect_count += 1
            self.next_timeout = now + self._attempt_timeout
            return
        self._schedule_retry(now)

    def _schedule_retry(self, now: float) -> None:
        """Wait before the next attempt, longer each time, except while the resolver is at work.

        Raises:
            ConnectFailed: another attempt is pointless.
        """
        self.next_timeout = now + self._pause
        if self.failure is not None and self._failing_since is not None:
            seconds = now - self._failing_since
            error = final_connect_error(self._url, self.failure, seconds, self._connect_timeout, self._curve)
            if error is not None:
                raise error from self.failure
            if self._connect_timeout is not None and isinstance(self.failure, OSError):
                self.next_timeout = min(self.next_timeout, self._failing_since + self._connect_timeout)
        if not self._resolver.is_pending:
            self._pause = min(2 * self._pause, MAX_PAUSE)

    def _record_failure(self, failure: Exception | None, now: float) -> None:
        """Record why an attempt failed; a refusal by the server says more than anything else."""
        if failure is not None and self._failing_since is None:
            self._failing_since = now
        if not isinstance(self.failure, HandshakeRefused):
            self.failure = failure and failure.with_traceback(None)

    def _finish_connect(self, events: int) -> None:
        if events & ~READ:
            socket = self._require_socket()
            finish_connect(socket)
            self._protocol = client_protocol(self._curve, self._max_message)
            self._protocol.messages = self._messages  # with those of the connection before it, which are complete
            socket.send(self._protocol.data_to_send(), SEND_FLAGS)
            self._step = self._continue_handshake

    def _continue_handshake(self, _: int) -> None:
        protocol = self._protocol
        protocol.receive_data(self._recv(LARGE))
        if protocol.pending:
            self._require_socket().send(protocol.data_to_send(), SEND_FLAGS)
        if protocol.is_established:
            self._connected, self._step = True, self._read
            self._pause, self._unanswered_pings = MIN_PAUSE, 0
            self.next_timeout = monotonic() + self._heartbeat if protocol.understands_ping else math.inf
            self.failure = self._failing_since = None
            self._remaining_addresses.clear()

    def _require_socket(self) -> ClientSocket:
        if self._socket is None:
            raise ConnectionClosed
        return self._socket

    # Connected

    def _read(self, events: int) -> None:
        if not events & ~WRITE or self._messages:
            return
        self._protocol.receive_data(self._recv(self._protocol.read_size))
        if self._protocol.pending:
            self._send_pongs()

    def _ping(self, now: float) -> None:
        """Send a PING, which also shows the server that this side is alive; disconnect from a silent server."""
        if (
            self._unanswered_pings >= HEARTBEATS and not self._peek()
        ):  # it may have data, while a client of a proxy does not read
            self._disconnect(now, None)
            return
        self._send_buffer.append(self._protocol.encode_ping(time_to_live(self._heartbeat)))
        self._unanswered_pings += 1
        self.next_timeout = now + self._heartbeat

    def _recv(self, size: int) -> bytes:
        """Return what has been received; nothing if there is nothing now."""
        try:
            data = self._require_socket().recv(size)
        except BlockingIOError:
            return b""
        if not data:
            raise ConnectionClosed
        self._unanswered_pings = 0
        return data

    def _send_pongs(self) -> None:
        """Answer PINGs; a server that does not read is treated as failed."""
        if len(self._send_buffer) > 2 * MAX_IOVEC:
            raise ConnectionClosed
        self._send_buffer.append(self._protocol.data_to_send())

    def _flush(self, buffers: Buffers) -> bool:
        """Send some; return True if more can be tried."""
        try:
            send_some(self._require_socket(), buffers)
        except BlockingIOError:
            return False
        except OSError:  # its answers so far can still be read, and then its end
            self._write_closed = True
            buffers.clear()
            return False
        return True

    def _disconnect(self, now: float, failure: Exception | None) -> None:
        was_connected = self._connected
        self._close_socket()
        if was_connected:
            self.loss = failure or ConnectionClosed()
        else:
            self._record_failure(failure, now)
        if self._remaining_addresses and not was_connected:
            self.next_timeout = now
        else:
            self._schedule_retry(now)

    def _close_socket(self) -> None:
        socket, self._socket, self.pollable = self._socket, None, None
        self._connected = self._write_closed = False
        self._send_buffer.clear()
        self._protocol = client_protocol(self._curve, self._max_message)  # what came of a large message may be much
        if socket is not None:
            self._before_close()
            socket.close()
