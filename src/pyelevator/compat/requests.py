"""Common parts of the adapters: the names and options that old servers take, requests made of others, parts of rows."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final, TypeAlias

from attrs import evolve

from pyelevator.codec.base import UnsupportedByDialect
from pyelevator.commands import Command, DbConnect, DbList, DbMount, DbUmount, Exists, Get, MGet, Range, Slice
from pyelevator.errors import ErrorCode, KeyNotFound
from pyelevator.flows import Flow, Forward
from pyelevator.messages import Request, Response, Status

Adapter: TypeAlias = Callable[[Any, Request, Forward], Flow[Response]]
"""A function that puts one command to an old server."""


def with_command(request: Request, command: Command, uid: str | None = None) -> Request:
    """Make the request for another command, for the same database or the one of ``uid``."""
    return evolve(request, command=command, uid=request.uid if uid is None else uid, compression=False)


def unknown_database(request: Request) -> Response:
    """Answer as a server does that does not know the uid."""
    return Response.failure(ErrorCode.RUNTIME, f"Database {request.uid or '(no uid)'} doesn't exist", request.id)


_OWN_FILES: Final = frozenset({"store.json", "store"})
"""What lies beside the databases of an old server."""

_MAX_NAME_BYTES: Final = 255
"""Bytes of one part of a path."""

_REFUSALS: Final[Sequence[tuple[Callable[[str], bool], str]]] = (
    (lambda name: not name, "A database needs a name"),
    (lambda name: not name.isascii(), "An old server takes ASCII names of databases only"),
    (lambda name: "\0" in name, "A database name cannot hold NUL"),
    (lambda name: name != "/".join(_path_parts(name)), "A path has one spelling: no // and no / at the end"),
    (lambda name: ".." in _path_parts(name), "A database path cannot hold '..'"),
    (lambda name: max(map(len, name.split("/"))) > _MAX_NAME_BYTES, f"A file name has {_MAX_NAME_BYTES} bytes at most"),
    (lambda name: name in _OWN_FILES, "The name is the server's own; choose another one"),
)

_KNOWN: Final = frozenset(
    {
        *("bloom_filter_bits", "paranoid_checks", "lru_cache_size"),
        *("write_buffer_size", "block_size", "max_open_files"),
    }
)
"""Options that 0.5 acts on, and that cannot end a worker."""


def _path_parts(name: str) -> list[str]:
    root, *rest = name.split("/")
    return [root, *(part for part in rest if part)]


def refused_name(name: str) -> str | None:
    """Say why an old server is not asked about a database of this name; None if it is."""
    return next((text for refused, text in _REFUSALS if refused(name)), None)


def refuse_options(options: Mapping[str, Any]) -> tuple[ErrorCode, str] | None:
    """Say why an old server is not asked to create a database with these options; None if it is."""
    from pyelevator.engines.base import EngineError  # few clients create databases
    from pyelevator.engines.options import check_options

    unknown = sorted(options.keys() - _KNOWN)
    if unknown:
        return ErrorCode.VALUE, f"this server does not know the option {unknown[0]!r}; nothing was sent"
    try:
        check_options(options)
    except EngineError as error:
        return ErrorCode.VALUE, str(error)
    return None


def refused_by_name(command: Any, request: Request) -> Response | None:
    """Answer a command about a database of a name that an old server is not asked about; None for any other."""
    refusal = refused_name(command.name)
    return None if refusal is None else Response.failure(ErrorCode.DATABASE, refusal, request.id)


def pass_on(command: Any, request: Request, send: Forward) -> Flow[Response]:  # noqa: ARG001
    """Send the request as it is."""
    return send(request)


def check_forwards(command: Slice) -> None:
    """Refuse to count downwards."""
    if command.reverse:
        raise UnsupportedByDialect(
            "this server does not count downwards; Range(..., reverse=True) up to a key is understood; nothing was sent"
        )


def exists(command: Exists | Get, request: Request, send: Forward) -> Flow[Response]:
    """Ask for the range from the key to the key."""
    key = command.key
    response = yield from send(with_command(request, Range(key, key)))
    return response if response.code is not None else Response(bool(response.payload), id=request.id)


def mget(command: MGet, request: Request, send: Forward) -> Flow[Response]:
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

    def forward_adapted(request: Request) -> Flow[Response]:
        adapter = _TELLING.get(type(request.command))
        return (yield from send(request) if adapter is None else adapter(request.command, request, send))

    return forward_adapted


def _get(command: Get, request: Request, send: Forward) -> Flow[Response]:
    response = yield from send(request)
    if response.code is not None or response.payload:
        return response
    there = yield from send(with_command(request, Exists(command.key)))
    if there.code is None and not there.payload:
        name = command.key.decode("utf-8", "backslashreplace")
        return Response.from_error(KeyNotFound(f"Key '{name}' does not exist"), request.id)
    return response if there.code is None else there


def _mget(command: MGet, request: Request, send: Forward) -> Flow[Response]:
    response = yield from send(request)
    if response.code is not None:
        return response
    values = dict(zip(command.keys, response.payload, strict=True))
    for key in [key for key, value in values.items() if not value]:
        there = yield from send(with_command(request, Exists(key)))
        if there.code is not None:
            return there
        values[key] = b"" if there.payload else None
    payload = [values[key] for key in command.keys]
    return evolve(response, payload=payload, status=Status.WARNING if None in payload else Status.SUCCESS)


_TELLING: Final[Mapping[type, Adapter]] = {Get: _get, MGet: _mget}


def mount(command: DbMount | DbUmount, request: Request, send: Forward, list_databases: Forward) -> Flow[Response]:
    """Mount a database in whatever state: reading does it, where mounting a mounted one ends a worker or the server.

    One that is to be unmounted is so when it has just been seen to be mounted.
    """
    listed = yield from list_databases(with_command(request, DbList()))
    if listed.code is not None:
        return listed
    if command.name not in DbList().result(listed.payload):
        return Response.failure(ErrorCode.DATABASE, f"Database {command.name} does not exist", request.id)
    answer = yield from send(with_command(request, DbConnect(command.name)))
    if answer.code is not None:
        return answer
    read = yield from send(with_command(request, Range(b"", b""), DbConnect(command.name).result(answer.payload)))
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
