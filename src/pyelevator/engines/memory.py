"""The memory engine: a dict and its keys in order. For tests, fakes and caches; nothing outlives the process."""

import threading
from bisect import bisect_left, bisect_right, insort
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from os.path import normpath
from typing import Any, Final
from weakref import WeakSet

from attrs import define, field

from pyelevator.commands import PUT, Op, RepairReport
from pyelevator.engines.base import Bounds, Capability, Engine, EngineError, Reader, Storage
from pyelevator.engines.options import OPTION_NAMES, check_options

_FEW: Final = 16
"""Up to so many new keys are cheaper to insert one by one than to sort in."""


@define(eq=False)
class _Table:
    """The pairs of one database.

    ``order`` and ``fresh`` together hold every key of ``data`` once, and those of ``stale``, which were deleted
    since. Keys are sorted in only when somebody scans, so that loading many stays cheap. A table that a snapshot
    shares has no fresh keys and never changes: the next write goes to a copy.
    """

    data: dict[bytes, bytes] = field(factory=dict)
    order: list[bytes] = field(factory=list)
    stale: set[bytes] = field(factory=set)
    fresh: list[bytes] = field(factory=list)
    sharers: "WeakSet[_Snapshot]" = field(factory=WeakSet)

    def copy(self) -> "_Table":
        return _Table(self.data.copy(), self.order.copy(), self.stale.copy())

    def apply(self, changes: Iterable[tuple[bytes, bytes | None]]) -> None:
        for key, value in changes:
            if value is None:
                if self.data.pop(key, None) is not None:
                    self.stale.add(key)
            else:
                if key not in self.data:
                    self._appear(key)
                self.data[key] = value

    def _appear(self, key: bytes) -> None:
        if key in self.stale:
            self.stale.remove(key)
        else:
            self.fresh.append(key)

    def sort(self) -> None:
        if len(self.fresh) <= _FEW:
            for key in self.fresh:
                insort(self.order, key)
        else:
            self.order += self.fresh
            self.order.sort()
        self.fresh.clear()
        if len(self.stale) * 2 > len(self.order):
            self.order = [key for key in self.order if key not in self.stale]
            self.stale.clear()

    def scan(self, bounds: Bounds) -> Iterator[Any]:
        start, stop, include_stop = bounds.interval()
        low = 0 if start is None else bisect_left(self.order, start)
        high = len(self.order) if stop is None else (bisect_right if include_stop else bisect_left)(self.order, stop)
        positions = range(high - 1, low - 1, -1) if bounds.reverse else range(low, high)
        keys = filter(self.data.__contains__, map(self.order.__getitem__, positions))
        return _PARTS[bounds.parts](keys, self.data)


_PARTS: Final[Mapping[tuple[bool, bool], Callable[[Iterator[bytes], dict[bytes, bytes]], Iterator[Any]]]] = {
    (True, True): lambda keys, data: ((key, data[key]) for key in keys),
    (True, False): lambda keys, _: keys,
    (False, True): lambda keys, data: map(data.__getitem__, keys),
    (False, False): lambda keys, _: (None for _ in keys),
}
"""``Bounds.parts`` -> the items of a scan."""


class _Snapshot(Reader):
    """A table as it is now. While this object lives (a scan keeps it alive too), the table does not change."""

    def __init__(self, table: _Table) -> None:
        table.sort()
        table.sharers.add(self)
        self._table: _Table | None = table

    def _open(self) -> _Table:
        if self._table is None:
            raise EngineError("the snapshot is closed")
        return self._table

    def get(self, key: bytes) -> bytes | None:
        return self._open().data.get(key)

    def multi_get(self, keys: Sequence[bytes], *, fill_cache: bool = False) -> list[bytes | None]:  # noqa: ARG002
        return list(map(self._open().data.get, keys))

    def scan(self, bounds: Bounds) -> Iterator[Any]:
        return self._walk(self._open().scan(bounds))

    def _walk(self, items: Iterator[Any]) -> Iterator[Any]:
        """A generator, because it holds ``self``."""
        yield from items

    def close(self) -> None:
        self._table = None


@define(eq=False)
class _Database:
    """What stays between close and open."""

    table: _Table = field(factory=_Table)
    lock: threading.Lock = field(factory=threading.Lock)
    in_use: bool = False


class MemoryEngine(Engine):
    """One open database of a :class:`MemoryStorage`."""

    def __init__(self, database: _Database) -> None:
        self._database: _Database | None = database

    def _open(self) -> _Database:
        if self._database is None:
            raise EngineError("the database is closed")
        return self._database

    def get(self, key: bytes) -> bytes | None:
        database = self._open()
        with database.lock:
            return database.table.data.get(key)

    def multi_get(self, keys: Sequence[bytes], *, fill_cache: bool = False) -> list[bytes | None]:  # noqa: ARG002
        database = self._open()
        with database.lock:
            return list(map(database.table.data.get, keys))

    def write(self, ops: Sequence[Op], *, sync: bool = False, wait: bool = True) -> None:  # noqa: ARG002
        database = self._open()
        changes = [(op[1], op[2] if op[0] == PUT else None) for op in ops]  # type: ignore[misc]
        with database.lock:
            if database.table.sharers:
                database.table = database.table.copy()
            database.table.apply(changes)

    def scan(self, bounds: Bounds) -> Iterator[Any]:
        return self.snapshot().scan(bounds)

    def snapshot(self) -> Reader:
        database = self._open()
        with database.lock:
            return _Snapshot(database.table)

    def compact(self) -> None:
        self._open()

    def approximate_size(self) -> int:
        database = self._open()
        with database.lock:
            return sum(map(len, database.table.data)) + sum(map(len, database.table.data.values()))

    def backup(self, path: str) -> None:
        raise EngineError(f"the memory engine writes no files, so there is no backup to {path}")

    def close(self) -> None:
        if self._database is not None:
            self._database.in_use = False
            self._database = None


class MemoryStorage(Storage):
    """Databases that live as long as this object; closing one and opening it again keeps its data.

    Options are checked, so that a test against memory fails where LevelDB would, and have no effect.
    """

    capabilities = frozenset({Capability.SNAPSHOT, Capability.REPAIRABLE})
    option_names = OPTION_NAMES

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._databases: dict[str, _Database] = {}

    def resolve(self, path: str) -> str:
        return normpath(path)

    def check_options(self, options: Mapping[str, Any]) -> dict[str, Any]:
        return check_options(options)

    def open(self, path: str, options: Mapping[str, Any]) -> Engine:
        check_options(options)
        with self._lock:
            database = self._idle(path) or self._databases.setdefault(path, _Database())
            database.in_use = True
            return MemoryEngine(database)

    def exists(self, path: str) -> bool:
        return path in self._databases

    def repair(self, path: str, options: Mapping[str, Any], *, force: bool = False) -> RepairReport:  # noqa: ARG002
        check_options(options)
        with self._lock:
            if self._idle(path) is None:
                raise EngineError(f"there is no database at {path}")
        return RepairReport()

    def destroy(self, path: str, *, set_aside: bool = False) -> None:  # noqa: ARG002
        with self._lock:
            self._idle(path)
            self._databases.pop(path, None)

    def _idle(self, path: str) -> _Database | None:
        database = self._databases.get(path)
        if database is not None and database.in_use:
            raise EngineError(f"{path} is open already")
        return database
