"""The memory engine: a dict and its sorted keys. For tests, fakes and caches; nothing outlives the process."""

import threading
from bisect import bisect_left, bisect_right, insort
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from os.path import normpath
from typing import Any, Final, TypeVar
from weakref import WeakSet

from attrs import define, field

from pyelevator.commands import PUT, BatchOp, OptionValue, RepairReport
from pyelevator.engines.base import Bounds, Capability, Decision, Engine, EngineError, ReadView, Storage
from pyelevator.engines.options import OPTION_NAMES, check_options

R = TypeVar("R")

_INSORT_MAX: Final = 16
"""Up to so many new keys, inserting them one by one is cheaper than sorting."""


@define(eq=False)
class _Table:
    """The pairs of one database.

    ``order`` and ``unsorted`` together hold every key of ``data`` once, and the keys of ``deleted``, which are not in
    ``data`` any more. Keys are sorted only for a scan, so that loading many stays cheap. A table that a snapshot
    shares has no unsorted keys and never changes: the next write goes to a copy.
    """

    data: dict[bytes, bytes] = field(factory=dict)
    order: list[bytes] = field(factory=list)
    deleted: set[bytes] = field(factory=set)
    unsorted: list[bytes] = field(factory=list)
    snapshots: "WeakSet[_Snapshot]" = field(factory=WeakSet)

    def copy(self) -> "_Table":
        return _Table(self.data.copy(), self.order.copy(), self.deleted.copy())

    def apply(self, changes: Iterable[tuple[bytes, bytes | None]]) -> None:
        for key, value in changes:
            if value is None:
                if self.data.pop(key, None) is not None:
                    self.deleted.add(key)
            else:
                if key not in self.data:
                    self._add_key(key)
                self.data[key] = value

    def _add_key(self, key: bytes) -> None:
        if key in self.deleted:
            self.deleted.remove(key)
        else:
            self.unsorted.append(key)

    def sort(self) -> None:
        if len(self.unsorted) <= _INSORT_MAX:
            for key in self.unsorted:
                insort(self.order, key)
        else:
            self.order += self.unsorted
            self.order.sort()
        self.unsorted.clear()
        if len(self.deleted) * 2 > len(self.order):
            self.order = [key for key in self.order if key not in self.deleted]
            self.deleted.clear()

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


class _TableView(ReadView):
    """A table that does not change, as long as the caller holds its lock."""

    def __init__(self, table: _Table) -> None:
        self._table: _Table | None = table

    def _require_open(self) -> _Table:
        if self._table is None:
            raise EngineError("the snapshot is closed")
        return self._table

    def get(self, key: bytes) -> bytes | None:
        return self._require_open().data.get(key)

    def multi_get(self, keys: Sequence[bytes], *, fill_cache: bool = False) -> list[bytes | None]:  # noqa: ARG002
        return list(map(self._require_open().data.get, keys))

    def scan(self, bounds: Bounds) -> Iterator[Any]:
        table = self._require_open()
        table.sort()
        return table.scan(bounds)

    def close(self) -> None:
        self._table = None


class _Snapshot(_TableView):
    """A table as it is now; the table does not change while this object exists (a scan keeps a reference to it)."""

    def __init__(self, table: _Table) -> None:
        table.sort()
        table.snapshots.add(self)
        super().__init__(table)

    def scan(self, bounds: Bounds) -> Iterator[Any]:
        return self._iterate_rows(self._require_open().scan(bounds))

    def _iterate_rows(self, items: Iterator[Any]) -> Iterator[Any]:
        """Yield the items, as a generator, because it holds ``self``."""
        yield from items


@define(eq=False)
class _Database:
    """The part of a database that remains between close and open."""

    table: _Table = field(factory=_Table)
    lock: threading.Lock = field(factory=threading.Lock)
    held_by: int | None = None
    is_open: bool = False

    def apply(self, changes: Iterable[tuple[bytes, bytes | None]]) -> None:
        """Change the table, or a copy of it if a snapshot shares it; the caller holds the lock."""
        if self.table.snapshots:
            self.table = self.table.copy()
        self.table.apply(changes)


class MemoryEngine(Engine):
    """One open database of a :class:`MemoryStorage`."""

    def __init__(self, database: _Database) -> None:
        self._database: _Database | None = database

    def _require_open(self) -> _Database:
        if self._database is None:
            raise EngineError("the database is closed")
        return self._database

    def get(self, key: bytes) -> bytes | None:
        database = self._require_open()
        with database.lock:
            return database.table.data.get(key)

    def multi_get(self, keys: Sequence[bytes], *, fill_cache: bool = False) -> list[bytes | None]:  # noqa: ARG002
        database = self._require_open()
        with database.lock:
            return list(map(database.table.data.get, keys))

    def write(self, ops: Sequence[BatchOp], *, sync: bool = False, wait: bool = True) -> None:  # noqa: ARG002
        database = self._require_open()
        changes = [(op[1], op[2] if op[0] == PUT else None) for op in ops]  # type: ignore[misc]
        with database.lock:
            database.apply(changes)

    def update(self, decide: Callable[[ReadView], Decision[R]], *, sync: bool = False, wait: bool = True) -> R:  # noqa: ARG002
        database = self._require_open()
        with database.lock:
            ops, result = decide(_TableView(database.table))
            database.apply([(op[1], op[2] if op[0] == PUT else None) for op in ops])  # type: ignore[misc]
        return result

    def scan(self, bounds: Bounds) -> Iterator[Any]:
        return self.snapshot().scan(bounds)

    @contextmanager
    def holding_writes(self) -> Iterator[None]:
        database = self._require_open()
        with database.lock:
            database.held_by = threading.get_ident()
            try:
                yield
            finally:
                database.held_by = None

    def snapshot(self) -> ReadView:
        database = self._require_open()
        if database.held_by == threading.get_ident():  # a reentrant lock would cost every get
            return _Snapshot(database.table)
        with database.lock:
            return _Snapshot(database.table)

    def compact(self) -> None:
        self._require_open()

    def approximate_size(self) -> int:
        database = self._require_open()
        with database.lock:
            return sum(map(len, database.table.data)) + sum(map(len, database.table.data.values()))

    def backup(self, path: str) -> None:
        raise EngineError(f"the memory engine writes no files, so there is no backup to {path}")

    def close(self) -> None:
        if self._database is not None:
            self._database.is_open = False
            self._database = None


class MemoryStorage(Storage):
    """Databases that live as long as this object; closing one and opening it again keeps its data.

    Options have no effect, but they are checked, so that a test against memory fails where LevelDB would.
    """

    capabilities = frozenset({Capability.SNAPSHOT, Capability.REPAIRABLE, Capability.OPTIONS})
    option_names = OPTION_NAMES

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._databases: dict[str, _Database] = {}

    def resolve(self, path: str) -> str:
        return normpath(path)

    def check_options(self, options: Mapping[str, object]) -> dict[str, OptionValue]:
        return check_options(options)

    def open(self, path: str, options: Mapping[str, object]) -> Engine:
        check_options(options)
        with self._lock:
            database = self._closed_database(path) or self._databases.setdefault(path, _Database())
            database.is_open = True
            return MemoryEngine(database)

    def exists(self, path: str) -> bool:
        return path in self._databases

    def repair(self, path: str, options: Mapping[str, object], *, force: bool = False) -> RepairReport:  # noqa: ARG002
        check_options(options)
        with self._lock:
            if self._closed_database(path) is None:
                raise EngineError(f"there is no database at {path}")
        return RepairReport()

    def destroy(self, path: str, *, set_aside: bool = False) -> None:  # noqa: ARG002
        with self._lock:
            self._closed_database(path)
            self._databases.pop(path, None)

    def _closed_database(self, path: str) -> _Database | None:
        database = self._databases.get(path)
        if database is not None and database.is_open:
            raise EngineError(f"{path} is open already")
        return database
