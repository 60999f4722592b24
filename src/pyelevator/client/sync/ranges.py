"""Ranges in pages for the sync client: the iterator, and one list of all pairs."""

import threading
from collections.abc import Iterator
from contextlib import suppress
from operator import length_hint
from typing import Any, Generic, Self, TypeAlias, TypeVar

from attrs import Factory, define, evolve

from pyelevator._closing import Closing
from pyelevator.client import operations
from pyelevator.client.paging import ScanPager, describe_iterator
from pyelevator.client.sync.client import SyncClient
from pyelevator.client.sync.prefetch import PrefetchedFlow
from pyelevator.deadlines import Deadline
from pyelevator.errors import ElevatorError, TransportError
from pyelevator.forks import FORKS
from pyelevator.legacy import warn_of_another_loop

T = TypeVar("T")

_Fetched: TypeAlias = tuple[Any, ScanPager]
"""The rows of a page, which may still be encoded, and the pager of the next page."""


@define(eq=False)
class _Page(Generic[T]):
    """Rows, and the way to the next page.

    Attributes:
        rows: those that are not handed out yet; each goes to one thread.
        pager: of the next page.
        forks: the number of the process that the server keeps the snapshot for.
        prefetched: the next page, if it is on its way. The thread that takes it out has it.
        following: the next page, once it is there, under the only key; the first that is put there stays.
        turn: is held while the next page is fetched, so that other threads wait for it instead of fetching it, too.
    """

    rows: Iterator[T]
    pager: ScanPager
    forks: int
    prefetched: list[PrefetchedFlow[_Fetched]] = Factory(list)
    following: "dict[None, _Page[T]]" = Factory(dict)
    turn: Any = Factory(threading.RLock)  # reentrant: a signal handler may go on with what its thread has begun

    @classmethod
    def before(cls, pager: ScanPager, forks: int) -> "_Page[T]":
        """Make a page without rows, which the pager's page follows."""
        return cls(iter(()), pager, forks)

    def cancel_prefetch(self) -> None:
        """Give up the page that is on its way."""
        with suppress(IndexError):
            prefetched = self.prefetched.pop()
            if prefetched.is_of_this_process:
                prefetched.abandon()


class RangeIter(Closing, Generic[T]):
    """An iterator over a range, lazy: it fetches nothing before the first step, and then one page in advance.

    While the caller works on a page, the next one comes over one of the client's connections. At most half of them are
    used for that at a time. A client with interceptors does not prefetch, because they would observe requests that the
    caller has not made yet.

    If a page cannot be fetched, the error is raised, and the next step tries again: nothing is skipped. The same holds
    for what a signal handler raises (a KeyboardInterrupt, say) wherever it comes; only the row in hand may be lost.
    Several threads may share an iterator, and each row goes to one of them. An iterator over a ``consistent`` range
    that is not exhausted should be closed with :meth:`close` or used in a ``with`` block, so that the server need not
    keep the snapshot any longer; that of an iterator that is dropped is given back with the client's next request.

    As py-elevator's could be iterated again, one that a single loop has exhausted starts over in the next loop, and
    fetches everything again, with a DeprecationWarning. To take rows in parts, call ``iter(rows)`` first: that never
    starts over, nor does an iterator that was closed, or stepped by hand, or that several loops have shared.

    >>> from pyelevator import Elevator
    >>> with Elevator.from_url("fake://") as E:
    ...     E.Put("1", "a")
    ...     list(E.RangeIter("1", "2"))
    [['1', 'a']]
    """

    # Whatever is raised here, and wherever, changes nothing: a page counts from the moment at which it stands behind
    # the one before it, which is one instruction of Python's.

    def __init__(self, client: SyncClient[Any], pager: ScanPager, compression: bool, timeout: float | None) -> None:
        self._client, self._compression, self._timeout = client, compression, timeout
        self._pager = pager
        self._exhausted = False
        self._rewind()

    def _rewind(self) -> None:
        self._page: _Page[T] = _Page.before(self._pager, FORKS.count)
        self._beginning = self._page
        self._rows = self._page.rows
        self._loops: list[bool] = []  # of the first two, whether they began with the first row

    def __repr__(self) -> str:
        return describe_iterator("RangeIter", length_hint(self._rows), self._page.pager)

    def __iter__(self) -> Self:
        if self._exhausted and self._loops == [True]:
            warn_of_another_loop()
            self._exhausted = False
            self._rewind()
        if len(self._loops) < 2:
            self._loops.append(self._page is self._beginning)  # in one step: threads may share it
        return self

    def __next__(self) -> T:
        while True:
            rows = self._rows
            for row in rows:
                return row
            page = self._page
            if rows is not page.rows:  # the page is what counts, and its rows are only nearer at hand
                self._rows = page.rows
            elif page.pager.done:
                self.close()
                self._exhausted = True
                raise StopIteration
            else:
                following = self._following(page)
                if self._page is page:  # else it was closed meanwhile, or another thread has gone on
                    self._page = following

    def _following(self, page: _Page[T]) -> _Page[T]:
        """Return the next page, waited for; the page after it is asked for at once, and comes meanwhile."""
        deadline = self._client._deadline(self._timeout)
        try:
            page.turn.acquire(timeout=min(deadline.remaining(), threading.TIMEOUT_MAX))
            return page.following.get(None) or self._append(page, self._load(page, deadline))
        finally:
            with suppress(RuntimeError):  # it is another thread's turn
                page.turn.release()

    def _append(self, page: _Page[T], loaded: _Page[T]) -> _Page[T]:
        """Put a page behind another one, unless another thread or a signal handler was first; return what is there."""
        following = page.following.setdefault(None, loaded)
        if following is not loaded:
            loaded.cancel_prefetch()
            if loaded.pager.cursor != following.pager.cursor:
                self._release(loaded)
        return following

    def _load(self, page: _Page[T], deadline: Deadline) -> _Page[T]:
        """Fetch the next page, begin to fetch the one after it, and decode the rows."""
        client = self._client
        rows, pager = self._fetch(page, deadline)
        forks = page.forks if isinstance(page.pager.cursor, bytes) else FORKS.count
        loaded: _Page[T] = _Page.before(pager, forks)
        try:
            if client._prefetches and not pager.done:
                end = client._deadline(self._timeout)
                loaded.prefetched.append(client._prefetch_page(pager, self._compression, end))
            loaded.rows = iter(client._rows_decoder(pager)(rows))
        except BaseException:
            loaded.cancel_prefetch()
            raise
        return loaded

    def _fetch(self, page: _Page[T], deadline: Deadline) -> _Fetched:
        with suppress(IndexError):
            prefetched = page.prefetched.pop()
            if prefetched.is_of_this_process:
                try:
                    return prefetched.finish()
                except TransportError:  # nothing waited for it so far; the caller's own time has just begun
                    if deadline.expired():
                        raise
        return self._client._fetch_page(page.pager, self._compression, deadline)

    def close(self) -> None:
        """End the iteration, and tell the server that its snapshot is no longer needed; twice is fine.

        It does not matter if the server cannot be told: it keeps no snapshot for long.
        """
        self._exhausted = False
        page = self._page
        page.cancel_prefetch()
        page = self._page = _Page.before(evolve(page.pager, done=True), page.forks)
        self._rows = page.rows
        if page.pager.cursor:
            with suppress(ElevatorError):
                self._release(page)
            self._page = _Page.before(evolve(page.pager, cursor=False), FORKS.count)

    def _release(self, page: _Page[T]) -> None:
        """Give the server's snapshot back, unless it is that of another process."""
        if page.forks == FORKS.count:
            self._client._execute(operations.release_cursor(self._client._handle, page.pager), self._timeout)

    def __del__(self) -> None:
        with suppress(AttributeError):  # its construction failed
            page = self._page
            if isinstance(page.pager.cursor, bytes) and page.forks == FORKS.count:
                self._client._session.dropped.append(page.pager)  # neither waits nor sends
