"""Which calls of one turn of the event loop travel together, as a pipeline, where the server knows pipelines."""

from collections.abc import Hashable, Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Any, Final

from attrs import define

from pyelevator.commands import Command, Delete, Exists, Get, Pipeline, Put
from pyelevator.messages import Request, Response

if TYPE_CHECKING:
    from pyelevator.client.aio_connection import Call

_ALIKE: Final = (Get, Put, Delete, Exists)
"""What takes little work each; a range would hold up the others' answers."""

_MOST: Final = 64
"""Calls in one message; more go in several, so that the server works on one while the answers to another are taken."""
_MOST_BYTES: Final = 64 << 10
"""Bytes of values in one message, about."""


@define
class Server:
    """What is known of the server at the other end.

    Attributes:
        pipelines: it knows them.
    """

    pipelines: bool = False

    def learn(self, response: Response) -> None:
        """Looks at an answer: that to a DBCONNECT tells the server's features."""
        if response.features:
            self.pipelines = Pipeline.feature in response.features


def groups(calls: Iterable["Call"], server: Server) -> Iterator[Sequence["Call"]]:
    """The calls, those together that can travel together.

    They are all under way at the same time, so nobody can count on any order between them.
    """
    if not server.pipelines:
        yield from ([call] for call in calls)
        return
    alike: dict[Hashable, list[Call]] = {}
    for call in calls:
        alike.setdefault(_likeness(call), []).append(call)
    for some in alike.values():
        yield from _portions(some)


def _likeness(call: "Call") -> Hashable:
    """What calls must have in common; reads are not held up by writes, which take longer."""
    request = call.request
    if not isinstance(request.command, _ALIKE) or request.compression:
        return id(call)
    return request.uid, request.command.writes


def _portions(calls: Sequence["Call"]) -> Iterator[Sequence["Call"]]:
    portion: list[Call] = []
    room = _MOST_BYTES
    for call in calls:
        size = _size(call.request.command)
        if portion and (len(portion) >= _MOST or size > room):
            yield portion
            portion, room = [], _MOST_BYTES
        portion.append(call)
        room -= size
    yield portion


def _size(command: Command[Any]) -> int:
    return len(command.value) if isinstance(command, Put) else 0


def one_request(group: Sequence["Call"]) -> Request[Any]:
    """What carries a group."""
    first = group[0].request
    if len(group) == 1:
        return first
    return Request(Pipeline([call.request.command for call in group]), first.uid)


def answers(response: Response, count: int) -> Sequence[Response]:
    """The answer to each of the calls of a group."""
    if count == 1 or response.code is not None:
        return [response] * count
    return [outcome if isinstance(outcome, Response) else Response(outcome) for outcome in response.payload]


def is_refused(response: Response, count: int) -> bool:
    """Whether the server does not know pipelines after all; nothing was executed then."""
    return count > 1 and response.message == f"Command {Pipeline.verb} not handled"
