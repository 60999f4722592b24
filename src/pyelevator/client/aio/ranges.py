"""Ranges in pages for the async client: the iterator, and one list of all pairs."""

import asyncio
from collections import deque
from collections.abc import Coroutine
from contextlib import suppress
from typing import Any, Generic, Self, TypeAlias, TypeVar

from attrs import evolve

from pyelevator.client import operations
from pyelevator.client.aio.client import AsyncClient
from pyelevator.client.paging import RangePager, ScanPager, describe_iterator
from pyelevator.deadlines import Deadline
from pyelevator.errors import ElevatorError, TransportError, UsageError
from pyelevator.forks import FORKS

T = TypeVar("T")

_Fetched: TypeAlias = tuple[Any, ScanPager]
"""The rows of a page, which may still be encoded, and the pager of the next page."""


def _retrieve_exception(task: "asyncio.Task[Any]") -> None:
    """Retrieve the task's exception, so that asyncio does not log it."""
    if not task.cancelled():
        task.exception()


async def _flush_turn() -> None:
    """Let a new task send its request: one turn of the loop begins the task, one sends."""
    for _ in range(2):
        await asyncio.sleep(0)


async def collect_range(
    client: AsyncClient[Any], pager: RangePager, compression: bool, deadline: Deadline
) -> list[Any]:
    """Return all pairs of a range: while one page is decoded, the next one comes."""
    page, pager = await client._fetch_page(pager, compression, deadline)
    decode = client._decoder.pairs
    rows: list[Any] = []
    while not pager.done:
        prefetched = asyncio.create_task(client._fetch_page(pager, compression, deadline))
        prefetched.add_done_callback(_retrieve_exception)
        try:
            await _flush_turn()
            rows += decode(page)
            page, pager = await prefetched
        finally:
            prefetched.cancel()
    return rows + decode(page) if rows else decode(page)


class _Page(Generic[T]):
    """A page as it came, and the way to the next page.

    Attributes:
        encoded: the rows as they came, until they are decoded.
        rows: those that are not handed out yet.
        before, pager: of the page itself, for when its rows cannot be decoded, and of the next page.
        forks: the number of the process that the server keeps the snapshot for.
        prefetched, prefetched_in: the task that fetches the next page, and the number of its process.
    """

    def __init__(self, encoded: Any, before: ScanPager, pager: ScanPager, forks: int) -> None:
        self.encoded, self.before, self.pager, self.forks = encoded, before, pager, forks
        self.rows: deque[T] = deque()
        self.prefetched: asyncio.Task[_Fetched] | None = None
        self.prefetched_in = FORKS.count

    def usable_prefetch(self) -> "asyncio.Task[_Fetched] | None":
        """Return the task that prefetches, unless its event loop ended before it did, or the process forked."""
        task = self.prefetched
        if task is None or task.done():
            return task
        is_ours = task.get_loop() is asyncio.get_running_loop() and self.prefetched_in == FORKS.count
        return task if is_ours else None

    def cancel_prefetch(self) -> "asyncio.Task[_Fetched] | None":
        """Give up the next page; return the task if it has yet to end."""
        task, self.prefetched = self.usable_prefetch(), None
        if task is None or task.done():
            return None
        task.cancel()
        return task


class AsyncRangeIter(Generic[T]):
    """An async iterator over a range, lazy: it fetches nothing before the first step, and then one page in advance.

    A task fetches the next page while the caller works on one, unless the client has interceptors. A page that could
    not be fetched is fetched again by the next step. An iterator over a ``consistent`` range that is not exhausted
    should be closed with :meth:`close` or used in ``async with``; the snapshot of one that is dropped is given back
    with the client's next request.

    >>> import asyncio
    >>> from pyelevator import AsyncElevator
    >>> async def main():
    ...     async with AsyncElevator.from_url("fake://") as E:
    ...         await E.Put("1", "a")
    ...         return [pair async for pair in E.RangeIter("1", "2")]
    >>> asyncio.run(main())
    [['1', 'a']]
    """

    def __init__(self, client: AsyncClient[Any], pager: ScanPager, compression: bool, timeout: float | None) -> None:
        self._client, self._compression, self._timeout = client, compression, timeout
        self._page: _Page[T] = _Page(None, pager, pager, FORKS.count)
        self._fetching = False

    def __repr__(self) -> str:
        return describe_iterator("AsyncRangeIter", len(self._page.rows), self._page.pager)

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> T:
        while not (rows := self._decode(self._page)):
            if self._page.pager.done:
                await self.close()
                raise StopAsyncIteration
            if self._fetching:
                raise UsageError(
                    "another task waits for the next page of this range; one task iterates, or each its own"
                )
            self._fetching = True
            try:
                await self._turn_page(self._page)
            finally:
                self._fetching = False
        return rows.popleft()

    async def _turn_page(self, page: _Page[T]) -> None:
        """Go on to the next page. Until it is there everything stays as it was, whichever task is cancelled."""
        fetched = await self._fetch(page)
        if self._page is page:  # else it was closed meanwhile
            self._page = following = self._following(page, fetched)
            if following.prefetched is not None:
                await _flush_turn()  # so that it comes while this one is decoded

    def _decode(self, page: _Page[T]) -> deque[T]:
        """Return the rows that are not handed out yet. A page that cannot be decoded is fetched again."""
        if page.encoded is not None:
            try:
                page.rows, page.encoded = deque(self._client._rows_decoder(page.pager)(page.encoded)), None
            except BaseException:
                page.cancel_prefetch()
                self._page = _Page(None, page.before, page.before, page.forks)
                raise
        return page.rows

    def _following(self, page: _Page[T], fetched: _Fetched) -> _Page[T]:
        encoded, pager = fetched
        following: _Page[T] = _Page(
            encoded, page.pager, pager, page.forks if isinstance(page.pager.cursor, bytes) else FORKS.count
        )
        if self._client._prefetches and not pager.done:
            following.prefetched = asyncio.create_task(self._fetch_page(pager, self._client._deadline(self._timeout)))
            following.prefetched.add_done_callback(_retrieve_exception)
        return following

    def _fetch_page(self, pager: ScanPager, deadline: Deadline) -> Coroutine[Any, Any, _Fetched]:
        return self._client._fetch_page(pager, self._compression, deadline)

    async def _fetch(self, page: _Page[T]) -> _Fetched:
        deadline = self._client._deadline(self._timeout)
        task = page.usable_prefetch()
        if task is not None and not task.done():
            await asyncio.wait([task])  # if this is cancelled, the page is left to the next step
        page.prefetched = None
        if task is not None and not task.cancelled():
            try:
                return task.result()
            except TransportError:  # nothing waited for it so far; the caller's own time has just begun
                if deadline.expired():
                    raise
        return await self._fetch_page(page.pager, deadline)

    async def close(self) -> None:
        """End the iteration, and tell the server that its snapshot is no longer needed; twice is fine.

        It does not matter if the server cannot be told: it keeps no snapshot for long.
        """
        page, pager = self._page, self._page.pager
        self._page = _Page(None, pager, evolve(pager, done=True), page.forks)
        task = page.cancel_prefetch()
        if task is not None:
            await asyncio.wait([task])
        if pager.cursor and page.forks == FORKS.count:
            with suppress(ElevatorError):
                await self._client._execute(operations.release_cursor(self._client._handle, pager), self._timeout)
        self._page.pager = evolve(pager, done=True, cursor=False)

    def __del__(self) -> None:
        with suppress(AttributeError):  # its construction failed
            if isinstance(self._page.pager.cursor, bytes) and self._page.forks == FORKS.count:
                self._client._session.dropped.append(self._page.pager)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()
