"""The scheduler: decides which requests may be executed now, and which must wait.

A request waits for earlier responses that are due first, for a worker, or for its client to read. The scheduler is
sans-I/O: it has no socket, thread or clock, and calls nothing back. Its caller reports events (``submit``,
``complete``, ``block``...), and executes the jobs that ``submit`` and ``next_job`` release.
"""

from collections import deque
from collections.abc import Sequence
from typing import Final

from attrs import define, field

from pyelevator.protocol import IncomingRequest

_OVERHEAD: Final = 1024
"""Bookkeeping bytes added to each request."""

_QUANTUM: Final = 64
"""The number of waiting requests of one client that are executed before other clients have their turn."""

_PAUSED_QUANTUM: Final = 2
"""The same for a paused client that sends one more request, so that its queue does not grow."""


@define(eq=False)
class Job:
    """A message that was received.

    Attributes:
        frames: of the message.
        peer: the client's identity as its handshake proved it; None without keys.
        incoming: the decoded request; None until it has been decoded, which a worker does with large messages.
        received_at: time (seconds, monotonic) at which the message was received.
        has_id: the client sent an id, and so can match responses in any order. False until it is decoded.
        nbytes: approximate bytes of memory.
    """

    frames: Sequence[bytes]
    peer: str | None = None
    incoming: IncomingRequest | None = None
    received_at: float = 0.0

    has_id: bool = field(init=False)
    nbytes: int = field(init=False)

    def __attrs_post_init__(self) -> None:
        self.has_id = self.incoming is not None and carries_id(self.incoming)
        self.nbytes = _OVERHEAD + sum(map(len, self.frames))

    @property
    def request_bytes(self) -> int:
        """Bytes of the message."""
        return self.nbytes - _OVERHEAD


def carries_id(incoming: IncomingRequest) -> bool:
    """Return True if the client sent an id."""
    message = incoming.request or incoming.refusal
    return message is not None and message.id is not None


@define(eq=False)
class _ClientState:
    """A client with requests that run or wait.

    Attributes:
        running: the number of its requests at the workers.
        is_ordered_running: one of them has no id, so that further ones without an id wait for it.
        is_blocked: it does not read its responses, so that all its requests wait.
        is_paused: it has had its turn, and its requests wait for the next one.
        queue: the waiting requests, in order.
        queued_bytes: their size.
    """

    running: int = 0
    is_ordered_running: bool = False
    is_blocked: bool = False
    is_paused: bool = False
    queue: deque[Job] = field(factory=deque)
    queued_bytes: int = 0

    def can_start(self, job: Job, *, is_first: bool) -> bool:
        """Return True if the job may start; ``is_first`` if no job without an id waits before it."""
        return not self.is_blocked and (job.has_id or (is_first and not self.is_ordered_running))


@define(eq=False)
class _Turn:
    """The turn of a client.

    Attributes:
        identity: of the client.
        client: its state.
        remaining: the number of waiting jobs that may start.
    """

    identity: bytes
    client: _ClientState
    remaining: int


class Scheduler:
    """The clients with requests that run or wait.

    Requests without ids are answered in order; for clients that send ids, fast responses overtake slow ones. No client
    has more than ``max_running`` requests at the workers, so that a client with many requests leaves workers to others.
    Nothing is executed for a client that does not read.

    Args:
        max_running: jobs of one client at the workers.

    Attributes:
        pending_count: requests that run or wait, without those of blocked and paused clients.
        pending_bytes: their size.
        paused: the clients that wait for ``resume``.
    """

    def __init__(self, max_running: int) -> None:
        self._max_running = max_running
        self._clients: dict[bytes, _ClientState] = {}
        self._turn: _Turn | None = None
        self.paused: dict[bytes, _ClientState] = {}
        self.pending_count = 0
        self.pending_bytes = 0

    @property
    def blocked_count(self) -> int:
        """The number of blocked clients; from any thread."""
        return sum([client.is_blocked for client in list(self._clients.values())])

    def __contains__(self, identity: bytes) -> bool:
        return identity in self._clients

    # Events

    def submit(self, identity: bytes, job: Job) -> bool:
        """Return True if a new job is to be executed now; otherwise it waits, and others may be next."""
        client = self._clients.get(identity)
        if client is None:
            return True
        if not client.is_paused and client.can_start(job, is_first=not client.queue):
            return True
        client.queue.append(job)
        self._count_queued(client, job, +1)
        if client.is_paused:
            self._unpause(identity, client, _PAUSED_QUANTUM)
        return False

    def complete(self, identity: bytes, job: Job) -> None:
        """Report that a worker has finished a job and its response is sent; jobs that waited for that are next."""
        client = self._end_run(identity, job)
        if not client.is_paused:
            self._turn = _Turn(identity, client, _QUANTUM)

    def put_back(self, identity: bytes, job: Job) -> None:
        """Let a job that a worker has finished wait again, before all others, and block its client."""
        client = self._end_run(identity, job)
        client.queue.appendleft(job)
        self._count_queued(client, job, +1)
        self.block(identity)

    def block(self, identity: bytes) -> None:
        """Report that a client does not read: none of its jobs starts until ``unblock``."""
        client = self._clients.setdefault(identity, _ClientState())
        if not client.is_blocked:
            self._pause(identity, client)
            del self.paused[identity]
            client.is_blocked, client.is_paused = True, False

    def unblock(self, identity: bytes) -> None:
        """Report that a client reads again; its jobs continue with ``resume``."""
        client = self._clients[identity]
        client.is_blocked = False
        if client.queue:
            client.is_paused = True
            self.paused[identity] = client
        self._forget_if_idle(identity, client)

    def resume(self) -> None:
        """Give the paused client that has waited longest its turn."""
        identity, client = next(iter(self.paused.items()))
        self._unpause(identity, client, _QUANTUM)

    def discard(self, identity: bytes) -> None:
        """Drop the waiting jobs of a client."""
        client = self._clients[identity]
        if not client.is_blocked:
            self._pause(identity, client)
            del self.paused[identity]
        client.queue.clear()
        client.queued_bytes = 0
        client.is_blocked = client.is_paused = False
        self._forget_if_idle(identity, client)

    # Decisions

    def next_job(self) -> tuple[bytes, Job] | None:
        """Return the next waiting job to execute and its client; None if there is none.

        The caller answers the job without waiting, or calls ``start``. Then it calls this method again.
        """
        turn = self._turn
        if turn is None:
            return None
        identity, client = turn.identity, turn.client
        if client.queue and client.can_start(client.queue[0], is_first=True):
            if turn.remaining:
                turn.remaining -= 1
                job = client.queue.popleft()
                self._count_queued(client, job, -1)
                return identity, job
            self._pause(identity, client)
        self._turn = None
        self._forget_if_idle(identity, client)
        return None

    def start(self, identity: bytes, job: Job) -> bool:
        """Return True if a worker is to execute the job; otherwise it waits, as too many of its client's run."""
        client = self._clients.setdefault(identity, _ClientState())
        if client.running < self._max_running:
            client.running += 1
            client.is_ordered_running = client.is_ordered_running or not job.has_id
            self._count(job, +1)
            return True
        if self._turn is None:  # it is new
            client.queue.append(job)
        else:
            client.queue.appendleft(job)
        self._count_queued(client, job, +1)
        self._turn = None
        return False

    # Clients

    def blocked_clients(self) -> list[bytes]:
        """Return the clients that do not read."""
        return [identity for identity, client in self._clients.items() if client.is_blocked]

    def blocked_bytes(self, identity: bytes) -> int:
        """Return the size of a client's waiting jobs if it does not read; otherwise 0."""
        client = self._clients.get(identity)
        return client.queued_bytes if client is not None and client.is_blocked else 0

    def _end_run(self, identity: bytes, job: Job) -> _ClientState:
        client = self._clients[identity]
        client.running -= 1
        client.is_ordered_running = client.is_ordered_running and job.has_id
        self._count(job, -1)
        return client

    def _pause(self, identity: bytes, client: _ClientState) -> None:
        if not client.is_paused:
            client.is_paused = True
            self.paused[identity] = client
            self._count_queue(client, -1)

    def _unpause(self, identity: bytes, client: _ClientState, quantum: int) -> None:
        client.is_paused = False
        del self.paused[identity]
        self._count_queue(client, +1)
        self._turn = _Turn(identity, client, quantum)

    def _forget_if_idle(self, identity: bytes, client: _ClientState) -> None:
        if not (client.running or client.queue or client.is_blocked):
            del self._clients[identity]

    def _count_queued(self, client: _ClientState, job: Job, sign: int) -> None:
        client.queued_bytes += sign * job.nbytes
        if not (client.is_blocked or client.is_paused):
            self._count(job, sign)

    def _count(self, job: Job, sign: int) -> None:
        self.pending_count += sign
        self.pending_bytes += sign * job.nbytes

    def _count_queue(self, client: _ClientState, sign: int) -> None:
        self.pending_count += sign * len(client.queue)
        self.pending_bytes += sign * client.queued_bytes
