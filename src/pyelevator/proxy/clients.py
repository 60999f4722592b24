"""The clients of a proxy: what each has under way, what waits of it, and how much that is of all together."""

from collections import deque
from collections.abc import Sequence
from typing import Final

from attrs import define, field

from pyelevator.protocol import IncomingRequest

_OVERHEAD: Final = 1024
"""What a waiting message weighs beside its bytes."""


@define(eq=False)
class Client:
    """What a client has asked for.

    Attributes:
        identity: where its answers go.
        under_way: requests that are not answered.
        size: bytes of these.
        held: it does not read.
        left: its connection has ended.
        queue: messages that wait, because it has as much under way as it may, or does not read; and their peers.
        weight: bytes of memory that these take, about.
        ordered: where it sends no ids, and so is answered in order, requests that wait for the one before them.
    """

    identity: bytes
    under_way: int = 0
    size: int = 0
    held: bool = False
    left: bool = False
    queue: deque[tuple[Sequence[bytes], str | None]] = field(factory=deque)
    weight: int = 0
    ordered: deque[IncomingRequest] | None = None

    @property
    def idle(self) -> bool:
        """Whether nothing is known of it that matters."""
        return not (self.under_way or self.queue or self.held)

    def put(self, frames: Sequence[bytes], peer: str | None) -> None:
        """Queue a message."""
        self.queue.append((frames, peer))
        self.weight += _OVERHEAD + sum(map(len, frames))

    def take(self) -> tuple[Sequence[bytes], str | None]:
        """Take the first message out."""
        frames, peer = self.queue.popleft()
        self.weight -= _OVERHEAD + sum(map(len, frames))
        return frames, peer

    def forget(self) -> None:
        """Drop the queued messages."""
        self.queue.clear()
        self.weight = 0


class Clients:
    """All clients, and what they have sent that is not answered.

    It counts until it is answered; not so of a client that may never read again.

    Args:
        capacity: requests that there may be.
        capacity_bytes: likewise, of their frames.

    Attributes:
        held: those that do not read, by their identities.
    """

    def __init__(self, capacity: int, capacity_bytes: int) -> None:
        self._capacity, self._capacity_bytes = capacity, capacity_bytes
        self._known: dict[bytes, Client] = {}
        self.held: dict[bytes, Client] = {}
        self._unanswered = 0
        self._size = 0

    @property
    def full(self) -> bool:
        """Whether there are as many requests as there may be."""
        return self._unanswered >= self._capacity or self._size >= self._capacity_bytes

    @property
    def unanswered(self) -> int:
        """The number of unanswered requests."""
        return self._unanswered

    @property
    def idle(self) -> bool:
        """Whether there are no unanswered requests."""
        return not self._unanswered

    def of(self, identity: bytes) -> Client:
        """Return the client of that identity."""
        client = self._known.get(identity)
        if client is None:
            client = self._known[identity] = Client(identity)
        return client

    def known(self, identity: bytes) -> Client | None:
        """Return the client of that identity, if there is something of it that matters."""
        return self._known.get(identity)

    def leave(self, client: Client) -> None:
        """Forget the client, unless there is something of it that matters."""
        if client.idle:
            self._known.pop(client.identity, None)

    def queued_bytes(self, identity: bytes) -> int:
        """Return the bytes of memory of the queued messages of a client that does not read."""
        client = self.held.get(identity)
        return 0 if client is None else client.weight

    def add(self, client: Client, size: int) -> None:
        """Count a request that is under way."""
        client.under_way += 1
        client.size += size
        if not client.held:
            self._unanswered += 1
            self._size += size

    def answered(self, client: Client, size: int) -> None:
        """Count a request that is answered."""
        client.under_way -= 1
        client.size -= size
        if not client.held:
            self._unanswered -= 1
            self._size -= size

    def put(self, client: Client, frames: Sequence[bytes], peer: str | None) -> None:
        """Queue a message."""
        self._count(client, -1)
        client.put(frames, peer)
        self._count(client, +1)

    def take(self, client: Client) -> tuple[Sequence[bytes], str | None]:
        """Take the first message out."""
        self._count(client, -1)
        taken = client.take()
        self._count(client, +1)
        return taken

    def forget(self, client: Client) -> None:
        """Drop the queued messages."""
        self._count(client, -1)
        client.forget()
        self._count(client, +1)

    def hold(self, client: Client) -> None:
        """Note that the client does not read."""
        self._count(client, -1)
        client.held = True
        self.held[client.identity] = client

    def release(self, client: Client) -> None:
        """Note that it reads again."""
        del self.held[client.identity]
        client.held = False
        self._count(client, +1)

    def _count(self, client: Client, sign: int) -> None:
        if not client.held:
            self._unanswered += sign * (client.under_way + len(client.queue))
            self._size += sign * (client.size + client.weight)
