"""The LevelDB engine: one open database."""

import threading
from collections.abc import Mapping, Sequence
from contextlib import ExitStack, suppress
from itertools import islice
from pathlib import Path
from typing import Any, Final

from pyelevator.commands import PUT, BatchOp
from pyelevator.engines.base import (
    Bounds,
    Engine,
    EngineBusy,
    EngineError,
    EngineFileError,
    OnValues,
    ReadView,
    Storage,
)
from pyelevator.engines.leveldb.binding import LAST_KEY
from pyelevator.engines.leveldb.directory import data_files, file_size
from pyelevator.engines.leveldb.directory_handle import DirectoryHandle
from pyelevator.engines.leveldb.errors import ErrorTranslator
from pyelevator.engines.leveldb.live_tables import LiveTables
from pyelevator.engines.leveldb.reader import LevelDbReader
from pyelevator.engines.leveldb.statistics import parse_levels, read_properties, size_of_tables
from pyelevator.engines.row_cache import RowCache
from pyelevator.monitoring import EngineStats
from pyelevator.paths import exists

_BACKUP_PAIRS: Final = 1000

_MAX_CACHED_KEYS: Final = 1 << 16
"""Keys of one request that are looked up in the row cache; more would all have to be in memory at once."""


class LevelDbEngine(LevelDbReader, Engine):
    """One open LevelDB.

    LevelDB goes on after a failed append to its log, after half a record. When it reads the log the next time it skips
    what follows that half. So no write is accepted after a failed one (``write_failed``), not even one that another
    thread has begun: there is one write at a time.

    Args:
        storage: opens the databases of backups.
        path: of the database, for errors.
        source: the binding's database.
        options: that it was opened with.
        row_cache: bytes of pairs to cache.
        directory: of the database.
        resources: what is closed after the database: the directory, its lock, the memory of the write buffer.

    Attributes:
        rows: the pairs that were read with ``fill_cache=True``.
    """

    def __init__(
        self,
        storage: Storage,
        path: str,
        source: Any,
        options: Mapping[str, Any],
        *,
        row_cache: int,
        directory: DirectoryHandle,
        resources: ExitStack,
    ) -> None:
        check = LiveTables(source, directory).check
        super().__init__(source, ErrorTranslator(path), options["paranoid_checks"], source.approximate_size, check)
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
            raise EngineBusy(f"{self._path} is busy with another write", self._path)
        try:
            self._write(batch, ops)
        finally:
            self._write_lock.release()

    def _batch(self, ops: Sequence[BatchOp], sync: bool) -> Any:
        batch = self._source.write_batch(sync=sync)  # not as a context manager, which would write half a batch
        put, delete = batch.put, batch.delete
        for op in ops:
            if op[0] == PUT:
                put(op[1], op[2])  # type: ignore[misc]
            else:
                delete(op[1])
        return batch

    def _write(self, batch: Any, ops: Sequence[BatchOp]) -> None:
        if self._failure is not None:
            raise type(self._failure)(str(self._failure), self._failure.path)
        self.rows.begin_write(ops)
        try:
            with self._errors:
                batch.write()
        except EngineError as error:
            self._failure = error
            raise
        finally:
            self.rows.end_write()

    def snapshot(self) -> ReadView:
        with self._errors:
            snapshot = self._source.snapshot()
            return LevelDbReader(snapshot, self._errors, self._verify, self._approximate_size, self._check_tables)

    def compact(self) -> None:
        with self._errors:
            self._source.compact_range(start=b"", stop=LAST_KEY)
        self.write([])  # LevelDB reports that a compaction could not read only at the next write

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
            )

    def backup(self, path: str) -> None:
        path = self._storage.resolve(path)
        if exists(path):
            raise EngineError(f"{path} exists already; a backup goes into a new directory")
        try:
            Path(path).parent.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise EngineFileError(f"{path}: {error.strerror}") from error
        try:
            with self._storage.open(path, self._options) as copy:
                self._copy_into(copy)
        except BaseException:
            with suppress(EngineError):  # the first error counts
                self._storage.destroy(path)
            with suppress(OSError):
                Path(path).rmdir()
            raise

    def _copy_into(self, copy: Engine) -> None:
        with self.snapshot() as snapshot:
            pairs = snapshot.scan(Bounds(fill_cache=False))
            while batch := [(PUT, *pair) for pair in islice(pairs, _BACKUP_PAIRS)]:
                copy.write(batch)
        copy.write([], sync=True)

    def close(self) -> None:
        if not self._source.closed:
            self.rows.clear()
            try:
                super().close()
            finally:
                self._resources.close()
