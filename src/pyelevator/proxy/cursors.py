"""Cursors: the snapshots that servers keep for the clients of a proxy.

A server sees a connection of the proxy's, and not the client behind it: what a client leaves behind when it goes is
given back by the proxy.
"""

from collections.abc import Iterator
from typing import Any, Final

from pyelevator.commands import Command, Pipeline, Slice
from pyelevator.messages import Request, Response, Status

_MOST: Final = 64
"""Cursors of one client that are remembered; earlier ones end in the server's own time."""


def cursors_in(command: Command[Any], outcome: Any) -> Iterator[tuple[Any, bytes | None]]:
    """Return what a request says of cursors, and which the server keeps: a pair for each command that does.

    A failure does not say that the cursor has ended: the request may not have been executed.

    Args:
        command: of the request.
        outcome: the response; in a pipeline what stands for one, which is a bare payload where there is no more to say.
    """
    if isinstance(command, Pipeline):
        payload = outcome.payload if isinstance(outcome.payload, list) else ()
        for each, one in zip(command.commands, payload, strict=False):
            yield from cursors_in(each, one)
    elif asked := getattr(command, "cursor", None):
        yield asked, _kept(asked, outcome)


def _kept(asked: Any, outcome: Any) -> bytes | None:
    if not isinstance(outcome, Response):
        return None
    return asked if outcome.status is Status.FAILURE and isinstance(asked, bytes) else outcome.cursor


class Cursors:
    """Cursors of each client."""

    def __init__(self) -> None:
        self._of: dict[bytes, dict[bytes, Request[Any]]] = {}

    def note(self, identity: bytes, request: Request[Any], asked: Any, kept: bytes | None) -> None:
        """Note the cursors of an answer.

        Args:
            identity: of the client that it is for.
            request: whose uid and peer are those of the client.
            asked: the cursor that was asked for, if it was one that is there.
            kept: the one that is there from now on; None if there is none.
        """
        held = self._of.setdefault(identity, {})
        if isinstance(asked, bytes):
            held.pop(asked, None)
        if kept is not None:
            held[kept] = Request(Slice(cursor=kept), request.uid, 0, peer=request.peer, connection=request.connection)
            if len(held) > _MOST:
                del held[next(iter(held))]
        if not held:
            del self._of[identity]

    def holds(self, identity: bytes) -> bool:
        """Return whether a client has some."""
        return identity in self._of

    def left_by(self, identity: bytes) -> list[Request[Any]]:
        """Return the requests that give back the cursors that a client leaves behind."""
        return list(self._of.pop(identity, {}).values())
