"""Which calls of one turn of the event loop travel together, as a pipeline, where the server knows pipelines."""

from collections.abc import Hashable, Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Any, Final

from attrs import Factory, define

from pyelevator.commands import Command, DbConnect, Delete, Exists, Get, Pipeline, Put
from pyelevator.conversation import RequestLimits
from pyelevator.messages import Request, Response

if TYPE_CHECKING:
    from pyelevator.client.aio.connection import Call, Message

_ALIKE: Final = frozenset({Get, Put, Delete, Exists})
"""What takes little work each; a range would hold up the others' answers."""

MOST: Final = 64
"""Calls in one message; more go in several, so that the server works on one while the answers to another are taken."""
_MOST_BYTES: Final = 64 << 10
"""Bytes of values in one message, about."""
_TOO_MUCH: Final = "; split it"
"""How a server's refusal ends of what is over its limits only together; such a command was not executed."""


@define
class Server:
    """What is known of the server at the other end.

    Attributes:
        pipelines: it knows them.
        limits: how large requests may be.
    """

    pipelines: bool = False
    limits: RequestLimits = Factory(RequestLimits)

    def learn(self, command: Command[Any], response: Response) -> None:
        """Looks at the answer to a command: that to a DBCONNECT tells the server's features."""
        if type(command) is DbConnect:
            self.limits.learn(response)
        if response.features:
            self.pipelines = Pipeline.feature in response.features


def groups(calls: Iterable["Call"], server: Server) -> Iterator[Sequence["Call"]]:
    """The calls, those together that can travel together.

    They are all under way at the same time, so nobody can count on any order between them.
    """
    alike: dict[Hashable, list[Call]] = {}
    for call in calls:
        alike.setdefault(_likeness(call, server), []).append(call)
    for some in alike.values():
        yield from _portions(some) if some[0].command.writes else _cut(some)


def _likeness(call: "Call", server: Server) -> Hashable:
    """What calls must have in common; reads are not held up by writes, which take longer."""
    command = call.command
    if type(command) is DbConnect:
        return command  # one answer tells all who ask
    if not server.pipelines or call.compression or call.alone or type(command) not in _ALIKE:
        return id(call)
    return call.uid, command.writes


def _cut(calls: Sequence["Call"]) -> Iterator[Sequence["Call"]]:
    return (calls[first : first + MOST] for first in range(0, len(calls), MOST))


def _portions(calls: Sequence["Call"]) -> Iterator[Sequence["Call"]]:
    portion: list[Call] = []
    room = _MOST_BYTES
    for call in calls:
        size = _size(call.command)
        if portion and (len(portion) >= MOST or size > room):
            yield portion
            portion, room = [], _MOST_BYTES
        portion.append(call)
        room -= size
    yield portion


def _size(command: Command[Any]) -> int:
    return len(command.value) if isinstance(command, Put) else 0


def one_request(group: Sequence["Call"]) -> Request[Any]:
    """What carries a group."""
    first = group[0]
    if len(group) == 1 or type(first.command) is DbConnect:
        return Request(first.command, first.uid, None, first.compression)
    return Request(Pipeline([call.command for call in group]), first.uid)


def outcomes(response: Response, message: "Message") -> Sequence[Any]:
    """What became of each of the calls of a message: the payload of a plain success, or a Response."""
    if response.code is None and _is_joint(message):
        payload: Sequence[Any] = response.payload
        return payload
    return [response] * len(message.calls)


def is_refused(message: "Message", response: Response) -> bool:
    """Whether the server does not know pipelines after all; nothing was executed then."""
    return _is_joint(message) and response.message == f"Command {Pipeline.verb} not handled"


def is_too_much(outcome: Response, message: "Message") -> bool:
    """Whether a call was refused for the company it was in, of which its caller knows nothing."""
    return outcome.message.endswith(_TOO_MUCH) and _is_joint(message)


def _is_joint(message: "Message") -> bool:
    """Whether it is the pipeline of several calls, and not one caller's own."""
    return len(message.calls) > 1 and type(message.request.command) is Pipeline
