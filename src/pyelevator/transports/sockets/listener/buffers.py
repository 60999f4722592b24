"""The buffers of a listener for all of its peers together: unsent messages, and messages that are incomplete."""

from pyelevator.native import native_messages
from pyelevator.transports.send_queues import SendQueues
from pyelevator.transports.sockets.listener.peer import ByteCounter, PeerConnection


class SendBuffers(SendQueues):
    """The messages to all peers that have not been sent.

    Args:
        max_unsent: bytes, about.

    Attributes:
        counter: counts the bytes; that of the extension, where there is one.
    """

    def __init__(self, max_unsent: int) -> None:
        super().__init__(max_unsent)
        self.counter: ByteCounter = getattr(native_messages(), "ByteCounter", ByteCounter)()

    @property
    def unsent_bytes(self) -> int:  # type: ignore[override]
        """Bytes on their way, with what has been sent of a buffer that has not been sent completely."""
        counter = self.counter
        return counter.queued - counter.sent - counter.dropped + counter.partly_sent

    def _flush(self, identity: bytes, queue: PeerConnection) -> None:  # noqa: ARG002 - of the interface
        queue.flush()

    def _discard(self, queue: PeerConnection) -> None:
        queue.discard_unsent()


class PartialMessages:
    """Bytes of incomplete messages, over all peers.

    Args:
        max_bytes: bytes, about.

    Attributes:
        sizes: bytes of each peer that had an incomplete message when it was last recorded.
    """

    def __init__(self, max_bytes: int) -> None:
        self._max_bytes = max_bytes
        self._total = 0
        self.sizes: dict[bytes, int] = {}

    def record(self, identity: bytes, size: int) -> None:
        """Record how many bytes of an incomplete message a peer has sent."""
        self._total += size - self.sizes.pop(identity, 0)
        if size:
            self.sizes[identity] = size

    def largest_over_limit(self) -> bytes | None:
        """Return the peer with the largest message if all together are over the limit, else None."""
        return max(self.sizes, key=self.sizes.__getitem__) if self._total > self._max_bytes else None
