"""AsyncElevatorMapping: a database as a mapping, as far as Python has protocols for what is awaited."""

from collections.abc import AsyncIterator, Coroutine
from typing import Any

from pyelevator.arguments.data import Data
from pyelevator.client.aio.client import copy_docstrings
from pyelevator.client.declaration import AsyncMethods
from pyelevator.client.decoding import T
from pyelevator.client.mapping import MappingMethods
from pyelevator.client.options import UNSET
from pyelevator.client.sync.mapping import ElevatorMapping
from pyelevator.codec.base import UnsupportedByDialect


@copy_docstrings(ElevatorMapping)
class AsyncElevatorMapping(AsyncMethods, MappingMethods[T]):
    """A database as a mapping for an event loop: :class:`~pyelevator.client.sync.mapping.ElevatorMapping`, awaited.

    Where Python has no protocol for what is awaited there is a method: ``await m.set(key, value)`` for ``m[key] =
    value``, ``await m.delete(key)`` for ``del m[key]``, ``await m.contains(key)`` for ``key in m``, ``await m.count()``
    for ``len(m)``.

    >>> import asyncio
    >>> from pyelevator import AsyncElevator
    >>> async def main():
    ...     async with AsyncElevator(transport="fake") as E:
    ...         m = E.mapping()
    ...         await m.set("a", "1")
    ...         await m.update(b="2")
    ...         return await m["a"], await m.pop("b"), await m.count(), [key async for key in m]
    >>> asyncio.run(main())
    ('1', '2', 1, ['a'])
    """

    def __getitem__(self, key: Data) -> Coroutine[Any, Any, T]:
        found: Coroutine[Any, Any, T] = self._client.Get(key)
        return found

    def __aiter__(self) -> AsyncIterator[T]:
        return self.keys()

    async def get(self, key: Data, default: Any = None) -> Any:
        return await self._client.Get(key, default)

    async def set(self, key: Data, value: Data) -> None:
        """Set a value.

        Args:
            key: that gets it; it may be missing so far.
            value: to set.
        """
        await self._client.Put(key, value)

    async def delete(self, key: Data) -> None:
        """Remove ``key``.

        Raises:
            KeyNotFound: it is missing.
        """
        await self._delete(key)

    async def contains(self, key: object) -> bool:
        """Return whether ``key`` is there; what cannot be a key is not."""
        return isinstance(key, Data) and bool(await self._client.Exists(key))

    async def count(self) -> int:
        """Return the number of keys; the server counts them."""
        try:
            return int(await self._client.Count())
        except UnsupportedByDialect:  # an old server
            return len([key async for key in self])

    async def pop(self, key: Data, default: Any = UNSET) -> Any:
        return await self._pop(key, default)

    def keys(self) -> AsyncIterator[T]:
        """Return an iterator over the keys, page by page."""
        rows: AsyncIterator[T] = self._client.RangeIter(include_value=False)
        return rows

    def values(self) -> AsyncIterator[T]:
        """Return an iterator over the values, page by page."""
        rows: AsyncIterator[T] = self._client.RangeIter(include_key=False)
        return rows

    async def items(self) -> AsyncIterator[tuple[T, T]]:
        """Return an iterator over the pairs, page by page."""
        async for key, value in self._client.RangeIter():
            yield key, value
