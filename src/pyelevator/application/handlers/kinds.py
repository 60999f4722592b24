"""The kinds of handlers: they read a database, write to one, do both in one step, or manage the catalog.

Each is called in one of two ways. As a function, it may wait for a database to open or for another write. Its
``try_handle`` never waits, and returns None instead.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from functools import partial
from math import inf
from time import monotonic
from typing import Any, Final, TypeAlias

from attrs import frozen

from pyelevator.application.catalog import Catalog
from pyelevator.application.context import Context
from pyelevator.application.response_space import InlineSpace, OutOfSpace, limited_to, response_space
from pyelevator.commands import BatchOp, Command
from pyelevator.engines.base import Decision, Engine, EngineBusy, ReadView
from pyelevator.errors import WrongValue
from pyelevator.messages import Request, Response

UNBOUNDED: Final = 1_000_000
"""The cost of a command that may take any time."""

MAX_INLINE_COST: Final = 256
"""From this cost on (about a millisecond), ``try_handle`` leaves a request to a worker."""

_MAX_INLINE_NAME: Final = 512
"""Characters of a path that has a hundred parts or two."""

CostEstimate: TypeAlias = Callable[[Any], int]
"""Estimates the work of a command, in lookups of one key (some microseconds each)."""


def names_long_path(command: Command) -> bool:
    """Return True if looking up the database that a command names may take long: each part of a path takes a call."""
    return len(command.named_database or "") > _MAX_INLINE_NAME


def check_batch_size(count: int, context: Context) -> None:
    """Raise a WrongValue for more operations than a batch may have; checks count as such."""
    limit = context.policy.max_batch
    if count > limit:
        raise WrongValue(f"a batch of {count:,} operations is over the limit of {limit:,}; split it")


@frozen
class ReadHandler:
    """Reads one database.

    Attributes:
        handle: returns the response; raises errors for the client.
        cost: of a command; None if it is always quick.
        from_value: computes the payload from the command and the value of its one key, if that is all it needs.
            Pipelines of many such commands then need neither a request nor a response for each, and read many keys at
            once.
        returns_value: True if that payload is the value itself, where there is one.
    """

    handle: Callable[[Engine, Any, Request, Context], Response]
    cost: CostEstimate | None = None
    from_value: Callable[[Any, bytes | None], object] | None = None
    returns_value: bool = False

    def __call__(self, catalog: Catalog, request: Request, context: Context) -> Response:
        with catalog.get_database(request.uid, request.context.peer) as engine:
            return self.handle(engine, request.command, request, context)

    def try_handle(self, catalog: Catalog, request: Request, context: Context) -> Response | None:
        """Return the response; None if the request costs too much or the database is not available now."""
        if self.cost is None:
            return self._try_handle(catalog, request, context)
        if self.cost(request.command) >= MAX_INLINE_COST:
            return None
        space = InlineSpace(response_space())
        try:
            with limited_to(space):
                return self._try_handle(catalog, request, context)
        except OutOfSpace:
            if space.is_exceeded:
                return None
            raise

    def _try_handle(self, catalog: Catalog, request: Request, context: Context) -> Response | None:
        database = catalog.get_database(request.uid, request.context.peer)
        lock = database.lock
        if not lock.acquire(False):
            return None
        try:
            engine = database.engine
            database.used_at = monotonic()
            return None if engine is None else self.handle(engine, request.command, request, context)
        finally:
            lock.release()


class _WritingHandler(ABC):
    """Writes to one database; the base of those that write unconditionally or not."""

    cost: CostEstimate | None

    def __call__(self, catalog: Catalog, request: Request, context: Context) -> Response:
        database = catalog.get_database(request.uid, request.context.peer)
        database.reopen_after_failure()
        with database as engine:
            return Response.ok(self.write(engine, request.command, context), request.id)

    def try_handle(self, catalog: Catalog, request: Request, context: Context) -> Response | None:
        """Return the response; None also if another write is running, or this one must be synced to the disk."""
        command: Any = request.command
        if command.sync or context.policy.sync or (self.cost is not None and self.cost(command) >= MAX_INLINE_COST):
            return None
        database = catalog.get_database(request.uid, request.context.peer)
        if not database.lock.acquire(False):
            return None
        try:
            engine = database.engine
            database.used_at = monotonic()
            if engine is None or engine.write_failed:
                return None
            return Response.ok(self.write(engine, command, context, wait=False), request.id)
        except EngineBusy:
            return None
        finally:
            database.lock.release()

    @abstractmethod
    def write(self, engine: Engine, command: Any, context: Context, *, wait: bool = True) -> object:
        """Write, and return the payload of the response; raise EngineBusy only without ``wait``."""


@frozen
class WriteHandler(_WritingHandler):
    """Writes to one database.

    Attributes:
        to_ops: returns the operations of a command.
        cost: as of :class:`ReadHandler`.
    """

    to_ops: Callable[[Any], Sequence[BatchOp]]
    cost: CostEstimate | None = None

    def write(self, engine: Engine, command: Any, context: Context, *, wait: bool = True) -> None:
        ops = self.to_ops(command)
        check_batch_size(len(ops), context)
        engine.write(ops, sync=command.sync or context.policy.sync, wait=wait)


@frozen
class UpdateHandler(_WritingHandler):
    """Reads from one database and writes to it, in one step.

    Attributes:
        decide: reads what a command needs; returns the operations and the payload. See ``Engine.update``.
        cost: as of :class:`ReadHandler`.
        count: returns how many operations and checks a command brings.
    """

    decide: Callable[[Any, ReadView], Decision[object]]
    cost: CostEstimate | None = None
    count: Callable[[Any], int] = lambda _: 1

    def write(self, engine: Engine, command: Any, context: Context, *, wait: bool = True) -> object:
        check_batch_size(self.count(command), context)
        sync = command.sync or context.policy.sync
        return engine.update(partial(self.decide, command), sync=sync, wait=wait)


@frozen
class AdminHandler:
    """Reads or changes the catalog, or tells of the server itself.

    Attributes:
        handle: returns the payload or a response; raises errors for the client.
        is_quick: True if it is work for the server's own loop; what looks at every open database is not.
        max_databases: of the catalog; with more of them it is not quick.
    """

    handle: Callable[[Catalog, Any, Request, Context], object]
    is_quick: bool = False
    max_databases: float = inf

    def __call__(self, catalog: Catalog, request: Request, context: Context) -> Response:
        result = self.handle(catalog, request.command, request, context)
        return result if isinstance(result, Response) else Response.ok(result, request.id)

    def try_handle(self, catalog: Catalog, request: Request, context: Context) -> Response | None:
        """Return the response; None if it may take long."""
        is_quick = self.is_quick and not names_long_path(request.command)
        is_quick = is_quick and (self.max_databases == inf or catalog.count <= self.max_databases)
        return self(catalog, request, context) if is_quick else None


Handler: TypeAlias = ReadHandler | WriteHandler | UpdateHandler | AdminHandler
