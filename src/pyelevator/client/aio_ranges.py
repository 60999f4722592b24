"""The async iterator over a range."""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Coroutine
from contextlib import suppress
from typing import Any, Generic, Self, TypeVar

from pyelevator.client.ranges import Pager
from pyelevator.client.whole import WholePager
from pyelevator.deadlines import Deadline
from pyelevator.errors import ElevatorError, TransportError, UsageError
from pyelevator.messages import Sealed

T = TypeVar("T")


def _is_over(ahead: "asyncio.Task[Any]") -> None:
    """Looks at the error of a task, for a caller who has left and never will."""
    if not ahead.cancelled():
        ahead.exception()


async def sent() -> None:
    """Waits until what a task asks for that was just made has left: a turn of the loop begins the task, one sends."""
    for _ in range(2):
        await asyncio.sleep(0)


async def gathered(
    pager: WholePager, fetch: Callable[[], Coroutine[Any, Any, Any]], texts: Callable[[Any], list[T]]
) -> list[T]:
    """All rows of a range: while one page is unpacked, the next one comes."""
    page = await fetch()
    rows: list[T] = []
    while not pager.done:
        ahead = asyncio.create_task(fetch())
        ahead.add_done_callback(_is_over)
        try:
            await sent()
            rows += texts(page)
            page = await ahead
        finally:
            ahead.cancel()
    return rows + texts(page) if rows else texts(page)


class AsyncRangeIter(Generic[T]):
    """An async iterator over a range, lazy: it fetches nothing before the first step, and then one page ahead.

    A task fetches the next page while the caller works on one, unless the client has interceptors. A page that could
    not be fetched is fetched again by the next step. Who does not iterate to the end of a ``consistent`` range awaits
    :meth:`close`, or uses it in ``async with``.

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
        self,
        pager: Pager,
        deadline: Callable[[], Deadline],
        fetch: Callable[[Deadline], Coroutine[Any, Any, Any]],
        texts: Callable[[Any], list[T]],
        release: Callable[[], Awaitable[None]],
        *,
        looks_ahead: bool,
    ) -> None:
        self._pager = pager
        self._deadline = deadline
        self._fetch = fetch
        self._texts = texts
        self._release = release
        self._looks_ahead = looks_ahead
        self._ahead: asyncio.Task[Any] | None = None
        self._rows: deque[T] = deque()
        self._fetching = False

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> T:
        while not self._rows:
            if self._pager.done and self._ahead is None:
                await self.close()
                raise StopAsyncIteration
            if self._fetching:
                raise UsageError(
                    "another task waits for the next page of this range; one task iterates, or each its own"
                )
            self._fetching = True
            try:
                await self._take(await self._next_page(self._deadline()))
            finally:
                self._fetching = False
        return self._rows.popleft()

    async def _take(self, page: Any) -> None:
        """Unpacks a page, while the next one comes; who is cancelled meanwhile has its rows all the same."""
        try:
            await self._begin()
        finally:
            self._unpack(page)

    def _unpack(self, page: Any) -> None:
        try:
            self._rows.extend(self._texts(page))
        except BaseException:  # so that the next step tries again, and nothing is skipped
            ahead, self._ahead = self._ahead, None
            if ahead is not None:
                ahead.cancel()
            if isinstance(page, Sealed):
                self._pager.go_back()
            raise

    async def _next_page(self, deadline: Deadline) -> Any:
        ahead = self._within_reach()
        if ahead is not None and not ahead.done():
            await asyncio.wait([ahead])  # who is cancelled here leaves the page to the next step
        self._ahead = None
        if ahead is not None and not ahead.cancelled():
            try:
                return ahead.result()
            except TransportError:  # nobody waited for it so far; the caller's own time has just begun
                if deadline.expired():
                    raise
        return await self._fetch(deadline)

    async def _begin(self) -> None:
        """Has a task fetch the next page."""
        if self._looks_ahead and not self._pager.done:
            self._ahead = asyncio.create_task(self._fetch(self._deadline()))
            self._ahead.add_done_callback(_is_over)
            await sent()

    def _within_reach(self) -> "asyncio.Task[Any] | None":
        """The task that fetches ahead, unless its event loop ended before it did."""
        ahead = self._ahead
        if ahead is None or ahead.done() or ahead.get_loop() is asyncio.get_running_loop():
            return ahead
        return None

    async def close(self) -> None:
        """Ends the iteration, and tells the server that its snapshot is no longer needed; twice is fine.

        It does not matter if the server cannot be told: it keeps no snapshot for long.
        """
        self._rows.clear()
        self._pager.done = True
        ahead = self._within_reach()
        self._ahead = None
        if ahead is not None and not ahead.done():
            ahead.cancel()
            await asyncio.wait([ahead])
        if self._pager.cursor:
            with suppress(ElevatorError):
                await self._release()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()
