"""The response budget: limits the memory of responses that clients do not read.

Sans-I/O: it has no socket and no clock.
"""

from collections.abc import Sequence
from typing import Final

from pyelevator.peers.stalls import StallDetector
from pyelevator.transports.send_queues import SendQueues

LARGE: Final = 64 << 10
"""Bytes from which on a response waits for space; smaller ones do if the unsent ones are over their limit."""

SMALL: Final = 4 << 10
"""Bytes up to which a response is always sent."""

_COPIES: Final = 2
"""How often a response is in memory while it is made: as a value and packed, or packed and encrypted."""

_UNRESERVED: Final = 8
"""A response of any size is sent if this part of the limit at most is taken: else slow readers could hold it up."""

STALL_TIMEOUT: Final = 0.5
"""Seconds that responses wait for space; then clients that use it up and read nothing are disconnected."""

_DECAY: Final = 0.9
"""By which the expected size shrinks with each smaller response of ``LARGE`` bytes or more."""

_SLOW_DECAY: Final = 0.97
"""The same for all others: they say less of what the next large one will be."""


class ResponseBudget:
    """Decides whether there is space for one more response.

    The unsent responses have ``max_bytes`` together, and one more response in addition: both when they are counted, and
    as memory while a response is made, which takes a second copy of it. How large a response is shows only when it is
    there. So space for as much as the latest ones had is kept, for the copy of the next one.

    Args:
        send_queues: the unsent responses.
        max_bytes: of them.
    """

    def __init__(self, send_queues: SendQueues, max_bytes: int) -> None:
        self._send_queues, self._max_bytes = send_queues, max_bytes
        self._expected_bytes = 0
        self._stalls = StallDetector(send_queues, STALL_TIMEOUT, self._is_large)

    @property
    def expected_bytes(self) -> int:
        """Bytes that the next response may have, as the latest ones had."""
        return self._expected_bytes

    def can_start(self, running: int) -> bool:
        """Return True if one more request may be executed.

        Args:
            running: the number of those that are being executed; their responses are expected to be as large as the
                latest ones.
        """
        if not running:
            return True
        return self._send_queues.unsent_bytes + (_COPIES * (running + 1) - 1) * self._expected_bytes <= self._max_bytes

    def admits(self, frames: Sequence[bytes]) -> bool:
        """Return True if a response may be sent now."""
        size = sum(map(len, frames))
        decay = _DECAY if size >= LARGE else _SLOW_DECAY
        self._expected_bytes = max(size, int(decay * self._expected_bytes))
        unsent = self._send_queues.unsent_bytes
        if size < LARGE and unsent <= self._max_bytes:
            return True
        return size < SMALL or self._has_space(size, self._expected_bytes)

    def has_space_for(self, size: int) -> bool:
        """Return True if a response of so many bytes may be made, and sent."""
        return self._has_space(size, size)

    def _has_space(self, size: int, expected: int) -> bool:
        unsent = self._send_queues.unsent_bytes
        return unsent <= self._max_bytes // _UNRESERVED or unsent + size + (_COPIES - 1) * expected <= self._max_bytes

    def stalled_clients(self, needed: int | None, now: float) -> list[bytes]:
        """Return the clients that have read nothing for a while although others wait for space.

        Args:
            needed: bytes of the smallest response that waits for space; None if none does.
            now: seconds, monotonic.
        """
        if needed is None or self.has_space_for(needed):
            self._stalls.end()
            return []
        return self._stalls.check(now) or []

    def _is_large(self, identity: bytes) -> bool:
        return bool(self._send_queues.peers[identity].unsent_bytes >= SMALL)
