"""Which requests may be executed now, and which have to wait: for an answer that is due first, for a worker, for a
client that reads.

Sans-I/O: no socket, no thread, no clock.
"""

from collections import deque
from collections.abc import Callable, Sequence
from typing import Final

from attrs import define, field

from pyelevator.conversation import Exchange

_OVERHEAD: Final = 1024
"""What a waiting request weighs beside its bytes."""

_TURN: Final = 64
"""Requests of one client that have waited and go on before others have their turn."""


@define(eq=False)
class Job:
    """One message that was taken.

    Attributes:
        frames: as it came.
        peer: who sent it, where that is known.
        exchange: None until it has been read, which a worker does with large ones.
        has_id: the client sent an id, and so knows its answers in any order; False while it is not read.
        weight: bytes of memory, about.
    """

    frames: Sequence[bytes]
    peer: str | None = None
    exchange: Exchange | None = None
    has_id: bool = field(init=False)
    weight: int = field(init=False)

    def __attrs_post_init__(self) -> None:
        self.has_id = self.exchange is not None and carries_id(self.exchange)
        self.weight = _OVERHEAD + sum(map(len, self.frames))


def carries_id(exchange: Exchange) -> bool:
    """Whether the client sent an id."""
    said = exchange.request or exchange.refusal
    return said is not None and said.id is not None


@define(eq=False)
class _Client:
    """One client of whom something is under way.

    Attributes:
        running: its requests at the workers.
        held: one of them has no id, so that further ones without an id wait for it.
        blocked: it does not read its answers, so that everything waits.
        resting: it has had its turn, and what waits goes on at its next one.
        queue: what waits, in order.
        parked: what that weighs.
    """

    running: int = 0
    held: bool = False
    blocked: bool = False
    resting: bool = False
    queue: deque[Job] = field(factory=deque)
    parked: int = 0

    def lets(self, job: Job, *, first: bool) -> bool:
        """Whether the job may start; ``first`` if none without an id waits before it."""
        return not self.blocked and (job.has_id or (first and not self.held))


class Scheduler:
    """The clients of whom something is under way, and what of theirs has to wait.

    A client without ids gets its answers in the order of its requests; one with ids gets quick answers before slow
    ones. No client has more than ``most`` requests at the workers, so that one that sends many leaves some to others;
    and for one that does not read nothing is executed.

    Args:
        answer: answers a job at once, if it can; whether it did.
        work: hands a job to the workers.
        most: jobs of one client at the workers.

    Attributes:
        pending: requests that run or wait, but for those of blocked and resting clients.
        load: what they weigh.
        resting: the clients that wait for ``resume``.
    """

    def __init__(self, answer: Callable[[bytes, Job], bool], work: Callable[[bytes, Job], None], most: int) -> None:
        self._answer, self._work, self._most = answer, work, most
        self._clients: dict[bytes, _Client] = {}
        self.resting: dict[bytes, _Client] = {}
        self.pending = 0
        self.load = 0

    def __contains__(self, identity: bytes) -> bool:
        return identity in self._clients

    def add(self, identity: bytes, job: Job, *, tried: bool = False) -> None:
        """Starts the job, or lets it wait; ``tried`` if it cannot be answered at once."""
        client = self._clients.setdefault(identity, _Client())
        if client.resting:
            client.queue.append(job)
            self._park(client, job, +1)
            self._wake(identity, client, 2)  # so that no more can come than goes
            return
        if not (client.lets(job, first=not client.queue) and self._start(identity, client, job, tried)):
            client.queue.append(job)
            self._park(client, job, +1)
        self._tidy(identity, client)

    def finished(self, identity: bytes, job: Job) -> None:
        """A worker is done with the job, and its answer is sent; what waited for that goes on."""
        client = self._clients[identity]
        client.running -= 1
        client.held = client.held and job.has_id
        self._count(job, -1)
        if not client.resting:
            self._go_on(identity, client)

    def put_back(self, identity: bytes, job: Job) -> None:
        """Lets a job that a worker is done with wait again, before the others; its client is blocked."""
        client = self._clients[identity]
        client.running -= 1
        client.held = client.held and job.has_id
        self._count(job, -1)
        client.queue.appendleft(job)
        self._park(client, job, +1)
        self.block(identity)

    def block(self, identity: bytes) -> None:
        """Nothing of this client's starts until ``unblock``."""
        client = self._clients.setdefault(identity, _Client())
        if not client.blocked:
            self._rest(identity, client)
            del self.resting[identity]
            client.blocked, client.resting = True, False

    def unblock(self, identity: bytes) -> None:
        """The client reads again; what waits goes on with ``resume``."""
        client = self._clients[identity]
        client.blocked = False
        if client.queue:
            client.resting = True
            self.resting[identity] = client
        self._tidy(identity, client)

    def resume(self) -> None:
        """Gives one of the resting clients its turn: who has waited longest for it."""
        identity, client = next(iter(self.resting.items()))
        self._wake(identity, client, _TURN)

    def _rest(self, identity: bytes, client: _Client) -> None:
        if not client.resting:
            client.resting = True
            self.resting[identity] = client
            self._count_queue(client, -1)

    def _wake(self, identity: bytes, client: _Client, most: int) -> None:
        client.resting = False
        del self.resting[identity]
        self._count_queue(client, +1)
        self._go_on(identity, client, most)

    def blocked(self) -> list[bytes]:
        """The clients that do not read."""
        return [identity for identity, client in self._clients.items() if client.blocked]

    def parked(self, identity: bytes) -> int:
        """What the client's waiting requests weigh if it does not read; otherwise 0."""
        client = self._clients.get(identity)
        return client.parked if client is not None and client.blocked else 0

    def drop(self, identity: bytes) -> None:
        """Forgets what waits of a blocked client."""
        client = self._clients[identity]
        client.queue.clear()
        client.parked = 0
        client.blocked = False
        self._tidy(identity, client)

    def _go_on(self, identity: bytes, client: _Client, most: int = _TURN) -> None:
        while client.queue and client.lets(client.queue[0], first=True):
            if not most:
                self._rest(identity, client)
                return
            most -= 1
            job = client.queue.popleft()
            self._park(client, job, -1)
            if not self._start(identity, client, job):
                client.queue.appendleft(job)
                self._park(client, job, +1)
                break
        self._tidy(identity, client)

    def _start(self, identity: bytes, client: _Client, job: Job, tried: bool = False) -> bool:
        if not tried and self._answer(identity, job):
            return True
        if client.running >= self._most:
            return False
        client.running += 1
        client.held = client.held or not job.has_id
        self._count(job, +1)
        self._work(identity, job)
        return True

    def _park(self, client: _Client, job: Job, sign: int) -> None:
        client.parked += sign * job.weight
        if not (client.blocked or client.resting):
            self._count(job, sign)

    def _count(self, job: Job, sign: int) -> None:
        self.pending += sign
        self.load += sign * job.weight

    def _count_queue(self, client: _Client, sign: int) -> None:
        self.pending += sign * len(client.queue)
        self.load += sign * client.parked

    def _tidy(self, identity: bytes, client: _Client) -> None:
        if not (client.running or client.queue or client.blocked):
            del self._clients[identity]
