"""The row cache: pairs of a database that were read before, so that reading them again costs a dict lookup."""

import threading
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from itertools import chain
from operator import itemgetter
from typing import Final

from pyelevator.arguments.batches import BatchOp
from pyelevator.engines.base import Engine, OnValues, collect_values, is_complete
from pyelevator.monitoring import CacheStats

ROW_CACHE_BYTES: Final = 32 << 20
"""Bytes that an open database caches by default."""

_OVERHEAD: Final = 160
"""Bytes that a pair takes besides its own, for two objects and their places in a dict."""

_KEY: Final = itemgetter(1)


class RowCache:
    """The pairs of one open database that were read with ``fill_cache=True``; never older than the database.

    Writers invalidate their keys before writing and report completion. Invalidation removes the keys from the cache,
    and adds them to the set that each running read tracks; a read that begins during a write starts with the keys of
    that write in its set. So a key that is not in the set was not written since the read began. Its cached value is
    then the one of a snapshot taken during the read, and the value from that snapshot may be cached.

    The lock is held for dicts and sets only, never while the database is read or written.

    There are two generations, which make a least-recently-used queue whose lookups stay in C. A pair that is inserted,
    or found in the old generation, goes into the young one. When the young one has half of the bytes, it becomes the
    old one, and the previous old one is discarded.

    Args:
        max_bytes: about how many bytes it holds; 0 caches nothing.
    """

    def __init__(self, max_bytes: int) -> None:
        self._max_bytes, self._generation_bytes = max_bytes, max_bytes // 2
        self._lock = threading.Lock()
        self._young: dict[bytes, bytes] = {}
        self._old: dict[bytes, bytes] = {}
        self._weight = self._old_weight = 0  # of each generation, or more: removed pairs still count
        self._pending_ops: Sequence[BatchOp] = ()
        self._tracked: dict[int, set[bytes]] = {}
        self._hits = self._misses = 0

    def __bool__(self) -> bool:
        return bool(self._young or self._old)

    @property
    def size(self) -> int:
        """About how many bytes it holds."""
        with self._lock:
            return _weight(self._young) + _weight(self._old)

    def stats(self) -> CacheStats:
        """Return the hits and misses, and the size; removed pairs still count there, until a generation ends."""
        return CacheStats(self._hits, self._misses, self._weight + self._old_weight, self._max_bytes)

    # Writing

    def begin_write(self, ops: Sequence[BatchOp]) -> None:
        """Invalidate the keys of ``ops``, which are about to be written, and nothing else until ``end_write``."""
        with self._lock:
            self._pending_ops = ops
            if self._tracked or self._young or self._old:
                self._invalidate(ops)

    def _invalidate(self, ops: Sequence[BatchOp]) -> None:
        for written in self._tracked.values():
            written.update(map(_KEY, ops))
        for op in ops:
            self._young.pop(op[1], None)
            self._old.pop(op[1], None)

    def end_write(self) -> None:
        """Note that the write has ended, whether it succeeded or not."""
        self._pending_ops = ()

    def clear(self) -> None:
        """Remove everything."""
        with self._lock:
            self._young, self._old = {}, {}
            self._weight = self._old_weight = 0

    # Reading

    def collect(
        self, engine: Engine, keys: Sequence[bytes], on_values: OnValues, *, fill_cache: bool
    ) -> Sequence[bytes | None]:
        """Return the values as ``Engine.collect`` does; what is not cached is read from a snapshot of the engine."""
        with self._track_writes() as written:
            cached = self._look_up(keys, written)
            if is_complete(cached) and not (written and written.intersection(keys)):
                self._count(len(keys), 0)
                return cached
            with engine.snapshot() as snapshot:
                missing = {key for key, value in zip(keys, cached, strict=True) if value is None or key in written}
                found = collect_values(snapshot, sorted(missing), on_values, fill_cache=fill_cache)
            self._count(len(keys) - len(missing), len(missing))
            if fill_cache:
                self._insert(found, written)
        return list(map((dict(zip(keys, cached, strict=True)) | found).get, keys))

    def _count(self, hits: int, misses: int) -> None:
        with self._lock:
            self._hits += hits
            self._misses += misses

    @contextmanager
    def _track_writes(self) -> Iterator[set[bytes]]:
        """Yield the set of the keys that are being written now or from now on."""
        with self._lock:
            written = set(map(_KEY, self._pending_ops))
            self._tracked[id(written)] = written
        try:
            yield written
        finally:
            with self._lock:
                del self._tracked[id(written)]

    def _look_up(self, keys: Sequence[bytes], written: Collection[bytes]) -> Sequence[bytes | None]:
        """Return the cached values, None for those that are not cached."""
        values = list(map(self._young.get, keys))
        old = self._old
        if not old or is_complete(values):
            return values
        from_old = {key: old.get(key) for key, value in zip(keys, values, strict=True) if value is None}
        self._insert(from_old, written)
        return [from_old.get(key) if value is None else value for key, value in zip(keys, values, strict=True)]

    def _insert(self, found: Mapping[bytes, bytes | None], written: Collection[bytes]) -> None:
        """Put pairs into the young generation, if they all fit, except those that were written during the read."""
        rows = {key: value for key, value in found.items() if value is not None}
        weight = _weight(rows)
        if weight > self._generation_bytes:
            return
        with self._lock:
            for key in filter(rows.__contains__, written):
                del rows[key]
            if self._weight + weight > self._generation_bytes:
                self._young, self._old = {}, self._young
                self._weight, self._old_weight = 0, self._weight
            self._weight += weight
            self._young.update(rows)


def _weight(rows: Mapping[bytes, bytes]) -> int:
    return sum(map(len, chain(rows, rows.values()))) + _OVERHEAD * len(rows)
