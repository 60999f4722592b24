"""The LevelDB engine, on plyvel or plyvel-next: the only place that uses it (what it raises, ``failures`` maps)."""

import errno
import os
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, closing, contextmanager, suppress
from functools import partial
from itertools import islice
from pathlib import Path, PurePath
from secrets import token_hex
from typing import Any, Final

from pyelevator.commands import PUT, Op, RepairReport
from pyelevator.engines import leveldb_directory, repairs
from pyelevator.engines.base import (
    Bounds,
    Capability,
    Engine,
    EngineBusy,
    EngineError,
    EngineFileError,
    OptionValueError,
    Reader,
    Seen,
    Storage,
)
from pyelevator.engines.binding import load_binding
from pyelevator.engines.directories import HeldDirectory
from pyelevator.engines.failures import Mapped
from pyelevator.engines.leveldb_inspection import inspect
from pyelevator.engines.leveldb_lock import DirectoryLock
from pyelevator.engines.leveldb_reader import LevelDbReader
from pyelevator.engines.leveldb_tables import LiveTables
from pyelevator.engines.options import OPTION_NAMES, check_options, unknown_option
from pyelevator.engines.rows import ROW_CACHE, RowCache

_NEW_FILE: Final = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC

_BACKUP_PAIRS: Final = 1000

_LAST_KEY: Final = b"\xff" * 65536
"""Behind every key there is, for all practical purposes."""

_SPARE: Final = 1 << 20
"""Bytes that an opening takes besides what it writes of the log: a new log, a new manifest."""


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
        storage: "LevelDbStorage",
        path: str,
        source: Any,
        options: Mapping[str, Any],
        *,
        row_cache: int,
        directory: HeldDirectory,
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
            self._source.compact_range(start=b"", stop=_LAST_KEY)  # without bounds plyvel 1.5.1 compacts nothing
        self.write([])  # LevelDB keeps to itself that a compaction could not read, until the next write

    def approximate_size(self) -> int:
        """The sum of the files: LevelDB's own estimate leaves out what is still in the log."""
        return sum(map(_size, leveldb_directory.data_files(self._directory.name)))

    def backup(self, path: str) -> None:
        path = self._storage.resolve(path)
        if Path(path).exists():
            raise EngineError(f"{path} exists already; a backup goes into a new directory")
        try:
            Path(path).parent.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise EngineFileError(f"{path}: {error.strerror}") from error
        try:
            with self._storage.open_anywhere(path, self._options) as copy:
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


class LevelDbStorage(Storage):
    """LevelDB directories of this machine.

    Args:
        default_options: hold where a database has no option of its own; they are not recorded with it.
            ``paranoid_checks`` is on unless they, or a database, say otherwise: else LevelDB passes over what it
            cannot read of a damaged log, and answers damaged blocks as they are.
        row_cache: bytes of pairs that an open database keeps in memory of what was read with ``fill_cache=True``;
            0 for none.

    Raises:
        MissingExtra: no binding to LevelDB is installed.
        OptionTypeError, OptionValueError: of a default option; also of one that does not exist.
    """

    capabilities = frozenset({Capability.DURABLE, Capability.REPAIRABLE, Capability.SNAPSHOT, Capability.BACKUP})
    option_names = OPTION_NAMES
    files = 6  # the directory, LOCK twice, LOG, log, manifest; how many tables are open LevelDB bounds itself

    def __init__(self, default_options: Mapping[str, Any] | None = None, row_cache: int = ROW_CACHE) -> None:
        if unknown := unknown_option(default_options or ()):
            raise OptionValueError(unknown)
        self._defaults = {"paranoid_checks": True} | check_options(default_options or {})
        self._plyvel: Any = load_binding()
        self._row_cache = row_cache
        self._within: tuple[str, ...] | None = None

    def resolve(self, path: str) -> str:
        return os.path.realpath(path)

    def check_options(self, options: Mapping[str, Any]) -> dict[str, Any]:
        return check_options(options)

    def confine(self, directories: Iterable[str]) -> None:
        self._within = tuple(directories)

    def _check_within(self, path: str) -> None:
        if self._within is not None and not any(PurePath(path).is_relative_to(one) for one in self._within):
            raise EngineError(f"{path} is not under an allowed directory; start the server with --allow-path DIR", path)

    @contextmanager
    def _held(self, path: str) -> Iterator[str | None]:
        """A name for the directory that leads nowhere else, for the block; None where there is no directory.

        ``path`` is not used again in its place: a link may have come there meanwhile.
        """
        self._check_within(path)
        with Mapped(path), ExitStack() as stack:
            name = None
            with suppress(FileNotFoundError, NotADirectoryError):
                name = stack.enter_context(HeldDirectory(path))
            yield name

    @contextmanager
    def _held_there(self, path: str) -> Iterator[str]:
        """As ``_held``, of a directory that has to be there."""
        with self._held(path) as name:
            if name is None:
                raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), path)
            yield name

    def open(self, path: str, options: Mapping[str, Any]) -> Engine:
        self._check_within(path)
        return self.open_anywhere(path, options)

    def open_anywhere(self, path: str, options: Mapping[str, Any]) -> Engine:
        """Open a database that need not lie where others have to."""
        options = self._defaults | check_options(options)
        with Mapped(path):
            directory = HeldDirectory(path, create=True)
            try:
                source, lock = self._open_in(directory.name, options)
            except BaseException:
                directory.close()
                raise
        return LevelDbEngine(self, path, source, options, row_cache=self._row_cache, directory=directory, lock=lock)

    def _open_in(self, name: str, options: Mapping[str, Any]) -> tuple[Any, DirectoryLock]:
        seen, lock = leveldb_directory.admit(name, leveldb_directory.check_opening)
        try:
            with leveldb_directory.creating(seen):
                return self._plyvel.DB(os.fsencode(name), create_if_missing=True, **options), lock
        except BaseException:
            lock.release()
            raise

    def observed_options(self, path: str) -> dict[str, Any]:
        """The compression that its tables show; none where they show none: an opening makes tables of the log."""
        with self._held_there(path) as name:
            return {"compression": inspect(name, logs=False).compression}

    def check_room(self, path: str) -> None:
        """Opening writes what is in the log into a table, so there has to be space for that."""
        with self._held_there(path) as name:
            log = sum(_size(file) for file in leveldb_directory.data_files(name) if file.suffix == ".log")
            probe = Path(name, f".room-{token_hex(8)}")
            try:
                with os.fdopen(os.open(probe, _NEW_FILE, 0o600), "wb") as file:
                    os.posix_fallocate(file.fileno(), 0, log + _SPARE)
            finally:
                probe.unlink(missing_ok=True)

    def exists(self, path: str) -> bool:
        with self._held(path) as name:
            return name is not None and leveldb_directory.has_database(name)

    def prepare(self, path: str) -> Callable[[], None]:
        with self._held(path) as name:
            if name is None:
                return partial(self._take_back, path, leveldb_directory.undo_new)
            _, lock = leveldb_directory.look(name, leveldb_directory.check_creation, logs=False)
            if lock:
                lock.release()
            return partial(self._take_back, path, leveldb_directory.undo(name))

    def _take_back(self, path: str, undo: Callable[[str], bool]) -> None:
        with self._held(path) as name:
            was_there = name is None or undo(name)
        if not was_there:
            with suppress(OSError):
                Path(path).rmdir()

    def repair(self, path: str, options: Mapping[str, Any], *, force: bool = False) -> RepairReport:
        library = _Repairs(self._plyvel, self._defaults | check_options(options))
        check = partial(leveldb_directory.check_repair, force=force)
        with self._held(path) as name:
            if name is None or not leveldb_directory.has_database(name):
                raise EngineError(f"there is no database at {path}", path)
            seen, lock = leveldb_directory.admit(name, check, thorough=True)
            with lock:
                return repairs.repair(name, seen, library, force=force)

    def destroy(self, path: str, *, set_aside: bool = False) -> None:
        with self._held(path) as name:
            if name is not None:
                leveldb_directory.destroy(name, set_aside=set_aside)
        with suppress(OSError):
            Path(path).rmdir()


class _Repairs:
    """LevelDB, as ``repairs`` needs it."""

    def __init__(self, binding: Any, options: Mapping[str, Any]) -> None:
        self._binding = binding
        self._strict = {**options, "paranoid_checks": True}  # or damaged blocks are taken over as they are
        self._loose = {**options, "paranoid_checks": False}  # or the first damaged record of a log ends it

    def repair_tables(self, path: str) -> None:
        self._binding.repair_db(os.fsencode(path), **self._strict)

    def merge(self, path: str) -> bool:
        try:
            self._binding.DB(os.fsencode(path), **self._strict).close()
            sound = True
        except self._binding.CorruptionError:
            self._binding.DB(os.fsencode(path), **self._loose).close()
            sound = False
        with closing(self._binding.DB(os.fsencode(path), **self._strict)) as source:
            source.compact_range(start=b"", stop=_LAST_KEY)
            if source.get_property(b"leveldb.num-files-at-level0") != b"0":
                source.write_batch().write()  # raises why LevelDB has stopped
                raise EngineError("the tables could not be merged")
        return sound


def _size(file: Path) -> int:
    """Bytes of the file; compactions remove files at any time."""
    try:
        return file.stat().st_size
    except FileNotFoundError:
        return 0
