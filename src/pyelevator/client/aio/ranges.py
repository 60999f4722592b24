"""The async iterator over a range."""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Coroutine
from contextlib import suppress
from typing import Any, Generic, Self, TypeAlias, TypeVar

from attrs import evolve

from pyelevator.client.ranges import Pager, shown
from pyelevator.client.whole import WholePager
from pyelevator.deadlines import Deadline
from pyelevator.errors import ElevatorError, TransportError, UsageError
from pyelevator.forks import FORKS

T = TypeVar("T")

_Fetched: TypeAlias = tuple[Any, Pager]
"""The rows of a page, which may still be packed, and the pager for the page behind it."""


def _is_over(ahead: "asyncio.Task[Any]") -> None:
    """Looks at the error of a task, for a caller who has left and never will."""
    if not ahead.cancelled():
        ahead.exception()


async def sent() -> None:
    """Waits until what a task asks for that was just made has left: a turn of the loop begins the task, one sends."""
    for _ in range(2):
        await asyncio.sleep(0)


async def gathered(
    pager: WholePager,
    fetch: Callable[[WholePager], Coroutine[Any, Any, tuple[Any, WholePager]]],
    texts: Callable[[Any], list[T]],
) -> list[T]:
    """All rows of a range: while one page is unpacked, the next one comes."""
    page, pager = await fetch(pager)
    rows: list[T] = []
    while not pager.done:
        ahead = asyncio.create_task(fetch(pager))
        ahead.add_done_callback(_is_over)
        try:
            await sent()
            rows += texts(page)
            page, pager = await ahead
        finally:
            ahead.cancel()
    return rows + texts(page) if rows else texts(page)


class _Page(Generic[T]):
    """A page as it came, and the way to the one behind it.

    Attributes:
        packed: it, until its rows are unpacked.
        rows: those that nobody has yet.
        before, pager: what comes again if it cannot be unpacked, and what lies behind it.
        forks: the number of the process that the server keeps the snapshot for.
        ahead, begun_in: fetches the page behind it, in the process of that number.
    """

    def __init__(self, packed: Any, before: Pager, pager: Pager, forks: int) -> None:
        self.packed, self.before, self.pager, self.forks = packed, before, pager, forks
        self.rows: deque[T] = deque()
        self.ahead: asyncio.Task[_Fetched] | None = None
        self.begun_in = FORKS.count

    def within_reach(self) -> "asyncio.Task[_Fetched] | None":
        """The task that fetches ahead, unless its event loop ended before it did, or the process forked."""
        ahead = self.ahead
        if ahead is None or ahead.done():
            return ahead
        is_ours = ahead.get_loop() is asyncio.get_running_loop() and self.begun_in == FORKS.count
        return ahead if is_ours else None

    def give_up(self) -> "asyncio.Task[_Fetched] | None":
        """Gives up the page behind it; the task, if it has yet to end."""
        ahead, self.ahead = self.within_reach(), None
        if ahead is None or ahead.done():
            return None
        ahead.cancel()
        return ahead


class AsyncRangeIter(Generic[T]):
    """An async iterator over a range, lazy: it fetches nothing before the first step, and then one page ahead.

    A task fetches the next page while the caller works on one, unless the client has interceptors. A page that could
    not be fetched is fetched again by the next step. Who does not iterate to the end of a ``consistent`` range awaits
    :meth:`close`, or uses it in ``async with``; the snapshot of one that is dropped is given back with the client's
    next request.

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
        fetch: Callable[[Pager, Deadline], Coroutine[Any, Any, _Fetched]],
        texts: Callable[[Any], list[T]],
        release: Callable[[Pager], Awaitable[None]],
        *,
        drop: Callable[[Pager], None],
        looks_ahead: bool,
    ) -> None:
        self._deadline = deadline
        self._fetch = fetch
        self._texts = texts
        self._release = release
        self._drop = drop
        self._looks_ahead = looks_ahead
        self._page: _Page[T] = _Page(None, pager, pager, FORKS.count)
        self._fetching = False

    def __repr__(self) -> str:
        return shown("AsyncRangeIter", len(self._page.rows), self._page.pager)

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> T:
        while not (rows := self._unpacked(self._page)):
            if self._page.pager.done:
                await self.close()
                raise StopAsyncIteration
            if self._fetching:
                raise UsageError(
                    "another task waits for the next page of this range; one task iterates, or each its own"
                )
            self._fetching = True
            try:
                await self._turn_over(self._page)
            finally:
                self._fetching = False
        return rows.popleft()

    async def _turn_over(self, page: _Page[T]) -> None:
        """Goes on to the next page. Until it is there everything stays as it was, whoever is cancelled; from then on
        its rows are nobody's but the caller's."""
        fetched = await self._fetched(page)
        if self._page is page:  # else it was closed meanwhile
            self._page = following = self._following(page, fetched)
            if following.ahead is not None:
                await sent()  # so that it comes while this one is unpacked

    def _unpacked(self, page: _Page[T]) -> deque[T]:
        """The rows of a page that nobody has yet. One that cannot be unpacked is the next one again."""
        if page.packed is not None:
            try:
                page.rows, page.packed = deque(self._texts(page.packed)), None
            except BaseException:
                page.give_up()
                self._page = _Page(None, page.before, page.before, page.forks)
                raise
        return page.rows

    def _following(self, page: _Page[T], fetched: _Fetched) -> _Page[T]:
        packed, pager = fetched
        following: _Page[T] = _Page(
            packed, page.pager, pager, page.forks if isinstance(page.pager.cursor, bytes) else FORKS.count
        )
        if self._looks_ahead and not pager.done:
            following.ahead = asyncio.create_task(self._fetch(pager, self._deadline()))
            following.ahead.add_done_callback(_is_over)
        return following

    async def _fetched(self, page: _Page[T]) -> _Fetched:
        deadline = self._deadline()
        ahead = page.within_reach()
        if ahead is not None and not ahead.done():
            await asyncio.wait([ahead])  # who is cancelled here leaves the page to the next step
        page.ahead = None
        if ahead is not None and not ahead.cancelled():
            try:
                return ahead.result()
            except TransportError:  # nobody waited for it so far; the caller's own time has just begun
                if deadline.expired():
                    raise
        return await self._fetch(page.pager, deadline)

    async def close(self) -> None:
        """Ends the iteration, and tells the server that its snapshot is no longer needed; twice is fine.

        It does not matter if the server cannot be told: it keeps no snapshot for long.
        """
        page, pager = self._page, self._page.pager
        self._page = _Page(None, pager, evolve(pager, done=True), page.forks)
        ahead = page.give_up()
        if ahead is not None:
            await asyncio.wait([ahead])
        if pager.cursor and page.forks == FORKS.count:
            with suppress(ElevatorError):
                await self._release(pager)
        self._page.pager = evolve(pager, done=True, cursor=False)

    def __del__(self) -> None:
        with suppress(AttributeError):  # its construction failed
            if isinstance(self._page.pager.cursor, bytes) and self._page.forks == FORKS.count:
                self._drop(self._page.pager)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()
