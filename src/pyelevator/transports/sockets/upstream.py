"""A connection of an event loop to a server, with a queue of messages."""

from collections import deque
from collections.abc import Sequence
from typing import Unpack

from pyelevator.errors import ConnectFailed, ElevatorError
from pyelevator.transports.connect_errors import connection_lost_error
from pyelevator.transports.curve import Curve
from pyelevator.transports.options import TransportOptions
from pyelevator.transports.sockets.nonblocking import MessageQueue, NonblockingConnection


class UpstreamConnection(NonblockingConnection):
    """A connection to a server, and the messages that could not be sent over it yet. Nothing here ever waits.

    It connects with the first ``on_ready``.

    Attributes:
        registered: what the loop polls for it: descriptor, events, and the number of the connection.
        read_paused: nothing may be read from it.
        final_error: why there will be no connection; None as long as there may be one.
    """

    def __init__(self, url: str, curve: Curve | None = None, **options: Unpack[TransportOptions]) -> None:
        super().__init__(url, curve, **options)
        self._queue: MessageQueue = deque()
        self.registered: tuple[int | None, int, int] = (None, 0, 0)
        self.read_paused = False
        self.final_error: ConnectFailed | None = None

    def poll_key(self, reading: bool) -> tuple[int | None, int, int]:
        """Return what ``registered`` should be now, where messages may be read or not."""
        events = 0 if self.pollable is None else self.interest(reading, bool(self._queue))
        return self.pollable, events, self.connect_count

    def enqueue(self, frames: Sequence[bytes], until: float) -> int:
        """Queue a message for ``flush``, which drops it at a time (seconds, monotonic); return the queue's length."""
        self._queue.append((frames, until))
        return len(self._queue)

    def flush(self, now: float) -> None:
        """Send what can be sent, and drop what is too late."""
        queue = self._queue
        while queue and queue[0][1] <= now:
            queue.popleft()
        self.send(queue, now)

    def on_ready(self, events: int, now: float) -> None:
        """Handle events and timeouts; then ``receive`` may return messages."""
        try:
            super().on_ready(events, now)
        except ConnectFailed as error:
            self.final_error = error
        self.flush(now)

    def take_loss(self) -> ElevatorError | None:
        """Return why a connection has ended, once for each, and not before its messages have been received."""
        loss = self.loss
        if loss is None or self.has_message:
            return None
        self.loss = None
        return loss if isinstance(loss, ElevatorError) else connection_lost_error(self._url)

    def close(self) -> None:
        """Close the connection, and drop what has not been sent, or not been taken: it may be much."""
        self._queue.clear()
        super().close()
        self._messages.clear()
