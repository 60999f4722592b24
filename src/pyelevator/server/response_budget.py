"""The response budget: limits the memory of responses that clients do not read.

Sans-I/O: it has no socket and no clock.
"""

from collections.abc import Mapping, Sequence
from math import inf
from typing import Final

from pyelevator.transports.base import SendQueues

LARGE: Final = 64 << 10
"""Bytes from which on a response waits for space; smaller ones are always sent."""

STALL_TIMEOUT: Final = 0.5
"""Seconds that responses wait for space; then clients that use it up and read nothing are disconnected."""

_DECAY: Final = 0.9


class ResponseBudget:
    """Decides whether there is space for one more response.

    The unsent responses have ``max_bytes`` together, and one more response in addition.

    Args:
        send_queues: the unsent responses.
        max_bytes: of them.
    """

    def __init__(self, send_queues: SendQueues, max_bytes: int) -> None:
        self._send_queues, self._max_bytes = send_queues, max_bytes
        self._expected_bytes = 0.0
        self._stalled_since = inf
        self._sizes: Mapping[bytes, int] = {}

    def can_start(self, running: int) -> bool:
        """Return True if one more request may be executed.

        Args:
            running: the number of those that are being executed; their responses are expected to be as large as the
                latest ones.
        """
        return not running or self._send_queues.unsent_bytes + (running + 1) * self._expected_bytes <= self._max_bytes

    def admits(self, frames: Sequence[bytes]) -> bool:
        """Return True if a response may be sent now."""
        size = sum(map(len, frames))
        self._expected_bytes = max(float(size), _DECAY * self._expected_bytes)
        return size < LARGE or self.has_space

    @property
    def has_space(self) -> bool:
        """True if there is space for one more response, whatever its size."""
        return self._send_queues.unsent_bytes <= self._max_bytes

    def stalled_clients(self, is_needed: bool, now: float) -> list[bytes]:
        """Return the clients that have read nothing for a while although others wait for space.

        Args:
            is_needed: a response waits for space.
            now: seconds, monotonic.
        """
        if not is_needed or self.has_space:
            self._stalled_since = inf
            return []
        if self._stalled_since == inf:
            self._observe(now)
        if now - self._stalled_since < STALL_TIMEOUT:
            return []
        stalled = [
            identity
            for identity, queue in self._send_queues.peers.items()
            if queue.unsent_bytes >= max(LARGE, self._sizes.get(identity, inf))
        ]
        self._observe(now)
        return stalled

    def _observe(self, now: float) -> None:
        self._stalled_since = now
        self._sizes = {identity: queue.unsent_bytes for identity, queue in self._send_queues.peers.items()}
