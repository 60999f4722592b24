"""AsyncElevatorMapping: a database as a mapping, as far as Python has protocols for what is awaited."""

from collections.abc import AsyncIterator, Coroutine, Iterable, Mapping
from typing import Any, Generic

from pyelevator.arguments.batches import PRESENT
from pyelevator.arguments.data import Data
from pyelevator.client.aio.client import AsyncClient, copy_docstrings
from pyelevator.client.decoding import T
from pyelevator.client.options import UNSET
from pyelevator.client.sync.mapping import ElevatorMapping, missing_key, pairs_of
from pyelevator.codec.base import UnsupportedByDialect
from pyelevator.errors import CheckFailed, KeyNotFound


@copy_docstrings(ElevatorMapping)
class AsyncElevatorMapping(Generic[T]):
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

    def __init__(self, client: AsyncClient[T]) -> None:
        self._client: Any = client

    def __repr__(self) -> str:
        return f"<{type(self).__name__} of {self._client!r}>"

    def __getitem__(self, key: Data) -> Coroutine[Any, Any, T]:
        found: Coroutine[Any, Any, T] = self._client.Get(key)
        return found

    def __aiter__(self) -> AsyncIterator[T]:
        return self.keys()

    async def get(self, key: Data, default: Any = None) -> Any:
        return await self._client.Get(key, default)

    async def set(self, key: Data, value: Data) -> None:
        """Set the value of ``key``."""
        await self._client.Put(key, value)

    async def delete(self, key: Data) -> None:
        """Remove ``key``.

        Raises:
            KeyNotFound: it is missing.
        """
        batch = self._client.WriteBatch(timeout=self._client.timeout)
        batch.Check(key, PRESENT)
        batch.Delete(key)
        try:
            await batch.Write()
        except CheckFailed as error:
            raise missing_key(error) from None
        finally:
            batch.Clear()

    async def contains(self, key: object) -> bool:
        """Return whether ``key`` is there."""
        return isinstance(key, Data) and bool(await self._client.Exists(key))

    async def count(self) -> int:
        """Return the number of keys; the server counts them."""
        try:
            return int(await self._client.Count())
        except UnsupportedByDialect:  # an old server
            return len([key async for key in self])

    async def setdefault(self, key: Data, default: Data = "") -> T:
        while True:
            await self._client.PutIfAbsent(key, default)
            value = await self._client.Get(key, UNSET)
            if value is not UNSET:
                return value  # type: ignore[no-any-return]

    async def pop(self, key: Data, default: Any = UNSET) -> Any:
        try:
            return await self._client.GetAndDelete(key)
        except KeyNotFound:
            if default is UNSET:
                raise
            return default

    async def popitem(self) -> tuple[T, T]:
        while keys := await self._client.Slice(None, 1, include_value=False):
            value = await self.pop(keys[0], None)
            if value is not None:  # else another client has removed it meanwhile
                return keys[0], value
        raise KeyError("the mapping is empty")

    async def update(self, other: Mapping[Any, Any] | Iterable[Any] = (), /, **values: Data) -> None:
        async with self._client.WriteBatch(timeout=self._client.timeout) as batch:
            for key, value in pairs_of(other, values):
                batch.Put(key, value)

    async def clear(self) -> None:
        await self._client.DeleteRange()

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
