"""Mirror: repeats requests at a second server, in the background."""

import logging
import random
from functools import partial
from typing import Final

from attrs import evolve

from pyelevator import commands
from pyelevator._closing import Closing
from pyelevator.client import operations
from pyelevator.client.handles import DatabaseHandle
from pyelevator.client.interceptors.workers import Workers
from pyelevator.client.sync.session import Session
from pyelevator.codec import Codec, codec_for
from pyelevator.commands import Command
from pyelevator.deadlines import Deadline
from pyelevator.errors import DatabaseError, ElevatorError
from pyelevator.flows import Flow, Forward, drive
from pyelevator.interceptors.database_names import DatabaseNames
from pyelevator.messages import Request, Response
from pyelevator.transports import Transport

_LOG = logging.getLogger("pyelevator.mirror")

_CATALOG: Final = (commands.DbCreate, commands.DbDrop, commands.DbForget)
"""The commands about databases that are repeated."""


def _to_copy(command: Command, response: Response) -> Command:
    """Return the command for the second server, which knows no snapshots of the first one.

    It need not check again, nor know the verbs that read and write: it gets what the first server has written.
    """
    if isinstance(command, commands.ConditionalBatch):
        return commands.Batch(command.ops, command.sync)
    if isinstance(command, commands.Increment):
        return commands.Put(command.key, response.payload, command.sync)
    if isinstance(command, commands.GetAndDelete):
        return commands.Delete(command.key, command.sync)
    if isinstance(command, commands.DeleteRange) and (last := command.result(response.payload).last_key) is not None:
        return evolve(command, stop=last)
    return evolve(command, cursor=False) if isinstance(command, (commands.Range, commands.Slice)) else command


class Mirror(Closing):
    """An interceptor that repeats successful writes at a second server, and a share of the reads.

    The copies are made by a thread of its own, in the order in which the answers came, under the databases' names;
    a database that the second server lacks is created there. What is asked and answered is not held up: if the second
    server is slower than ``backlog`` copies, further ones are dropped and counted. Writes of several threads to one key
    at one time may arrive there in another order. A forked child copies what passes through there; what waited at the
    fork is the parent's.

    Args:
        transport: the way to the second server.
        reads: the share of reads to repeat there, from 0 to 1; their answers are not looked at.
        dialect: of the second server.
        timeout: seconds for each copy.
        backlog: copies that may wait; 0 for any number.

    >>> from pyelevator import Elevator
    >>> from pyelevator.transports import FakeTransport
    >>> second = FakeTransport()
    >>> with Mirror(second) as mirror, Elevator(transport="fake", interceptors=[mirror]) as E:
    ...     E.Put("k", "v")
    ...     mirror.flush()
    >>> with Elevator(transport=second) as copy:
    ...     copy.Get("k")
    'v'

    Attributes:
        copied, failed, dropped: how many copies were made, were refused or lost, did not find room.
    """

    def __init__(
        self,
        transport: Transport,
        *,
        reads: float = 0.0,
        dialect: str | Codec = "classic",
        timeout: float = 5.0,
        backlog: int = 10_000,
    ) -> None:
        self.copied = self.failed = self.dropped = 0
        self._reads, self._timeout = reads, timeout
        self._codec = codec_for(dialect)
        self._session = Session(transport, self._codec, 1)
        self._handles: dict[str, DatabaseHandle] = {}
        self._names = DatabaseNames()
        self._random = random.Random(0)  # noqa: S311 - which reads to repeat is no secret
        self._backlog = backlog
        self._worker = Workers(1, "elevator-mirror")

    def __call__(self, request: Request, forward: Forward) -> Flow[Response]:
        response = yield from self._names.observe(request, forward)
        command = request.command
        is_write = command.writes or isinstance(command, _CATALOG)
        is_read = not is_write and isinstance(command, commands.PIPELINED)
        if response.code is None and (is_write or (is_read and self._random.random() < self._reads)):
            self._enqueue(self._names.find(request.uid) or "default", _to_copy(command, response))
        return response

    def _enqueue(self, database: str, command: Command) -> None:
        if 0 < self._backlog <= self._worker.waiting:
            self.dropped += 1
            _LOG.warning("the mirror is %d copies behind; dropped a %s", self._backlog, command.verb)
        else:
            self._worker.submit(partial(self._work, database, command))

    def _work(self, database: str, command: Command) -> None:
        try:
            drive(self._copy(database, command), self._session.effect_handler(Deadline.after(self._timeout)))
            self.copied += 1
        except ElevatorError as error:
            self.failed += 1
            _LOG.warning("a %s could not be copied: %s", command.verb, error)

    def _copy(self, database: str, command: Command) -> Flow[None]:
        handle = self._handles.setdefault(database, DatabaseHandle(self._codec))
        if handle.uid is None:
            yield from self._connect(handle, database)
        if isinstance(command, commands.DeleteRange):
            yield from operations.delete_range(handle, command)
        else:
            yield from operations.execute(handle, command)

    def _connect(self, handle: DatabaseHandle, database: str) -> Flow[None]:
        try:
            yield from operations.connect(handle, database)
        except DatabaseError:
            default = DatabaseHandle(self._codec)
            yield from operations.connect(default, "default")
            yield from operations.execute(default, commands.DbCreate(database))
            yield from operations.connect(handle, database)

    def flush(self) -> None:
        """Wait until every copy so far is made, refused or lost."""
        self._worker.submit(lambda: None).result()

    def close(self) -> None:
        """Make the copies that wait, and end the thread."""
        self._worker.close()
        self._session.close()
