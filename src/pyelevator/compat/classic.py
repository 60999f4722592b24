"""The old Python servers: PyPI's 0.5 (no EXISTS, four arguments of RANGE) and the repository's last state.

Both get what 0.5 takes, so it need not be found out which of them it is.
"""

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any, Final

from attrs import evolve

from pyelevator import commands
from pyelevator.arguments.data import prefix_successor
from pyelevator.codec.base import UnsupportedByDialect
from pyelevator.commands import Batch, Command, DbConnect, DbCreate, DbList, Delete, Get, Ping, Put, Range, Slice
from pyelevator.compat.requests import (
    Adapter,
    check_forwards,
    exists,
    mget,
    mount,
    parts,
    pass_on,
    refuse_options,
    refused_by_name,
    refused_name,
    unknown_database,
    with_command,
)
from pyelevator.errors import ErrorCode
from pyelevator.flows import Flow, Forward
from pyelevator.messages import Request, Response

_DEFAULT: Final = "default"
"""The database that every server has."""


def classic(send: Forward, is_old: Callable[[], bool | None]) -> Forward:
    """Make the adapter for a server of the classic dialect.

    While ``is_old`` does not know it (None), the server is asked for a PING first, which every server answers, unless
    what is to be sent is as harmless.
    """

    def forward_adapted(request: Request) -> Flow[Response]:
        if is_old() is None and not _is_harmless(request):
            yield from send(Request(Ping(), context=request.context))
        if is_old() is False:
            return (yield from send(request))
        command: Any = request.command
        if type(command) in _UNSUPPORTED:
            raise UnsupportedByDialect(f"{_UNSUPPORTED[type(command)]}; nothing was sent")
        if type(command) not in _ADAPTERS:
            return Response.failure(ErrorCode.KEY, f"Command {command.verb} not handled", request.id)
        refusal = _refusal(command, request)
        if refusal is not None:
            return refusal
        if not command.needs_uid:  # of one that does not belong there a worker may end
            request = evolve(request, uid=None)
        return (yield from _ADAPTERS[type(command)](command, request, send))

    return forward_adapted


def _is_harmless(request: Request) -> bool:
    """Tell whether every server takes the request as it is."""
    command = request.command
    if isinstance(command, DbConnect):
        return request.uid is None and refused_name(command.name) is None
    return isinstance(command, Ping) or (bool(request.uid) and isinstance(command, (Get, Put, Delete, Batch)))


def _refusal(command: Any, request: Request) -> Response | None:
    """Answer what names no database that may be asked about, or lacks a uid, of which a worker ends."""
    if command.names_database:
        return refused_by_name(command, request)
    return unknown_database(request) if command.needs_uid and not request.uid and type(command) is not DbList else None


# Databases


def _in_default(command: Any, request: Request, send: Forward) -> Flow[Response]:  # noqa: ARG001
    """Send what is about all databases; an old server needs a uid with it, and it does not matter whose."""
    if request.uid is not None:
        return (yield from send(request))
    answer = yield from send(with_command(request, DbConnect(_DEFAULT)))
    if answer.code is not None:
        return answer
    return (yield from send(evolve(request, uid=DbConnect(_DEFAULT).result(answer.payload))))


def _create(command: DbCreate, request: Request, send: Forward) -> Flow[Response]:
    refusal = refuse_options(command.options)
    return Response.failure(*refusal, request.id) if refusal else (yield from _in_default(command, request, send))


def _mount(command: Any, request: Request, send: Forward) -> Flow[Response]:
    return mount(command, request, send, partial(_in_default, DbList(), send=send))


# Keys and values


def _get(command: Get, request: Request, send: Forward) -> Flow[Response]:
    """Get the value; the old GET takes a stored empty one for a missing one, and RANGE does not."""
    response = yield from send(request)
    if response.code is not ErrorCode.KEY or response.id is not None:  # which has an id only from a server of ours
        return response
    there = yield from exists(command, request, send)
    return Response(b"", id=request.id) if there.code is None and there.payload else response


def _slice(command: Slice, request: Request, send: Forward) -> Flow[Response]:
    check_forwards(command)
    return send(request)


def _range(command: Range, request: Request, send: Forward) -> Flow[Response]:
    """Say a prefix as start and stop; the one key behind it, which is inclusive, is cut off here."""
    start, stop, extra = _bounds(command)
    if start is not None and stop is not None and start > stop:
        return Response([], id=request.id)
    keys = command.include_key or extra is not None
    asked = Range(start, stop, include_key=keys, include_value=command.include_value)
    response = yield from send(evolve(request, command=asked))
    if response.code is not None:
        return response
    rows: Sequence[Any] = response.payload
    if extra is not None:
        rows = _without(extra, rows, asked)
    if keys and command.include_value:
        return evolve(response, payload=parts(rows, command))
    rows = list(rows[::-1] if command.reverse else rows)
    return evolve(response, payload=rows if command.include_key or command.include_value else [None] * len(rows))


def _bounds(command: Range) -> tuple[bytes | None, bytes | None, bytes | None]:
    """Return the first key, the last key, and the key that is in between these and not asked for, if any."""
    prefix = command.prefix or b""
    start = command.start if not prefix or (command.start or b"") > prefix else prefix
    end = prefix_successor(prefix)
    if end is None or (command.stop is not None and command.stop < end):
        return start, command.stop, None
    return start, end, end


def _without(key: bytes, rows: Sequence[Any], asked: Range) -> Sequence[Any]:
    if not rows:
        return rows
    last = rows[-1][0] if asked.include_value else rows[-1]
    return rows[:-1] if last == key else rows


_ADAPTERS: Final[Mapping[type[Command], Adapter]] = {
    **dict.fromkeys((Ping, DbConnect, Put, Delete, Batch), pass_on),
    DbCreate: _create,
    commands.DbDrop: _in_default,
    DbList: _in_default,
    commands.DbMount: _mount,
    commands.DbUmount: _mount,
    Get: _get,
    commands.Exists: exists,
    commands.MGet: mget,
    Slice: _slice,
    Range: _range,
}
"""Command -> how it is put to an old server; any other verb is not handled there."""

_UNSUPPORTED: Final[Mapping[type[Command], str]] = {
    commands.DbRepair: "this server loses a worker by DBREPAIR; open its files with a new server to repair them",
    commands.DbForget: "this server takes a database off its list only with its files",
}
"""Command -> why a caller is told that it cannot be had."""
