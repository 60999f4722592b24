"""Which requests must wait for which: answers to a client that cannot tell them apart keep the order of its requests.

Sans-I/O: no socket, no thread, no clock.
"""

from collections import deque
from collections.abc import Iterator

from pyelevator.conversation import Exchange


def is_tagged(exchange: Exchange) -> bool:
    """Whether the client sent an id, and so knows its answers in any order."""
    said = exchange.request or exchange.refusal
    return said is not None and said.id is not None


class Order:
    """The clients without ids that wait for a slow answer, each with the requests that it sent meanwhile.

    A client is known by its identity. ``hold`` begins such a wait, ``queue`` puts a request behind it, and when the
    slow answer is out ``release`` gives the requests back one by one: until it is exhausted, or until one of them is
    slow again (then the caller stops, and the wait goes on).
    """

    def __init__(self) -> None:
        self._queues: dict[bytes, deque[Exchange]] = {}

    def hold(self, identity: bytes) -> None:
        """Lets every further request of this client without an id wait."""
        self._queues.setdefault(identity, deque())

    def queue(self, identity: bytes, exchange: Exchange) -> bool:
        """True if the request has to wait; it is kept until its turn comes."""
        if identity not in self._queues or is_tagged(exchange):
            return False
        self._queues[identity].append(exchange)
        return True

    def release(self, identity: bytes) -> Iterator[Exchange]:
        """The requests whose turn has come, in order; when all are taken, the client waits no longer."""
        queue = self._queues[identity]
        while queue:
            yield queue.popleft()
        del self._queues[identity]
