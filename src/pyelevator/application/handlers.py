"""What each command does: one function per verb, and the table that lists them all."""

from collections.abc import Callable, Mapping, Sequence
from itertools import chain
from typing import Any, Final, TypeAlias

from pyelevator.application import scans
from pyelevator.application.catalog import Catalog
from pyelevator.application.context import Context
from pyelevator.application.fairness import CheckpointedRows
from pyelevator.application.kinds import LARGE, SLOW, Handler, Managing, Reading, Writing
from pyelevator.application.limits import ByteCounter, check_values_size, size_of_values
from pyelevator.application.pipelines import pipelining
from pyelevator.commands import (
    DELETE,
    PUT,
    Batch,
    Command,
    DbConnect,
    DbCreate,
    DbDrop,
    DbForget,
    DbList,
    DbMount,
    DbRepair,
    DbUmount,
    Delete,
    Exists,
    Get,
    MGet,
    Ping,
    Pipeline,
    Put,
    Range,
    Slice,
)
from pyelevator.engines.base import Engine, is_complete
from pyelevator.errors import KeyNotFound, WrongValue
from pyelevator.messages import Request, Response, Status

FEATURES: Final = (
    "pyelevator/1",
    "id",
    "pages",
    "sync",
    "reverse",
    "cursors",
    "ranges",
    "forget",
    "repair",
    "bin",
    Pipeline.feature,
)
"""What this server can do beyond the old protocol; told in the answer to DBCONNECT."""

_BYTES_PER_UNIT: Final = 1024
_SHOWN: Final = 60


def _get(engine: Engine, request: Request[Any], _: Context) -> Response:
    command: Any = request.command
    value = engine.get(command.key)
    if value is None:
        value = _found(command, value)  # only here: every GET passes, and most find what they look for
    return Response.ok(value, request.id)


def _found(command: Any, value: bytes | None) -> bytes:
    if value is None:
        raise KeyNotFound(f"Key '{_readable(command.key)}' does not exist")
    return value


def _readable(key: bytes) -> str:
    return key[:_SHOWN].decode("utf-8", "replace") + ("..." if len(key) > _SHOWN else "")


def _exists(engine: Engine, request: Request[Any], _: Context) -> Response:
    command: Any = request.command
    return Response.ok(_is_there(command, engine.get(command.key)), request.id)


def _is_there(_: Any, value: bytes | None) -> bool:
    return value is not None


def _mget(engine: Engine, request: Request[Any], context: Context) -> Response:
    command: Any = request.command
    count, most = len(command.keys), context.policy.max_range
    if count > most:
        raise WrongValue(f"an MGET of {count:,} keys is over the limit of {most:,}; split it")
    values = _values(engine, command, context)
    return Response(values, Status.SUCCESS if is_complete(values) else Status.WARNING, id=request.id)


def _values(engine: Engine, command: MGet, context: Context) -> list[bytes | None]:
    seen = ByteCounter(context)
    values = CheckpointedRows(context.cooperation)
    values.extend(engine.collect(command.keys, seen, fill_cache=command.fill_cache))
    if seen.count < len(values):  # some were asked for twice, or not read
        check_values_size(size_of_values(values), context)
    return values


def _ping(_: Catalog, request: Request[Any]) -> Response:
    return Response(b"PONG", id=request.id)


def _connect(catalog: Catalog, request: Request[Any]) -> Response:
    command: Any = request.command
    return Response(_encoded(catalog.uid_of(command.name)), id=request.id, features=FEATURES)


def _list(catalog: Catalog, request: Request[Any]) -> Response:
    return Response(list(map(_encoded, catalog.names())), id=request.id)


def _repair(catalog: Catalog, request: Request[Any]) -> Response:
    command: Any = request.command
    report = catalog.repair(request.uid, force=command.force)
    return Response(report.encode() if command.report else None, id=request.id)


def _encoded(name: str) -> bytes:
    return name.encode("utf-8", "surrogateescape")


def _silent(call: Callable[[Catalog, Request[Any], Any], object]) -> Callable[[Catalog, Request[Any]], Response]:
    """A handler without a result, from a call with the request and its command."""

    def silent(catalog: Catalog, request: Request[Any]) -> Response:
        call(catalog, request, request.command)
        return Response(id=request.id)

    return silent


def _of_batch(batch: Batch) -> int:
    """Its operations and its bytes; these are not counted where the operations alone make it slow."""
    count = len(batch.ops)
    if count >= SLOW:
        return count
    return count + sum(map(len, chain.from_iterable(op[1:] for op in batch.ops))) // _BYTES_PER_UNIT


def _always(cost: int) -> Callable[[Any], int]:
    return lambda _: cost


_Ops: TypeAlias = Sequence[Any]


def _put(command: Put) -> _Ops:
    return ((PUT, command.key, command.value),)


def _delete(command: Delete) -> _Ops:
    return ((DELETE, command.key),)


_PIPELINED: Final[Mapping[type[Command[Any]], Handler]] = {
    Get: Reading(_get, told=_found),
    Exists: Reading(_exists, told=_is_there),
    MGet: Reading(_mget, lambda c: len(c.keys)),
    Range: Reading(scans.range_, _always(LARGE)),
    Slice: Reading(scans.slice_, lambda c: c.count),
    Put: Writing(_put, lambda c: (len(c.key) + len(c.value)) // _BYTES_PER_UNIT),
    Delete: Writing(_delete),
    Batch: Writing(lambda c: c.ops, _of_batch),
}
"""What may stand in a pipeline."""

HANDLERS: Final[Mapping[type[Command[Any]], Handler]] = {
    **_PIPELINED,
    Pipeline: pipelining(_PIPELINED),
    Ping: Managing(_ping),
    DbConnect: Managing(_connect),
    DbList: Managing(_list),
    DbMount: Managing(_silent(lambda catalog, _, c: catalog.mount(c.name)), _always(LARGE)),
    DbUmount: Managing(_silent(lambda catalog, _, c: catalog.unmount(c.name)), _always(LARGE)),
    DbCreate: Managing(
        _silent(lambda catalog, _, c: catalog.create(c.name, c.options, tolerant=c.tolerant)), _always(LARGE)
    ),
    DbDrop: Managing(_silent(lambda catalog, _, c: catalog.drop(c.name, force=c.force)), _always(LARGE)),
    DbForget: Managing(_silent(lambda catalog, _, c: catalog.forget(c.name)), _always(LARGE)),
    DbRepair: Managing(_repair, _always(LARGE)),
}
"""Command class -> handler; what is not here is not handled."""
