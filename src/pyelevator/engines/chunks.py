"""Scans read in chunks: rows are taken from the iterator a few at a time and counted right there."""

from collections.abc import Callable, Iterator, Mapping
from itertools import islice
from typing import Any, Final, Self, TypeAlias

Piece: TypeAlias = tuple[list[Any], int]
"""Some rows, and how many bytes they have."""


class ChunkedScan:
    """The rows of a scan, in lists; as a context, it is closed at the end.

    Args:
        rows: what the scan gives, from its first row on.
        parts: of each, see ``Bounds.parts``.
    """

    def __init__(self, rows: Iterator[Any], parts: tuple[bool, bool]) -> None:
        self._rows = rows
        self._counted = _COUNTED[parts]

    def take(self, most: int, enough: int) -> Piece:
        """The next rows: at most ``most``, and none behind the one that makes them ``enough`` bytes.

        Where it is less of both, or nothing, that was the end.
        """
        return self._counted(islice(self._rows, most), enough)

    def close(self) -> None:
        """Lets go of the rows, so that a generator of them ends; twice is fine. What else has to be closed, a subclass
        closes.
        """
        self._rows = iter(())

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def _counted_pairs(rows: Iterator[Any], enough: int) -> Piece:
    """One flat loop, as ranges are long. It counts row by row, so that no second large one is read in vain."""
    taken: list[Any] = []
    add = taken.append
    size = 0
    for row in rows:
        add(row)
        key, value = row
        size += len(key) + len(value)
        if size >= enough:
            break
    return taken, size


def _counted_strings(rows: Iterator[Any], enough: int) -> Piece:
    taken: list[Any] = []
    add = taken.append
    size = 0
    for row in rows:
        add(row)
        size += len(row)
        if size >= enough:
            break
    return taken, size


_COUNTED: Final[Mapping[tuple[bool, bool], Callable[[Iterator[Any], int], Piece]]] = {
    (True, True): _counted_pairs,
    (True, False): _counted_strings,
    (False, True): _counted_strings,
    (False, False): lambda rows, _: (list(rows), 0),
}
"""``Bounds.parts`` -> what takes rows until they have so many bytes."""
