"""Pages: what a range iterator takes its rows from, one page ahead of who uses them."""

from collections.abc import Callable
from typing import Any, Generic, TypeVar

from attrs import define, field

from pyelevator.client.ahead import Ahead
from pyelevator.client.ranges import Pager
from pyelevator.deadlines import Deadline
from pyelevator.errors import TransportError
from pyelevator.messages import Sealed

T = TypeVar("T")


@define(eq=False)
class Pages(Generic[T]):
    """The pages of one range.

    Attributes:
        pager: which they are.
        deadline: gives the end of a fetch that begins now.
        fetch: fetches the next page's rows until then; they may still be packed.
        begin: begins to; None for a client that fetches nothing ahead.
        texts: what the caller sees of rows.
        release: gives the server's snapshot back.
    """

    pager: Pager
    deadline: Callable[[], Deadline]
    fetch: Callable[[Deadline], list[Any]]
    begin: Callable[[Deadline], Ahead[list[Any]]] | None
    texts: Callable[[list[Any]], list[T]]
    release: Callable[[], None]
    _ahead: Ahead[list[Any]] | None = field(init=False, default=None)

    @property
    def done(self) -> bool:
        """True once no page is left."""
        return self.pager.done and self._ahead is None

    def next(self) -> list[T]:
        """The next page, waited for; the one behind it is asked for at once, and comes while this one is unpacked and
        the caller works."""
        rows = self._fetched(self.deadline())
        if self.begin is not None and not self.pager.done:
            self._ahead = self.begin(self.deadline())
        try:
            return self.texts(rows)
        except BaseException:
            self._go_back(rows)
            raise

    def _go_back(self, rows: Any) -> None:
        """So that the next step tries again, and nothing is skipped."""
        ahead, self._ahead = self._ahead, None
        if ahead is not None:
            ahead.abandon()
        if isinstance(rows, Sealed):
            self.pager.go_back()

    def _fetched(self, deadline: Deadline) -> list[Any]:
        ahead, self._ahead = self._ahead, None
        if ahead is not None and ahead.is_of_this_process:
            try:
                return ahead.finish()
            except TransportError:  # nobody waited for it so far; the caller's own time has just begun
                if deadline.expired():
                    raise
        return self.fetch(deadline)

    def close(self) -> None:
        """Gives up what is on its way, and the server's snapshot."""
        ahead, self._ahead, self.pager.done = self._ahead, None, True
        if ahead is not None and ahead.is_of_this_process:
            ahead.abandon()
        if self.pager.cursor:
            self.release()
