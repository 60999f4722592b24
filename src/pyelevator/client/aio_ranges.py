"""The async iterator over a range."""

from collections import deque
from collections.abc import Awaitable, Callable
from typing import Generic, Self, TypeVar

from pyelevator.client.ranges import Pager
from pyelevator.errors import UsageError

T = TypeVar("T")


class AsyncRangeIter(Generic[T]):
    """An async iterator over a range, lazy: it fetches a page when the last one is used up.

    A page that could not be fetched is fetched again by the next step.

    >>> import asyncio
    >>> from pyelevator import AsyncElevator
    >>> async def main():
    ...     async with AsyncElevator.from_url("fake://") as E:
    ...         await E.Put("1", "a")
    ...         return [pair async for pair in E.RangeIter("1", "2")]
    >>> asyncio.run(main())
    [['1', 'a']]
    """

    def __init__(self, pager: Pager, fetch: Callable[[], Awaitable[list[T]]]) -> None:
        self._pager = pager
        self._fetch = fetch
        self._rows: deque[T] = deque()
        self._fetching = False

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> T:
        while not self._rows:
            if self._pager.done:
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
