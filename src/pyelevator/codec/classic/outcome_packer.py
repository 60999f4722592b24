"""The outcomes of a pipeline as the bytes that they will be, packed while its commands are executed."""

from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from typing import Any, Final

from pyelevator.codec.classic.payloads import encode_outcome
from pyelevator.codec.classic.row_packer import MAX_ARRAY_HEAD, RowPacker
from pyelevator.codec.packing import LARGE_STRING, RAW, Packing, array_head
from pyelevator.messages import Response

_CHUNK: Final = 256
"""Outcomes that are packed at once."""

_PLAIN: Final = frozenset({bytes, bool, type(None)})
"""The types of outcomes that stand for themselves, and have no parts."""


class NestedRowPacker(RowPacker):
    """The rows of one outcome, packed behind the outcomes before it, so that nothing is copied afterwards."""

    def __init__(self, frame: bytearray, packing: Packing) -> None:
        super().__init__(packing)
        self._start = len(frame)
        self._frame = frame
        frame += bytes(MAX_ARRAY_HEAD)

    def finish_within(self, before: bytes) -> None:
        """Complete the rows, with what the outcome has before them."""
        self._frame[self._start : self._start + MAX_ARRAY_HEAD] = before + array_head(len(self))


class OutcomePacker(RowPacker):
    """The outcomes of a pipeline: each is packed when it is there, and the rows of a scan already while they are read.

    So they are in memory once, however large they are together.
    """

    def __init__(self, packing: Packing = RAW) -> None:
        super().__init__(packing)
        self._end = len(self._frame)

    def row_sink(self) -> NestedRowPacker:
        """Return what the rows of the next outcome are collected in; those of an earlier call are given up."""
        del self._frame[self._end :]
        return NestedRowPacker(self._frame, self.packing)

    def extend(self, rows: Any) -> None:
        """Add some outcomes; one whose payload was collected in a ``row_sink`` has to come alone."""
        for outcomes, is_small in _chunks(rows):
            if is_small:
                self._append(self._packed(outcomes))
            else:
                for outcome in outcomes:
                    self._add(outcome)
            self._count += len(outcomes)

    def _add(self, outcome: Any) -> None:
        rows = outcome.payload if isinstance(outcome, Response) else None
        if isinstance(rows, list):
            rows = self._collected(rows)
        if isinstance(rows, NestedRowPacker):
            rows.finish_within(self._before_rows(outcome))
            self._end = len(self._frame)
        elif type(outcome) is bytes and len(outcome) >= LARGE_STRING:
            self._append(self.packing.large_head(len(outcome)))
            self._append(outcome)
        else:
            self._append(self.packing.pack(encode_outcome(outcome)))

    def _append(self, packed: bytes | memoryview) -> None:
        del self._frame[self._end :]  # the rows of a scan that has failed
        self._frame += packed
        self._end = len(self._frame)

    def _collected(self, values: Sequence[object]) -> NestedRowPacker:
        """Pack the values of an MGET that are in a list."""
        sink = self.row_sink()
        for some, is_small in _chunks(values):
            for rows in [some] if is_small else [[value] for value in some]:
                sink.extend(rows)
        return sink

    def _before_rows(self, outcome: Response) -> bytes:
        """Return what an outcome has before its rows: nothing if they are all of it."""
        entry = encode_outcome(outcome)
        if entry is outcome.payload:
            return b""
        pack = self.packing.pack
        packed = pack({name: value for name, value in entry.items() if name != "datas"})
        return bytes([packed[0] + 1]) + packed[1:] + pack("datas")


def _chunks(values: Iterable[object]) -> Iterator[tuple[list[object], bool]]:
    """Yield some values at a time, and whether they are bytes or constants, and small together."""
    rest = iter(values)
    while chunk := list(islice(rest, _CHUNK)):
        kinds = set(map(type, chunk))
        is_plain = kinds <= _PLAIN
        size = sum([len(one) for one in chunk if type(one) is bytes]) if is_plain and bytes in kinds else 0
        yield chunk, is_plain and size < LARGE_STRING
