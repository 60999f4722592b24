"""The LevelDB engine: one open database."""

import threading
from collections.abc import Mapping, Sequence
from contextlib import suppress
from itertools import islice
from pathlib import Path
from typing import Any, Final

from pyelevator.commands import PUT, Op
from pyelevator.engines.base import Bounds, Engine, EngineBusy, EngineError, EngineFileError, Reader, Seen, Storage
from pyelevator.engines.leveldb.binding import LAST_KEY
from pyelevator.engines.leveldb.directory import data_files, file_size
from pyelevator.engines.leveldb.directory_handle import DirectoryHandle
from pyelevator.engines.leveldb.errors import Mapped
from pyelevator.engines.leveldb.live_tables import LiveTables
from pyelevator.engines.leveldb.lock import DirectoryLock
from pyelevator.engines.leveldb.reader import LevelDbReader
from pyelevator.engines.row_cache import RowCache

_BACKUP_PAIRS: Final = 1000


class LevelDbEngine(LevelDbReader, Engine):
    """One open LevelDB.

    LevelDB goes on after a failed append to its log, behind half a record; and when it reads the log the next time
    it skips what follows that half. So after a failed write no other one is taken (``broken``), not even one that is
    under way in another thread: one write at a time.

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
        lock: DirectoryLock,
    ) -> None:
        check = LiveTables(source, directory).check
        super().__init__(source, Mapped(path), options["paranoid_checks"], source.approximate_size, check)
        self._storage = storage
        self._path = path
        self._options = options
        self._directory = directory
        self._lock = lock
        self.rows = RowCache(row_cache)
        self._writing = threading.Lock()
        self._failure: EngineError | None = None

    @property
    def broken(self) -> bool:  # type: ignore[override]
        return self._failure is not None

    def multi_get(self, keys: Sequence[bytes], *, fill_cache: bool = False) -> list[bytes | None]:
        return list(self.gather(keys, fill_cache=fill_cache))

    def gather(
        self, keys: Sequence[bytes], seen: Seen = lambda _: None, *, fill_cache: bool = False
    ) -> Sequence[bytes | None]:
        if fill_cache or self.rows:
            return self.rows.gather(self, keys, seen, fill_cache=fill_cache)
        return super().gather(keys, seen)

    def write(self, ops: Sequence[Op], *, sync: bool = False, wait: bool = True) -> None:
        with self._mapped:
            batch = self._batch(ops, sync)
        if not self._writing.acquire(wait):
            raise EngineBusy(f"{self._path} is busy with another write", self._path)
        try:
            self._write(batch, ops)
        finally:
            self._writing.release()

    def _batch(self, ops: Sequence[Op], sync: bool) -> Any:
        batch = self._source.write_batch(sync=sync)  # not as a context: that would write half a batch
        put, delete = batch.put, batch.delete
        for op in ops:
            if op[0] == PUT:
                put(op[1], op[2])  # type: ignore[misc]
            else:
                delete(op[1])
        return batch

    def _write(self, batch: Any, ops: Sequence[Op]) -> None:
        if self._failure is not None:
            raise type(self._failure)(str(self._failure), self._failure.path)
        self.rows.begin(ops)
        try:
            with self._mapped:
                batch.write()
        except EngineError as error:
            self._failure = error
            raise
        finally:
            self.rows.end()

    def snapshot(self) -> Reader:
        with self._mapped:
            return LevelDbReader(self._source.snapshot(), self._mapped, self._verify, self._spread, self._check)

    def compact(self) -> None:
        with self._mapped:
            self._source.compact_range(start=b"", stop=LAST_KEY)  # without bounds plyvel 1.5.1 compacts nothing
        self.write([])  # LevelDB keeps to itself that a compaction could not read, until the next write

    def approximate_size(self) -> int:
        """The sum of the files: LevelDB's own estimate leaves out what is still in the log."""
        return sum(map(file_size, data_files(self._directory.name)))

    def backup(self, path: str) -> None:
        path = self._storage.resolve(path)
        if Path(path).exists():
            raise EngineError(f"{path} exists already; a backup goes into a new directory")
        try:
            Path(path).parent.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise EngineFileError(f"{path}: {error.strerror}") from error
        try:
            with self._storage.open(path, self._options) as copy:
                self._copy_into(copy)
        except BaseException:
            with suppress(EngineError):  # what has failed first counts
                self._storage.destroy(path)
            with suppress(OSError):
                Path(path).rmdir()
            raise

    def _copy_into(self, copy: Engine) -> None:
        with self.snapshot() as snapshot:
            pairs = snapshot.scan(Bounds(fill_cache=False))
            while some := [(PUT, *pair) for pair in islice(pairs, _BACKUP_PAIRS)]:
                copy.write(some)
        copy.write([], sync=True)

    def close(self) -> None:
        if not self._source.closed:
            self.rows.clear()
            try:
                super().close()
            finally:
                self._lock.release()
                self._directory.close()
