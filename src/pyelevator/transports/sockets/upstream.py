"""A connection of an event loop to a server, with a queue of messages."""

from collections import deque
from collections.abc import Sequence
from typing import Any, Unpack

from pyelevator._options import signature_from
from pyelevator.errors import ConnectFailed, ElevatorError
from pyelevator.transports.connect_errors import connection_lost_error
from pyelevator.transports.curve import Curve
from pyelevator.transports.options import TransportOptions
from pyelevator.transports.sockets.nonblocking import MessageQueue, NonblockingConnection


class Dialer:
    """Makes connections to one server.

    Args:
        url: ``tcp://host:port`` or ``ipc://path``.
        curve: keys for it.
        options: of its transport.
    """

    @signature_from(TransportOptions)
    def __init__(self, url: str, curve: Curve | None = None, **options: Unpack[TransportOptions]) -> None:
        self.url, self._curve, self._options = url, curve, options

    def dial(self) -> NonblockingConnection:
        """Return a new connection."""
        return NonblockingConnection(self.url, self._curve, **self._options)


class UpstreamConnection:
    """A connection to a server, and the messages that could not be sent over it yet. Nothing here ever waits.

    Args:
        dialer: makes the connection.
        now: seconds, monotonic.

    Attributes:
        registered: what the loop polls for it: descriptor, events, and the number of the connection.
        read_paused: nothing may be read from it.
        failure: why there will be no connection; None as long as there may be one.
    """

    def __init__(self, dialer: Dialer, now: float) -> None:
        self._url = dialer.url
        self._connection = dialer.dial()
        self._queue: MessageQueue = deque()
        self.registered: tuple[Any, int, int] = (None, 0, 0)
        self.read_paused = False
        self.failure: ConnectFailed | None = None
        self.on_ready(0, now)

    @property
    def pollable(self) -> Any:
        """The descriptor whose events ``on_ready`` takes; None while there is none."""
        return self._connection.pollable

    def poll_key(self, reading: bool) -> tuple[Any, int, int]:
        """Return what ``registered`` should be now, where messages may be read or not."""
        return self._connection.pollable, self.interest(reading), self._connection.connect_count

    @property
    def next_timeout(self) -> float:
        """The time at which ``on_ready`` has to be called without an event."""
        return self._connection.next_timeout

    @property
    def is_connected(self) -> bool:
        """True while messages can be sent and received: then ``next_timeout`` is that of a heartbeat."""
        return self._connection.is_connected

    @property
    def has_message(self) -> bool:
        """True if a message has been read already, of which ``pollable`` does not tell."""
        return self._connection.has_message

    @property
    def next_is_large(self) -> bool:
        """True if the next message is a large one, or may be."""
        return self._connection.next_is_large

    @property
    def buffered_bytes(self) -> int:
        """Bytes of memory, about, that the incomplete message takes."""
        return self._connection.buffered_bytes

    @property
    def expected_bytes(self) -> int:
        """Bytes of memory, about, that the incomplete message will take after the frame that has begun."""
        return self._connection.expected_bytes

    def interest(self, reading: bool) -> int:
        """Return the events to wait for, where messages may be read or not."""
        if self._connection.pollable is None:
            return 0
        return self._connection.interest(reading, bool(self._queue))

    def enqueue(self, frames: Sequence[bytes], until: float) -> int:
        """Queue a message for ``flush``; return the length of the queue.

        Args:
            frames: the message's.
            until: time (seconds, monotonic) at which it is dropped if it could not be sent.
        """
        self._queue.append((frames, until))
        return len(self._queue)

    def flush(self, now: float) -> None:
        """Send what can be sent, and drop what is too late."""
        queue = self._queue
        while queue and queue[0][1] <= now:
            queue.popleft()
        self._connection.send(queue, now)

    def on_ready(self, events: int, now: float) -> None:
        """Handle events and timeouts; then ``receive`` may return messages."""
        try:
            self._connection.on_ready(events, now)
        except ConnectFailed as error:
            self.failure = error
        self.flush(now)

    def take_loss(self) -> ElevatorError | None:
        """Return why a connection has ended, once for each, and not before its messages have been received."""
        loss = self._connection.loss
        if loss is None or self._connection.has_message:
            return None
        self._connection.loss = None
        return loss if isinstance(loss, ElevatorError) else connection_lost_error(self._url)

    def receive(self) -> Sequence[bytes] | None:
        """Return the next message; None if there is none now."""
        return self._connection.receive()

    def close(self) -> None:
        """Close the connection, and drop what has not been sent, or not been taken: it may be much."""
        self._queue.clear()
        self._connection.close()
        while self._connection.receive() is not None:
            pass
