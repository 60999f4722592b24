"""Pipelines: many commands to one database, executed in order, each with an answer of its own."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from itertools import chain, groupby, islice, repeat
from typing import Any, Final, TypeAlias

from attrs import define, field, frozen

from pyelevator.application.catalog import Catalog
from pyelevator.application.context import Context
from pyelevator.application.fairness import CHUNK_ROWS
from pyelevator.application.kinds import LARGE, Reading, check_batch
from pyelevator.application.limits import ByteCounter, size_of
from pyelevator.commands import Command, Delete, Pipeline, Put
from pyelevator.engines.base import Engine
from pyelevator.errors import WrongValue
from pyelevator.messages import Request, Response

_MOST: Final = 1 << 16
"""Keys that are looked up in one go."""

Handlers: TypeAlias = Mapping[type[Command[Any]], Any]
"""Command class -> its handler."""


@frozen
class Pipelining(Reading):
    """Executes a pipeline under one lease.

    Puts and deletes next to one another are written in one go, which is quicker; they fail together.
    Once the answers are larger than one answer may be, the commands that follow are refused.
    """

    def __call__(self, catalog: Catalog, request: Request[Any], context: Context) -> Response:
        if request.command.writes:
            catalog.get_database(request.uid).reopen_after_failure()
        return Reading.__call__(self, catalog, request, context)


def pipelining(handlers: Handlers) -> Pipelining:
    """The handler of pipelines; ``handlers`` are those of the commands in them."""

    def execute(engine: Engine, request: Request[Any], context: Context) -> Response:
        commands, most = request.command.commands, context.policy.max_batch  # type: ignore[attr-defined]
        count = len(commands)
        if count > most:
            raise WrongValue(f"a pipeline of {count:,} commands is over the limit of {most:,}; split it")
        return Response(list(_Execution(engine, handlers, context, request).answers(commands)), id=request.id)

    return Pipelining(execute, lambda pipeline: _cost(pipeline, handlers))


def _cost(pipeline: Pipeline, handlers: Handlers) -> int:
    """What writes is much work, as nothing may be waited for half way."""
    if pipeline.writes:
        return LARGE
    costs = {kind: handler.cost for kind, handler in handlers.items() if handler.cost is not None}
    commands = pipeline.commands
    total: int = sum([costs[type(one)](one) for one in commands if type(one) in costs], len(commands))
    return total


@define
class _Execution:
    """One pipeline on its way: what executes it, and how many bytes its answers may still have."""

    engine: Engine
    handlers: Handlers
    context: Context
    request: Request[Any]
    room: int = field(init=False)

    def __attrs_post_init__(self) -> None:
        self.room = self.context.policy.max_range_bytes

    def answers(self, commands: Sequence[Any]) -> Iterator[Any]:
        """What becomes of each command (see ``commands.Pipeline``)."""
        reading = {
            kind: (self._looked_up if handler.told else self._read, None)
            for kind, handler in self.handlers.items()
            if not kind.writes
        }
        for (way, _), group in groupby(commands, lambda one: reading.get(type(one)) or (self._written, _together(one))):
            while portion := list(islice(group, _MOST if way == self._looked_up else CHUNK_ROWS)):
                yield from way(portion)
                self.context.cooperation.checkpoint()

    def _looked_up(self, portion: list[Any]) -> Iterator[Any]:
        """Many keys in one go; if anything is wrong with that, one by one, and what is wrong with each is its own."""
        keys = [command.key for command in portion]
        values: Iterable[bytes | None] = map(self.engine.get, keys)
        if len(keys) >= CHUNK_ROWS and self.room >= 0:
            with suppress(Exception):
                values = self.engine.collect(keys, ByteCounter(self.context))
        return map(self._told, portion, repeat(iter(values)))

    def _told(self, command: Any, values: Iterator[bytes | None]) -> Any:
        if self.room < 0:
            return self._too_large()
        try:
            payload = self.handlers[type(command)].told(command, next(values))
        except Exception as error:  # noqa: BLE001 - every command gets its answer
            return self.context.failure(error, command)
        self.room -= len(payload) if type(payload) is bytes else 0
        return payload

    def _read(self, portion: list[Any]) -> Iterator[Any]:
        return map(self._answered, portion)

    def _answered(self, command: Any) -> Any:
        if self.room < 0:
            return self._too_large()
        try:
            request = Request(command, self.request.uid, peer=self.request.peer, connection=self.request.connection)
            response: Response = self.handlers[type(command)].call(self.engine, request, self.context)
        except Exception as error:  # noqa: BLE001 - as above
            return self.context.failure(error, command)
        self.room -= size_of(response.payload)
        return response

    def _written(self, portion: list[Any]) -> list[Any]:
        if self.room < 0:
            return [self._too_large()] * len(portion)
        try:
            ops = list(chain.from_iterable([self.handlers[type(command)].ops(command) for command in portion]))
            check_batch(ops, self.context)
            self.engine.write(ops, sync=portion[0].sync or self.context.policy.sync)
        except Exception as error:  # noqa: BLE001 - as above
            return [self.context.failure(error, portion[0])] * len(portion)
        return [None] * len(portion)

    def _too_large(self) -> Response:
        most = self.context.policy.max_range_bytes
        message = f"the answers to this pipeline are over the limit of {most:,} bytes; split it"
        return Response.from_error(WrongValue(message))


def _together(command: Any) -> Any:
    """What writes have in common that are written in one go, if they stand next to one another."""
    return command.sync if isinstance(command, (Put, Delete)) else id(command)
