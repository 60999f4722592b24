"""Prefix: a key space inside a database, for several tenants of one."""

from collections.abc import Callable, Mapping
from typing import Any, Final

from attrs import evolve, field, frozen

from pyelevator import arguments
from pyelevator.commands import Batch, Delete, Exists, Get, MGet, Put, Range, Slice
from pyelevator.flows import Flow, Forward
from pyelevator.messages import Request, Response


@frozen
class Prefix:
    """Puts ``prefix`` in front of every key on its way out and takes it off on its way back.

    Ranges see nothing but keys under the prefix. Commands about databases pass unchanged: put ``read_only`` or the
    server's permissions beside it where tenants must not drop a database.

    >>> from pyelevator import Elevator
    >>> from pyelevator.transports import FakeTransport
    >>> server = FakeTransport()
    >>> with Elevator(transport=server, interceptors=[Prefix("ann:")]) as ann, Elevator(transport=server) as everybody:
    ...     ann.Put("k", "v")
    ...     ann.Range(), everybody.Range()
    ([['k', 'v']], [['ann:k', 'v']])
    """

    prefix: bytes = field(converter=arguments.prefix)

    def __call__(self, request: Request[Any], forward: Forward) -> Flow[Response]:
        change = _CHANGES.get(type(request.command))
        if change is None:
            return (yield from forward(request))
        return (yield from change(self.prefix, request, forward))


def _to(request: Request[Any], **changes: Any) -> Request[Any]:
    return evolve(request, command=evolve(request.command, **changes))


def _key(prefix: bytes, request: Request[Any], forward: Forward) -> Flow[Response]:
    command: Any = request.command
    return (yield from forward(_to(request, key=prefix + command.key)))


def _keys(prefix: bytes, request: Request[Any], forward: Forward) -> Flow[Response]:
    command: Any = request.command
    return (yield from forward(_to(request, keys=[prefix + key for key in command.keys])))


def _ops(prefix: bytes, request: Request[Any], forward: Forward) -> Flow[Response]:
    command: Any = request.command
    ops = [(signal, prefix + key, *value) for signal, key, *value in command.ops]
    return (yield from forward(_to(request, ops=ops)))


def _range(prefix: bytes, request: Request[Any], forward: Forward) -> Flow[Response]:
    command: Any = request.command
    start, stop = (None if end is None else prefix + end for end in (command.start, command.stop))
    inner = prefix + (command.prefix or b"")
    response = yield from forward(_to(request, start=start, stop=stop, prefix=inner))
    return _stripped(response, prefix, command.include_key, command.include_value)


def _slice(prefix: bytes, request: Request[Any], forward: Forward) -> Flow[Response]:
    """Its answer may run into the keys behind the prefix, or before it, so the keys are asked for in any case."""
    command: Any = request.command
    response = yield from forward(_to(request, include_key=True, **_first(prefix, command)))
    if response.code is not None:
        return response
    rows = response.payload
    within = [row for row in rows if (row[0] if command.include_value else row).startswith(prefix)]
    response = evolve(response, payload=within, more=response.more and len(within) == len(rows))
    response = _stripped(response, prefix, True, command.include_value)
    return response if command.include_key else evolve(response, payload=_without_keys(response.payload, command))


def _first(prefix: bytes, command: Slice) -> dict[str, Any]:
    """Where a slice starts; one from the end down starts before what lies behind the prefix."""
    if command.reverse and command.start is None:
        return {"start": arguments.prefix_successor(prefix), "exclusive": True}
    return {"start": prefix + (command.start or b"")}


def _without_keys(rows: list[Any], command: Slice) -> list[Any]:
    return [row[1] for row in rows] if command.include_value else [None] * len(rows)


def _stripped(response: Response, prefix: bytes, include_key: bool, include_value: bool) -> Response:
    if response.code is not None or not include_key:
        return response
    size = len(prefix)
    rows = response.payload
    strip = [[key[size:], value] for key, value in rows] if include_value else [key[size:] for key in rows]
    return evolve(response, payload=strip)


_CHANGES: Final[Mapping[type, Callable[[bytes, Request[Any], Forward], Flow[Response]]]] = {
    Get: _key,
    Put: _key,
    Delete: _key,
    Exists: _key,
    MGet: _keys,
    Batch: _ops,
    Range: _range,
    Slice: _slice,
}
"""Command class -> how it is put under a prefix."""
