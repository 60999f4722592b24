"""The client table: what each client has in flight, which of its messages wait, and how much that is together."""

from collections import deque
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final, Generic, TypeVar

from attrs import define, field

_OVERHEAD: Final = 1024
"""Bookkeeping bytes added to each message."""


@define(eq=False)
class Message:
    """A message that was received.

    Attributes:
        frames: of the message.
        peer: the client's identity as its handshake proved it; None without keys.
        nbytes: approximate bytes of memory.
    """

    frames: Sequence[bytes]
    peer: str | None = None
    nbytes: int = field(init=False)

    def __attrs_post_init__(self) -> None:
        self.nbytes = _OVERHEAD + sum(map(len, self.frames))

    @property
    def request_bytes(self) -> int:
        """Bytes of its frames."""
        return self.nbytes - _OVERHEAD


MessageT = TypeVar("MessageT", bound=Message)


@define(eq=False)
class ClientState(Generic[MessageT]):
    """A client with requests that are in flight or wait.

    Attributes:
        identity: of its connection.
        in_flight: the number of its requests that are being answered.
        in_flight_bytes: their size.
        is_blocked: it does not read its responses.
        is_suspended: its queue is in no total, because it is blocked, or waits for its turn.
        queue: the waiting messages, in order.
        queued_bytes: their size.
    """

    identity: bytes
    in_flight: int = 0
    in_flight_bytes: int = 0
    is_blocked: bool = False
    is_suspended: bool = False
    queue: deque[MessageT] = field(factory=deque)
    queued_bytes: int = 0


ClientT = TypeVar("ClientT", bound=ClientState[Any])


class ClientTable(Generic[ClientT]):
    """The clients with requests that are in flight or wait, by their identities.

    Attributes:
        clients: all of them; a live view, in which a hot loop finds one without a call.
        blocked: the clients that do not read.
        pending_count: requests that are in flight, or wait in queues that are not suspended.
        pending_bytes: their size.
        stalled_count: those of them that are in flight for blocked clients.
        stalled_bytes: their size.
    """

    def __init__(self, create: Callable[[bytes], ClientT]) -> None:
        self._create = create
        self._clients: dict[bytes, ClientT] = {}
        self.clients: Mapping[bytes, ClientT] = self._clients
        self.blocked: dict[bytes, ClientT] = {}
        self.pending_count = self.pending_bytes = 0
        self.stalled_count = self.stalled_bytes = 0

    def __contains__(self, identity: bytes) -> bool:
        return identity in self._clients

    def get(self, identity: bytes) -> ClientT | None:
        """Return a client; None if nothing is known of it that matters."""
        return self._clients.get(identity)

    def get_or_create(self, identity: bytes) -> ClientT:
        """Return a client, which may be new."""
        client = self._clients.get(identity)
        if client is None:
            client = self._clients[identity] = self._create(identity)
        return client

    def forget_if_idle(self, client: ClientT) -> None:
        """Remove a client unless something of it is in flight or waits, or it is blocked."""
        if not (client.in_flight or client.queue or client.is_blocked):
            self._clients.pop(client.identity, None)

    def blocked_clients(self) -> list[bytes]:
        """Return the clients that do not read."""
        return list(self.blocked)

    def blocked_bytes(self, identity: bytes) -> int:
        """Return the size of a client's waiting messages if it does not read; otherwise 0."""
        client = self.blocked.get(identity)
        return 0 if client is None else client.queued_bytes

    # In flight

    def request_started(self, client: ClientT, nbytes: int) -> None:
        """Count a request that is in flight from now on."""
        self._count_in_flight(client, 1, nbytes)

    def request_finished(self, client: ClientT, nbytes: int) -> None:
        """Count a request that was in flight as answered."""
        self._count_in_flight(client, -1, -nbytes)

    def _count_in_flight(self, client: ClientT, count: int, nbytes: int) -> None:
        client.in_flight += count
        client.in_flight_bytes += nbytes
        self.pending_count += count
        self.pending_bytes += nbytes
        if client.is_blocked:
            self.stalled_count += count
            self.stalled_bytes += nbytes

    # Queues

    def enqueue(self, client: ClientState[MessageT], message: MessageT, *, is_first: bool = False) -> None:
        """Have a message wait, behind those that wait already, or before them."""
        (client.queue.appendleft if is_first else client.queue.append)(message)
        self._count_queued(client, 1, message.nbytes)

    def dequeue(self, client: ClientState[MessageT]) -> MessageT:
        """Take the first waiting message out."""
        message = client.queue.popleft()
        self._count_queued(client, -1, -message.nbytes)
        return message

    def clear_queue(self, client: ClientT) -> None:
        """Drop the waiting messages of a client."""
        self._count_queued(client, -len(client.queue), -client.queued_bytes)
        client.queue.clear()

    def _count_queued(self, client: ClientState[Any], count: int, nbytes: int) -> None:
        client.queued_bytes += nbytes
        if not client.is_suspended:
            self.pending_count += count
            self.pending_bytes += nbytes

    def suspend(self, client: ClientT) -> None:
        """Count a client's queue no longer."""
        if not client.is_suspended:
            client.is_suspended = True
            self.pending_count -= len(client.queue)
            self.pending_bytes -= client.queued_bytes

    def unsuspend(self, client: ClientT) -> None:
        """Count a client's queue again."""
        if client.is_suspended:
            client.is_suspended = False
            self.pending_count += len(client.queue)
            self.pending_bytes += client.queued_bytes

    # Clients that do not read

    def mark_blocked(self, client: ClientT) -> None:
        """Record that a client does not read: its queue is suspended."""
        self.suspend(client)
        client.is_blocked = True
        self.blocked[client.identity] = client
        self.stalled_count += client.in_flight
        self.stalled_bytes += client.in_flight_bytes

    def mark_unblocked(self, client: ClientT) -> None:
        """Record that a client reads again, or that it is of no interest any more; its queue stays suspended."""
        client.is_blocked = False
        del self.blocked[client.identity]
        self.stalled_count -= client.in_flight
        self.stalled_bytes -= client.in_flight_bytes
