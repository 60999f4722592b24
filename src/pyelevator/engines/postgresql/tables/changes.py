"""A batch, folded: what each of its keys comes to."""

from collections.abc import Iterable, Sequence
from typing import Final, Self

from attrs import frozen

from pyelevator.commands import PUT, BatchOp
from pyelevator.engines.base import EngineTooLarge

MAX_KEY: Final = 2600
"""Bytes of a key. PostgreSQL's own limit depends on the content: 2,692 random ones, and more that compress."""

MAX_VALUE: Final = 256 << 20
"""Bytes of a value, and of all keys and values of a batch together; PostgreSQL's own limit is half a gigabyte."""


@frozen
class Changes:
    """The changes of a batch, in the order in which rows are locked.

    Attributes:
        deleted: keys.
        keys: others, that are set.
        values: their values.
        size: bytes of all.
    """

    deleted: Sequence[bytes]
    keys: Sequence[bytes]
    values: Sequence[bytes]
    size: int

    @classmethod
    def fold(cls, ops: Iterable[BatchOp]) -> Self:
        """Fold the operations of a batch: only the last one of each key counts; they are in the order of their keys.

        >>> from pyelevator.commands import DELETE
        >>> Changes.fold([(PUT, b"c", b"1"), (DELETE, b"a"), (PUT, b"b", b"2"), (PUT, b"c", b"3")])
        Changes(deleted=[b'a'], keys=[b'b', b'c'], values=[b'2', b'3'], size=5)

        Raises:
            EngineTooLarge: a key, a value, or all together; nothing was sent.
        """
        last = {op[1]: op[2] if op[0] == PUT else None for op in ops}  # type: ignore[misc]
        pairs = sorted([(key, value) for key, value in last.items() if value is not None])
        deleted = sorted([key for key, value in last.items() if value is None and len(key) <= MAX_KEY])
        keys, values = [key for key, _ in pairs], [value for _, value in pairs]
        size = sum(map(len, keys)) + sum(map(len, values)) + sum(map(len, deleted))
        _check_sizes(keys, values, size)
        return cls(deleted, keys, values, size)

    @property
    def count(self) -> int:
        """The number of rows that are written."""
        return len(self.deleted) + len(self.keys)

    @property
    def needs_exclusion(self) -> bool:
        """True if it could wait for rows in another order than others do.

        Puts lock their rows in the order of the keys, one row is in any order, and deletions follow no order.
        """
        return bool(self.deleted) and self.count > 1


def _check_sizes(keys: Sequence[bytes], values: Sequence[bytes], size: int) -> None:
    longest, largest = max(map(len, keys), default=0), max(map(len, values), default=0)
    if longest > MAX_KEY:
        raise EngineTooLarge(f"a key of {longest:,} bytes is over the limit of {MAX_KEY:,}; nothing was written")
    if largest > MAX_VALUE:
        raise EngineTooLarge(f"a value of {largest:,} bytes is over the limit of {MAX_VALUE:,}; nothing was written")
    if size > MAX_VALUE:
        raise EngineTooLarge(f"a batch of {size:,} bytes is over the limit of {MAX_VALUE:,}; split it")
