"""Stalls: clients that read nothing while others wait for space in the send queues."""

from collections.abc import Mapping
from math import inf

from pyelevator.transports.send_queues import SendQueues


class StallDetector:
    """Finds the clients that have read nothing during a stall.

    Args:
        send_queues: of all clients.
        timeout: seconds that a stall lasts before there is an answer.
    """

    def __init__(self, send_queues: SendQueues, timeout: float) -> None:
        self._send_queues, self._timeout = send_queues, timeout
        self._since = inf
        self._sizes: Mapping[bytes, int] = {}

    def end(self) -> None:
        """Report that nothing waits for space."""
        self._since = inf

    def check(self, now: float) -> dict[bytes, int] | None:
        """Report that something waits for space.

        Args:
            now: seconds, monotonic.

        Returns:
            The clients that have read nothing since the stall began, or since the last time that there was an answer,
            and their unsent bytes. None until ``timeout`` has passed since then.
        """
        is_new, earlier = self._since == inf, self._sizes
        if not is_new and now - self._since < self._timeout:
            return None
        sizes = {identity: queue.unsent_bytes for identity, queue in self._send_queues.peers.items()}
        self._since, self._sizes = now, sizes
        stalled = {identity: size for identity, size in sizes.items() if size >= earlier.get(identity, inf)}
        return None if is_new else stalled
