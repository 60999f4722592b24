"""Stalls: clients that read nothing while others wait for space in the send queues."""

from collections.abc import Callable
from math import inf
from typing import Final

from pyelevator.transports.send_queues import SendQueues

_LOOKS: Final = 8
"""The number of looks at the clients during a timeout: each has a clock of its own, which is as exact as that."""


class StallDetector:
    """Finds the candidates, whose unsent responses others can wait for, that have read nothing while something does."""

    def __init__(self, send_queues: SendQueues, timeout: float, is_candidate: Callable[[bytes], bool]) -> None:
        self._send_queues, self._timeout, self._is_candidate = send_queues, timeout, is_candidate
        self._answered_at = self._looked_at = -inf
        self._progress: dict[bytes, tuple[int, float]] = {}  # unsent bytes, and when they became fewer

    def end(self) -> None:
        """Report that nothing waits for space."""
        self._answered_at = self._looked_at = -inf
        self._progress = {}

    def check(self, now: float) -> list[bytes] | None:
        """Report that something waits for space.

        Returns:
            The candidates that have read nothing for ``timeout``, or since they were returned last. An empty list when
            ``timeout`` has passed without any. None otherwise.
        """
        if now - self._looked_at < self._timeout / _LOOKS:
            return None
        if self._looked_at == -inf:
            self._answered_at = now
        self._looked_at = now
        stalled = self._update_progress(now)
        if not stalled and now - self._answered_at < self._timeout:
            return None
        self._answered_at = now
        return stalled

    def _update_progress(self, now: float) -> list[bytes]:
        progress, stalled = {}, []
        for identity, queue in self._send_queues.peers.items():
            size = queue.unsent_bytes
            before, since = self._progress.get(identity, (inf, now))
            if size < before or not self._is_candidate(identity):
                since = now
            elif now - since >= self._timeout:
                stalled.append(identity)
                since = now
            progress[identity] = size, since
        self._progress = progress
        return stalled
