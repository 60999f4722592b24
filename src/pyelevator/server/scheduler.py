"""The scheduler: decides which requests may be executed now, and which must wait.

A request waits for earlier responses that are due first, for a worker, or for its client to read. The scheduler is
sans-I/O: it has no socket, thread or clock, and calls nothing back. Its caller reports events (``submit``,
``complete``, ``block``...), and executes the jobs that ``submit`` and ``next_job`` release.
"""

from math import inf
from typing import Final

from attrs import define, field

from pyelevator.commands import Command
from pyelevator.peers.client_table import ClientState, ClientTable, Message
from pyelevator.protocol import IncomingRequest
from pyelevator.server.repeats import VALUE_READS
from pyelevator.server.response_budget import LARGE, Reservation

_QUANTUM: Final = 64
"""The number of waiting requests of one client that are executed before other clients have their turn."""

LARGE_WORK: Final = 1 << 20
"""Bytes of responses that take about a millisecond to make."""

_PAUSED_QUANTUM: Final = 2
"""The same for a paused client that sends one more request, so that its queue does not grow."""


@define(eq=False)
class Job(Message):
    """A message that was received.

    Attributes:
        incoming: the decoded request; None until it has been decoded, which a worker does with large messages.
        received_at: time (seconds, monotonic) at which the message was received.
        has_id: the client sent an id, and so can match responses in any order. False until it is decoded.
        refused_bytes: of its response, if that was made and dropped for lack of space; else 0.
        expected_bytes: of its response, if it was executed before and given up; else 0.
        kind: of its command, where that is known.
        reservation: of the space for its response, while it is executed.
        value_key: of the value that it is about, see ``large_values``; else 0.
        is_probe: a worker does what the loop would do, because the response may have any size.
    """

    incoming: IncomingRequest | None = None
    received_at: float = 0.0
    refused_bytes: int = 0
    expected_bytes: int = field(init=False, default=0)
    kind: type[Command] | None = field(init=False)
    reservation: Reservation | None = field(init=False, default=None)
    value_key: int = field(init=False, default=0)
    is_probe: bool = field(init=False, default=False)
    has_id: bool = field(init=False)

    def __attrs_post_init__(self) -> None:
        Message.__attrs_post_init__(self)
        self.kind = None if self.incoming is None else self.incoming.kind
        self.has_id = self.incoming is not None and self.incoming.has_id

    def decoded(self, incoming: IncomingRequest) -> None:
        """Take the request that a worker has decoded."""
        self.incoming, self.kind = incoming, incoming.kind


@define(eq=False)
class ScheduledClient(ClientState[Job]):
    """A client with requests that run or wait; it is paused if it has had its turn, and waits for the next one.

    Attributes:
        is_ordered_running: a request without an id runs, so that further ones without an id wait for it.
        has_large: its latest response was large, so that its next request is left to a worker.
    """

    is_ordered_running: bool = False
    has_large: bool = False

    def can_start(self, job: Job, *, is_first: bool) -> bool:
        """Return True if the job may start; ``is_first`` if no job without an id waits before it."""
        return not self.is_blocked and (job.has_id or (is_first and not self.is_ordered_running))


@define(eq=False)
class _Turn:
    """The turn of a client.

    Attributes:
        client: its state.
        remaining: the number of waiting jobs that may start.
    """

    client: ScheduledClient
    remaining: int


class Scheduler(ClientTable[ScheduledClient]):
    """The clients with requests that run or wait, or whose latest response was large.

    Requests without ids are answered in order; for clients that send ids, fast responses overtake slow ones. No client
    has more than ``max_running`` requests at the workers, and only one while all workers have something to do, so that
    a client with many requests leaves workers to others. Nothing is executed for a client that does not read.

    Args:
        max_running: jobs of one client at the workers.
        workers: how many there are.

    Attributes:
        paused: the clients that wait for ``resume``.
        quick: the clients that have read values that were small, and none since that were large.
    """

    def __init__(self, max_running: int, workers: float = inf) -> None:
        super().__init__(ScheduledClient)
        self._max_running, self._workers = max_running, workers
        self._running = 0
        self._in_a_row: tuple[bytes, int] = b"", 0
        self._turn: _Turn | None = None
        self.paused: dict[bytes, ScheduledClient] = {}
        self.quick: set[bytes] = set()

    # Events

    def submit(self, identity: bytes, job: Job) -> bool:
        """Return True if a new job is to be executed now; otherwise it waits, and others may be next."""
        client = self._clients.get(identity)
        if client is None:
            return True
        if not client.is_suspended and client.can_start(job, is_first=not client.queue):
            return True
        self.enqueue(client, job)
        if identity in self.paused:
            self._begin_turn(client, _PAUSED_QUANTUM)
        return False

    def complete(self, identity: bytes, job: Job) -> None:
        """Report that a worker has finished a job and its response is sent; jobs that waited for that are next."""
        client = self._end_run(identity, job)
        if identity not in self.paused:
            self._turn = _Turn(client, _QUANTUM)

    def put_back(self, identity: bytes, job: Job) -> None:
        """Let a job that a worker has finished wait again, before all others, and block its client."""
        self.enqueue(self._end_run(identity, job), job, is_first=True)
        self.block(identity)

    def block(self, identity: bytes) -> None:
        """Report that a client does not read: none of its jobs starts until ``unblock``."""
        client = self.get_or_create(identity)
        if not client.is_blocked:
            self.paused.pop(identity, None)
            self.mark_blocked(client)

    def unblock(self, identity: bytes) -> None:
        """Report that a client reads again; its jobs continue with ``resume``."""
        client = self._clients[identity]
        self.mark_unblocked(client)
        if client.queue:
            self.paused[identity] = client
        else:
            self.unsuspend(client)
        self.forget_if_idle(client)

    def record_inline(self, identity: bytes, size: int, *, is_last: bool) -> None:
        """Report how large a response was that the loop made itself, if not small, and whether nothing else waits."""
        before = self._in_a_row[1] if self._in_a_row[0] == identity else 0
        self._in_a_row = identity, 0 if is_last else before + size
        self._mark(identity, before + size >= LARGE_WORK)

    def record_response(self, identity: bytes, size: int, kind: type[Command] | None = None) -> None:
        """Report how large a response was that a worker made."""
        reads_values = kind in VALUE_READS
        if self.has_large(identity) or (reads_values and size >= LARGE_WORK):
            self._mark(identity, size >= LARGE_WORK)
        if reads_values and size < LARGE:
            self.quick.add(identity)

    def _mark(self, identity: bytes, has_large: bool) -> None:
        if has_large:
            self.quick.discard(identity)
        if has_large or identity in self._clients:
            client = self.get_or_create(identity)
            client.has_large = has_large
            self.forget_if_idle(client)

    def has_large(self, identity: bytes) -> bool:
        """Return True if the latest response to a client was large: to make the next one may take the loop long."""
        client = self._clients.get(identity)
        return client is not None and client.has_large

    def connection_ended(self, identity: bytes) -> None:
        """Forget how large the latest responses to a client were."""
        self._mark(identity, False)
        self.quick.discard(identity)

    def forget_if_idle(self, client: ScheduledClient) -> None:
        if not client.has_large:
            super().forget_if_idle(client)

    def resume(self) -> None:
        """Give the paused client that has waited longest its turn."""
        self._begin_turn(next(iter(self.paused.values())), _QUANTUM)

    def discard(self, identity: bytes) -> None:
        """Drop the waiting jobs of a client."""
        client = self._clients[identity]
        self.paused.pop(identity, None)
        if client.is_blocked:
            self.mark_unblocked(client)
        self.clear_queue(client)
        self.unsuspend(client)
        self.forget_if_idle(client)

    # Decisions

    def next_job(self) -> tuple[bytes, Job] | None:
        """Return the next waiting job to execute and its client; None if there is none.

        The caller answers the job without waiting, or calls ``start``. Then it calls this method again.
        """
        turn = self._turn
        if turn is None:
            return None
        client = turn.client
        if client.queue and client.can_start(client.queue[0], is_first=True):
            if turn.remaining:
                turn.remaining -= 1
                return client.identity, self.dequeue(client)
            self.suspend(client)
            self.paused[client.identity] = client
        self._turn = None
        self.forget_if_idle(client)
        return None

    def start(self, identity: bytes, job: Job) -> bool:
        """Return True if a worker is to execute the job; otherwise it waits, as too many of its client's run."""
        client = self.get_or_create(identity)
        is_next = self._turn is not None or not client.queue or not client.queue[0].has_id
        has_place = client.in_flight < self._max_running and (not client.in_flight or self._running < self._workers)
        if is_next and has_place:
            self._running += 1
            client.is_ordered_running = client.is_ordered_running or not job.has_id
            self.request_started(client, job.nbytes)
            return True
        self.enqueue(client, job, is_first=self._turn is not None)  # else it is new
        self._turn = None
        return False

    def _end_run(self, identity: bytes, job: Job) -> ScheduledClient:
        client = self._clients[identity]
        self._running -= 1
        client.is_ordered_running = client.is_ordered_running and job.has_id
        self.request_finished(client, job.nbytes)
        return client

    def _begin_turn(self, client: ScheduledClient, quantum: int) -> None:
        del self.paused[client.identity]
        self.unsuspend(client)
        self._turn = _Turn(client, quantum)
