"""Rows: pairs of a database that were read before, so that reading them again costs a look into a dict."""

import threading
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from itertools import chain
from operator import itemgetter
from typing import Final

from pyelevator.arguments import Op
from pyelevator.engines.base import Engine, Seen, complete, found_by

ROW_CACHE: Final = 32 << 20
"""Bytes that an open database keeps, if nobody says otherwise."""

_OVERHEAD: Final = 160
"""Bytes that a pair takes beside its own, in two objects and in a dict."""

_KEY: Final = itemgetter(1)


class RowCache:
    """The pairs of one open database that somebody has read with ``fill_cache=True``; never older than the database.

    A write tells its keys before it begins, and that it has ended. Telling removes the keys from the cache, and notes
    them with every read that is under way; and a read that begins while a write is under way has its keys noted from
    the beginning. So of a key that is not noted with a read nothing was written since the read began: what the cache
    has of it is what a snapshot has that was taken meanwhile, and what the snapshot has may go into the cache.

    The lock is held for dicts and sets only, never for the database.

    There are two generations, which make a queue by last use whose look-ups stay in C: what is kept, or found in the
    old one, goes into the young one; when that is half of everything, it becomes the old one, and the old one is gone.

    Args:
        most: bytes that it holds, about; 0 keeps nothing.
    """

    def __init__(self, most: int) -> None:
        self._half = most // 2
        self._lock = threading.Lock()
        self._young: dict[bytes, bytes] = {}
        self._old: dict[bytes, bytes] = {}
        self._weight = 0  # of the young ones, or more: what is removed still counts
        self._under_way: Sequence[Op] = ()
        self._notes: dict[int, set[bytes]] = {}

    def __bool__(self) -> bool:
        return bool(self._young or self._old)

    @property
    def size(self) -> int:
        """Bytes that it holds, about."""
        with self._lock:
            return _weight(self._young) + _weight(self._old)

    # Writing

    def begin(self, ops: Sequence[Op]) -> None:
        """These are about to be written, and nothing else until ``end``."""
        with self._lock:
            self._under_way = ops
            if self._notes or self._young or self._old:
                self._tell(ops)

    def _tell(self, ops: Sequence[Op]) -> None:
        for noted in self._notes.values():
            noted.update(map(_KEY, ops))
        for op in ops:
            self._young.pop(op[1], None)
            self._old.pop(op[1], None)

    def end(self) -> None:
        """The write has ended, well or not."""
        self._under_way = ()

    def clear(self) -> None:
        """Forgets everything."""
        with self._lock:
            self._young, self._old, self._weight = {}, {}, 0

    # Reading

    def gather(self, engine: Engine, keys: Sequence[bytes], seen: Seen, *, fill_cache: bool) -> Sequence[bytes | None]:
        """As ``Engine.gather``; what is not cached is read from a snapshot of the engine."""
        with self._noting() as written:
            cached = self._look_up(keys, written)
            if complete(cached) and not (written and written.intersection(keys)):
                return cached
            with engine.snapshot() as snapshot:
                missing = {key for key, value in zip(keys, cached, strict=True) if value is None or key in written}
                found = found_by(snapshot, sorted(missing), seen, fill_cache=fill_cache)
            if fill_cache:
                self._keep(found, written)
        return list(map((dict(zip(keys, cached, strict=True)) | found).get, keys))

    @contextmanager
    def _noting(self) -> Iterator[set[bytes]]:
        """The keys that are written from now on, or just now."""
        with self._lock:
            written = set(map(_KEY, self._under_way))
            self._notes[id(written)] = written
        try:
            yield written
        finally:
            with self._lock:
                del self._notes[id(written)]

    def _look_up(self, keys: Sequence[bytes], written: Collection[bytes]) -> Sequence[bytes | None]:
        """What is cached, None for what is not."""
        values = list(map(self._young.get, keys))
        old = self._old
        if not old or complete(values):
            return values
        again = {key: old.get(key) for key, value in zip(keys, values, strict=True) if value is None}
        self._keep(again, written)
        return [again.get(key) if value is None else value for key, value in zip(keys, values, strict=True)]

    def _keep(self, found: Mapping[bytes, bytes | None], written: Collection[bytes]) -> None:
        """Puts pairs into the young generation, if they all fit and were not written meanwhile."""
        rows = {key: value for key, value in found.items() if value is not None}
        weight = _weight(rows)
        if weight > self._half:
            return
        with self._lock:
            for key in filter(rows.__contains__, written):
                del rows[key]
            if self._weight + weight > self._half:
                self._young, self._old, self._weight = {}, self._young, 0
            self._weight += weight
            self._young.update(rows)


def _weight(rows: Mapping[bytes, bytes]) -> int:
    return sum(map(len, chain(rows, rows.values()))) + _OVERHEAD * len(rows)
