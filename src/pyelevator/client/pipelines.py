"""What a pipeline does, as a flow: one message where the server knows how, otherwise one command after the other."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from copy import copy
from typing import Any, Final

from pyelevator.client import operations
from pyelevator.client.operations import Link
from pyelevator.commands import Batch, Command, MGet, Pipeline, Put, Range, Slice
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

_MOST: Final = 16_000
"""Commands in one message, with the operations and keys of such as have many. A server has them all in memory at once,
which is more than it gives to larger messages of small commands; a single command it takes in whatever size."""
_MOST_BYTES: Final = 16 << 20
"""Bytes of values in one message, about."""


def pipeline(link: Link, commands: Sequence[Command[Any]]) -> Flow[list[Any]]:
    """What becomes of each command: its result, or the exception that it would have raised by itself.

    After a lost answer nothing more is sent: it would come too late, or before what was sent and is still on its way.
    """
    if commands:
        link.check_connected()
    outcomes: list[Any] = []
    for some in _messages(commands):
        as_one = Pipeline.feature in link.features and sum(map(_count, some)) <= _MOST
        outcomes += yield from (_together(link, some) if as_one else _one_by_one(link, some))
        if isinstance(outcomes[-1], TransportError):
            break
    unsent = len(commands) - len(outcomes)
    return outcomes + [_not_sent(outcomes[-1]) for _ in range(unsent)]


def _not_sent(lost: Exception) -> ConnectFailed:
    return ConnectFailed(f"not sent, after a {type(lost).__name__} earlier in the pipeline")


def _messages(commands: Sequence[Command[Any]]) -> Iterator[Sequence[Command[Any]]]:
    """The commands in pieces that fit into one message."""
    first = size = count = 0
    for at, command in enumerate(commands):
        more = _count(command)
        if first < at and (count + more > _MOST or size > _MOST_BYTES):
            yield commands[first:at]
            first, size, count = at, 0, 0
        size += _weight(command)
        count += more
    if first < len(commands):
        yield commands[first:]


def _count(command: Command[Any]) -> int:
    """The command, or what it has many of."""
    if isinstance(command, Batch):
        return max(1, len(command.ops))
    return max(1, len(command.keys)) if isinstance(command, MGet) else 1


def _weight(command: Command[Any]) -> int:
    """Bytes of what may be large."""
    if isinstance(command, Put):
        return len(command.value)
    return sum(sum(map(len, op[1:])) for op in command.ops) if isinstance(command, Batch) else 0


def _together(link: Link, commands: Sequence[Command[Any]]) -> Flow[list[Any]]:
    command = Pipeline(commands)
    try:
        response = yield from operations.exchange(link, command)
    except ServerError as error:
        if _is_unknown(error):  # another server than the one that told its features
            return (yield from _one_by_one(link, commands))
        return [command.error(error.code, error.message) for command in commands]
    except MessageTooLarge as error:
        return (yield from _in_parts(link, commands, error))
    except (TransportError, ProtocolError) as error:
        return [copy(error) for _ in commands]
    return [_outcome(*pair) for pair in zip(command.commands, command.result(response.payload), strict=True)]


def _in_parts(link: Link, commands: Sequence[Command[Any]], error: MessageTooLarge) -> Flow[list[Any]]:
    """In several messages, of which each is small enough; the command that is too large by itself has that error."""
    if len(commands) == 1:
        return [error]
    outcomes: list[Any] = []
    for part in split_batch(commands, error):
        outcomes += yield from _together(link, part)
        if isinstance(outcomes[-1], TransportError):
            break
    return outcomes


def _is_unknown(error: ServerError) -> bool:
    return error.code is ErrorCode.KEY and error.message == f"Command {Pipeline.verb} not handled"


def _outcome(command: Command[Any], outcome: Any) -> Any:
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


def _one_by_one(link: Link, commands: Sequence[Command[Any]]) -> Flow[list[Any]]:
    """For servers that do not know pipelines; it ends early with a lost answer."""
    outcomes: list[Any] = []
    for command in commands:
        try:
            outcomes.append((yield from _ALONE.get(type(command), operations.call)(link, command)))
        except ElevatorError as error:
            outcomes.append(error)
            if isinstance(error, TransportError):
                break
    return outcomes


_ALONE: Final[Mapping[type, Callable[[Link, Any], Flow[Any]]]] = {
    MGet: operations.mget,
    Range: operations.scan,
    Slice: operations.scan,
}
"""Command -> its flow, where that is more than a call."""
