"""Ranges that come page by page, so that one larger than memory streams through little of it on both sides."""

from bisect import bisect_right
from collections.abc import Iterator
from contextlib import suppress
from itertools import chain
from typing import TYPE_CHECKING, Any, Final, Generic, Self, TypeAlias, TypeVar

from attrs import define, evolve, field

from pyelevator.arguments import behind
from pyelevator.commands import Data, Range, Slice, to_bytes
from pyelevator.errors import ArgumentTypeError, ElevatorError, MalformedMessage
from pyelevator.messages import Sealed

if TYPE_CHECKING:
    from pyelevator.client.pages import Pages

T = TypeVar("T")

Page: TypeAlias = list[list[bytes]] | Sealed
"""The pairs of a page, unpacked or not yet."""

PAGE_BYTES: Final = 2 << 20
"""How large a page aims to be (measured: docs/decisions.md). A server with the feature ``pages`` is held to it; for
others the next page's count follows from the size of the last page's pairs."""
FIRST_COUNT: Final = 128
MAX_COUNT: Final = 32_768


def scan(
    start: Data | None,
    limit: Data | int | None,
    include_key: bool,
    include_value: bool,
    prefix: Data | None,
    *,
    reverse: bool = False,
) -> "Range | Slice | Pager":
    """What a range asks for: up to a key, or so many pairs; a count under a prefix is a matter of pages.

    Raises:
        ArgumentTypeError: ``limit`` is neither a key nor a count, or another argument has the wrong type.
    """
    if isinstance(limit, int) and not isinstance(limit, bool):
        command = Slice(start, limit, include_key, include_value, reverse=reverse)
        return command if prefix is None else Pager.of(command, to_bytes(prefix, "prefix"))
    if limit is not None and not isinstance(limit, Data):
        raise ArgumentTypeError(f"limit must be a key (str or bytes) or a count (int), not {type(limit).__name__}")
    return Range(start, limit, include_key, include_value, prefix, reverse)


def check_count(count: int) -> int:
    """``count`` itself.

    Raises:
        ArgumentTypeError: it is not an int.
    """
    if isinstance(count, bool) or not isinstance(count, int):
        raise ArgumentTypeError(f"offset must be an int, the number of pairs, not {type(count).__name__}")
    return count


@define
class Pager:
    """The pages of one scan, sans-I/O: which command fetches the next, and what of its answer belongs to the scan.

    Attributes:
        start, stop, prefix: as in :class:`~pyelevator.commands.Range`.
        include_key, include_value: which parts the rows have.
        limit: how many rows there are at the most; None for no limit.
        reverse: from stop down to start.
        cursor: True to have the server keep a snapshot for the pages, then the id of that; False for neither.
        sealed: whether pages may stay packed until somebody looks at their pairs.
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
    done: bool = field(init=False, default=False)
    _at: bytes | None = field(init=False)
    _exclusive: bool = field(init=False, default=False)
    _count: int = field(init=False, default=FIRST_COUNT)
    _before: tuple[bytes | None, bool, int, int | None] = field(init=False)

    @classmethod
    def of(cls, scan: "Range | Slice | Pager", prefix: bytes = b"") -> "Pager":
        """The pages of a RANGE, or of a SLICE under ``prefix``; a pager is its own."""
        if isinstance(scan, Pager):
            return scan
        parts = scan.include_key, scan.include_value
        if isinstance(scan, Range):
            return cls(scan.start or b"", scan.stop, scan.prefix or b"", *parts, None, scan.reverse)
        start, stop = (b"", scan.start) if scan.reverse else (scan.start or b"", None)
        return cls(start, stop, prefix, *parts, scan.count, scan.reverse)

    @classmethod
    def over(cls, scan: "Range | Slice | Pager", consistent: bool, *, sealed: bool = False) -> "Pager":
        """The pages of a scan, all of one moment if that is asked for; ``sealed`` if whole pairs may stay packed.

        Raises:
            ArgumentTypeError: ``consistent`` is not a bool.
        """
        if not isinstance(consistent, bool):
            raise ArgumentTypeError(f"consistent must be bool, not {type(consistent).__name__}")
        return evolve(cls.of(scan), cursor=consistent, sealed=sealed and scan.include_key and scan.include_value)

    def __attrs_post_init__(self) -> None:
        self.start = max(self.start, self.prefix)
        self.done = (self.limit is not None and self.limit < 1) or (self.stop is not None and self.stop < self.start)
        self._at = self._top() if self.reverse else self.start

    def _top(self) -> bytes | None:
        """Where to start from downwards; what lies behind the prefix is no part of it."""
        end = behind(self.prefix)
        self._exclusive = end is not None and (self.stop is None or end <= self.stop)
        return end if self._exclusive else self.stop

    def next_command(self) -> Slice:
        """The command that fetches the next page. It always asks for the keys: the page after it starts from them."""
        count = self._count if self.limit is None else min(self._count, self.limit)
        way = self.reverse, self._exclusive, self.cursor
        return Slice(self._at, count, True, True, PAGE_BYTES, *way, sealed=self.sealed)

    def take(self, pairs: Page, *, more: bool, cursor: bytes | None = None) -> Any:
        """The rows of a fetched page, still packed if they came so; ``more`` is the server's word that it cut the page
        short.

        Raises:
            MalformedMessage: there is no ``cursor`` in an answer that needs one.
        """
        asked = self._count if self.limit is None else min(self._count, self.limit)
        complete = not pairs or (len(pairs) < asked and not more)
        if self.cursor is not False:
            if cursor is None and not complete:
                raise MalformedMessage("the answer names no cursor, so what follows it may be of another moment")
            self.cursor = cursor or False
        self.done = complete
        if isinstance(pairs, Sealed) and self._contains(pairs.last):
            self._advance(pairs.last, pairs.count, pairs.size)
            return pairs
        pairs = pairs.pairs() if isinstance(pairs, Sealed) else pairs
        rows = self._within(pairs)
        if len(rows) < len(pairs):
            self.done = True
        elif rows:
            self._advance(rows[-1][0], len(rows), sum(map(len, chain.from_iterable(rows))))
        return [self._part(row) for row in rows] if not (self.include_key and self.include_value) else rows

    def _within(self, pairs: list[list[bytes]]) -> list[list[bytes]]:
        """The pairs within the bounds; keys come in order, so the last one mostly settles it."""
        if not pairs or self._contains(pairs[-1][0]):
            return pairs
        return pairs[: bisect_right(pairs, False, key=lambda pair: not self._contains(pair[0]))]

    def _contains(self, key: bytes) -> bool:
        return key.startswith(self.prefix) and key >= self.start and (self.stop is None or key <= self.stop)

    def _advance(self, last: bytes, rows: int, size: int) -> None:
        self._before = self._at, self._exclusive, self._count, self.limit
        self._at, self._exclusive = (last, True) if self.reverse else (last + b"\0", False)
        self._count = max(1, min(4 * self._count, MAX_COUNT, PAGE_BYTES * rows // (size + 1)))
        if self.limit is not None:
            self.limit -= rows
            self.done = self.done or self.limit < 1

    def go_back(self) -> None:
        """The page that was taken last could not be unpacked: it is the next one again."""
        self._at, self._exclusive, self._count, self.limit = self._before
        self.done = False

    def _part(self, pair: list[bytes]) -> bytes | None:
        if self.include_key:
            return pair[0]
        return pair[1] if self.include_value else None


Scan: TypeAlias = Range | Slice | Pager
"""A range as one command, or as pages."""


class RangeIter(Generic[T]):
    """An iterator over a range, lazy: it fetches nothing before the first step, and then one page ahead.

    While the caller works on a page, the next one comes, over one of the client's lanes (of which at most half are
    used for that at a time); not if the client has interceptors, who would see times and an order that are nobody's.
    If a page cannot be fetched, the error is raised, and the next step tries again: nothing is skipped. Who does not
    iterate to the end of a ``consistent`` range calls :meth:`close`, or uses it in a ``with`` block, so that the
    server need not keep the snapshot until it expires.

    >>> from pyelevator import Elevator
    >>> with Elevator.from_url("fake://") as E:
    ...     E.Put("1", "a")
    ...     list(E.RangeIter("1", "2"))
    [['1', 'a']]
    """

    def __init__(self, pages: "Pages[T]") -> None:
        self._pages = pages
        self._rows: Iterator[T] = iter(())

    def __iter__(self) -> Self:
        return self

    def __next__(self) -> T:
        while True:
            for row in self._rows:
                return row
            if self._pages.done:
                self.close()
                raise StopIteration
            self._rows = iter(self._pages.next())

    def close(self) -> None:
        """Ends the iteration, and tells the server that its snapshot is no longer needed; twice is fine.

        It does not matter if the server cannot be told: it keeps no snapshot for long.
        """
        self._rows = iter(())
        with suppress(ElevatorError):
            self._pages.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
