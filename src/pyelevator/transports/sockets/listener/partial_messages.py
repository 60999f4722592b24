"""The bytes of incomplete messages that the peers of a listener have sent."""


class PartialMessages:
    """Bytes of incomplete messages, over all peers.

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
