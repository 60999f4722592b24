"""Pipelines: many commands to one database, executed in order, each with an answer of its own."""

from collections.abc import Iterator, Mapping, Sequence
from itertools import chain, groupby, islice
from typing import Any, Final, TypeAlias

from attrs import define, field, frozen

from pyelevator.application.catalog import Catalog
from pyelevator.application.courtesy import PIECE
from pyelevator.application.failures import failure
from pyelevator.application.kinds import LARGE, Reading, check_batch
from pyelevator.application.policy import Policy
from pyelevator.commands import Command, Delete, Pipeline, Put
from pyelevator.engines.base import Engine
from pyelevator.errors import WrongValue
from pyelevator.messages import Request, Response

Handlers: TypeAlias = Mapping[type[Command[Any]], Any]
"""Command class -> its handler."""


@frozen
class Pipelining(Reading):
    """Executes a pipeline under one lease.

    Puts and deletes next to one another are written in one go, which is quicker; they fail together.
    Once the answers are larger than one answer may be, the commands that follow are refused.
    """

    def __call__(self, catalog: Catalog, request: Request[Any], policy: Policy) -> Response:
        if request.command.writes:
            catalog.use(request.uid).mend()
        return Reading.__call__(self, catalog, request, policy)


def pipelining(handlers: Handlers) -> Pipelining:
    """The handler of pipelines; ``handlers`` are those of the commands in them."""

    def execute(engine: Engine, request: Request[Any], policy: Policy) -> Response:
        commands, most = request.command.commands, policy.max_batch  # type: ignore[attr-defined]
        count = len(commands)
        if count > most:
            raise WrongValue(f"a pipeline of {count:,} commands is over the limit of {most:,}; split it")
        return Response(list(_Execution(engine, handlers, policy, request).answers(commands)), id=request.id)

    return Pipelining(execute, lambda pipeline: _cost(pipeline, handlers))


def _cost(pipeline: Pipeline, handlers: Handlers) -> int:
    """What writes is much work, as nothing may be waited for half way."""
    if pipeline.writes:
        return LARGE
    costs = [(handlers[type(command)].cost, command) for command in pipeline.commands]
    total: int = sum([cost(command) for cost, command in costs if cost is not None], len(costs))
    return total


@define
class _Execution:
    """One pipeline on its way: what executes it, and how many bytes its answers may still have."""

    engine: Engine
    handlers: Handlers
    policy: Policy
    request: Request[Any]
    room: int = field(init=False)

    def __attrs_post_init__(self) -> None:
        self.room = self.policy.max_range_bytes

    def answers(self, commands: Sequence[Any]) -> Iterator[Any]:
        """What becomes of each command (see ``commands.Pipeline``)."""
        for kind, group in groupby(commands, _portion):
            while portion := list(islice(group, PIECE)):
                yield from map(self._read, portion) if kind is None else self._written(portion)
                self.policy.courtesy.look_up()

    def _read(self, command: Any) -> Any:
        if self.room < 0:
            return self._too_large()
        handler = self.handlers[type(command)]
        try:
            if handler.look is not None:
                payload = handler.look(self.engine, command)
                self.room -= len(payload) if type(payload) is bytes else 0
                return payload
            request = Request(command, self.request.uid, peer=self.request.peer)
            response: Response = handler.call(self.engine, request, self.policy)
        except Exception as error:  # noqa: BLE001 - every command gets its answer
            return failure(error)
        self.room -= size_of(response.payload)
        return response

    def _written(self, portion: list[Any]) -> list[Any]:
        if self.room < 0:
            return [self._too_large()] * len(portion)
        try:
            ops = list(chain.from_iterable([self.handlers[type(command)].ops(command) for command in portion]))
            check_batch(ops, self.policy)
            self.engine.write(ops, sync=portion[0].sync or self.policy.sync)
        except Exception as error:  # noqa: BLE001 - as above
            return [failure(error)] * len(portion)
        return [None] * len(portion)

    def _too_large(self) -> Response:
        most = self.policy.max_range_bytes
        message = f"the answers to this pipeline are over the limit of {most:,} bytes; split it"
        return Response.of_error(WrongValue(message))


def _portion(command: Any) -> Any:
    """What commands next to one another have in common that are executed in one go; None for reads."""
    if not command.writes:
        return None
    return command.sync if isinstance(command, _SINGLE) else id(command)


_SINGLE: Final = (Put, Delete)


def size_of(payload: Any) -> int:
    """Bytes of the keys and values in what a command answers.

    >>> size_of(b"abc"), size_of([b"ab", None]), size_of([(b"k", b"v")]), size_of(True)
    (3, 2, 2, 0)
    """
    if type(payload) is bytes:
        return len(payload)
    if not isinstance(payload, list):
        return 0
    return sum([len(item) if type(item) is bytes else sum(map(len, item)) for item in payload if item is not None])
