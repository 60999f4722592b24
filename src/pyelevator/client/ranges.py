"""Ranges that come page by page, so that one larger than memory streams through little of it on both sides."""

from bisect import bisect_right
from contextlib import suppress
from itertools import chain
from operator import length_hint
from typing import TYPE_CHECKING, Any, Final, Generic, Self, TypeAlias, TypeVar

from attrs import evolve, frozen

from pyelevator.arguments import behind, integer
from pyelevator.commands import Data, Range, Slice, to_bytes
from pyelevator.errors import ArgumentTypeError, ElevatorError, MalformedMessage, UsageError
from pyelevator.messages import Sealed

if TYPE_CHECKING:
    from pyelevator.client.sync import pages

T = TypeVar("T")

Page: TypeAlias = list[Any] | Sealed
"""The pairs of a page, unpacked or not yet, or its keys."""

PAGE_BYTES: Final = 2 << 20
"""How large a page aims to be (measured: docs/decisions.md). A server with the feature ``pages`` is held to it; for
others the next page's count follows from the size of the last page's pairs."""
FIRST_COUNT: Final = 128
MAX_COUNT: Final = 32_768


SLICE: Final = ("key_from", "offset")
RANGE_ITER: Final = ("key_from", "key_to")
"""The names of what ``Range`` has as ``start`` and ``limit``."""


def scan(
    start: Data | None,
    limit: Data | int | None,
    include_key: bool,
    include_value: bool,
    prefix: Data | None,
    *,
    reverse: bool = False,
    names: tuple[str, str] = ("start", "limit"),
) -> "Range | Slice | Pager":
    """What a range asks for: up to a key, or so many pairs; a count under a prefix is a matter of pages.

    Args:
        start, limit, include_key, include_value, prefix, reverse: as of ``Elevator.Range``.
        names: what the caller knows ``start`` and ``limit`` as.

    Raises:
        ArgumentTypeError: ``limit`` is neither a key nor a count, or another argument has the wrong type.
        UsageError: rows without any part are asked for.
    """
    if include_key is False and include_value is False:
        raise UsageError("include_key and include_value are both False, which leaves nothing; ask for one of them")
    start = None if start is None else to_bytes(start, names[0])
    if isinstance(limit, int) and not isinstance(limit, bool):
        command = Slice(start, integer(limit, names[1]), include_key, include_value, reverse=reverse)
        return command if prefix is None else Pager.of(command, to_bytes(prefix, "prefix"))
    if limit is not None and not isinstance(limit, Data):
        raise ArgumentTypeError(f"{names[1]} must be a key (str or bytes) or a count (int), not {type(limit).__name__}")
    limit = None if limit is None else to_bytes(limit, names[1])
    return Range(start, limit, include_key, include_value, prefix, reverse)


def check_count(count: int) -> int:
    """``count`` itself.

    Raises:
        ArgumentTypeError: it is not an int.
    """
    if isinstance(count, bool) or not isinstance(count, int):
        raise ArgumentTypeError(f"offset must be an int, the number of pairs, not {type(count).__name__}")
    return count


_new: Final = object.__new__


@frozen(slots=False)
class Pager:
    """How far a scan is, sans-I/O: which command fetches the next page, and what of its answer belongs to the scan.

    It never changes; each page comes with the pager for the one behind it. So a page that was not taken over, for
    whatever reason, is simply the next one again.

    Attributes:
        start, stop, prefix: as in :class:`~pyelevator.commands.Range`.
        include_key, include_value: which parts the rows have.
        limit: how many rows there are at the most; None for no limit.
        reverse: from stop down to start.
        cursor: True to have the server keep a snapshot for the pages, then the id of that; False for neither.
        sealed: whether pages may stay packed until somebody looks at their pairs.
        pairs: whether whole pairs are fetched where keys would do, as the dialect knows no others.
        done: True once no page is left.
    """

    start: bytes
    stop: bytes | None
    prefix: bytes
    include_key: bool
    include_value: bool
    limit: int | None
    reverse: bool = False
    cursor: bytes | bool = False
    sealed: bool = False
    pairs: bool = False
    done: bool = False
    _at: bytes | None = None
    _exclusive: bool = False
    _count: int = FIRST_COUNT

    @classmethod
    def of(cls, scan: "Range | Slice | Pager", prefix: bytes = b"") -> "Pager":
        """The pages of a RANGE, or of a SLICE under ``prefix``; a pager is its own."""
        if isinstance(scan, Pager):
            return scan
        parts = scan.include_key, scan.include_value
        if isinstance(scan, Range):
            return cls(scan.start or b"", scan.stop, scan.prefix or b"", *parts, None, scan.reverse)._begun()
        start, stop = (b"", scan.start) if scan.reverse else (scan.start or b"", None)
        return cls(start, stop, prefix, *parts, scan.count, scan.reverse)._begun()

    @classmethod
    def over(cls, scan: "Range | Slice | Pager", consistent: bool, *, sealed: bool = False) -> "Pager":
        """The pages of a scan, all of one moment if that is asked for; ``sealed`` if whole pairs may stay packed.

        Raises:
            ArgumentTypeError: ``consistent`` is not a bool.
        """
        if not isinstance(consistent, bool):
            raise ArgumentTypeError(f"consistent must be bool, not {type(consistent).__name__}")
        return evolve(cls.of(scan), cursor=consistent, sealed=sealed and scan.include_key and scan.include_value)

    def _begun(self) -> "Pager":
        start = max(self.start, self.prefix)
        done = (self.limit is not None and self.limit < 1) or (self.stop is not None and self.stop < start)
        at, exclusive = self._top() if self.reverse else (start, False)
        return evolve(self, start=start, done=done, at=at, exclusive=exclusive)

    def _top(self) -> tuple[bytes | None, bool]:
        """Where to start from downwards, and whether without that; what lies behind the prefix is no part of it."""
        end = behind(self.prefix)
        exclusive = end is not None and (self.stop is None or end <= self.stop)
        return (end, True) if exclusive else (self.stop, False)

    @property
    def _asked(self) -> int:
        return self._count if self.limit is None else min(self._count, self.limit)

    @property
    def _fetches_values(self) -> bool:
        return self.include_value or self.pairs

    def next_command(self) -> Slice:
        """The command that fetches the next page. It always asks for the keys: the page after it starts from them."""
        way = self.reverse, self._exclusive, self.cursor
        return Slice(self._at, self._asked, True, self._fetches_values, PAGE_BYTES, *way, sealed=self.sealed)

    def take(self, page: Page, *, more: bool, cursor: bytes | None = None) -> "tuple[Any, Pager]":
        """The rows of a fetched page, still packed if they came so, and the pager for the page behind it; ``more`` is
        the server's word that it cut the page short.

        Raises:
            MalformedMessage: there is no ``cursor`` in an answer that needs one, or the page does not lie behind the
                one before it.
        """
        done = not page or (len(page) < self._asked and not more)
        if self.cursor is not False and cursor is None and not done:
            raise MalformedMessage("the answer names no cursor, so what follows it may be of another moment")
        kept = self.cursor is not False and (cursor or False)
        if isinstance(page, Sealed):
            self._check_advances(page.last)
            if self._contains(page.last):
                return page, self._behind(page.last, page.count, page.size, done, kept)
            page = page.pairs()
        if page:
            self._check_advances(self._key(page[-1]))
        rows = self._within(page)
        if len(rows) < len(page) or not rows:
            following = evolve(self, done=True, cursor=kept)
        else:
            following = self._behind(self._key(rows[-1]), len(rows), self._size(rows), done, kept)
        as_they_are = self.include_key and self.include_value == self._fetches_values
        return rows if as_they_are else [self._part(row) for row in rows], following

    def _check_advances(self, last: bytes) -> None:
        """Refuses a page that ends before where it was to begin: a server could send one for ever."""
        if self._at is not None and (self._precedes(last) or (self._exclusive and last == self._at)):
            raise MalformedMessage("the page holds what came before it, so the range would never end")

    def _precedes(self, key: bytes) -> bool:
        return self._at is not None and (key > self._at if self.reverse else key < self._at)

    def _key(self, row: Any) -> bytes:
        key: bytes = row[0] if self._fetches_values else row
        return key

    def _size(self, rows: list[Any]) -> int:
        return sum(map(len, chain.from_iterable(rows) if self._fetches_values else rows))

    def _within(self, rows: list[Any]) -> list[Any]:
        """Those within the bounds; keys come in order, so the last one mostly settles it."""
        if not rows or self._contains(self._key(rows[-1])):
            return rows
        return rows[: bisect_right(rows, False, key=lambda row: not self._contains(self._key(row)))]

    def _contains(self, key: bytes) -> bool:
        return key.startswith(self.prefix) and key >= self.start and (self.stop is None or key <= self.stop)

    def _behind(self, last: bytes, rows: int, size: int, done: bool, cursor: bytes | bool) -> "Pager":
        at, exclusive = (last, True) if self.reverse else (last + b"\0", False)
        count = max(1, min(4 * self._count, MAX_COUNT, PAGE_BYTES * rows // (size + 1)))
        limit = None if self.limit is None else self.limit - rows
        done = done or (limit is not None and limit < 1)
        moved = _new(Pager)  # evolve would take longer than all else here
        moved.__dict__.update(self.__dict__)
        moved.__dict__.update(
            {"_at": at, "_exclusive": exclusive, "_count": count, "limit": limit, "done": done, "cursor": cursor}
        )
        return moved

    def _part(self, row: Any) -> bytes | None:
        if self.include_key:
            return self._key(row)
        return row[1] if self.include_value else None


Scan: TypeAlias = Range | Slice | Pager
"""A range as one command, or as pages."""


def shown(name: str, rows: int, pager: Pager) -> str:
    """What the repr of an iterator says: the rows at hand, and whether there are others."""
    return f"<{name}: {rows} rows at hand, {'no page' if pager.done else 'pages'} to come>"


class RangeIter(Generic[T]):
    """An iterator over a range, lazy: it fetches nothing before the first step, and then one page ahead.

    While the caller works on a page, the next one comes, over one of the client's lanes (of which at most half are
    used for that at a time); not if the client has interceptors, who would see times and an order that are nobody's.
    If a page cannot be fetched, the error is raised, and the next step tries again: nothing is skipped. The same holds
    for what a signal handler raises (a KeyboardInterrupt, say) wherever it comes; only the row in hand may be lost.
    Several threads may share an iterator, and each row goes to one of them. Who does not iterate to the end of a
    ``consistent`` range calls :meth:`close`, or uses it in a ``with`` block, so that the server need not keep the
    snapshot any longer; that of an iterator that is dropped is given back with the client's next request.

    As py-elevator's could be iterated again, one that a single loop has exhausted starts anew in the next loop, and
    fetches everything again. To take rows in portions, call ``iter(rows)`` first: that never starts anew, nor does an
    iterator that was closed, or stepped by hand, or that several loops have shared.

    >>> from pyelevator import Elevator
    >>> with Elevator.from_url("fake://") as E:
    ...     E.Put("1", "a")
    ...     list(E.RangeIter("1", "2"))
    [['1', 'a']]
    """

    def __init__(self, pager: Pager, source: "pages.Pages[T]") -> None:
        self._pages = source
        self._pager = pager
        self._exhausted = False
        self._begin()

    def _begin(self) -> None:
        self._page = self._beginning = self._pages.before(self._pager)
        self._rows = self._page.rows
        self._loops = 0

    def __repr__(self) -> str:
        return shown("RangeIter", length_hint(self._rows), self._page.pager)

    def __iter__(self) -> Self:
        if self._exhausted and self._loops == 1:
            self._exhausted = False
            self._begin()
        self._loops += 1 if self._loops or self._page is self._beginning else 2  # else it was stepped by hand before
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
                self._turn_over(page)

    def _turn_over(self, page: "pages.Page[T]") -> None:
        following = self._pages.behind(page)
        if self._page is page:  # else it was closed meanwhile, or another thread has gone on
            self._page = following

    def close(self) -> None:
        """Ends the iteration, and tells the server that its snapshot is no longer needed; twice is fine.

        It does not matter if the server cannot be told: it keeps no snapshot for long.
        """
        self._exhausted = False
        page = self._page = self._pages.last(self._page)
        self._rows = page.rows
        if page.pager.cursor:
            with suppress(ElevatorError):
                self._pages.release(page)
            self._page = self._pages.before(evolve(page.pager, cursor=False))

    def __del__(self) -> None:
        with suppress(AttributeError):  # its construction failed
            self._pages.dropped(self._page)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
