"""The three kinds of handlers: what reads a database, what writes one, and what manages databases.

Each is called in one of two ways: as itself it may wait, for a database to open or for another write; ``try_handle`` it
waits for nothing, and gives up instead.
"""

from collections.abc import Callable, Sequence
from time import monotonic
from typing import Any, Final, TypeAlias

from attrs import frozen

from pyelevator.application.catalog import Catalog
from pyelevator.application.context import Context
from pyelevator.commands import BatchOp
from pyelevator.engines.base import Engine, EngineBusy
from pyelevator.errors import WrongValue
from pyelevator.messages import Request, Response

LARGE: Final = 1_000_000
"""The cost of what may take any time."""

SLOW: Final = 256
"""From this cost on a request is too slow to be answered at once (about a millisecond)."""

Cost: TypeAlias = Callable[[Any], int]
"""An estimate of a command's work, in lookups of one key (some microseconds each)."""


def check_batch(ops: Sequence[BatchOp], context: Context) -> None:
    """Refuses more operations than a batch may have."""
    most = context.policy.max_batch
    if len(ops) > most:
        raise WrongValue(f"a batch of {len(ops):,} operations is over the limit of {most:,}; split it")


@frozen
class Reading:
    """Answers from one database.

    Attributes:
        call: reads; raises what the client shall be told.
        cost: of a command; None if it is always quick.
        told: where the payload follows from the command and the value of its one key, what tells it; pipelines of many
            such commands then need neither a request nor a response for each, and read many keys in one go.
    """

    call: Callable[[Engine, Request[Any], Context], Response]
    cost: Cost | None = None
    told: Callable[[Any, bytes | None], Any] | None = None

    def __call__(self, catalog: Catalog, request: Request[Any], context: Context) -> Response:
        with catalog.get_database(request.uid) as engine:
            return self.call(engine, request, context)

    def try_handle(self, catalog: Catalog, request: Request[Any], context: Context) -> Response | None:
        """The answer; None if the request costs too much or the database is not at hand."""
        if self.cost is not None and self.cost(request.command) >= SLOW:
            return None
        database = catalog.get_database(request.uid)
        lock = database.lock
        if not lock.acquire(False):
            return None
        try:
            engine = database.engine
            database.used_at = monotonic()
            return None if engine is None else self.call(engine, request, context)
        finally:
            lock.release()


@frozen
class Writing:
    """Writes to one database.

    Attributes:
        ops: the operations of a command.
        cost: as in :class:`Reading`.
    """

    ops: Callable[[Any], Sequence[BatchOp]]
    cost: Cost | None = None

    def __call__(self, catalog: Catalog, request: Request[Any], context: Context) -> Response:
        command: Any = request.command
        ops = self.ops(command)
        check_batch(ops, context)
        database = catalog.get_database(request.uid)
        database.reopen_after_failure()
        with database as engine:
            engine.write(ops, sync=command.sync or context.policy.sync)
        return Response.ok(None, request.id)

    def try_handle(self, catalog: Catalog, request: Request[Any], context: Context) -> Response | None:
        """The answer; None also if another write is going on, or this one must be on the disk."""
        command: Any = request.command
        if command.sync or context.policy.sync or (self.cost is not None and self.cost(command) >= SLOW):
            return None
        database = catalog.get_database(request.uid)
        if not database.lock.acquire(False):
            return None
        try:
            engine = database.engine
            database.used_at = monotonic()
            return None if engine is None or engine.write_failed else self._written(engine, request, context)
        finally:
            database.lock.release()

    def _written(self, engine: Engine, request: Request[Any], context: Context) -> Response | None:
        ops = self.ops(request.command)
        if len(ops) > context.policy.max_batch:
            return None
        try:
            engine.write(ops, wait=False)
        except EngineBusy:
            return None
        return Response.ok(None, request.id)


@frozen
class Managing:
    """Does something to the catalog.

    Attributes:
        call: does it; raises what the client shall be told.
        cost: as in :class:`Reading`.
    """

    call: Callable[[Catalog, Request[Any]], Response]
    cost: Cost | None = None

    def __call__(self, catalog: Catalog, request: Request[Any], _: Context) -> Response:
        return self.call(catalog, request)

    def try_handle(self, catalog: Catalog, request: Request[Any], _: Context) -> Response | None:
        """The answer; None if the request costs too much."""
        if self.cost is not None and self.cost(request.command) >= SLOW:
            return None
        return self.call(catalog, request)


Handler: TypeAlias = Reading | Writing | Managing
