"""The LevelDB engine, on plyvel or plyvel-next: the only place that uses it (what it raises, ``failures`` maps)."""

import fcntl
import os
import re
import threading
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from functools import partial
from itertools import islice, takewhile
from operator import itemgetter
from pathlib import Path
from typing import Any, Final

from pyelevator.commands import PUT, Op
from pyelevator.engines import repairs
from pyelevator.engines.base import (
    Bounds,
    Capability,
    Engine,
    EngineBusy,
    EngineDamaged,
    EngineError,
    Reader,
    Seen,
    Storage,
    some_at_once,
)
from pyelevator.engines.binding import load_binding
from pyelevator.engines.failures import Mapped, is_foreign
from pyelevator.engines.options import check_options
from pyelevator.engines.pieces import Piece, Pieces
from pyelevator.engines.rows import ROW_CACHE, RowCache

_OWN_FILE: Final = re.compile(r"CURRENT|MANIFEST-\d+|\d{6,}\.(log|ldb|sst)")
"""The files without which there is no LevelDB."""

_BACKUP_PAIRS: Final = 1000

_FAR: Final = 4096
"""Bytes of files from key to key from which on point reads are cheaper (measured: benchmarks/spread.py)."""

_LAST_KEY: Final = b"\xff" * 1024
"""Behind every key there is, for all practical purposes."""

_SPARE: Final = 1 << 20
"""Bytes that an opening takes besides what it writes of the log: a new log, a new manifest."""

_PARTS: Final[Mapping[tuple[bool, bool], Callable[[tuple[bytes, bytes]], Any]]] = {
    (True, True): tuple,
    (True, False): itemgetter(0),
    (False, True): itemgetter(1),
    (False, False): lambda _: None,
}
"""``Bounds.parts`` -> the item of a pair."""


class _LevelDbReader(Reader):
    """What a database and a snapshot share; ``source`` is the binding's object, ``verify`` whether to check each block,
    ``spread`` tells how many bytes of files lie between two keys, about."""

    def __init__(self, source: Any, mapped: Mapped, verify: bool, spread: Callable[[bytes, bytes], int]) -> None:
        self._source = source
        self._mapped = mapped
        self._spread = spread
        self._verify = verify
        self._get: Final = source.get

    def get(self, key: bytes) -> bytes | None:
        try:  # the hot path: a try costs nothing, a context does
            return self._get(key, verify_checksums=self._verify)  # type: ignore[no-any-return]
        except Exception as error:
            if is_foreign(error):
                raise self._mapped.translated(error) from error
            raise

    def multi_get(self, keys: Sequence[bytes], *, fill_cache: bool = False) -> list[bytes | None]:
        get, verify = self._get, self._verify
        with self._mapped:
            return [get(key, verify_checksums=verify, fill_cache=fill_cache) for key in keys]

    def pick(self, keys: Sequence[bytes], *, fill_cache: bool = False) -> Generator[list[bytes | None], None, None]:
        """By one iterator that goes from key to key, if they are near one another; else by point reads.

        Keys of one block cost an iterator one look at the block, and point reads one each; where each key has blocks
        of its own, the iterator reads one on every level, and a point read ends where it finds the key.
        """
        if not keys:
            return
        with self._mapped:
            if self._spread(keys[0], keys[-1]) > _FAR * len(keys):
                get = partial(self._get, verify_checksums=self._verify, fill_cache=fill_cache)
                for some in some_at_once(keys):
                    yield list(map(get, some))
            else:
                with self._source.iterator(fill_cache=fill_cache, verify_checksums=self._verify) as pairs:
                    for some in some_at_once(keys):
                        yield _sought(pairs, some)

    def scan(self, bounds: Bounds) -> Iterator[Any]:
        return self._walk(*self._iterate(bounds))

    def _walk(self, source: Any, rows: Iterator[Any]) -> Iterator[Any]:
        with self._mapped, source:
            yield from rows

    def pieces(self, bounds: Bounds) -> Pieces:
        return _LevelDbPieces(*self._iterate(bounds), bounds.parts, self._mapped)

    def _iterate(self, bounds: Bounds) -> tuple[Any, Iterator[Any]]:
        """The binding's iterator, which is to be closed, and the rows that come from it.

        Backwards it never gets a start, see ``_down_to``; and an empty one is none.
        """
        start, stop, include_stop = bounds.interval()
        if bounds.reverse and start:
            source = self._iterator(Bounds(reverse=True, fill_cache=bounds.fill_cache), None, stop, include_stop)
            return source, _down_to(start, source, bounds.parts)
        source = self._iterator(bounds, start or None, stop, include_stop)
        return source, source

    def _iterator(self, bounds: Bounds, start: bytes | None, stop: bytes | None, include_stop: bool) -> Any:
        with self._mapped:
            return self._source.iterator(
                start=start,
                stop=stop,
                include_stop=include_stop,
                include_key=bounds.include_key,
                include_value=bounds.include_value,
                reverse=bounds.reverse,
                fill_cache=bounds.fill_cache,
                verify_checksums=self._verify,
            )

    def close(self) -> None:
        with self._mapped:
            self._source.close()


def _down_to(start: bytes, pairs: Iterator[Any], parts: tuple[bool, bool]) -> Iterator[Any]:
    """Checks the lower end here, because plyvel 1.5.1 does not find a first key that is also the last."""
    return map(_PARTS[parts], takewhile(lambda pair: pair[0] >= start, pairs))


class _LevelDbPieces(Pieces):
    """Rows that come from ``source``, an iterator of plyvel's, which is closed with them."""

    def __init__(self, source: Any, rows: Iterator[Any], parts: tuple[bool, bool], mapped: Mapped) -> None:
        super().__init__(rows, parts)
        self._source = source
        self._mapped = mapped

    def take(self, most: int, enough: int) -> Piece:
        with self._mapped:
            return super().take(most, enough)

    def close(self) -> None:
        super().close()
        self._source.close()


class LevelDbEngine(_LevelDbReader, Engine):
    """One open LevelDB.

    LevelDB goes on after a failed append to its log, behind half a record; and when it reads the log the next time
    it skips what follows that half. So after a failed write no other one is taken (``broken``), not even one that is
    under way in another thread: one write at a time.

    Attributes:
        rows: the pairs that were read with ``fill_cache=True``.
    """

    def __init__(
        self, storage: "LevelDbStorage", path: str, source: Any, options: Mapping[str, Any], row_cache: int
    ) -> None:
        super().__init__(source, Mapped(path), options["paranoid_checks"], source.approximate_size)
        self._storage = storage
        self._path = path
        self._options = options
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
            raise EngineBusy(f"{self._path} is busy with another write")
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
            raise type(self._failure)(str(self._failure))
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
            return _LevelDbReader(self._source.snapshot(), self._mapped, self._verify, self._spread)

    def compact(self) -> None:
        with self._mapped:
            self._source.compact_range(start=b"", stop=_LAST_KEY)  # without bounds plyvel 1.5.1 compacts nothing

    def approximate_size(self) -> int:
        """The sum of the files: LevelDB's own estimate leaves out what is still in the log."""
        return sum(map(_size, _own_files(self._path)))

    def backup(self, path: str) -> None:
        path = self._storage.resolve(path)
        if Path(path).exists():
            raise EngineError(f"{path} exists already; a backup goes into a new directory")
        try:
            with self._storage.open(path, self._options) as copy:
                self._copy_into(copy)
        except EngineError:
            self._storage.destroy(path)
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
            super().close()
            self._storage.closed(self._path)


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
        OptionTypeError, OptionValueError: of a default option.
    """

    capabilities = frozenset({Capability.DURABLE, Capability.REPAIRABLE, Capability.SNAPSHOT, Capability.BACKUP})

    def __init__(self, default_options: Mapping[str, Any] | None = None, row_cache: int = ROW_CACHE) -> None:
        self._defaults = {"paranoid_checks": True} | check_options(default_options or {})
        self._plyvel: Any = load_binding()
        self._row_cache = row_cache
        self._open: set[str] = set()

    def resolve(self, path: str) -> str:
        return os.path.realpath(path)

    def check_options(self, options: Mapping[str, Any]) -> dict[str, Any]:
        return check_options(options)

    def open(self, path: str, options: Mapping[str, Any]) -> Engine:
        options = self._defaults | check_options(options)
        files = {file.name for file in _own_files(path)}
        if repairs.unfinished(path):
            raise EngineDamaged(f"{path} is damaged; repair it with repairdb (a repair was interrupted)")
        if files and "CURRENT" not in files:  # LevelDB would start afresh and delete what is there
            raise EngineDamaged(f"{path} is damaged; repair it with repairdb (CURRENT is missing)")
        with Mapped(path):
            with suppress(FileExistsError):
                os.mkdir(path)  # noqa: PTH102 - LevelDB does not say why it cannot
            source = self._plyvel.DB(os.fsencode(path), create_if_missing=True, **options)
        self._open.add(path)
        return LevelDbEngine(self, path, source, options, self._row_cache)

    def closed(self, path: str) -> None:
        """An engine of this storage tells that it has closed."""
        self._open.discard(path)

    def check_room(self, path: str) -> None:
        """Opening writes what is in the log into a table, so there has to be space for that."""
        log = sum(_size(file) for file in _own_files(path) if file.suffix == ".log")
        probe = Path(path, "room.tmp")
        with Mapped(path):
            try:
                with probe.open("wb") as file:
                    os.posix_fallocate(file.fileno(), 0, log + _SPARE)
            finally:
                probe.unlink(missing_ok=True)

    def exists(self, path: str) -> bool:
        return bool(_own_files(path)) or repairs.unfinished(path)

    def repair(self, path: str, options: Mapping[str, Any]) -> None:
        if not self.exists(path):
            raise EngineError(f"there is no database at {path}")
        if path in self._open:
            raise EngineError(f"{path} is open already")
        given, name = check_options(options), os.fsencode(path)
        strict = given | {"paranoid_checks": True}  # or damaged blocks are taken over as they are
        loose = given | {"paranoid_checks": False}  # or the first damaged record ends it
        with Mapped(path), _locked(path):
            repairs.repair(
                path,
                lambda: self._plyvel.repair_db(name, **strict),
                lambda: self._plyvel.DB(name, **loose).close(),
            )

    def destroy(self, path: str) -> None:
        with Mapped(path):
            self._plyvel.destroy_db(os.fsencode(path))  # knows its own files, and refuses while it is open
            for folder in (Path(path, repairs.LOST), Path(path, repairs.KEPT)):  # repairs move damaged files there
                if _own_files(str(folder)) and not (folder / "CURRENT").exists():
                    self._plyvel.destroy_db(os.fsencode(folder))
            with suppress(OSError):
                Path(path).rmdir()


def _sought(pairs: Any, keys: Sequence[bytes]) -> list[bytes | None]:
    """The values of keys in order. Whatever pair an iterator stands at after a seek is a true one, so nobody needs to
    compare keys; and where it is at its end, all the other keys are missing."""
    found = dict(map(itemgetter(1), zip(map(pairs.seek, keys), pairs, strict=False)))
    return list(map(found.get, keys))


def _own_files(path: str) -> list[Path]:
    try:
        with Mapped(path):
            return [file for file in Path(path).iterdir() if _OWN_FILE.fullmatch(file.name)]
    except EngineError as error:
        if isinstance(error.__cause__, (FileNotFoundError, NotADirectoryError)):
            return []
        raise


def _size(file: Path) -> int:
    """Bytes of the file; compactions remove files at any time."""
    try:
        return file.stat().st_size
    except FileNotFoundError:
        return 0


@contextmanager
def _locked(path: str) -> Iterator[None]:
    """LevelDB's own lock, which its repair does not take. Not while this process has the database open."""
    with Path(path, "LOCK").open("a") as file:
        fcntl.lockf(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield
