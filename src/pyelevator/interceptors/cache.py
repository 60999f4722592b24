"""A cache of values that were read, invalidated by the writes that pass through it."""

from collections import OrderedDict

from pyelevator.commands import Access, Batch, ConditionalBatch, Delete, Get, GetAndDelete, Increment, Put
from pyelevator.flows import Flow, Forward
from pyelevator.forks import ProcessLock
from pyelevator.messages import Request, Response

_ENTRY_OVERHEAD = 200
"""Approximate bytes that an entry takes beside its key and value."""


class Cache:
    """An LRU cache that responds to GETs with values it has seen.

    A write that passes through removes the keys it changes; any other change empties the cache. Writes
    that do not pass through are not noticed: put the cache where all writers pass (a proxy, the server), or accept
    stale values.

    Args:
        max_bytes: of keys and values together, with Python's overhead.

    Attributes:
        hits: GETs answered from the cache.
        misses: GETs that were forwarded.

    >>> from pyelevator import Elevator
    >>> cache = Cache(max_bytes=1 << 20)
    >>> with Elevator(transport="fake", interceptors=[cache]) as E:
    ...     E.Put("k", "v")
    ...     E.Get("k"), E.Get("k"), cache.hits
    ('v', 'v', 1)
    """

    def __init__(self, max_bytes: int = 64 << 20) -> None:
        self.hits = 0
        self.misses = 0
        self._max_bytes = max_bytes
        self._bytes = 0
        self._values: OrderedDict[tuple[str | None, bytes], bytes] = OrderedDict()
        self._changes = 0
        self._lock = ProcessLock()

    def __call__(self, request: Request, forward: Forward) -> Flow[Response]:
        if isinstance(request.command, Get):
            return (yield from self._get(request, request.command.key, forward))
        if request.command.access <= Access.READ:
            return (yield from forward(request))
        self._invalidate(request)
        try:
            return (yield from forward(request))
        finally:
            self._invalidate(request)

    def _get(self, request: Request, key: bytes, forward: Forward) -> Flow[Response]:
        with self._lock():
            value = self._values.get((request.uid, key))
            changes = self._changes
            self.hits += value is not None
            self.misses += value is None
            if value is not None:
                self._values.move_to_end((request.uid, key))
                return Response(value, id=request.id)
        response = yield from forward(request)
        if response.code is None and isinstance(response.payload, bytes):
            self._add((request.uid, key), response.payload, changes)
        return response

    def _add(self, entry: tuple[str | None, bytes], value: bytes, changes: int) -> None:
        """Store a value, unless a write passed since it was requested."""
        with self._lock():
            if changes != self._changes:
                return
            self._remove(entry)
            self._values[entry] = value
            self._bytes += len(entry[1]) + len(value) + _ENTRY_OVERHEAD
            while self._bytes > self._max_bytes:
                self._remove(next(iter(self._values)))

    def _remove(self, entry: tuple[str | None, bytes]) -> None:
        value = self._values.pop(entry, None)
        if value is not None:
            self._bytes -= len(entry[1]) + len(value) + _ENTRY_OVERHEAD

    def _invalidate(self, request: Request) -> None:
        command = request.command
        with self._lock():
            self._changes += 1
            if isinstance(command, (Put, Delete, Increment, GetAndDelete)):
                self._remove((request.uid, command.key))
            elif isinstance(command, (Batch, ConditionalBatch)):
                for op in command.ops:
                    self._remove((request.uid, op[1]))
            else:
                self._values.clear()
                self._bytes = 0
