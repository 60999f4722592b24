"""Scans read in chunks: rows are taken from the iterator a few at a time and counted right there."""

from collections.abc import Callable, Iterator, Mapping
from itertools import islice
from typing import Any, Final, TypeAlias

from pyelevator._closing import Closing
from pyelevator.messages import PackedRows, RowLayout

_ROWS: Final = 256
_BYTES: Final = 256 << 10
"""Rows, and bytes of them, that ``iter_rows`` reads at once."""

Chunk: TypeAlias = tuple[list[Any], int]
"""Some rows, and how many bytes they have."""


class ChunkedScan(Closing):
    """The rows of a scan, in lists; as a context manager, it is closed at the end.

    Args:
        rows: the rows of the scan, from the first one on.
        parts: of each row, see ``Bounds.parts``.
    """

    def __init__(self, rows: Iterator[Any], parts: tuple[bool, bool]) -> None:
        self._rows = rows
        self._take = _TAKE[parts]

    def read(self, max_rows: int, target_bytes: int) -> Chunk:
        """Return the next rows, and their bytes.

        The scan is exhausted if there are fewer rows and fewer bytes than asked for.

        Args:
            max_rows: at most so many rows.
            target_bytes: the row that reaches this size is the last one.
        """
        return self._take(islice(self._rows, max_rows), target_bytes)

    def packer(self, layout: RowLayout) -> Callable[[int, int], tuple[PackedRows, int]] | None:  # noqa: ARG002
        """Return a function like ``read`` whose rows are packed already; None if there is none, as here.

        Args:
            layout: how rows are packed.
        """
        return None

    def iter_rows(self) -> Iterator[Any]:
        """Yield the rows one by one; the scan is closed in the end."""
        with self:
            while rows := self.read(_ROWS, _BYTES)[0]:
                yield from rows

    def close(self) -> None:
        """Release the rows, so that a generator of them ends; closing twice is fine.

        A subclass closes what else has to be closed.
        """
        self._rows = iter(())


def _take_pairs(rows: Iterator[tuple[bytes, bytes]], target_bytes: int) -> Chunk:
    """Take pairs in one flat loop, as ranges are long.

    They are counted row by row, so that no second large one is read without need.
    """
    taken: list[tuple[bytes, bytes]] = []
    add = taken.append
    size = 0
    for row in rows:
        add(row)
        key, value = row
        size += len(key) + len(value)
        if size >= target_bytes:
            break
    return taken, size


def _take_strings(rows: Iterator[bytes], target_bytes: int) -> Chunk:
    taken: list[bytes] = []
    add = taken.append
    size = 0
    for row in rows:
        add(row)
        size += len(row)
        if size >= target_bytes:
            break
    return taken, size


_TAKE: Final[Mapping[tuple[bool, bool], Callable[[Iterator[Any], int], Chunk]]] = {
    (True, True): _take_pairs,
    (True, False): _take_strings,
    (False, True): _take_strings,
    (False, False): lambda rows, _: (list(rows), 0),
}
"""``Bounds.parts`` -> the function that takes rows until they have so many bytes."""
