"""Packed: the rows of an answer as the bytes that they will be, packed while they are read."""

from collections.abc import Sequence
from typing import Any, Final

from msgpack import Packer

from pyelevator.codec.base import pack

DATAS: Final = b"\x81" + pack("datas")
"""What the content of an answer in the classic dialect begins with."""

_HEADS: Final = Packer()


class PackedRows:
    """Rows of an answer that are added some at a time and packed at once.

    So no more than some of them are ever there as objects: they are read, packed and given up within the processor's
    caches, which is quicker than to do one after the other with all of them. It has what a handler needs of the list
    that it stands for: ``extend``, a length, and the last row under ``[-1]``.
    """

    def __init__(self) -> None:
        self._pieces: list[Any] = []
        self._count = 0
        self._last: Any = None

    def extend(self, rows: Sequence[Any]) -> None:
        """Adds some rows."""
        if rows:
            self._pieces.append(memoryview(pack(rows))[len(_head(len(rows))) :])
            self._count += len(rows)
            self._last = rows[-1]

    def __len__(self) -> int:
        return self._count

    def __getitem__(self, index: int) -> Any:
        if index != -1 or not self._count:
            raise IndexError("only the last row is at hand")
        return self._last

    def content(self) -> bytes:
        """The content frame of an answer with these rows."""
        return b"".join((DATAS, _head(self._count), *self._pieces))


def _head(count: int) -> bytes:
    """What stands before the items of an array."""
    head: bytes = _HEADS.pack_array_header(count)
    return head
