"""The async iterator over a range."""

from collections import deque
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Generic, Self, TypeVar

from pyelevator.client.ranges import Pager
from pyelevator.errors import ElevatorError, UsageError

T = TypeVar("T")


class AsyncRangeIter(Generic[T]):
    """An async iterator over a range, lazy: it fetches a page when the last one is used up.

    A page that could not be fetched is fetched again by the next step. Who does not iterate to the end of a
    ``consistent`` range awaits :meth:`close`, or uses it in ``async with``.

    >>> import asyncio
    >>> from pyelevator import AsyncElevator
    >>> async def main():
    ...     async with AsyncElevator.from_url("fake://") as E:
    ...         await E.Put("1", "a")
    ...         return [pair async for pair in E.RangeIter("1", "2")]
    >>> asyncio.run(main())
    [['1', 'a']]
    """

    def __init__(
        self, pager: Pager, fetch: Callable[[], Awaitable[list[T]]], release: Callable[[], Awaitable[None]]
    ) -> None:
        self._pager = pager
        self._fetch = fetch
        self._release = release
        self._rows: deque[T] = deque()
        self._fetching = False

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> T:
        while not self._rows:
            if self._pager.done:
                await self.close()
                raise StopAsyncIteration
            if self._fetching:
                raise UsageError(
                    "another task waits for the next page of this range; one task iterates, or each its own"
                )
            self._fetching = True
            try:
                self._rows.extend(await self._fetch())
            finally:
                self._fetching = False
        return self._rows.popleft()

    async def close(self) -> None:
        """Ends the iteration, and tells the server that its snapshot is no longer needed; twice is fine.

        It does not matter if the server cannot be told: it keeps no snapshot for long.
        """
        self._rows.clear()
        self._pager.done = True
        if self._pager.cursor:
            with suppress(ElevatorError):
                await self._release()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()
