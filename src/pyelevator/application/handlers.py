"""What each command does: one function per verb, and the table that lists them all."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from itertools import islice
from typing import Any, Final, TypeAlias

from attrs import frozen

from pyelevator.application.catalog import Catalog
from pyelevator.commands import (
    DELETE,
    PUT,
    Batch,
    Command,
    DbConnect,
    DbCreate,
    DbDrop,
    DbList,
    DbMount,
    DbRepair,
    DbUmount,
    Delete,
    Exists,
    Get,
    MGet,
    Op,
    Ping,
    Put,
    Range,
    Slice,
)
from pyelevator.engines.base import Bounds
from pyelevator.errors import KeyNotFound
from pyelevator.messages import Request, Response, Status

FEATURES: Final = ("pyelevator/1", "id", "pages")
"""What this server can do beyond the old protocol; told in the answer to DBCONNECT."""

LARGE: Final = 1_000_000
"""The cost of what may take any time."""

SLOW: Final = 256
"""From this cost on a request is too slow for a server's own loop (about a millisecond)."""

_BYTES_PER_UNIT: Final = 1024
_SHOWN: Final = 60

Call: TypeAlias = Callable[[Catalog, Request[Any]], Response]


@frozen
class Handler:
    """How a command is executed.

    Attributes:
        call: executes it; raises what the client shall be told.
        cost: an estimate of the work, in lookups of one key (some microseconds each).
    """

    call: Call
    cost: Callable[[Any], int]


def _get(catalog: Catalog, request: Request[Any]) -> Response:
    command: Any = request.command
    with catalog.use(request.uid) as engine:
        value = engine.get(command.key)
    if value is None:
        raise KeyNotFound(f"Key '{_readable(command.key)}' does not exist")
    return Response(value, id=request.id)


def _readable(key: bytes) -> str:
    return key[:_SHOWN].decode("utf-8", "replace") + ("..." if len(key) > _SHOWN else "")


def _exists(catalog: Catalog, request: Request[Any]) -> Response:
    command: Any = request.command
    with catalog.use(request.uid) as engine:
        return Response(engine.get(command.key) is not None, id=request.id)


def _writer(ops: Callable[[Any], Sequence[Op]]) -> Call:
    """A handler that writes the operations of the command."""

    def call(catalog: Catalog, request: Request[Any]) -> Response:
        with catalog.use(request.uid) as engine:
            engine.write(ops(request.command))
        return Response(id=request.id)

    return call


def _mget(catalog: Catalog, request: Request[Any]) -> Response:
    command: Any = request.command
    with catalog.use(request.uid) as engine:
        values = engine.multi_get(command.keys, fill_cache=command.fill_cache)
    return Response(values, Status.WARNING if None in values else Status.SUCCESS, id=request.id)


def _range(catalog: Catalog, request: Request[Any]) -> Response:
    command: Any = request.command
    bounds = Bounds(command.start, command.stop, command.prefix, command.include_key, command.include_value)
    with catalog.use(request.uid) as engine:
        return Response(_listed(engine.scan(bounds)), id=request.id)


def _slice(catalog: Catalog, request: Request[Any]) -> Response:
    command: Any = request.command
    bounds = Bounds(command.start, None, None, command.include_key, command.include_value)
    with catalog.use(request.uid) as engine:
        items = islice(engine.scan(bounds), max(command.count, 0))
        if command.max_bytes is None:
            return Response(_listed(items), id=request.id)
        page, more = _page(items, command.max_bytes)
    return Response(_listed(page), id=request.id, more=more)


def _page(items: Iterator[Any], max_bytes: int) -> tuple[list[Any], bool]:
    """The first items, of about so many bytes but at least one, and whether there is another one behind them."""
    page: list[Any] = []
    size = 0
    for item in items:
        if page and size >= max_bytes:
            return page, True
        page.append(item)
        size += sum(map(len, item)) if isinstance(item, tuple) else len(item or b"")
    return page, False


def _listed(items: Iterable[Any]) -> list[Any]:
    """The items of a scan as they are answered: pairs are lists."""
    listed = list(items)
    return list(map(list, listed)) if listed and isinstance(listed[0], tuple) else listed


def _ping(_: Catalog, request: Request[Any]) -> Response:
    return Response(b"PONG", id=request.id)


def _connect(catalog: Catalog, request: Request[Any]) -> Response:
    command: Any = request.command
    return Response(_encoded(catalog.uid_of(command.name)), id=request.id, features=FEATURES)


def _list(catalog: Catalog, request: Request[Any]) -> Response:
    return Response(list(map(_encoded, catalog.names())), id=request.id)


def _encoded(name: str) -> bytes:
    return name.encode("utf-8", "surrogateescape")


def _silent(call: Callable[[Catalog, Request[Any], Any], None]) -> Call:
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
    return count + sum(len(part) for op in batch.ops for part in op[1:]) // _BYTES_PER_UNIT


def _always(cost: int) -> Callable[[Any], int]:
    return lambda _: cost


HANDLERS: Final[Mapping[type[Command[Any]], Handler]] = {
    Get: Handler(_get, _always(1)),
    Put: Handler(
        _writer(lambda c: ((PUT, c.key, c.value),)), lambda c: 1 + (len(c.key) + len(c.value)) // _BYTES_PER_UNIT
    ),
    Delete: Handler(_writer(lambda c: ((DELETE, c.key),)), _always(1)),
    Exists: Handler(_exists, _always(1)),
    MGet: Handler(_mget, lambda c: len(c.keys)),
    Range: Handler(_range, _always(LARGE)),
    Slice: Handler(_slice, lambda c: max(c.count, 1)),
    Batch: Handler(_writer(lambda c: c.ops), _of_batch),
    Ping: Handler(_ping, _always(0)),
    DbConnect: Handler(_connect, _always(1)),
    DbMount: Handler(_silent(lambda catalog, _, c: catalog.mount(c.name)), _always(LARGE)),
    DbUmount: Handler(_silent(lambda catalog, _, c: catalog.unmount(c.name)), _always(LARGE)),
    DbCreate: Handler(_silent(lambda catalog, _, c: catalog.create(c.name, c.options)), _always(LARGE)),
    DbDrop: Handler(_silent(lambda catalog, _, c: catalog.drop(c.name)), _always(LARGE)),
    DbList: Handler(_list, _always(1)),
    DbRepair: Handler(_silent(lambda catalog, request, _: catalog.repair(request.uid)), _always(LARGE)),
}
"""Command class -> handler; what is not here is not handled."""
