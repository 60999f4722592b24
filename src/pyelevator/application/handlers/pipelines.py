"""The handler of PIPELINE: many commands to one database, executed in order, each with a response of its own."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from functools import partial
from itertools import chain, groupby, islice, repeat
from typing import Any, Final, TypeAlias

from attrs import define, field, frozen

from pyelevator.application.catalog import Catalog
from pyelevator.application.context import Context
from pyelevator.application.fairness import CHUNK_ROWS
from pyelevator.application.handlers.kinds import (
    UNBOUNDED,
    ReadHandler,
    UpdateHandler,
    WriteHandler,
    check_batch_size,
)
from pyelevator.application.limits import ValueCounter, size_of, size_of_values
from pyelevator.application.response_space import ResponseSpace, response_space
from pyelevator.commands import Command, Delete, Pipeline, Put
from pyelevator.engines.base import Engine, is_complete
from pyelevator.errors import WrongValue
from pyelevator.messages import CallContext, Request, Response

_MAX_KEYS_READ: Final = 1 << 16
"""Keys that are read at once."""

_REPORTED: Final = 64 << 10
"""Bytes of values for which the space is asked for at once."""

_Run: TypeAlias = tuple[Callable[[list[Any]], Iterable[object]], int]
"""What runs commands together, and how many at once: scans one by one, as each has its rows in the sink of all."""

Handlers: TypeAlias = Mapping[type[Command], Any]
"""Command class -> its handler."""


@frozen
class PipelineHandler(ReadHandler):
    """Executes a pipeline under one lease.

    Consecutive puts and deletes are written together, which is quicker; they fail together. Once the responses are
    larger than one response may be, the commands that follow are refused.
    """

    def __call__(self, catalog: Catalog, request: Request, context: Context) -> Response:
        if request.command.writes:
            catalog.get_database(request.uid).reopen_after_failure()
        return ReadHandler.__call__(self, catalog, request, context)


def pipeline_handler(handlers: Handlers) -> PipelineHandler:
    """Return the handler of pipelines, which may contain the commands that have ``handlers``."""

    def handle(engine: Engine, command: Pipeline, request: Request, context: Context) -> Response:
        count, limit = len(command.commands), context.policy.max_batch
        if count > limit:
            raise WrongValue(f"a pipeline of {count:,} commands is over the limit of {limit:,}; split it")
        row_sink = request.context.row_sink
        outcomes = row_sink() if row_sink else []
        _PipelineRun(engine, handlers, context, request, outcomes).run(command.commands)
        return Response.ok(outcomes, request.id)

    return PipelineHandler(handle, lambda pipeline: _cost(pipeline, handlers))


def _cost(pipeline: Pipeline, handlers: Handlers) -> int:
    """Estimate the work of a pipeline; one that writes is unbounded, because it must not wait half-way."""
    if pipeline.writes:
        return UNBOUNDED
    costs = {kind: handler.cost for kind, handler in handlers.items() if handler.cost is not None}
    commands = pipeline.commands
    total: int = sum([costs[type(one)](one) for one in commands if type(one) in costs], len(commands))
    return total


@define
class _PipelineRun:
    """One run of a pipeline.

    Attributes:
        outcomes: what they are collected in: the request's own sink, or a list.
        bytes_left: what its responses may still have.
        unreported: bytes of those that are made and that ``space`` does not know of.
        own_context: of each command that is handled as a request of its own; made for the first one.
    """

    engine: Engine
    handlers: Handlers
    context: Context
    request: Request
    outcomes: Any
    bytes_left: int = field(init=False)
    unreported: int = 0
    own_context: CallContext | None = None
    space: ResponseSpace = field(init=False, factory=response_space)

    def __attrs_post_init__(self) -> None:
        self.bytes_left = self.context.policy.max_range_bytes

    def run(self, commands: Sequence[Command]) -> None:
        """Collect the outcome of each command (see ``commands.Pipeline``)."""
        runs = {
            kind: (self._run_of(handler), None)
            for kind, handler in self.handlers.items()
            if not isinstance(handler, WriteHandler)
        }
        for ((run, size), _), group in self._groups(commands, runs):
            while batch := list(islice(group, size)):
                self.outcomes.extend(run(batch))
                self.context.cooperation.checkpoint()

    def _groups(self, commands: Sequence[Command], runs: Mapping[type, Any]) -> Iterable[tuple[Any, Iterator[Command]]]:
        """Return the commands that can be run together, each with how; mostly all of them, of one kind."""
        kinds = set(map(type, commands))
        if len(kinds) == 1 and (found := runs.get(kinds.pop())):
            return [(found, iter(commands))]
        writes = self._run_writes, CHUNK_ROWS
        return groupby(commands, lambda one: runs.get(type(one)) or (writes, _write_batch_key(one)))

    def _run_of(self, handler: Any) -> _Run:
        if isinstance(handler, UpdateHandler):
            return partial(self._each, self._run_update), CHUNK_ROWS
        return (self._multi_get, _MAX_KEYS_READ) if handler.from_value else (partial(self._each, self._run_read), 1)

    def _each(self, run: Callable[[Command], object], batch: Iterable[Command]) -> Iterator[object]:
        """Yield the outcome of each command; the error of one is no other's."""
        for command in batch:
            try:
                outcome = run(command) if self.bytes_left >= 0 else self._over_limit()
            except Exception as error:  # noqa: BLE001 - every command gets a response
                outcome = self.context.failure(error, command)
            yield outcome

    def _multi_get(self, batch: list[Any]) -> Iterable[object]:
        """Read many keys at once; if that fails, one by one, so that each command has an error of its own."""
        keys = [command.key for command in batch]
        values: Iterable[bytes | None] = map(self.engine.get, keys)
        if len(keys) >= CHUNK_ROWS and self.bytes_left >= 0:
            with suppress(Exception):
                counter = ValueCounter(self.context)
                values = collected = self.engine.collect(keys, counter)
                if self._are_outcomes(batch, collected):
                    counter.report(size_of_values(collected))
                    return collected
        return map(self._value_outcome, batch, repeat(iter(values)))

    def _are_outcomes(self, batch: list[Command], values: Sequence[bytes | None]) -> bool:
        """Return True if the values are the outcomes themselves: all exist, and they are not too large together."""
        size = size_of_values(values)
        if size > self.bytes_left or not is_complete(values):
            return False
        if not all(self.handlers[kind].returns_value for kind in set(map(type, batch))):
            return False
        self.bytes_left -= size
        return True

    def _value_outcome(self, command: Command, values: Iterator[bytes | None]) -> object:
        if self.bytes_left < 0:
            return self._over_limit()
        try:
            payload = self.handlers[type(command)].from_value(command, next(values))
        except Exception as error:  # noqa: BLE001 - as above
            return self.context.failure(error, command)
        self._spend(len(payload) if type(payload) is bytes else 0)
        return payload

    def _run_read(self, command: Command) -> Response:
        handle = self.handlers[type(command)].handle
        if self.own_context is None:
            asked = self.request.context
            sink = self.outcomes.row_sink if asked.row_sink else None
            self.own_context = CallContext(asked.peer, asked.connection, None, sink)
        own = Request(command, self.request.uid, context=self.own_context)
        response: Response = handle(self.engine, command, own, self.context)
        self.bytes_left -= size_of(response.payload)  # a scan reports its rows itself
        return response

    def _run_writes(self, batch: list[Any]) -> Sequence[object]:
        if self.bytes_left < 0:
            return [self._over_limit()] * len(batch)
        try:
            ops = list(chain.from_iterable([self.handlers[type(command)].to_ops(command) for command in batch]))
            check_batch_size(len(ops), self.context)
            self.engine.write(ops, sync=batch[0].sync or self.context.policy.sync)
        except Exception as error:  # noqa: BLE001 - as above
            return [self.context.failure(error, batch[0])] * len(batch)
        return [None] * len(batch)

    def _run_update(self, command: Command) -> object:
        payload = self.handlers[type(command)].write(self.engine, command, self.context)
        self._spend(size_of(payload))
        return payload

    def _spend(self, size: int) -> None:
        self.bytes_left -= size
        self.unreported += size
        if self.unreported >= _REPORTED:
            self.space.add(self.unreported)
            self.unreported = 0

    def _over_limit(self) -> Response:
        limit = self.context.policy.max_range_bytes
        message = f"the answers to this pipeline are over the limit of {limit:,} bytes; split it"
        return Response.from_error(WrongValue(message))


def _write_batch_key(command: Command) -> object:
    """Return a key that consecutive writes share if they can be written together."""
    return command.sync if isinstance(command, (Put, Delete)) else id(command)
