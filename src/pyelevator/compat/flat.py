"""The old Go server, 0.7, and every other server that is spoken to in the flat dialect.

The dialect has no EXISTS, PING, DBREPAIR, no prefix and no parts of rows, and writes a missing value like an empty one.
The Go server ends with the first request for a uid that it does not know, and does not answer DBMOUNT; reading mounts.
"""

from collections.abc import Mapping
from typing import Any, Final

from attrs import Factory, define, evolve

from pyelevator import commands
from pyelevator.codec.base import UnsupportedByDialect
from pyelevator.commands import Command, DbConnect, DbCreate, DbDrop, DbList, DbMount, DbUmount, Get, Ping, Range, Slice
from pyelevator.compat.names import refused_name
from pyelevator.compat.requests import (
    NOT_DOWNWARDS,
    Adapter,
    asking,
    exists,
    mget,
    mount,
    parts,
    refuse,
    tell_missing,
    unknown_database,
)
from pyelevator.errors import ErrorCode, MalformedMessage
from pyelevator.flows import Flow, Forward
from pyelevator.messages import Request, Response

_PAGE: Final = 256
"""Pairs that are asked for at a time where the dialect cannot say where to end."""


@define(eq=False)
class FlatServer:
    """What is known of a server of the flat dialect, from its own answers.

    Attributes:
        uids: Of the databases that it named when a client connected -> their names.
    """

    uids: dict[str, str] = Factory(dict)

    def drop(self, name: str) -> None:
        """Forget a database; its uid is known no more."""
        self.uids = {uid: owner for uid, owner in self.uids.items() if owner != name}


def flat(send: Forward, server: FlatServer) -> Forward:
    """Make the adapter for a server of the flat dialect; ``send`` sends a request to it."""

    def adapted(request: Request[Any]) -> Flow[Response]:
        command = request.command
        if type(command) in _DATABASES:
            return (yield from _about_database(command, request, send, server))
        if type(command) not in _ADAPTERS:
            raise UnsupportedByDialect(f"the flat dialect has no {command.verb}; connect with dialect='classic'")
        if command.needs_uid and type(command) is not DbList and not (yield from _is_there(request, send, server)):
            return unknown_database(request)
        return (yield from _ADAPTERS[type(command)](command, request, send))

    return tell_missing(adapted)


# Databases


def _about_database(command: Any, request: Request[Any], send: Forward, server: FlatServer) -> Flow[Response]:
    name: str = command.name
    refusal = refused_name(name)
    if refusal is not None:
        return refuse(request, ErrorCode.DATABASE, refusal)
    response: Response = yield from _DATABASES[type(command)](command, request, send, server)
    return response


def _connect(command: DbConnect, request: Request[Any], send: Forward, server: FlatServer) -> Flow[Response]:
    response = yield from send(request)
    if response.code is None:
        server.uids[command.result(response.payload)] = command.name
    return response


def _pass_on(command: Any, request: Request[Any], send: Forward, server: FlatServer) -> Flow[Response]:  # noqa: ARG001
    return (yield from send(request))


def _drop(command: DbDrop, request: Request[Any], send: Forward, server: FlatServer) -> Flow[Response]:
    response = yield from send(request)
    if response.code is None:
        server.drop(command.name)
    return response


def _mount(command: DbMount | DbUmount, request: Request[Any], send: Forward, _server: FlatServer) -> Flow[Response]:
    return (yield from mount(command.name, request, send, send))


def _unmount(command: DbUmount, request: Request[Any], send: Forward, server: FlatServer) -> Flow[Response]:
    """Unmount a database that has just been seen to be mounted."""
    answer = yield from _mount(command, request, send, server)
    return answer if answer.code is not None else (yield from send(request))


_DATABASES: Final[Mapping[type[Command[Any]], Any]] = {
    DbConnect: _connect,
    DbCreate: _pass_on,
    DbDrop: _drop,
    DbMount: _mount,
    DbUmount: _unmount,
}
"""Command that names a database -> how it is put to the server."""


# Keys and values


def _is_there(request: Request[Any], send: Forward, server: FlatServer) -> Flow[bool]:
    """Tell whether the uid is still its database's.

    Another client may have dropped it, and the first request for a uid that is gone ends the server.
    """
    name = server.uids.get(request.uid or "")
    if name is None:
        return False
    command = DbConnect(name)
    current = yield from _connect(command, asking(request, command), send, server)
    if current.code is not None or command.result(current.payload) != request.uid:
        server.uids.pop(request.uid or "", None)
        return False
    return True


def _pass_key(command: Any, request: Request[Any], send: Forward) -> Flow[Response]:  # noqa: ARG001
    return (yield from send(request))


def _ping(command: Ping, request: Request[Any], send: Forward) -> Flow[Response]:  # noqa: ARG001
    response = yield from send(asking(request, DbList()))
    return response if response.code is not None else Response(b"PONG", id=request.id)


def _range(command: Range, request: Request[Any], send: Forward) -> Flow[Response]:
    """Get whole pairs, page by page from where the last one ended, and keep of them what was asked for."""
    prefix = command.prefix or b""
    start = max(command.start or b"", prefix)
    pairs: list[Any] = []
    while True:
        response = yield from send(asking(request, Slice(start, _PAGE)))
        if response.code is not None:
            return response
        if response.payload and response.payload[-1][0] < start:
            raise MalformedMessage("the page holds what came before it, so the range would never end")
        kept = [pair for pair in response.payload if _is_within(pair[0], command.stop, prefix)]
        pairs += kept
        if len(kept) < _PAGE:
            return evolve(response, payload=parts(pairs, command), id=request.id)
        start = kept[-1][0] + b"\0"


def _is_within(key: bytes, stop: bytes | None, prefix: bytes) -> bool:
    return key.startswith(prefix) and (stop is None or key <= stop)


def _slice(command: Slice, request: Request[Any], send: Forward) -> Flow[Response]:
    if command.reverse:
        raise UnsupportedByDialect(f"{NOT_DOWNWARDS}; nothing was sent")
    response = yield from send(asking(request, Slice(command.start or b"", command.count)))
    return response if response.code is not None else evolve(response, payload=parts(response.payload, command))


_ADAPTERS: Final[Mapping[type[Command[Any]], Adapter]] = {
    Get: _pass_key,
    commands.Put: _pass_key,
    commands.Delete: _pass_key,
    commands.Batch: _pass_key,
    DbList: _pass_key,
    commands.MGet: mget,
    commands.Exists: exists,
    Ping: _ping,
    Range: _range,
    Slice: _slice,
}
"""Command -> how it is put to the server; the dialect has no words for any other."""
