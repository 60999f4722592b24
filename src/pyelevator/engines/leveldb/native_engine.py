"""The LevelDB engine in C++: the same directories, the same answers, and whole pieces of work without Python's lock.

It is the engine on plyvel but for what is read and written in bulk. There a row is no Python object: the library of
``pyelevator-native`` packs rows and values as msgpack while it reads them, and writes packed operations. It looks at
the status of each iterator whenever it returns rows, so that the reader's own checks of ends are not needed.
"""

from collections.abc import Callable, Generator, Sequence
from functools import partial
from typing import Any, Final

from attrs import evolve

from pyelevator.arguments.batches import CheckedSequence
from pyelevator.commands import BatchOp
from pyelevator.engines.base import Bounds, OnValues, PackedValues
from pyelevator.engines.base.chunks import Chunk, ChunkedScan
from pyelevator.engines.base.views import ANY_SIZE
from pyelevator.engines.leveldb.binding import reader
from pyelevator.engines.leveldb.binding.errors import ErrorTranslator
from pyelevator.engines.leveldb.binding.reader import LevelDbReader
from pyelevator.engines.leveldb.engine import LevelDbEngine
from pyelevator.messages import PackedRows, RowLayout

_COUNTED: Final = 1 << 18
"""Pairs that are counted in one go, while other threads have Python."""

_KEYS: Final = 1 << 14
"""Keys whose values are read at once, by several threads."""

_VALUES_BYTES: Final = 2 << 20
"""Bytes of these values; larger ones are read a few at a time."""


class NativeReader(LevelDbReader):
    """The reads of a database or a snapshot whose ``source`` is of ``pyelevator_native.leveldb``."""

    packs_values = True

    def multi_get(self, keys: Sequence[bytes], *, fill_cache: bool = False) -> list[bytes | None]:
        return self._multi_get(keys, fill_cache, ANY_SIZE) or []

    def _multi_get(self, keys: Sequence[bytes], fill_cache: bool, max_bytes: int) -> list[bytes | None] | None:
        """Return the values; None if they are more than so many bytes."""
        with self._errors:
            values, by_points = self._source.multi_get(
                list(keys),
                max_bytes=max_bytes,
                max_gap=reader.SCAN_MAX_GAP,
                verify_checksums=self._verify,
                fill_cache=fill_cache,
            )
            if by_points and values is not None and None in values:
                self._check_tables()
        return values  # type: ignore[no-any-return]

    def iter_values(
        self, keys: Sequence[bytes], *, fill_cache: bool = False
    ) -> Generator[list[bytes | None], None, None]:
        """Yield the values of many keys at once, unless they are large."""
        for first in range(0, len(keys), _KEYS):
            some = keys[first : first + _KEYS]
            values = self._multi_get(some, fill_cache, _VALUES_BYTES)
            if values is None:
                yield from super(LevelDbReader, self).iter_values(some, fill_cache=fill_cache)
            else:
                yield values

    def pack_values(
        self, keys: Sequence[bytes], layout: RowLayout, max_bytes: int, *, fill_cache: bool = False
    ) -> PackedValues | None:
        with self._errors:
            data, missing, by_points = self._source.packed_values(
                keys.packed_items() if isinstance(keys, CheckedSequence) else list(keys),
                len(keys),
                bin=layout.bin,
                max_bytes=max_bytes,
                max_gap=reader.SCAN_MAX_GAP,
                verify_checksums=self._verify,
                fill_cache=fill_cache,
            )
            if by_points and missing:
                self._check_tables()
        return PackedValues(None if data is None else PackedRows(data, len(keys)), missing)

    def count(self, bounds: Bounds, checkpoint: Callable[[], None] = lambda: None) -> int:
        total = 0
        with self.chunks(evolve(bounds, include_key=False, include_value=False)) as scan:
            while found := scan.count(_COUNTED):
                total += found
                checkpoint()
        return total

    def chunks(self, bounds: Bounds) -> "_NativeScan":
        start, stop, include_stop = bounds.interval()
        with self._errors:
            scan = self._source.scan(
                start=start,
                stop=stop,
                include_stop=include_stop,
                include_key=bounds.include_key,
                include_value=bounds.include_value,
                reverse=bounds.reverse,
                fill_cache=bounds.fill_cache,
                verify_checksums=self._verify,
            )
        return _NativeScan(scan, bounds, self._errors)


class _NativeScan(ChunkedScan):
    """The rows of a scan of the library's, as objects or packed."""

    def __init__(self, scan: Any, bounds: Bounds, errors: ErrorTranslator) -> None:
        super().__init__(iter(()), bounds.parts)
        self._scan = scan
        self._is_closed = False
        self._errors = errors

    def read(self, max_rows: int, target_bytes: int) -> Chunk:
        if self._is_closed:
            return [], 0
        with self._errors:
            return self._scan.take(max_rows, target_bytes)  # type: ignore[no-any-return]

    def packer(self, layout: RowLayout) -> Callable[[int, int], tuple[PackedRows, int]]:
        return partial(self._pack, layout)

    def _pack(self, layout: RowLayout, max_rows: int, target_bytes: int) -> tuple[PackedRows, int]:
        with self._errors:
            data, count, size, last = self._scan.pack(max_rows, target_bytes, flat=layout.flat, bin=layout.bin)
        return PackedRows(data, count, last), size

    def count(self, max_rows: int) -> int:
        """Count the rows that are left, at most so many."""
        with self._errors:
            return self._scan.count(max_rows)  # type: ignore[no-any-return]

    def close(self) -> None:
        self._is_closed = True
        self._scan.close()


class NativeEngine(NativeReader, LevelDbEngine):
    """One open LevelDB of ``pyelevator_native.leveldb``."""

    view_class = NativeReader

    def multi_get(self, keys: Sequence[bytes], *, fill_cache: bool = False) -> list[bytes | None]:
        return LevelDbEngine.multi_get(self, keys, fill_cache=fill_cache)

    def collect(
        self, keys: Sequence[bytes], on_values: OnValues = lambda _: None, *, fill_cache: bool = False
    ) -> Sequence[bytes | None]:
        """Read them at once, unless the row cache may have some, or they are many or large."""
        if type(keys) is list and len(keys) <= _KEYS and not (fill_cache or self.rows):
            values = self._multi_get(keys, False, _VALUES_BYTES)
            if values is not None:
                on_values(values)
                return values
        return super().collect(keys, on_values, fill_cache=fill_cache)

    def pack_values(
        self, keys: Sequence[bytes], layout: RowLayout, max_bytes: int, *, fill_cache: bool = False
    ) -> PackedValues | None:
        """Pack them, unless the row cache may have some, or is to have them."""
        if fill_cache or self.rows:
            return None
        return super().pack_values(keys, layout, max_bytes)

    def _batch(self, ops: Sequence[BatchOp], sync: bool) -> Any:
        if type(ops) is tuple or not isinstance(ops, CheckedSequence):
            return super()._batch(ops, sync)
        batch = self._source.write_batch(sync=sync)
        batch.add_packed(ops.packed_items(), len(ops))
        return batch
