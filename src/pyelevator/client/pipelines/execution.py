"""Pipelines: one message where the server supports them, otherwise one command after the other.

What no pipeline takes on the wire (see ``commands.PIPELINED``) travels by itself, in its place between the messages.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from copy import copy
from itertools import groupby
from operator import attrgetter
from typing import Any, Final

from pyelevator.client import operations
from pyelevator.client.handles import DatabaseHandle
from pyelevator.commands import PIPELINED, Command, DeleteRange, Get, MGet, Pipeline
from pyelevator.commands.pipelines import chunk_commands, size_of
from pyelevator.errors import (
    ConnectFailed,
    ElevatorError,
    ErrorCode,
    MalformedMessage,
    MessageTooLarge,
    ProtocolError,
    ServerError,
    TransportError,
)
from pyelevator.flows import Flow, split_batch
from pyelevator.messages import Response

_MAX_COMMANDS: Final = 16_000
"""Commands in one message, with the operations and keys of such as have many. A server has them all in memory at once,
which is more than it gives to larger messages of small commands; a single command it takes in whatever size."""
_MAX_BYTES: Final = 16 << 20
"""Bytes of values in one message, about."""
_needs_uid: Final = attrgetter("needs_uid")


def execute_pipeline(handle: DatabaseHandle, commands: Sequence[Command]) -> Flow[list[Any]]:
    """Return the outcome of each command: its result, or the exception that it would have raised by itself.

    After a lost answer nothing more is sent: it would come too late, or before what was sent and is still on its way.
    """
    if any(map(_needs_uid, set(map(type, commands)))):  # a generator left early swallows what a handler raises
        handle.check_connected()
    outcomes: list[Any] = []
    for some in _parts(commands):
        as_one = _are_known(some, handle) and (len(some) > 1 or size_of(some[0])[0] <= _MAX_COMMANDS)
        outcomes += yield from (_send_as_pipeline(handle, some) if as_one else _send_individually(handle, some))
        if isinstance(outcomes[-1], TransportError):
            break
    unsent = len(commands) - len(outcomes)
    text = f"not sent, after a {type(outcomes[-1]).__name__} earlier in the pipeline" if unsent else ""
    return outcomes + [ConnectFailed(text) for _ in range(unsent)]


def _parts(commands: Sequence[Command]) -> Iterator[Sequence[Command]]:
    """Return the commands in parts: such as fit into one message, and single ones that travel by themselves."""
    if _PIPELINED.issuperset(map(type, commands)):  # nearly always
        yield from chunk_commands(commands, commands, _MAX_COMMANDS, _MAX_BYTES)
        return
    for is_pipelined, run in groupby(commands, lambda command: type(command) in _PIPELINED):
        some = list(run)
        yield from _parts(some) if is_pipelined else ([command] for command in some)


def _are_known(commands: Sequence[Command], handle: DatabaseHandle) -> bool:
    """Tell whether the commands may be in a pipeline, and the server knows pipelines and each of the commands."""
    kinds: set[type[Command]] = set(map(type, commands))
    return kinds <= _PIPELINED and {Pipeline.feature, *[kind.feature for kind in kinds]} <= {"", *handle.features}


_PIPELINED: Final = frozenset(PIPELINED)


def _send_as_pipeline(handle: DatabaseHandle, commands: Sequence[Command]) -> Flow[list[Any]]:
    command = Pipeline(commands)
    try:
        response = yield from operations.send_command(handle, command)
    except ServerError as error:
        is_unknown = error.code is ErrorCode.KEY and error.message == f"Command {Pipeline.verb} not handled"
        if is_unknown:  # to another server than the one that told its features
            return (yield from _send_individually(handle, commands))
        return [command.error(error.code, error.message) for command in commands]
    except MessageTooLarge as error:
        return (yield from _in_parts(handle, commands, error))
    except (TransportError, ProtocolError) as error:
        return [copy(error) for _ in commands]
    return [
        outcome if type(outcome) is bytes and type(one) is Get else _outcome(one, outcome)  # most are values, as is
        for one, outcome in zip(command.commands, command.result(response.payload), strict=True)
    ]


def _in_parts(handle: DatabaseHandle, commands: Sequence[Command], error: MessageTooLarge) -> Flow[list[Any]]:
    """Send several messages, each small enough; a command that is too large by itself has that error."""
    if len(commands) == 1:
        return [error]
    outcomes: list[Any] = []
    for part in split_batch(commands, error):
        outcomes += yield from _send_as_pipeline(handle, part)
        if isinstance(outcomes[-1], TransportError):
            break
    return outcomes


def _outcome(command: Command, outcome: Any) -> Any:
    if isinstance(outcome, Exception):
        return outcome
    if isinstance(outcome, Response):
        if outcome.code is not None:
            return command.error(outcome.code, outcome.message)
        outcome = outcome.payload
    try:
        return command.result(outcome)
    except MalformedMessage as error:
        return error


def _send_individually(handle: DatabaseHandle, commands: Sequence[Command]) -> Flow[list[Any]]:
    """Send commands one by one, to a server without pipelines; end early when an answer is lost."""
    outcomes: list[Any] = []
    for command in commands:
        try:
            outcomes.append((yield from _SINGLE_FLOWS.get(type(command), operations.execute)(handle, command)))
        except ElevatorError as error:
            outcomes.append(error)
            if isinstance(error, TransportError):
                break
    return outcomes


_SINGLE_FLOWS: Final[Mapping[type, Callable[[DatabaseHandle, Any], Flow[Any]]]] = {
    DeleteRange: operations.delete_range,
    MGet: operations.mget,
}
"""Command -> its flow, where that is more than a call."""
