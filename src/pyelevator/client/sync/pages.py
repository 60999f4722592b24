"""Pages: what a range iterator takes its rows from, one page ahead of who uses them."""

import threading
from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import Any, Generic, TypeAlias, TypeVar

from attrs import Factory, define, evolve

from pyelevator.client.ranges import Pager
from pyelevator.client.sync.prefetch import Ahead
from pyelevator.deadlines import Deadline
from pyelevator.errors import TransportError
from pyelevator.forks import FORKS

T = TypeVar("T")

Fetched: TypeAlias = tuple[Any, Pager]
"""The rows of a page, which may still be packed, and the pager for the page behind it."""


@define(eq=False)
class Page(Generic[T]):
    """Rows, and the way to those behind them.

    Attributes:
        rows: those that nobody has yet; each goes to one thread.
        pager: what lies behind them.
        forks: the number of the process that the server keeps the snapshot for.
        ahead: the page behind it that is on its way, if one is. Whoever takes it out has it.
        following: the page behind it, once it is there, under the only key; the first that is put there stays.
        turn: is held by who fetches that page, so that other threads wait for it instead of fetching it, too.
    """

    rows: Iterator[T]
    pager: Pager
    forks: int
    ahead: list[Ahead[Fetched]] = Factory(list)
    following: "dict[None, Page[T]]" = Factory(dict)
    turn: Any = Factory(threading.RLock)  # reentrant: a signal handler may go on with what its thread has begun

    def give_up(self) -> None:
        """Gives up the page that is on its way."""
        with suppress(IndexError):
            ahead = self.ahead.pop()
            if ahead.is_of_this_process:
                ahead.abandon()


@define(eq=False)
class Pages(Generic[T]):
    """The pages of one range.

    Whatever is raised here, and wherever, changes nothing: a page counts from the moment at which it stands behind the
    one before it, which is one instruction of Python's.

    Attributes:
        deadline: gives the end of a fetch that begins now.
        fetch: fetches the page that a pager stands at until then.
        begin: begins to; None for a client that fetches nothing ahead.
        texts: what the caller sees of rows.
        let_go: gives the server's snapshot back.
        drop: has it given back with the client's next request.
    """

    deadline: Callable[[], Deadline]
    fetch: Callable[[Pager, Deadline], Fetched]
    begin: Callable[[Pager, Deadline], Ahead[Fetched]] | None
    texts: Callable[[Any], list[T]]
    let_go: Callable[[Pager], None]
    drop: Callable[[Pager], None]

    def before(self, pager: Pager) -> Page[T]:
        """A page without rows, which ``pager`` lies behind."""
        return Page(iter(()), pager, FORKS.count)

    def last(self, page: Page[T]) -> Page[T]:
        """A page without rows that nothing lies behind; what was on its way is given up."""
        page.give_up()
        return Page(iter(()), evolve(page.pager, done=True), page.forks)

    def behind(self, page: Page[T]) -> Page[T]:
        """The page behind this one, waited for; the one behind that is asked for at once, and comes while this one is
        unpacked and the caller works."""
        deadline = self.deadline()
        try:
            page.turn.acquire(timeout=min(deadline.remaining(), threading.TIMEOUT_MAX))
            return page.following.get(None) or self._appended(page, self._loaded(page, deadline))
        finally:
            with suppress(RuntimeError):  # it is another thread's turn
                page.turn.release()

    def _appended(self, page: Page[T], loaded: Page[T]) -> Page[T]:
        """What follows the page from now on, which is what another thread or a signal handler came with before."""
        following = page.following.setdefault(None, loaded)
        if following is not loaded:
            loaded.give_up()
            if loaded.pager.cursor != following.pager.cursor:
                self.release(loaded)
        return following

    def _loaded(self, page: Page[T], deadline: Deadline) -> Page[T]:
        rows, pager = self._fetched(page, deadline)
        forks = page.forks if isinstance(page.pager.cursor, bytes) else FORKS.count
        loaded: Page[T] = Page(iter(()), pager, forks)
        try:
            if self.begin is not None and not pager.done:
                loaded.ahead.append(self.begin(pager, self.deadline()))
            loaded.rows = iter(self.texts(rows))
        except BaseException:
            loaded.give_up()
            raise
        return loaded

    def _fetched(self, page: Page[T], deadline: Deadline) -> Fetched:
        with suppress(IndexError):
            ahead = page.ahead.pop()
            if ahead.is_of_this_process:
                try:
                    return ahead.finish()
                except TransportError:  # nobody waited for it so far; the caller's own time has just begun
                    if deadline.expired():
                        raise
        return self.fetch(page.pager, deadline)

    def dropped(self, page: Page[T]) -> None:
        """Takes note of a page that nobody goes on from; it neither waits nor sends."""
        if isinstance(page.pager.cursor, bytes) and page.forks == FORKS.count:
            self.drop(page.pager)

    def release(self, page: Page[T]) -> None:
        """Gives the server's snapshot back, unless it is that of another process."""
        if page.forks == FORKS.count:
            self.let_go(page.pager)
