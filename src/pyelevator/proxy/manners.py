"""What old servers must not be asked, and what they cannot be asked: answered here, or asked in other words.

The 0.5 server loses a worker for ever by some requests that are well formed, and values by others; the 0.7 server has
no words for half of the commands, and writes a missing value like an empty one (PROTOCOL). Clients of the proxy need
not know.
"""

from collections.abc import Callable, Mapping
from typing import Any, Final

from attrs import evolve

from pyelevator.commands import (
    Command,
    DbConnect,
    DbCreate,
    DbDrop,
    DbForget,
    DbList,
    DbMount,
    DbRepair,
    DbUmount,
    Exists,
    Get,
    MGet,
    Ping,
    Range,
    Slice,
)
from pyelevator.errors import ErrorCode, KeyNotFound
from pyelevator.flows import Flow, Forward
from pyelevator.messages import Request, Response, Status

_NEED_NO_UID: Final = (DbConnect, DbMount, DbUmount, Ping)
_REFUSALS: Final[Mapping[type[Command[Any]], str]] = {
    DbRepair: "the server behind the proxy dies of DBREPAIR",
    DbForget: "the server behind the proxy takes a database off its list only with its files, by DBDROP",
}
"""Command class -> why an old server is not asked it."""
_PAGE: Final = 256
"""Pairs that are asked for at a time where the dialect cannot say where to end."""


def classic(send: Forward, is_old: Callable[[], bool | None]) -> Forward:
    """The way to a classic server.

    Args:
        send: sends a request to it.
        is_old: whether it is one that echoes no ids; None while nothing has been heard of it.
    """

    def mannered(request: Request[Any]) -> Flow[Response]:
        if is_old() is False:
            return (yield from send(request))
        if isinstance(request.command, MGet):
            return (yield from _mget(request, send))
        if not _kills(request):
            return (yield from send(request))
        if is_old() is None:
            yield from send(Request(Ping()))  # the answer tells which it is
        if is_old() is False:
            return (yield from send(request))
        return (yield from _through_default(request, send)) if _is_about_all(request) else _refused(request)

    return mannered


def _is_about_all(request: Request[Any]) -> bool:
    """Whether the uid does not matter, though the server needs one."""
    return request.uid is None and isinstance(request.command, (DbCreate, DbDrop, DbList))


def _through_default(request: Request[Any], send: Forward) -> Flow[Response]:
    connected = yield from send(Request(DbConnect("default")))
    if connected.code is not None:
        return connected
    return (yield from send(evolve(request, uid=DbConnect("default").result(connected.payload))))


def _kills(request: Request[Any]) -> bool:
    """Whether a worker of the old server dies of it."""
    nowhere = request.uid is None and not isinstance(request.command, _NEED_NO_UID)
    return nowhere or type(request.command) in _REFUSALS


def _refused(request: Request[Any]) -> Response:
    text = _REFUSALS.get(type(request.command), f"Database {request.uid} doesn't exist")
    return Response.failure(ErrorCode.RUNTIME, text, request.id)


def flat(send: Forward) -> Forward:
    """The way to a flat server; ``send`` sends a request to it."""

    def mannered(request: Request[Any]) -> Flow[Response]:
        speak = _FLAT.get(type(request.command))
        return (yield from send(request) if speak is None else speak(request, send))

    return mannered


def _asking(request: Request[Any], command: Command[Any]) -> Request[Any]:
    return evolve(request, command=command, compression=False)


def _mget(request: Request[Any], send: Forward) -> Flow[Response]:
    """Each key once and in order, since old servers lose the values of others; none is no question."""
    command: Any = request.command
    if not command.keys:
        return Response([], id=request.id)
    keys = sorted(set(command.keys))
    response = yield from send(evolve(request, command=evolve(command, keys=keys)))
    if response.code is not None or not isinstance(response.payload, list) or len(response.payload) != len(keys):
        return response
    found = dict(zip(keys, response.payload, strict=True))
    return evolve(response, payload=[found[key] for key in command.keys])


def _mget_flat(request: Request[Any], send: Forward) -> Flow[Response]:
    keys: Any = request.command.keys  # type: ignore[attr-defined]
    response = yield from _mget(request, send)
    if response.code is not None:
        return response
    values = dict(zip(keys, response.payload, strict=True))
    for key in [key for key, value in values.items() if not value]:
        there = yield from _exists(_asking(request, Exists(key)), send)
        values[key] = b"" if there.payload else None
    payload = [values[key] for key in keys]
    return evolve(response, payload=payload, status=Status.WARNING if None in payload else Status.SUCCESS)


def _exists(request: Request[Any], send: Forward) -> Flow[Response]:
    key: bytes = request.command.key  # type: ignore[attr-defined]
    response = yield from send(_asking(request, Range(key, key)))
    return response if response.code is not None else Response(bool(response.payload), id=request.id)


def _get(request: Request[Any], send: Forward) -> Flow[Response]:
    """The value; where an empty one may be a missing one, one more question tells."""
    response = yield from send(request)
    if response.code is not None or response.payload:
        return response
    there = yield from _exists(request, send)
    if there.code is None and not there.payload:
        key: bytes = request.command.key  # type: ignore[attr-defined]
        name = key.decode("utf-8", "backslashreplace")
        return Response.of_error(KeyNotFound(f"Key '{name}' does not exist"), request.id)
    return response if there.code is None else there


def _ping(request: Request[Any], send: Forward) -> Flow[Response]:
    response = yield from send(Request(DbList()))
    return response if response.code is not None else Response(b"PONG", id=request.id)


def _range(request: Request[Any], send: Forward) -> Flow[Response]:
    """Whole pairs, page by page from where the last one ended, of which only what was asked for is kept."""
    command: Any = request.command
    prefix = command.prefix or b""
    start = max(command.start or b"", prefix)
    rows: list[Any] = []
    while True:
        response = yield from send(_asking(request, Slice(start, _PAGE)))
        if response.code is not None:
            return response
        kept = [pair for pair in response.payload if _within(pair[0], command.stop, prefix)]
        rows += kept
        if len(kept) < _PAGE:
            return evolve(response, payload=_parts(rows, command))
        start = kept[-1][0] + b"\0"


def _within(key: bytes, stop: bytes | None, prefix: bytes) -> bool:
    return key.startswith(prefix) and (stop is None or key <= stop)


def _slice(request: Request[Any], send: Forward) -> Flow[Response]:
    command: Any = request.command
    response = yield from send(_asking(request, Slice(command.start, command.count)))
    return response if response.code is not None else evolve(response, payload=_parts(response.payload, command))


def _parts(rows: list[Any], command: Range | Slice) -> list[Any]:
    """Of whole pairs, what was asked for."""
    if command.include_key and command.include_value:
        return rows
    if command.include_key or command.include_value:
        return [row[0 if command.include_key else 1] for row in rows]
    return [None] * len(rows)


_FLAT: Final[Mapping[type, Callable[[Request[Any], Forward], Flow[Response]]]] = {
    Get: _get,
    MGet: _mget_flat,
    Exists: _exists,
    Ping: _ping,
    Range: _range,
    Slice: _slice,
}
"""Command class -> how a flat server is asked."""
