"""Paging: how a range of any length is fetched in pages, so that both sides need memory for a few pages only.

Sans-I/O. A pager knows the command for its page, and makes the pager of the next page from the answer. Pagers never
change: a page that was not taken over, whatever the reason, is simply fetched again with the same pager.
"""

from bisect import bisect_right
from itertools import chain
from typing import Any, Final, Self, TypeAlias

from attrs import evolve, frozen

from pyelevator.arguments import flag, integer, is_integer
from pyelevator.arguments.data import prefix_successor
from pyelevator.commands import Data, Range, Slice, to_bytes
from pyelevator.commands.features import PAGED_RANGES
from pyelevator.errors import ArgumentTypeError, MalformedMessage, UsageError
from pyelevator.messages import LazyPage

PageRows: TypeAlias = list[Any] | LazyPage
"""The pairs of a page, decoded or not yet, or its keys."""

PAGE_BYTES: Final[dict[type, int]] = {Slice: 2 << 20, Range: 3 << 20}
"""The size in bytes that a page aims at, by the command that fetches it (measured: docs/decisions).

A Slice is a page of an iterator, whose caller waits for the first row. A Range is collected as a whole: smaller pages
overlap better, and cost more switches between threads. A server without the feature ``pages`` is not held to a size:
there the row count of the next page follows from the size of the last page's rows."""
INITIAL_PAGE_ROWS: Final = 128
MAX_PAGE_ROWS: Final = 32_768

RANGE_NAMES: Final = ("start", "limit")
SLICE_NAMES: Final = ("key_from", "offset")
ITER_NAMES: Final = ("key_from", "key_to")
"""The names that Range, Slice and RangeIter have for their first two arguments."""


def build_scan(
    start: Data | None,
    limit: Data | int | None,
    include_key: bool,
    include_value: bool,
    prefix: Data | None,
    *,
    reverse: bool = False,
    names: tuple[str, str] = RANGE_NAMES,
) -> "Range | Slice | ScanPager":
    """Build what fetches a range: one command, or a pager for a number of rows under a prefix.

    Returns:
        A Range up to a key, a Slice of a number of rows, or the pager of such a Slice under a prefix.
    """
    if include_key is False and include_value is False:
        raise UsageError("include_key and include_value are both False, which leaves nothing; ask for one of them")
    start = None if start is None else to_bytes(start, names[0])
    if is_integer(limit):
        command = Slice(start, integer(limit, names[1]), include_key, include_value, reverse=reverse)
        return command if prefix is None else ScanPager.from_command(command, to_bytes(prefix, "prefix"))
    if limit is not None and not isinstance(limit, Data):
        raise ArgumentTypeError(f"{names[1]} must be a key (str or bytes) or a count (int), not {type(limit).__name__}")
    limit = None if limit is None else to_bytes(limit, names[1])
    return Range(start, limit, include_key, include_value, prefix, reverse)


_new: Final = object.__new__


@frozen(slots=False)
class ScanPager:
    """A page of a scan that is fetched with SLICE, which every server understands.

    Attributes:
        start, stop, prefix: as in :class:`~pyelevator.commands.Range`.
        include_key, include_value: which parts the rows have.
        limit: the maximum number of rows; None for no limit.
        reverse: from stop down to start.
        cursor: True to have the server keep a snapshot for the pages, then the id of that; False for neither.
        lazy: pages may stay encoded until their pairs are used.
        pairs: fetch whole pairs where keys would do, because the dialect has no other answer.
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
    lazy: bool = False
    pairs: bool = False
    done: bool = False
    _at: bytes | None = None
    _exclusive: bool = False
    _count: int = INITIAL_PAGE_ROWS

    @classmethod
    def from_command(cls, scan: "Range | Slice | ScanPager", prefix: bytes = b"") -> "ScanPager":
        """Make the pager of a RANGE, or of a SLICE under ``prefix``; return a pager as it is."""
        if isinstance(scan, ScanPager):
            return scan
        parts = scan.include_key, scan.include_value
        if isinstance(scan, Range):
            return cls(scan.start or b"", scan.stop, scan.prefix or b"", *parts, None, scan.reverse)._at_first_page()
        start, stop = (b"", scan.start) if scan.reverse else (scan.start or b"", None)
        return cls(start, stop, prefix, *parts, scan.count, scan.reverse)._at_first_page()

    @classmethod
    def for_iterator(cls, scan: "Range | Slice | ScanPager", consistent: bool, *, lazy: bool = False) -> "ScanPager":
        """Make the pager of an iterator."""
        both_parts = scan.include_key and scan.include_value
        return evolve(cls.from_command(scan), cursor=flag(consistent, "consistent"), lazy=lazy and both_parts)

    def _at_first_page(self) -> "ScanPager":
        start = max(self.start, self.prefix)
        done = (self.limit is not None and self.limit < 1) or (self.stop is not None and self.stop < start)
        at, exclusive = self._last_place() if self.reverse else (start, False)
        return evolve(self, start=start, done=done, at=at, exclusive=exclusive)

    def _last_place(self) -> tuple[bytes | None, bool]:
        """Return where a reverse scan starts, and whether it leaves that key out: the prefix's end is no key of it."""
        end = prefix_successor(self.prefix)
        exclusive = end is not None and (self.stop is None or end <= self.stop)
        return (end, True) if exclusive else (self.stop, False)

    @property
    def _asked(self) -> int:
        return self._count if self.limit is None else min(self._count, self.limit)

    @property
    def _fetches_values(self) -> bool:
        return self.include_value or self.pairs

    def next_command(self) -> Slice:
        """Return the command that fetches the page. It always asks for the keys: the next page starts at the last."""
        how = self.reverse, self._exclusive, self.cursor
        return Slice(self._at, self._asked, True, self._fetches_values, PAGE_BYTES[Slice], *how, lazy=self.lazy)

    def feed(self, page: PageRows, *, more: bool, cursor: bytes | None = None) -> "tuple[Any, ScanPager]":
        """Return the rows of the scan in a fetched page, and the pager of the next page.

        Raises:
            MalformedMessage: the answer lacks the ``cursor`` that it needs, or does not lie behind the page before.
        """
        if more and not page:
            raise MalformedMessage("the page is empty, and there shall be more behind it")
        done = len(page) < self._asked and not more
        if self.cursor is not False and cursor is None and not done:
            raise MalformedMessage("the answer names no cursor, so what follows it may be of another moment")
        _check_same_cursor(self.cursor, cursor)
        kept = self.cursor is not False and (cursor or False)
        if isinstance(page, LazyPage):
            self._check_advances(page.last_key)
            if self._in_bounds(page.last_key):
                return page, self._advance(page.last_key, page.count, page.nbytes, done, kept)
            page = page.decode_bytes()
        if page:
            self._check_advances(self._key(page[-1]))
        rows = self._cut_to_bounds(page)
        if len(rows) < len(page) or not rows:
            following = evolve(self, done=True, cursor=kept)
        else:
            following = self._advance(self._key(rows[-1]), len(rows), self._nbytes(rows), done, kept)
        as_they_are = self.include_key and self.include_value == self._fetches_values
        return rows if as_they_are else [self._project(row) for row in rows], following

    def _check_advances(self, last: bytes) -> None:
        """Refuse a page that ends before where it was to begin: a server could send one for ever."""
        if self._at is None:
            return
        precedes = last > self._at if self.reverse else last < self._at
        if precedes or (self._exclusive and last == self._at):
            raise MalformedMessage("the page holds what came before it, so the range would never end")

    def _key(self, row: Any) -> bytes:
        key: bytes = row[0] if self._fetches_values else row
        return key

    def _nbytes(self, rows: list[Any]) -> int:
        return sum(map(len, chain.from_iterable(rows) if self._fetches_values else rows))

    def _cut_to_bounds(self, rows: list[Any]) -> list[Any]:
        """Return the rows within the bounds; keys come in order, so the last one mostly settles it."""
        if not rows or self._in_bounds(self._key(rows[-1])):
            return rows
        return rows[: bisect_right(rows, False, key=lambda row: not self._in_bounds(self._key(row)))]

    def _in_bounds(self, key: bytes) -> bool:
        return key.startswith(self.prefix) and key >= self.start and (self.stop is None or key <= self.stop)

    def _advance(self, last: bytes, rows: int, nbytes: int, done: bool, cursor: bytes | bool) -> "ScanPager":
        at, exclusive = (last, True) if self.reverse else (last + b"\0", False)
        count = max(1, min(4 * self._count, MAX_PAGE_ROWS, PAGE_BYTES[Slice] * rows // (nbytes + 1)))
        limit = None if self.limit is None else self.limit - rows
        done = done or (limit is not None and limit < 1)
        following = _new(ScanPager)  # evolve would take longer than all else here
        following.__dict__.update(self.__dict__)
        following.__dict__.update(
            {"_at": at, "_exclusive": exclusive, "_count": count, "limit": limit, "done": done, "cursor": cursor}
        )
        return following

    def _project(self, row: Any) -> bytes | None:
        if self.include_key:
            return self._key(row)
        return row[1] if self.include_value else None


def _check_same_cursor(asked: bytes | bool, returned: bytes | None) -> None:
    """Refuse a page of another snapshot than the page before."""
    if isinstance(asked, bytes) and returned is not None and returned != asked:
        raise MalformedMessage("the answer names another cursor, so what follows it may be of another moment")


ScanCommand: TypeAlias = Range | Slice | ScanPager
"""A range as one command, or as pages."""


class IncompleteRange(Exception):
    """Says that an answer has more pages, and not where: an interceptor of the server's has changed it.

    Then the range is asked for in one answer.
    """


def can_page(command: ScanCommand, features: tuple[str, ...]) -> bool:
    """Return whether a server gives this range in pages of RANGE: forwards, with keys and values."""
    return (
        isinstance(command, Range)
        and PAGED_RANGES in features
        and not command.reverse
        and command.include_key
        and command.include_value
    )


@frozen
class RangePager:
    """A page of one RANGE; the server applies its limits to all pages together.

    Attributes:
        command: fetches the page.
        done: True once no page is left.
    """

    command: Range
    done: bool = False

    @classmethod
    def from_command(cls, command: Range) -> Self:
        """Make the pager of a RANGE's first page."""
        return cls(_page_of(command, command.start, True))

    def next_command(self) -> Range:
        """Return the command that fetches the page."""
        return self.command

    def feed(self, page: PageRows, *, more: bool, cursor: bytes | None = None) -> "tuple[PageRows, RangePager]":
        """Return the pairs of a fetched page, and the pager of the next page.

        Raises:
            IncompleteRange: the answer does not say how to go on.
            MalformedMessage: the page does not lie behind the page before.
        """
        _check_same_cursor(self.command.cursor, cursor)
        if not more:
            return page, RangePager(self.command, True)
        if not isinstance(page, LazyPage) or cursor is None:
            raise IncompleteRange
        if self.command.start is not None and page.last_key < self.command.start:
            raise MalformedMessage("the page holds what came before it, so the range would never end")
        return page, RangePager(_page_of(self.command, page.last_key + b"\0", cursor))


def _page_of(command: Range, start: bytes | None, cursor: bytes | bool) -> Range:
    return Range(start, command.stop, True, True, command.prefix, False, PAGE_BYTES[Range], cursor, lazy=True)


def describe_iterator(name: str, rows: int, pager: ScanPager) -> str:
    """Return the repr of an iterator: the rows at hand, and whether there are others."""
    return f"<{name}: {rows} rows at hand, {'no page' if pager.done else 'pages'} to come>"
