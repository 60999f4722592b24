"""The old Go server, 0.7, and every other server that is spoken to in the flat dialect.

The dialect has no EXISTS, PING, DBREPAIR, no prefix and no parts of rows, and writes a missing value like an empty one.
The Go server ends with the first request for a uid that it does not know, and does not answer DBMOUNT; reading mounts.
"""

from collections.abc import Mapping
from typing import Any, Final

from attrs import Factory, define, evolve

from pyelevator import commands
from pyelevator.codec.base import UnsupportedByDialect
from pyelevator.commands import Command, DbConnect, DbDrop, DbList, Get, Ping, Range, Slice
from pyelevator.compat.requests import (
    Adapter,
    check_forwards,
    exists,
    mget,
    mount,
    parts,
    pass_on,
    refused_by_name,
    tell_missing,
    unknown_database,
    with_command,
)
from pyelevator.errors import MalformedMessage
from pyelevator.flows import Flow, Forward
from pyelevator.messages import Request, Response

_PAGE: Final = 256
"""Pairs that are asked for at a time where the dialect cannot say where to end."""


@define(eq=False)
class FlatServer:
    """Facts about a server of the flat dialect, learned from its own answers.

    Attributes:
        uids: Of the databases that it named when a client connected -> their names.
    """

    uids: dict[str, str] = Factory(dict)

    def observe(self, command: Command, response: Response) -> None:
        """Take note of the answer to a DBCONNECT, and to a DBDROP, after which the database's uid is known no more."""
        if response.code is None and isinstance(command, DbConnect):
            self.uids[command.result(response.payload)] = command.name
        elif response.code is None and isinstance(command, DbDrop):
            self.uids = {uid: owner for uid, owner in self.uids.items() if owner != command.name}


def flat(send: Forward, server: FlatServer) -> Forward:
    """Make the adapter for a server of the flat dialect; ``send`` sends a request to it."""

    def forward_adapted(request: Request) -> Flow[Response]:
        command = request.command
        if type(command) not in _ADAPTERS:
            raise UnsupportedByDialect(f"the flat dialect has no {command.verb}; connect with dialect='classic'")
        if command.names_database:
            refusal = refused_by_name(command, request)
            if refusal is not None:
                return refusal
        elif command.needs_uid and type(command) is not DbList and not (yield from _is_there(request, send, server)):
            return unknown_database(request)
        response = yield from _ADAPTERS[type(command)](command, request, send)
        server.observe(command, response)
        return response

    return tell_missing(forward_adapted)


def _is_there(request: Request, send: Forward, server: FlatServer) -> Flow[bool]:
    """Tell whether the uid is still its database's.

    Another client may have dropped it, and the first request for a uid that is gone ends the server.
    """
    name = server.uids.get(request.uid or "")
    if name is None:
        return False
    command = DbConnect(name)
    current = yield from send(with_command(request, command))
    server.observe(command, current)
    if current.code is not None or command.result(current.payload) != request.uid:
        server.uids.pop(request.uid or "", None)
        return False
    return True


def _mount(command: Any, request: Request, send: Forward) -> Flow[Response]:
    return mount(command, request, send, send)


def _ping(command: Ping, request: Request, send: Forward) -> Flow[Response]:  # noqa: ARG001
    response = yield from send(with_command(request, DbList()))
    return response if response.code is not None else Response(b"PONG", id=request.id)


def _range(command: Range, request: Request, send: Forward) -> Flow[Response]:
    """Get whole pairs, page by page from where the last one ended, and keep of them what was asked for."""
    prefix = command.prefix or b""
    start = max(command.start or b"", prefix)
    pairs: list[Any] = []
    while True:
        response = yield from send(with_command(request, Slice(start, _PAGE)))
        if response.code is not None:
            return response
        if response.payload and response.payload[-1][0] < start:
            raise MalformedMessage("the page holds what came before it, so the range would never end")
        end = command.stop
        kept = [row for row in response.payload if row[0].startswith(prefix) and (end is None or row[0] <= end)]
        pairs += kept
        if len(kept) < _PAGE:
            return evolve(response, payload=parts(pairs, command), id=request.id)
        start = kept[-1][0] + b"\0"


def _slice(command: Slice, request: Request, send: Forward) -> Flow[Response]:
    check_forwards(command)
    response = yield from send(with_command(request, Slice(command.start or b"", command.count)))
    return response if response.code is not None else evolve(response, payload=parts(response.payload, command))


_ADAPTERS: Final[Mapping[type[Command], Adapter]] = {
    **dict.fromkeys((DbConnect, commands.DbCreate, DbDrop, DbList, Get), pass_on),
    **dict.fromkeys((commands.Put, commands.Delete, commands.Batch), pass_on),
    commands.DbMount: _mount,
    commands.DbUmount: _mount,
    commands.MGet: mget,
    commands.Exists: exists,
    Ping: _ping,
    Range: _range,
    Slice: _slice,
}
"""Command -> how it is put to the server; the dialect has no words for any other."""
