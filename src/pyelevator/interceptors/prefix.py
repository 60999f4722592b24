"""Key prefixes: a key space of its own for each tenant of a database."""

from collections.abc import Callable, Mapping
from typing import Any, Final

from attrs import evolve, field, frozen

from pyelevator import arguments
from pyelevator.commands import Batch, Delete, Exists, Get, MGet, Put, Range, Slice
from pyelevator.flows import Flow, Forward
from pyelevator.messages import Request, Response


@frozen
class Prefix:
    """An interceptor that adds a prefix to the keys of requests and removes it from the keys of responses.

    Ranges return only keys with the prefix. Commands about databases pass unchanged: use ``read_only`` or the
    server's permissions as well where tenants must not drop a database.

    Attributes:
        prefix: str or bytes.

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


def _with(request: Request[Any], **changes: Any) -> Request[Any]:
    return evolve(request, command=evolve(request.command, **changes))


def _key(prefix: bytes, request: Request[Any], forward: Forward) -> Flow[Response]:
    command: Any = request.command
    return (yield from forward(_with(request, key=prefix + command.key)))


def _keys(prefix: bytes, request: Request[Any], forward: Forward) -> Flow[Response]:
    command: Any = request.command
    return (yield from forward(_with(request, keys=[prefix + key for key in command.keys])))


def _ops(prefix: bytes, request: Request[Any], forward: Forward) -> Flow[Response]:
    command: Any = request.command
    ops = [(signal, prefix + key, *value) for signal, key, *value in command.ops]
    return (yield from forward(_with(request, ops=ops)))


def _range(prefix: bytes, request: Request[Any], forward: Forward) -> Flow[Response]:
    command: Any = request.command
    start, stop = (None if end is None else prefix + end for end in (command.start, command.stop))
    inner = prefix + (command.prefix or b"")
    response = yield from forward(_with(request, start=start, stop=stop, prefix=inner))
    return _strip(response, prefix, command.include_key, command.include_value)


def _slice(prefix: bytes, request: Request[Any], forward: Forward) -> Flow[Response]:
    """Request the keys in any case: the slice may leave the prefix at either end, and those rows are removed."""
    command: Any = request.command
    response = yield from forward(_with(request, include_key=True, **_start(prefix, command)))
    if response.code is not None:
        return response
    rows = response.payload
    inside = [row for row in rows if (row[0] if command.include_value else row).startswith(prefix)]
    response = evolve(response, payload=inside, more=response.more and len(inside) == len(rows))
    response = _strip(response, prefix, True, command.include_value)
    return response if command.include_key else evolve(response, payload=_without_keys(response.payload, command))


def _start(prefix: bytes, command: Slice) -> dict[str, Any]:
    """Return the arguments for the start of a slice; a reverse one begins before the first key after the prefix."""
    if command.reverse and command.start is None:
        return {"start": arguments.prefix_successor(prefix), "exclusive": True}
    return {"start": prefix + (command.start or b"")}


def _without_keys(rows: list[Any], command: Slice) -> list[Any]:
    return [row[1] for row in rows] if command.include_value else [None] * len(rows)


def _strip(response: Response, prefix: bytes, include_key: bool, include_value: bool) -> Response:
    if response.code is not None or not include_key:
        return response
    size = len(prefix)
    rows = response.payload
    stripped = [[key[size:], value] for key, value in rows] if include_value else [key[size:] for key in rows]
    return evolve(response, payload=stripped)


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
"""Command class -> the function that forwards it under a prefix."""
