"""Cursors: the snapshots that servers keep for the clients of a proxy.

A server sees a connection of the proxy's, and not the client behind it: so the proxy closes the cursors of a client
that disconnects.
"""

from collections.abc import Iterator
from typing import Final

from pyelevator.commands import Command, Pipeline, Slice
from pyelevator.messages import CallContext, Request, Response, Status

_MAX_CURSORS: Final = 64
"""Cursors of one client that are remembered; earlier ones end in the server's own time."""


def cursors_in(command: Command, outcome: object) -> Iterator[tuple[object, bytes | None]]:
    """Return the cursors that a request names, each with the one that the server keeps after it, or None.

    After a failure the cursor counts as kept, because the request may not have been executed. The outcome of a command
    in a pipeline is a bare payload where there is no more to say.
    """
    if isinstance(command, Pipeline):
        payload = outcome.payload if isinstance(outcome, Response) and isinstance(outcome.payload, list) else ()
        for each, one in zip(command.commands, payload, strict=False):
            yield from cursors_in(each, one)
    elif asked := getattr(command, "cursor", None):
        yield asked, _kept(asked, outcome)


def _kept(asked: object, outcome: object) -> bytes | None:
    if not isinstance(outcome, Response):
        return None
    return asked if outcome.status is Status.FAILURE and isinstance(asked, bytes) else outcome.cursor


class ClientCursors:
    """The open cursors of each client."""

    def __init__(self) -> None:
        self._by_client: dict[bytes, dict[bytes, Request]] = {}

    def record(self, identity: bytes, request: Request, asked: object, kept: bytes | None) -> None:
        """Record that ``kept`` is open from now on, in the place of the cursor that was asked for, if one was open."""
        cursors = self._by_client.setdefault(identity, {})
        if isinstance(asked, bytes):
            cursors.pop(asked, None)
        if kept is not None:
            context = CallContext(request.context.peer, request.context.connection)
            cursors[kept] = Request(Slice(cursor=kept), request.uid, 0, context=context)
            if len(cursors) > _MAX_CURSORS:
                del cursors[next(iter(cursors))]
        if not cursors:
            del self._by_client[identity]

    def take(self, identity: bytes) -> list[Request]:
        """Take the cursors of a client out; return the requests that close them."""
        return list(self._by_client.pop(identity, {}).values())
