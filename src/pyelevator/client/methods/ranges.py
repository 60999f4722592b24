"""Ranges of keys: to read, count and delete them."""

from collections.abc import Callable
from typing import TYPE_CHECKING, TypeVar

from pyelevator.arguments import integer
from pyelevator.client import operations
from pyelevator.client.declaration import (
    Outcome,
    Shared,
    SharedMethods,
    Steps,
    mark,
    shared_method,
    shared_range,
    shared_slice,
    shared_steps,
)
from pyelevator.client.decoding import T
from pyelevator.client.paging import ITER_NAMES, SLICE_NAMES, ScanCommand, ScanPager, build_scan, can_page
from pyelevator.commands import Count, Data, DeleteRange, Range
from pyelevator.errors import ElevatorError

if TYPE_CHECKING:
    from pyelevator.client.aio.ranges import AsyncRangeIter
    from pyelevator.client.signatures import RangeIterCall
    from pyelevator.client.sync.ranges import RangeIter

R = TypeVar("R")


def shared_iterator(
    method: "Callable[..., RangeIter[R]]",
) -> """Shared[
    RangeIterCall[RangeIter[list[R]], RangeIter[R]],
    RangeIterCall[AsyncRangeIter[list[R]], AsyncRangeIter[R]],
    None,
]""":
    """Declare ``RangeIter``, which is not awaited."""
    return mark(method, is_awaited=False)


class RangeMethods(SharedMethods[T]):
    """The methods that read, count and delete ranges of keys."""

    if TYPE_CHECKING:

        def _collect_range(self, command: Range, timeout: float | None, compression: bool) -> Outcome[list[T]]:
            """Return all pairs of a range that the server gives in pages."""

    @shared_steps
    def _delete_chunks(self, command: DeleteRange | None, timeout: float | None) -> Steps[int]:
        """Delete a range chunk by chunk, each within ``timeout``; return how many keys it had."""
        deleted = 0
        while command is not None:
            try:
                count, command = yield self._execute(operations.delete_chunk(self._handle, command), timeout)
            except ElevatorError as error:
                operations.note_deleted(error, deleted)
                raise
            deleted += count
        return deleted

    def _scan(self, command: ScanCommand, timeout: float | None, compression: bool) -> Outcome[list[T]]:
        decode = self._rows_decoder(command)
        if isinstance(command, ScanPager):
            return self._execute(operations.scan(self._handle, command, compression, decode), timeout)
        return self._call(command, timeout, compression, decode)

    @shared_range
    def Range(
        self,
        start: Data | None = None,
        limit: Data | int | None = None,
        *,
        include_key: bool = True,
        include_value: bool = True,
        prefix: Data | None = None,
        reverse: bool = False,
        compression: bool = False,
        timeout: float | None = None,
    ) -> Outcome[list[T]]:
        """Return the pairs from ``start`` on, in one answer.

        Args:
            start: the first key; None for the beginning.
            limit: the last key, inclusive, or an int: how many pairs; None for the end.
            include_key, include_value: False leaves that part out.
            prefix: only keys that start with it.
            reverse: the same pairs in the opposite order; with a count, so many pairs from ``start`` down (None for
                the end).
            compression: ask for an lz4-compressed answer.
            timeout: seconds; the client's if None.

        Returns:
            ``[[key, value], ...]``, or a flat list of keys or of values if the other part is left out.

        Raises:
            UsageError: both parts are left out; nothing was sent.
            WrongValue: it is over the server's ``--max-range``; :meth:`RangeIter` has no limit.
        """
        command = build_scan(start, limit, include_key, include_value, prefix, reverse=reverse)
        if isinstance(command, Range) and self._prefetches and can_page(command, self._handle.features):
            return self._collect_range(command, timeout, compression)
        return self._scan(command, timeout, compression)

    @shared_slice
    def Slice(
        self,
        key_from: Data | None,
        offset: int,
        *,
        include_key: bool = True,
        include_value: bool = True,
        prefix: Data | None = None,
        reverse: bool = False,
        compression: bool = False,
        timeout: float | None = None,
    ) -> Outcome[list[T]]:
        """Return the first ``offset`` pairs from ``key_from`` on, or down with ``reverse``.

        Args:
            key_from: the first key; None for the beginning, or with ``reverse`` for the end.
            offset: how many pairs.
            include_key, include_value, prefix, compression, timeout: as in :meth:`Range`.
            reverse: go down. An old server does not (UsageError; nothing is sent).

        Returns:
            As :meth:`Range`.

        Raises:
            UsageError, WrongValue: as :meth:`Range`.

        >>> from pyelevator import Elevator
        >>> E = Elevator(transport="fake")
        >>> for key in "abcd":
        ...     E.Put(key, key)
        >>> E.Slice("c", 2, reverse=True, include_value=False)
        ['c', 'b']
        """
        count = integer(offset, "offset")
        command = build_scan(key_from, count, include_key, include_value, prefix, reverse=reverse, names=SLICE_NAMES)
        return self._scan(command, timeout, compression)

    @shared_method
    def Count(
        self,
        start: Data | None = None,
        stop: Data | None = None,
        *,
        prefix: Data | None = None,
        timeout: float | None = None,
    ) -> Outcome[int]:
        """Count the keys that :meth:`Range` would give, without fetching them.

        Args:
            start: the first key; None for the beginning.
            stop: the last key, inclusive; None for the end.
            prefix: only keys that start with it.
            timeout: seconds; the client's if None. A server counts about a million keys in a second.

        Returns:
            How many there are at one moment.

        Raises:
            UsageError: a server that does not know it; nothing was sent.

        >>> from pyelevator import Elevator
        >>> E = Elevator(transport="fake")
        >>> E.Put("user:ann", "1")
        >>> E.Count(), E.Count("user:b"), E.Count(prefix="user:")
        (1, 0, 1)
        """
        return self._call(Count(start, stop, prefix), timeout)

    @shared_method
    def DeleteRange(
        self,
        start: Data | None = None,
        stop: Data | None = None,
        *,
        prefix: Data | None = None,
        sync: bool = False,
        timeout: float | None = None,
    ) -> Outcome[int]:
        """Delete the keys that :meth:`Range` would give, without fetching them.

        It is done in chunks of some thousand keys, each in one step: all of a chunk is deleted or nothing, and no other
        write comes between. Between two chunks others may write; keys that they put behind the last chunk are deleted,
        others stay. Neither side has more than a chunk in memory. After an error or an interrupt, the same call goes on
        where this one has come to.

        Args:
            start: the first key; None for the beginning.
            stop: the last key, inclusive; None for the end.
            prefix: only keys that start with it.
            sync: as in :meth:`Put`, for each chunk.
            timeout: seconds for each chunk; the client's if None.

        Returns:
            How many keys were deleted.

        Raises:
            TransportError: no answer came for a chunk, which may have been deleted. The error's ``deleted`` is the
                number of keys in the chunks before.
            UsageError: a server that does not know it; nothing was sent.

        >>> from pyelevator import Elevator
        >>> E = Elevator(transport="fake")
        >>> E.Put("user:ann", "1")
        >>> E.Put("visits", "7")
        >>> E.DeleteRange(prefix="user:"), E.Range()
        (1, [['visits', '7']])
        """
        return self._delete_chunks(DeleteRange(start, stop, prefix, sync), timeout)


class IterationMethods(RangeMethods[T]):
    """The same, and the one that goes through a range step by step."""

    if TYPE_CHECKING:

        def _iterate(self, pager: ScanPager, compression: bool, timeout: float | None) -> "RangeIter[T]":
            """Return the iterator over a range."""

    @shared_iterator
    def RangeIter(
        self,
        key_from: Data | None = None,
        key_to: Data | int | None = None,
        *,
        include_key: bool = True,
        include_value: bool = True,
        prefix: Data | None = None,
        reverse: bool = False,
        consistent: bool = False,
        compression: bool = False,
        timeout: float | None = None,
    ) -> "RangeIter[T]":
        """Return an iterator over what :meth:`Range` gives, of any length: it fetches page by page as it goes.

        Writes between two pages are seen or not, as they come; with ``consistent=True`` all pages are of one moment,
        that of the first page. The server keeps a snapshot for that, as long as the pages follow one another within a
        minute (its ``--cursor-idle``); an old server does not (UsageError).

        Args:
            key_from: the first key; None for the beginning.
            key_to: the last key, inclusive, or an int: how many pairs; None for the end.
            include_key, include_value, prefix, reverse, compression: as in :meth:`Range`.
            consistent: read all pages from one snapshot.
            timeout: seconds for each page; the client's if None.

        Returns:
            The iterator. Its steps raise what :meth:`Range` raises, and CursorExpired when the snapshot is gone.

        >>> from pyelevator import Elevator
        >>> E = Elevator(transport="fake")
        >>> E.Put("a", "1")
        >>> with E.RangeIter(consistent=True) as rows:  # gives the snapshot back, wherever the block is left
        ...     next(rows)
        ['a', '1']
        """
        command = build_scan(key_from, key_to, include_key, include_value, prefix, reverse=reverse, names=ITER_NAMES)
        pager = ScanPager.for_iterator(command, consistent, lazy=self._prefetches)
        return self._iterate(pager, compression, timeout)
