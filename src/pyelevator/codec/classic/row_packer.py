"""Packed: the rows of an answer as the bytes that they will be, packed while they are read.

Rows are an array of what each row is. A page of pairs is one flat array instead, key, value, key, value: that is packed
in half the time, as msgpack looks for a tuple last of all, and unpacked without a list for each pair in between.
"""

from collections.abc import Sequence
from typing import Any, ClassVar, Final

from pyelevator.codec.packing import BIN, LARGE_STRING, RAW, Packing, array_head, map_head
from pyelevator.messages import PackedRows, RowLayout

CONTENT_PREFIX: Final = b"\x81" + RAW.pack("datas")
"""What the content of an answer in the classic dialect begins with."""

MAX_ARRAY_HEAD: Final = 5
"""Bytes that say how many elements an array has, at most."""

_HEAD: Final = len(CONTENT_PREFIX) + MAX_ARRAY_HEAD
"""Bytes that are left for what stands before the rows, which is known when all of them are there."""


class RowPacker:
    """Rows of an answer that are added some at a time and packed at once.

    So no more than some of them are ever there as objects: they are read, packed and given up within the processor's
    caches, which is quicker than to do one after the other with all of them. It has what a handler needs of the list
    that it stands for: ``extend``, a length, and the last row under ``[-1]``; and how many bytes there are.
    """

    def __init__(self, packing: Packing = RAW) -> None:
        self.packing = packing
        self._frame = bytearray(_HEAD)
        self._start = 0
        self._count = 0
        self._last: object = None

    def extend(self, rows: Sequence[object] | PackedRows) -> None:
        """Add some rows; those that are packed have to be in the ``layout`` of this one."""
        if not rows:
            return
        if isinstance(rows, PackedRows):
            self._frame += rows.data
            self._last = (rows.last_key,)
        else:
            self._pack(rows)
            self._last = rows[-1]
        self._count += len(rows)

    @property
    def layout(self) -> RowLayout:
        """The layout of the packed rows."""
        return RowLayout(flat=self._items == 2, bin=self.packing is BIN)

    @property
    def nbytes(self) -> int:
        """Bytes of the rows, packed."""
        return len(self._frame) - self._start

    def __len__(self) -> int:
        return self._count

    def __getitem__(self, index: int) -> object:
        if index != -1 or not self._count:
            raise IndexError("only the last row is at hand")
        return self._last

    def finish(self) -> Any:
        """Return the content frame of an answer with these rows (a memoryview: nothing is copied)."""
        head = CONTENT_PREFIX + array_head(self._count * self._items)
        self._frame[_HEAD - len(head) : _HEAD] = head
        return memoryview(self._frame)[_HEAD - len(head) :]

    _items: ClassVar[int] = 1
    """Of the array, for each row."""

    def _pack(self, rows: Sequence[Any]) -> None:
        """Pack rows of which only the last one may be large, as reading ends with such a one."""
        if not _is_large(rows[-1]):
            self._frame += self._packed(rows)
            return
        if len(rows) > 1:
            self._frame += self._packed(rows[:-1])
        strings = [rows[-1]] if type(rows[-1]) is bytes else rows[-1]
        if type(rows[-1]) is not bytes and self._items == 1:
            self._frame += array_head(len(strings))
        for string in strings:
            self._append_string(string)

    def _append_string(self, string: bytes) -> None:
        """Append a string; a large one without a further copy of it."""
        if len(string) < LARGE_STRING:
            self._frame += self.packing.pack(string)
        else:
            self._frame += self.packing.large_head(len(string))
            self._frame += string

    def _packed(self, rows: Sequence[object]) -> memoryview:
        return memoryview(self.packing.pack(rows))[len(array_head(len(rows))) :]


def _is_large(row: Any) -> bool:
    return (len(row) if type(row) is bytes else sum(map(len, row or ()))) >= LARGE_STRING


class PagePacker(RowPacker):
    """The packed pairs of a page."""

    _items = 2

    def _packed(self, rows: Sequence[object]) -> memoryview:
        """Pack the pairs as a map does; in an array they are the same."""
        return memoryview(self.packing.pack_map_pairs(rows))[len(map_head(len(rows))) :]
