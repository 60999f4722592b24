"""Databases as they were at the moment of a snapshot, for the requests that are addressed to one."""

from collections.abc import Generator, Iterator, Sequence
from contextlib import ExitStack
from time import monotonic
from types import TracebackType
from typing import Any, NoReturn

from pyelevator.application.catalog.database import Database
from pyelevator.application.cursors import Cursor, Cursors
from pyelevator.engines.base import Bounds, Engine, ReadView
from pyelevator.engines.base.chunks import ChunkedScan
from pyelevator.errors import DatabaseError


def _refuse_change(*_: object, **__: object) -> NoReturn:
    """Refuse what is no reading, with a DatabaseError."""
    raise DatabaseError("a snapshot is only read; send this to the database itself")


class _SharedView(ReadView):
    """A view that others read as well, and that the snapshot closes."""

    def __init__(self, view: ReadView) -> None:
        self._view = view

    def get(self, key: bytes) -> bytes | None:
        return self._view.get(key)

    def multi_get(self, keys: Sequence[bytes], *, fill_cache: bool = False) -> list[bytes | None]:
        return self._view.multi_get(keys, fill_cache=fill_cache)

    def iter_values(
        self, keys: Sequence[bytes], *, fill_cache: bool = False
    ) -> Generator[list[bytes | None], None, None]:
        return self._view.iter_values(keys, fill_cache=fill_cache)

    def scan(self, bounds: Bounds) -> Iterator[Any]:
        return self._view.scan(bounds)

    def chunks(self, bounds: Bounds) -> ChunkedScan:
        return self._view.chunks(bounds)

    def close(self) -> None:
        pass

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _SharedView) and other._view is self._view

    def __hash__(self) -> int:
        return hash(id(self._view))


class SnapshotEngine(_SharedView, Engine):
    """An engine that reads a snapshot of another one, and refuses to write. Two of the same snapshot are equal."""

    write = update = compact = backup = approximate_size = _refuse_change

    def snapshot(self) -> ReadView:
        return _SharedView(self._view)


class SnapshotDatabase:
    """A database at the moment of a snapshot, made for one request; used as a :class:`Database` is.

    Args:
        database: as it is now; as long as the snapshot is read, it is not closed.
        cursors: keep the snapshot.
        cursor: its id.
        peer: that asks, see ``CallContext.peer``; a snapshot is read by the client that has taken it.
    """

    reopen_after_failure = repair = _refuse_change

    def __init__(self, database: Database, cursors: Cursors, cursor: bytes, peer: str | None) -> None:
        self._database, self._cursors, self._id, self._peer = database, cursors, cursor, peer
        self._cursor: Cursor | None = None
        self.engine: SnapshotEngine | None = None
        self.lock = self  # the lease that never waits
        self.used_at = 0.0

    def _begin(self, engine: Engine) -> SnapshotEngine:
        self._cursor = self._cursors.begin_use(self._id, engine, self._peer)
        return SnapshotEngine(self._cursor.views[engine])

    def _end_use(self) -> None:
        if self._cursor is not None:
            self._cursors.end_use(self._cursor)

    def __enter__(self) -> SnapshotEngine:
        engine = self._database.__enter__()
        try:
            return self._begin(engine)
        except BaseException:
            self._database.__exit__()
            raise

    def __exit__(self, *_: type[BaseException] | BaseException | TracebackType | None) -> None:
        self._end_use()
        self._database.__exit__()

    def acquire(self, blocking: bool) -> bool:
        """Acquire the lock of the database, and find an engine there if it is open."""
        if not self._database.lock.acquire(blocking):
            return False
        try:
            engine, self._database.used_at = self._database.engine, monotonic()
            self.engine = None if engine is None else self._begin(engine)
        except BaseException:
            self._database.lock.release()
            raise
        return True

    def release(self) -> None:
        """End the lease."""
        self._end_use()
        self._database.lock.release()


def take_views(engines: Sequence[Engine]) -> dict[Engine, ReadView]:
    """Return a snapshot of each engine, all of one moment: no write to any of them comes between.

    The engines have to be in the same order in every call, so that calls never wait in a circle.
    """
    together = engines[0].snapshots_with(engines[1:]) if len(engines) > 1 else None
    if together is not None:
        return dict(zip(engines, together, strict=True))
    views: dict[Engine, ReadView] = {}
    with ExitStack() as closing, ExitStack() as holding:
        for engine in engines if len(engines) > 1 else ():
            holding.enter_context(engine.holding_writes())
        for engine in engines:
            views[engine] = closing.enter_context(engine.snapshot())
        closing.pop_all()
    return views
