"""Reads of one LevelDB by the binding's objects; data that cannot be read is never taken for missing.

The binding's iterators check LevelDB's status only while they are positioned at a pair. If everything from a failure
to the last key cannot be read, an iterator just ends. So ends are checked here:

- A failure stays with its iterator. One that has yielded rows seeks the first of them again, and then raises it.
- Backwards, iterators check the status after every step, also at the end.
- If there was no row at all, a raw iterator, which always checks, seeks the position of the first one.

Point reads raise every failure except one: that a table is missing (see ``live_tables``).

That costs about a microsecond for each scan that meets the end of the keys, or no key.
"""

from collections.abc import Callable, Generator, Iterable, Iterator, Mapping, Sequence
from itertools import chain, takewhile
from operator import itemgetter
from typing import Any, Final

from pyelevator.engines.base import Bounds, EngineFileError, ReadView, batched
from pyelevator.engines.base.chunks import Chunk, ChunkedScan
from pyelevator.engines.leveldb.binding.errors import ErrorTranslator, is_backend_error
from pyelevator.engines.leveldb.binding.library import LAST_KEY

SCAN_MAX_GAP: Final = 4096
"""Bytes of files between keys; above it, point reads are cheaper than an iterator (see benchmarks/spread.py)."""

_LARGE_SCAN: Final = 2 << 20
"""Bytes of files; LevelDB caches 8 MiB of blocks unless it was told otherwise."""

_ATTEMPTS: Final = 8
"""The number of times that a scan is opened again which misses a row: it was just written, or not readable."""

_EXHAUSTED: Final = object()
"""Different from all rows: a row of a scan without keys and values is None."""

_KEY: Final[Callable[[Any], bytes]] = itemgetter(0)
_VALUE: Final[Callable[[Any], bytes]] = itemgetter(1)

_BACKWARDS: Final[Mapping[tuple[bool, bool], tuple[Callable[[Any], bytes], Callable[[Any], Any]]]] = {
    (True, True): (_KEY, tuple),
    (True, False): (bytes, bytes),
    (False, True): (_KEY, _VALUE),
    (False, False): (bytes, lambda _: None),
}
"""``Bounds.parts`` -> functions that return the key and the item of a row of an iterator that includes the keys."""


class LevelDbReader(ReadView):
    """The reads that a database and a snapshot share.

    Args:
        verify: True to check the checksum of each block.
        approximate_size: returns about how many bytes of files lie between two keys.
        check_tables: raises if a table is missing; called if a point read finds nothing.
    """

    def __init__(
        self,
        source: Any,
        errors: ErrorTranslator,
        verify: bool,
        approximate_size: Callable[[bytes, bytes], int],
        check_tables: Callable[[], None],
    ) -> None:
        self._source = source
        self._errors = errors
        self._approximate_size = approximate_size
        self._check_tables = check_tables
        self._verify = verify
        self._get: Final = source.get

    def get(self, key: bytes) -> bytes | None:
        try:  # the hot path: a try costs nothing, a context does
            value: bytes | None = self._get(key, verify_checksums=self._verify)
            if value is None:
                self._check_tables()
        except Exception as error:
            if is_backend_error(error):
                raise self._errors.translate(error) from error
            raise
        return value

    def multi_get(self, keys: Sequence[bytes], *, fill_cache: bool = False) -> list[bytes | None]:
        with self._errors:
            return self._point_read(keys, fill_cache)

    def _point_read(self, keys: Iterable[bytes], fill_cache: bool) -> list[bytes | None]:
        """Return the values, read one by one."""
        get, verify = self._get, self._verify
        values = [get(key, verify_checksums=verify, fill_cache=fill_cache) for key in keys]
        if None in values:
            self._check_tables()
        return values

    def iter_values(
        self, keys: Sequence[bytes], *, fill_cache: bool = False
    ) -> Generator[list[bytes | None], None, None]:
        """Yield the values, read by one iterator that seeks from key to key if they are near, else by point reads.

        For keys of one block, an iterator reads the block once, and point reads read it once for each key. If each key
        has blocks of its own, the iterator reads one on every level, and a point read ends where it finds the key.
        """
        if not keys:
            return
        with self._errors:
            if self._approximate_size(keys[0], keys[-1]) > SCAN_MAX_GAP * len(keys):
                for batch in batched(keys):
                    yield self._point_read(batch, fill_cache)
            else:
                with self._source.iterator(fill_cache=fill_cache, verify_checksums=self._verify) as pairs:
                    for batch in batched(keys):
                        yield self._seek_values(pairs, batch)

    def _seek_values(self, pairs: Any, keys: Sequence[bytes]) -> list[bytes | None]:
        """Return the values of keys in order.

        Any pair that an iterator yields after a seek exists, so keys need not be compared. If it is at its end, all
        the other keys are missing, or cannot be read.
        """
        found = list(map(itemgetter(1), zip(map(pairs.seek, keys), pairs, strict=False)))
        if len(found) < len(keys):
            if found:
                _check_end(pairs, found[-1][0], self._errors)
            elif not self._is_empty(Bounds(start=keys[0], fill_cache=False)):
                return self.multi_get(keys)
        return list(map(dict(found).get, keys))

    def is_large(self, bounds: Bounds) -> bool:
        start, stop, _ = bounds.interval()
        with self._errors:
            return self._approximate_size(start or b"", LAST_KEY if stop is None else stop) > _LARGE_SCAN

    def scan(self, bounds: Bounds) -> Iterator[Any]:
        return self.chunks(bounds).iter_rows()

    def chunks(self, bounds: Bounds) -> ChunkedScan:
        """Return a scan whose first row is read already, so that it shows the moment of the call."""
        with self._errors:
            for _ in range(_ATTEMPTS):
                source, rows = self._iterate(bounds)
                first = next(rows, _EXHAUSTED)
                if first is not _EXHAUSTED or self._is_empty(bounds):
                    return _LevelDbScan(source, first, rows, bounds, self._errors)
                source.close()
        raise _incomplete_scan_error(self._errors)

    def _is_empty(self, bounds: Bounds) -> bool:
        """Return True if certainly no key is within the bounds."""
        start, stop, include_stop = bounds.interval()
        with self._source.raw_iterator(fill_cache=bounds.fill_cache, verify_checksums=self._verify) as raw:
            raw.seek(start or b"")
            if not raw.valid():
                return True
            key: bytes = raw.key()
        return stop is not None and (key > stop if include_stop else key >= stop)

    def _iterate(self, bounds: Bounds) -> tuple[Any, Iterator[Any]]:
        """Return the binding's iterator, which the caller closes, and the rows that come from it.

        Backwards it never gets a start, because plyvel 1.5.1 does not find a first key that is also the last. An empty
        start is treated as none.
        """
        start, stop, include_stop = bounds.interval()
        first = start if bounds.reverse and start else None
        source = self._source.iterator(
            start=None if first else start or None,
            stop=stop,
            include_stop=include_stop,
            include_key=bounds.include_key or first is not None,
            include_value=bounds.include_value,
            reverse=bounds.reverse,
            fill_cache=bounds.fill_cache,
            verify_checksums=self._verify,
        )
        if first is None:
            return source, source
        key, item = _BACKWARDS[bounds.parts]
        return source, map(item, takewhile(lambda row: key(row) >= first, source))

    def close(self) -> None:
        with self._errors:
            self._source.close()


class _LevelDbScan(ChunkedScan):
    """A scan of the iterator ``source``, which is closed with it; ``first`` is the row that was read already."""

    def __init__(self, source: Any, first: Any, rest: Iterator[Any], bounds: Bounds, errors: ErrorTranslator) -> None:
        empty = first is _EXHAUSTED
        super().__init__(iter(()) if empty else chain((first,), rest), bounds.parts)
        self._rest = iter(()) if empty else rest
        self._source = source
        self._errors = errors
        self._unchecked = not empty and not bounds.reverse

    def read(self, max_rows: int, target_bytes: int) -> Chunk:
        with self._errors:
            rows, size = super().read(max_rows, target_bytes)
            if rows:
                self._rows = self._rest  # without the chain, which costs some time for each row
            if len(rows) < max_rows and size < target_bytes:
                self._finish()
        return rows, size

    def iter_rows(self) -> Iterator[Any]:
        """Yield the rows without counting their bytes."""
        with self, self._errors:
            yield from self._rows
            self._finish()

    def _finish(self) -> None:
        if self._unchecked:
            self._unchecked = False
            self._rows = self._rest = iter(())
            _check_end(self._source, b"", self._errors)

    def close(self) -> None:
        super().close()
        self._unchecked = False
        self._rest = iter(())
        self._source.close()


def _check_end(iterator: Any, key: bytes, errors: ErrorTranslator) -> None:
    """Raise the failure of an iterator that is at its end, if there was one."""
    iterator.seek(key)  # raises a failure, if something can still be read
    if next(iterator, _EXHAUSTED) is _EXHAUSTED:
        raise _incomplete_scan_error(errors)


def _incomplete_scan_error(errors: ErrorTranslator) -> EngineFileError:
    return EngineFileError(
        f"{errors.path} could not be read to its end; the process may be short of file descriptors or memory: try again"
    )
