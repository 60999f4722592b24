"""Helpers of the adapters: requests made of others, and parts of rows."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final, TypeAlias

from attrs import evolve

from pyelevator.codec.base import UnsupportedByDialect
from pyelevator.commands import Command, DbConnect, DbList, DbMount, DbUmount, Exists, Get, MGet, Range, Slice
from pyelevator.compat.names import refused_name
from pyelevator.errors import ErrorCode, KeyNotFound
from pyelevator.flows import Flow, Forward
from pyelevator.messages import Request, Response, Status

Adapter: TypeAlias = Callable[[Any, Request[Any], Forward], Flow[Response]]
"""How one command is put to an old server."""


def asking(request: Request[Any], command: Command[Any], uid: str | None = None) -> Request[Any]:
    """Make the request for another command, for the same database or the one of ``uid``."""
    return evolve(request, command=command, uid=request.uid if uid is None else uid, compression=False)


def refuse(request: Request[Any], code: ErrorCode, text: str) -> Response:
    """Answer without the server."""
    return Response.failure(code, text, request.id)


def unknown_database(request: Request[Any]) -> Response:
    """Answer as a server does that does not know the uid."""
    return refuse(request, ErrorCode.RUNTIME, f"Database {request.uid or '(no uid)'} doesn't exist")


def refused_by_name(command: Any, request: Request[Any]) -> Response | None:
    """Answer a command about a database of a name that an old server is not asked about; None for any other."""
    refusal = refused_name(command.name)
    return None if refusal is None else refuse(request, ErrorCode.DATABASE, refusal)


def pass_on(command: Any, request: Request[Any], send: Forward) -> Flow[Response]:  # noqa: ARG001
    """Send the request as it is."""
    return send(request)


def check_forwards(command: Slice) -> None:
    """Refuse to count downwards."""
    if command.reverse:
        raise UnsupportedByDialect(
            "this server does not count downwards; Range(..., reverse=True) up to a key is understood; nothing was sent"
        )


def exists(command: Exists | Get, request: Request[Any], send: Forward) -> Flow[Response]:
    """Ask for the range from the key to the key."""
    key = command.key
    response = yield from send(asking(request, Range(key, key)))
    return response if response.code is not None else Response(bool(response.payload), id=request.id)


def mget(command: MGet, request: Request[Any], send: Forward) -> Flow[Response]:
    """Ask for each key once and in order: old servers lose the values of others. No keys are no question."""
    if not command.keys:
        return Response([], id=request.id)
    keys = sorted(set(command.keys))
    response = yield from send(evolve(request, command=MGet(keys)))
    if response.code is not None:
        return response
    found = dict(zip(keys, response.payload, strict=True))
    return evolve(response, payload=[found[key] for key in command.keys])


def tell_missing(send: Forward) -> Forward:
    """Make the adapter for a dialect that writes a missing value like an empty one: one more question tells."""

    def adapted(request: Request[Any]) -> Flow[Response]:
        adapter = _TELLING.get(type(request.command))
        return (yield from send(request) if adapter is None else adapter(request.command, request, send))

    return adapted


def _get(command: Get, request: Request[Any], send: Forward) -> Flow[Response]:
    response = yield from send(request)
    if response.code is not None or response.payload:
        return response
    there = yield from send(asking(request, Exists(command.key)))
    if there.code is None and not there.payload:
        name = command.key.decode("utf-8", "backslashreplace")
        return Response.from_error(KeyNotFound(f"Key '{name}' does not exist"), request.id)
    return response if there.code is None else there


def _mget(command: MGet, request: Request[Any], send: Forward) -> Flow[Response]:
    response = yield from send(request)
    if response.code is not None:
        return response
    values = dict(zip(command.keys, response.payload, strict=True))
    for key in [key for key, value in values.items() if not value]:
        there = yield from send(asking(request, Exists(key)))
        if there.code is not None:
            return there
        values[key] = b"" if there.payload else None
    payload = [values[key] for key in command.keys]
    return evolve(response, payload=payload, status=Status.WARNING if None in payload else Status.SUCCESS)


_TELLING: Final[Mapping[type, Adapter]] = {Get: _get, MGet: _mget}


def connected(request: Request[Any], name: str, send: Forward) -> Flow[Response]:
    """Connect to a database; the payload of the answer is its uid."""
    return send(asking(request, DbConnect(name)))


def mount(command: DbMount | DbUmount, request: Request[Any], send: Forward, list_databases: Forward) -> Flow[Response]:
    """Mount a database in whatever state: reading does it, where mounting a mounted one ends a worker or the server.

    One that is to be unmounted is so when it has just been seen to be mounted.
    """
    listed = yield from list_databases(asking(request, DbList()))
    if listed.code is not None:
        return listed
    if command.name not in DbList().result(listed.payload):
        return refuse(request, ErrorCode.DATABASE, f"Database {command.name} does not exist")
    answer = yield from connected(request, command.name, send)
    if answer.code is not None:
        return answer
    read = yield from send(asking(request, Range(b"", b""), DbConnect(command.name).result(answer.payload)))
    if read.code is not None:
        return read
    return (yield from send(request)) if isinstance(command, DbUmount) else Response(None, id=request.id)


def parts(pairs: Sequence[Any], command: Range | Slice) -> list[Any]:
    """Keep of whole pairs what the command asks for."""
    rows = pairs[::-1] if isinstance(command, Range) and command.reverse else list(pairs)
    if command.include_key and command.include_value:
        return list(rows)
    if command.include_key or command.include_value:
        return [row[0 if command.include_key else 1] for row in rows]
    return [None] * len(rows)
