"""The clients of a proxy."""

from collections import deque

from attrs import define

from pyelevator.peers.table import ClientState, ClientTable, Message
from pyelevator.protocol import IncomingRequest


@define(eq=False)
class ProxyClient(ClientState[Message]):
    """A client that has requests in flight or waiting.

    Attributes:
        is_disconnected: its connection has ended.
        ordered: where it sends no ids, and so is answered in order, requests that wait for the one before them.
    """

    is_disconnected: bool = False
    ordered: deque[IncomingRequest] | None = None


class ProxyClients(ClientTable[ProxyClient]):
    """All clients. Requests count until they are answered, except those of clients that may never read again.

    Args:
        max_requests: that may be unanswered.
        max_request_bytes: of their frames.
    """

    def __init__(self, max_requests: int, max_request_bytes: int) -> None:
        super().__init__(ProxyClient)
        self._max_requests, self._max_request_bytes = max_requests, max_request_bytes

    @property
    def unanswered(self) -> int:
        """The number of unanswered requests."""
        return self.pending_count - self.stalled_count

    @property
    def is_full(self) -> bool:
        """True if there are as many unanswered requests as there may be."""
        return (
            self.pending_count - self.stalled_count >= self._max_requests
            or self.pending_bytes - self.stalled_bytes >= self._max_request_bytes
        )

    def unblock(self, client: ProxyClient) -> None:
        """Record that a client reads again."""
        self.mark_unblocked(client)
        self.unsuspend(client)
