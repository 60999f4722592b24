"""Room: how many answers may be in memory, so that those that nobody reads never take much more than they may.

Sans-I/O: no socket, no clock.
"""

from collections.abc import Mapping, Sequence
from math import inf
from typing import Any, Final

LARGE: Final = 64 << 10
"""Bytes of an answer from which on it waits for room; smaller ones are always sent."""

PATIENCE: Final = 0.5
"""Seconds that answers wait for room, after which clients that take it up and read nothing lose their connections."""

_FADES: Final = 0.9


class ResponseBudget:
    """Tells whether there is room for one more answer: what is on its way is ``most`` bytes, and one answer, at most.

    Args:
        send_queues: what is on its way: its size is ``unsent``, and its ``peers`` are those that it is for.
        most: bytes.
    """

    def __init__(self, send_queues: Any, most: int) -> None:
        self._send_queues, self._most = send_queues, most
        self._expected = 0.0
        self._since = inf
        self._sizes: Mapping[bytes, int] = {}

    def starts(self, running: int) -> bool:
        """Whether one more request may be executed beside so many, if their answers are as large as those of late."""
        return not running or self._send_queues.unsent_bytes + (running + 1) * self._expected <= self._most

    def takes(self, frames: Sequence[bytes]) -> bool:
        """Whether an answer may be sent now."""
        size = sum(map(len, frames))
        self._expected = max(float(size), _FADES * self._expected)
        return size < LARGE or self.free

    @property
    def free(self) -> bool:
        """Whether there is room for one more, however large."""
        return bool(self._send_queues.unsent_bytes <= self._most)

    def idlers(self, waits: bool, now: float) -> list[bytes]:
        """Those that have read nothing for a while, where others wait for room.

        Args:
            waits: whether somebody does.
            now: seconds, monotonic.
        """
        if not waits or self.free:
            self._since = inf
            return []
        if self._since == inf:
            self._begin(now)
        if now - self._since < PATIENCE:
            return []
        still = [
            i for i, peer in self._send_queues.peers.items() if peer.unsent_bytes >= max(LARGE, self._sizes.get(i, inf))
        ]
        self._begin(now)
        return still

    def _begin(self, now: float) -> None:
        self._since = now
        self._sizes = {identity: peer.unsent_bytes for identity, peer in self._send_queues.peers.items()}
