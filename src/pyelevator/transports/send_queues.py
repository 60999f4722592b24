"""Send queues: messages of a listener that its peers have not read yet."""

from typing import Final, Protocol

from attrs import frozen

from pyelevator.native import native_messages

FLUSH_INTERVAL: Final = 0.005
"""Seconds between two attempts to send what could not be sent."""

DRAIN_TIMEOUT: Final = 1.0
"""Seconds at the end for peers that do not read what they are sent."""


@frozen
class Traffic:
    """The traffic of a listener since it was opened.

    Attributes:
        accepted: connections.
        bytes_received, bytes_sent: on all of them, with what the transport itself adds to the messages.
    """

    accepted: int = 0
    bytes_received: int = 0
    bytes_sent: int = 0


class TrafficCounter:
    """Counts the bytes of all peers together, or the extension has one that it counts with itself.

    Attributes:
        received: that were read.
        queued, sent, dropped: that were to be sent, and what has become of them.
        partly_sent: that were sent of buffers that have not been sent completely.
        read_at: time (seconds, monotonic) of the last read.
    """

    __slots__ = ("dropped", "partly_sent", "queued", "read_at", "received", "sent")

    def __init__(self) -> None:
        self.read_at = 0.0
        self.received = self.queued = self.sent = self.dropped = self.partly_sent = 0


class SendQueue(Protocol):
    """The messages to one peer that have not been sent yet."""

    @property
    def unsent_bytes(self) -> int:
        """Bytes that have not been sent."""

    @property
    def has_unsent(self) -> bool:
        """True if something has not been sent."""

    @property
    def is_slow(self) -> bool:
        """True if many messages have not been sent, however small they are."""

    def flush(self) -> None:
        """Send what can be sent now."""

    def discard_unsent(self) -> None:
        """Drop what has not been sent."""


class SendQueues:
    """The messages of a listener that have not been sent yet.

    A peer is blocked while it does not read what it is sent: while its queue is slow, or more bytes are on their way to
    it than ``max_unsent`` has left. One peer that does not read can take half of them, a hundred of those a hundred and
    first each, and a peer that reads always has some left. No more requests of a blocked peer should be executed.

    Args:
        max_unsent: bytes on their way to all peers together, about.

    Attributes:
        counter: counts the bytes; that of the extension, where there is one.
        peers: the peers that something was on its way to when ``flush`` was last called, or is now. While there are
            any, ``flush`` has to be called every few milliseconds. A blocked peer stays among them until a ``flush``
            has found it free, so that whatever waits for that does not miss it.
    """

    def __init__(self, max_unsent: int) -> None:
        self._max_unsent = max_unsent
        self.peers: dict[bytes, SendQueue] = {}
        self.counter: TrafficCounter = getattr(native_messages(), "TrafficCounter", TrafficCounter)()

    @property
    def unsent_bytes(self) -> int:
        """Bytes on their way to all peers, with what has been sent of a buffer that has not been sent completely."""
        counter = self.counter
        return counter.queued - counter.sent - counter.dropped + counter.partly_sent

    def is_blocked(self, identity: bytes) -> bool:
        """Return True if the peer does not read what it is sent."""
        queue = self.peers.get(identity)
        return queue is not None and (queue.is_slow or queue.unsent_bytes > self._max_unsent - self.unsent_bytes)

    def flush(self) -> None:
        """Send what can be sent now, and remove the peers that nothing is on its way to any more."""
        for identity, queue in list(self.peers.items()):
            queue.flush()
            if not queue.has_unsent:
                self.discard(identity)

    def discard(self, identity: bytes) -> None:
        """Drop the messages to a peer that have not been sent."""
        queue = self.peers.pop(identity, None)
        if queue is not None:
            queue.discard_unsent()
