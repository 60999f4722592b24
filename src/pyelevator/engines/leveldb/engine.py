"""The LevelDB engine: one open database."""

import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from itertools import chain, islice, pairwise
from operator import itemgetter
from typing import Any, ClassVar, Final, TypeVar

from attrs import evolve

from pyelevator.commands import PUT, BatchOp
from pyelevator.engines.base import Bounds, Decision, Engine, EngineBusy, EngineError, OnValues, ReadView, Storage
from pyelevator.engines.leveldb import backup as backups
from pyelevator.engines.leveldb.binding.errors import ErrorTranslator
from pyelevator.engines.leveldb.binding.library import LAST_KEY, library_name
from pyelevator.engines.leveldb.binding.reader import LevelDbReader
from pyelevator.engines.leveldb.binding.statistics import parse_levels, read_properties, size_of_tables
from pyelevator.engines.leveldb.directories.handle import DirectoryHandle
from pyelevator.engines.leveldb.directories.live_tables import LiveTables
from pyelevator.engines.leveldb.directories.operations import data_files, file_size
from pyelevator.engines.leveldb.splitting import split_keys
from pyelevator.engines.progress import report
from pyelevator.engines.row_cache import RowCache
from pyelevator.monitoring import EngineStats
from pyelevator.reports import BackupReport

R = TypeVar("R")

_BACKUP_PAIRS: Final = 1024
_BACKUP_BYTES: Final = 1 << 20
"""After so many pairs or bytes, a backup reports its progress."""

_COMPACTION_BYTES: Final = 32 << 20
_MAX_COMPACTIONS: Final = 32
"""A large range is compacted in parts of so many bytes or more, and in about so many parts at most."""

_MAX_CACHED_KEYS: Final = 1 << 16
"""Keys of one request that are looked up in the row cache; more would all have to be in memory at once."""

_ORDERED_OPS: Final = 1 << 14
"""Operations of a batch that are put into the order of their keys at once: that takes some milliseconds."""

_MANY_OPS: Final = 1 << 12
"""From so many on, the order is worth it (decision 123)."""

_KEY: Final[Callable[[BatchOp], bytes]] = itemgetter(1)


class LevelDbEngine(LevelDbReader, Engine):
    """One open LevelDB.

    LevelDB goes on after a failed append to its log, after half a record. When it reads the log the next time it skips
    what follows that half. So no write is accepted after a failed one (``write_failed``), not even one that another
    thread has begun: there is one write at a time.

    Args:
        storage: opens the databases of backups.
        row_cache: bytes of pairs to cache.
        resources: what is closed after the database: the directory, its lock, the memory of the write buffer.
    """

    view_class: ClassVar[type[LevelDbReader]] = LevelDbReader

    def __init__(
        self,
        storage: Storage,
        path: str,
        source: Any,
        options: Mapping[str, object],
        *,
        row_cache: int,
        directory: DirectoryHandle,
        resources: ExitStack,
    ) -> None:
        check = LiveTables(source, directory).check
        super().__init__(
            source, ErrorTranslator(path), bool(options["paranoid_checks"]), source.approximate_size, check
        )
        self._storage = storage
        self._path = path
        self._options = options
        self._directory = directory
        self._resources = resources
        self.rows = RowCache(row_cache)
        self._write_lock = threading.Lock()
        self._failure: EngineError | None = None

    @property
    def write_failed(self) -> bool:  # type: ignore[override]
        return self._failure is not None

    def multi_get(self, keys: Sequence[bytes], *, fill_cache: bool = False) -> list[bytes | None]:
        return list(self.collect(keys, fill_cache=fill_cache))

    def collect(
        self, keys: Sequence[bytes], on_values: OnValues = lambda _: None, *, fill_cache: bool = False
    ) -> Sequence[bytes | None]:
        if (fill_cache or self.rows) and len(keys) <= _MAX_CACHED_KEYS:
            return self.rows.collect(self, list(keys), on_values, fill_cache=fill_cache)
        return super().collect(keys, on_values, fill_cache=fill_cache)

    def write(self, ops: Sequence[BatchOp], *, sync: bool = False, wait: bool = True) -> None:
        with self._errors:
            batch = self._batch(ops, sync)
        if not self._write_lock.acquire(wait):
            raise self._busy()
        try:
            self._write(batch, ops)
        finally:
            self._write_lock.release()

    def update(self, decide: Callable[[ReadView], Decision[R]], *, sync: bool = False, wait: bool = True) -> R:
        if not self._write_lock.acquire(wait):
            raise self._busy()
        try:
            ops, result = decide(self)
            if ops or sync:
                with self._errors:
                    batch = self._batch(ops, sync)
                self._write(batch, ops)
        finally:
            self._write_lock.release()
        return result

    def _busy(self) -> EngineBusy:
        return EngineBusy(f"{self._path} is busy with another write", self._path)

    def _batch(self, ops: Sequence[BatchOp], sync: bool) -> Any:
        batch = self._source.write_batch(sync=sync)  # not as a context manager, which would write half a batch
        put, delete = batch.put, batch.delete
        for op in ops if len(ops) < _MANY_OPS else _in_key_order(ops):
            if op[0] == PUT:
                put(op[1], op[2])  # type: ignore[misc]
            else:
                delete(op[1])
        return batch

    def _check_writes(self) -> None:
        if self._failure is not None:
            raise type(self._failure)(str(self._failure), self._failure.path)

    def _write(self, batch: Any, ops: Sequence[BatchOp]) -> None:
        self._check_writes()
        self.rows.begin_write(ops)
        try:
            with self._errors:
                batch.write()
        except EngineError as error:
            self._failure = error
            raise
        finally:
            self.rows.end_write()

    @contextmanager
    def holding_writes(self) -> Iterator[None]:
        with self._write_lock:
            yield

    def snapshot(self) -> ReadView:
        with self._errors:
            snapshot = self._source.snapshot()
            return self.view_class(snapshot, self._errors, self._verify, self._approximate_size, self._check_tables)

    def compact(self) -> None:
        self.compact_range(None, None)

    def compact_range(self, start: bytes | None, stop: bytes | None) -> None:
        total = self.range_size(start, stop)
        report(0, total)
        for first, last in self._compactions(start, stop, total):
            with self._errors:
                self._source.compact_range(start=first or b"", stop=LAST_KEY if last is None else last)
            report(total if last is None else min(self.range_size(start, last), total), total)
        report(total, total)
        self.write([])  # LevelDB reports that a compaction could not read only at the next write

    def _compactions(
        self, start: bytes | None, stop: bytes | None, total: int
    ) -> list[tuple[bytes | None, bytes | None]]:
        """Split a large range, so that its compaction can report how far it has come."""
        cuts: list[bytes] = []
        if total > _COMPACTION_BYTES:
            ends = Bounds(start, stop, include_value=False, fill_cache=False)
            first, last = next(self.scan(ends), None), next(self.scan(evolve(ends, reverse=True)), None)
            if first is not None and last is not None:
                cuts = split_keys(first, last, max(total // _MAX_COMPACTIONS, _COMPACTION_BYTES), self.range_size)
        return list(pairwise([start, *cuts, stop]))

    def range_size(self, start: bytes | None, stop: bytes | None) -> int:
        with self._errors:
            size: int = self._source.approximate_size(start or b"", LAST_KEY if stop is None else stop)
            return size

    def approximate_size(self) -> int:
        """Return the sum of the files: LevelDB's own estimate leaves out what is still in the log."""
        return sum(map(file_size, data_files(self._directory.name)))

    def stats(self) -> EngineStats:
        with self._errors:
            properties = read_properties(self._source)
            return EngineStats(
                size=self.approximate_size(),
                approximate_size=size_of_tables(self._source),
                levels=tuple(parse_levels(properties)),
                properties=properties,
                cache=self.rows.stats(),
                library=library_name(self._source),
            )

    def backup(self, path: str) -> BackupReport:
        path = self._storage.resolve(path)
        try:
            with backups.partial_directory(path) as target:
                self._back_up_into(target)
                return BackupReport(*backups.linked_bytes(target.name))
        except OSError as error:
            raise ErrorTranslator(path).translate(error) from error

    def _back_up_into(self, target: DirectoryHandle) -> None:
        try:
            self._link_into(target)
        except backups.CannotLink:
            backups.clear(target)
            with self._storage.open(target.path, self._options) as copy:
                self._copy_into(copy)
        self._storage.open(target.path, self._options).close()  # which reads the log, and shows that it opens

    def _link_into(self, target: DirectoryHandle) -> None:
        """Link and copy the files of this moment, and read what is linked."""
        with self._write_lock:
            self._check_writes()
            snapshot = self.snapshot()
            try:
                cut = backups.cut(self._directory, target)
            except BaseException:
                snapshot.close()
                raise
        with snapshot, cut:
            cut.copy_into(target)
            for _ in self._scan_in_chunks(snapshot, Bounds(include_value=False, fill_cache=False)):
                pass

    def _copy_into(self, copy: Engine) -> None:
        with self.snapshot() as snapshot:
            for pairs in self._scan_in_chunks(snapshot, Bounds(fill_cache=False)):
                copy.write([(PUT, *pair) for pair in pairs])
        copy.write([], sync=True)

    def _scan_in_chunks(self, snapshot: ReadView, bounds: Bounds) -> Iterator[list[Any]]:
        """Yield the rows, and report the progress."""
        total = self.range_size(None, None)
        with snapshot.chunks(bounds) as scan:
            while rows := scan.read(_BACKUP_PAIRS, _BACKUP_BYTES)[0]:
                yield rows
                last = rows[-1] if bounds.parts == (True, False) else rows[-1][0]
                report(min(self.range_size(None, last), total), total)
        report(total, total)

    def close(self) -> None:
        if not self._source.closed:
            self.rows.clear()
            try:
                super().close()
            finally:
                self._resources.close()


def _in_key_order(ops: Sequence[BatchOp]) -> Iterator[BatchOp]:
    """Return operations in the order of their keys, as far as can be; those of one key stay as they are.

    LevelDB keeps what is new in a skip list. There a key that follows on the one before is found where the processor
    has just been, and each random one costs many misses of its caches.
    """
    left = iter(ops)
    chunks = iter(lambda: sorted(islice(left, _ORDERED_OPS), key=_KEY), [])
    return chain.from_iterable(chunks)
