"""The interface of send queues: messages of a listener that its peers have not read yet."""

from abc import ABC, abstractmethod
from typing import Any, Protocol


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


class SendQueues(ABC):
    """The messages of a listener that have not been sent yet.

    A peer is blocked while it does not read what it is sent: while its queue is slow, or more bytes are on their way to
    it than ``max_unsent`` has left. One peer that does not read can take half of them, a hundred of those a hundred and
    first each, and a peer that reads always has some left. No more requests of a blocked peer should be executed.

    Args:
        max_unsent: bytes on their way to all peers together, about.

    Attributes:
        unsent_bytes: bytes on their way to all peers.
        peers: the peers that something was on its way to when ``flush`` was last called, or is now. While there are
            any, ``flush`` has to be called every few milliseconds. A blocked peer stays among them until a ``flush``
            has found it free, so that whatever waits for that does not miss it.
    """

    unsent_bytes: int
    peers: dict[bytes, Any]  # a SendQueue each

    def __init__(self, max_unsent: int) -> None:
        self._max_unsent = max_unsent
        self.peers = {}

    def is_blocked(self, identity: bytes) -> bool:
        """Return True if the peer does not read what it is sent."""
        queue: SendQueue | None = self.peers.get(identity)
        return queue is not None and (queue.is_slow or queue.unsent_bytes > self._max_unsent - self.unsent_bytes)

    def flush(self) -> None:
        """Send what can be sent now, and remove the peers that nothing is on its way to any more."""
        for identity, queue in list(self.peers.items()):
            self._flush(identity, queue)
            if not queue.has_unsent:
                self.discard(identity)

    def discard(self, identity: bytes) -> None:
        """Drop the messages to a peer that have not been sent."""
        queue = self.peers.pop(identity, None)
        if queue is not None:
            self._discard(queue)

    @abstractmethod
    def _flush(self, identity: bytes, queue: Any) -> None:
        """Send what can be sent now to one peer."""

    @abstractmethod
    def _discard(self, queue: Any) -> None:
        """Drop what has not been sent to one peer."""
