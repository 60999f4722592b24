"""Work queues: jobs that wait for the same database, in order, with few workers for each.

A database that does not answer holds up the workers of its own queues, and no others. What has gathered in a queue
while they were busy is executed together.
"""

import threading
from collections import deque
from collections.abc import Callable, Hashable, Sequence
from typing import Final, TypeAlias

from attrs import define, field

from pyelevator.application.handlers.groups import QueueSpec
from pyelevator.server.scheduler import Job

_GROUP_BYTES: Final = 8 << 20
"""Bytes of the requests that are executed together, about."""

QueuedJob: TypeAlias = tuple[bytes, Job]


@define(eq=False)
class _Queue:
    """The jobs of one queue, and the number of its workers."""

    jobs: deque[QueuedJob] = field(factory=deque)
    workers: int = 0


class WorkQueues:
    """The queues of one server; from any thread. Their jobs are executed together, by what must not raise."""

    def __init__(
        self, submit: Callable[[Callable[[], None]], object], execute: Callable[[Sequence[QueuedJob]], None]
    ) -> None:
        self._submit, self._execute = submit, execute
        self._queues: dict[Hashable, _Queue] = {}
        self._lock = threading.Lock()

    def put(self, spec: QueueSpec, identity: bytes, job: Job) -> None:
        """Queue a job of a client; a worker executes it when its turn comes."""
        with self._lock:
            queue = self._queues.setdefault(spec.key, _Queue())
            queue.jobs.append((identity, job))
            if queue.workers >= spec.width:
                return
            queue.workers += 1
        self._submit(lambda: self._run(spec, queue))

    def _run(self, spec: QueueSpec, queue: _Queue) -> None:
        """Execute the jobs of a queue until there are none."""
        while jobs := self._next(spec, queue):
            self._execute(jobs)

    def _next(self, spec: QueueSpec, queue: _Queue) -> list[QueuedJob]:
        jobs: list[QueuedJob] = []
        size = 0
        with self._lock:
            while queue.jobs and len(jobs) < spec.group and size <= _GROUP_BYTES:
                jobs.append(queue.jobs.popleft())
                size += jobs[-1][1].nbytes
            if not jobs:
                queue.workers -= 1
                if not queue.workers:
                    del self._queues[spec.key]
        return jobs
