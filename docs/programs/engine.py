"""An engine of one's own: databases in SQLite files, and a server that keeps its data there."""

import sqlite3
import tempfile
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from typing import Any, TypeVar

from pyelevator import Elevator
from pyelevator.application import Application, Catalog
from pyelevator.commands import PUT, BatchOp, RepairReport
from pyelevator.engines.base import Bounds, Capability, Decision, Engine, EngineBusy, EngineError, ReadView, Storage
from pyelevator.engines.options import check_options
from pyelevator.server import Server

R = TypeVar("R")

FILE, SAVED, DAMAGED = "pairs.sqlite", "saved.sqlite", "damaged.sqlite"
TABLE = "CREATE TABLE IF NOT EXISTS pairs (key BLOB PRIMARY KEY, value BLOB) WITHOUT ROWID"
COLUMNS = {(True, True): "key, value", (True, False): "key", (False, True): "value", (False, False): "NULL"}


@contextmanager
def translated_errors() -> Iterator[None]:
    """Translate errors of SQLite to EngineError, whose text the application sends to the client."""
    try:
        yield
    except sqlite3.Error as error:
        raise EngineError(f"SQLite: {error}") from error


def connect(path: str, file: str = FILE) -> sqlite3.Connection:
    # No implicit transactions, and any thread: the engine's lock serializes what must not overlap.
    return sqlite3.connect(Path(path, file), isolation_level=None, check_same_thread=False, timeout=10)


def readable(damaged: sqlite3.Connection, order: str) -> Iterator[Any]:
    with suppress(sqlite3.DatabaseError):
        yield from damaged.execute(f"SELECT key, value FROM pairs ORDER BY key {order}")


class Snapshot(ReadView):
    """A read transaction: in WAL mode it sees the moment of its first read, unaffected by later writes."""

    _connection: Any = None

    def __init__(self, path: str) -> None:
        self._lock = threading.Lock()
        with translated_errors():
            self._connection = connect(path)
            self._connection.execute("BEGIN")
            self._connection.execute("SELECT 1 FROM pairs LIMIT 1").fetchone()

    def get(self, key: bytes) -> bytes | None:
        with self._lock, translated_errors():
            row = self._connection.execute("SELECT value FROM pairs WHERE key = ?", (key,)).fetchone()
        return None if row is None else row[0]

    def multi_get(self, keys: Sequence[bytes], *, fill_cache: bool = False) -> list[bytes | None]:
        with translated_errors():
            self._connection.execute("SELECT 1")  # raises if it is closed, also without keys
        return [self.get(key) for key in keys]

    def scan(self, bounds: Bounds) -> Iterator[Any]:
        start, stop, include_stop = bounds.interval()
        conditions, values = ["1"], []
        for bound, test in ((start, "key >= ?"), (stop, "key <= ?" if include_stop else "key < ?")):
            if bound is not None:
                conditions.append(test)
                values.append(bound)
        parts = COLUMNS[bounds.include_key, bounds.include_value]
        order = "DESC" if bounds.reverse else "ASC"
        query = f"SELECT {parts} FROM pairs WHERE {' AND '.join(conditions)} ORDER BY key {order}"
        with translated_errors():
            rows = self._connection.execute(query, values)
        return self._items(rows, as_pairs=bounds.include_key and bounds.include_value)

    def _items(self, rows: sqlite3.Cursor, *, as_pairs: bool) -> Iterator[Any]:
        """Yield the items, as a generator, because it keeps this snapshot alive until it is exhausted or closed."""
        with translated_errors():
            for row in rows:
                yield row if as_pairs else row[0]

    def close(self) -> None:
        if self._connection is not None:
            self._connection.close()

    __del__ = close


class SqliteEngine(Engine):
    """One open database: a connection that writes, and a snapshot for everything that reads more than one key."""

    def __init__(self, path: str, leave: Any) -> None:
        self._path, self._leave = path, leave
        self._lock = threading.Lock()
        self._closed = False
        with translated_errors():
            self._connection = connect(path)
            self._connection.execute("PRAGMA journal_mode = WAL")
            self._connection.execute(TABLE)

    def get(self, key: bytes) -> bytes | None:
        with self._lock, translated_errors():
            row = self._connection.execute("SELECT value FROM pairs WHERE key = ?", (key,)).fetchone()
        return None if row is None else row[0]

    def multi_get(self, keys: Sequence[bytes], *, fill_cache: bool = False) -> list[bytes | None]:
        with self.snapshot() as snapshot:
            return snapshot.multi_get(keys, fill_cache=fill_cache)

    def scan(self, bounds: Bounds) -> Iterator[Any]:
        return self.snapshot().scan(bounds)

    def snapshot(self) -> ReadView:
        if self._closed:
            raise EngineError("the database is closed")
        return Snapshot(self._path)

    def write(self, ops: Sequence[BatchOp], *, sync: bool = False, wait: bool = True) -> None:
        with self._writing(wait):
            self._write(ops, "FULL" if sync else "NORMAL")

    def update(self, decide: Callable[[ReadView], Decision[R]], *, sync: bool = False, wait: bool = True) -> R:
        with self._writing(wait):
            with self.snapshot() as view:
                ops, result = decide(view)
            self._write(ops, "FULL" if sync else "NORMAL")
        return result

    @contextmanager
    def _writing(self, wait: bool) -> Iterator[None]:
        if not self._lock.acquire(wait):
            raise EngineBusy("another write is going on")
        try:
            with translated_errors():
                yield
        finally:
            self._lock.release()

    def _write(self, ops: Sequence[BatchOp], synchronous: str) -> None:
        self._connection.execute(f"PRAGMA synchronous = {synchronous}")
        self._connection.execute("BEGIN IMMEDIATE")
        try:
            for signal, key, *value in ops:
                if signal == PUT:
                    self._connection.execute("INSERT OR REPLACE INTO pairs VALUES (?, ?)", (key, *value))
                else:
                    self._connection.execute("DELETE FROM pairs WHERE key = ?", (key,))
            self._connection.execute("COMMIT")
        except BaseException:
            self._connection.execute("ROLLBACK")
            raise

    def compact(self) -> None:
        with self._lock, translated_errors():
            self._connection.execute("VACUUM")

    def approximate_size(self) -> int:
        with self._lock, translated_errors():
            (pages,), (size,) = (self._connection.execute(f"PRAGMA page_{it}").fetchone() for it in ("count", "size"))
        return int(pages * size)

    def backup(self, path: str) -> None:
        with suppress(FileExistsError), translated_errors():
            Path(path).mkdir(parents=True)
            with self._lock:
                copy = connect(path)
                self._connection.backup(copy)
                copy.close()
            return
        raise EngineError(f"{path} is there already")

    def close(self) -> None:
        if not self._closed:
            self._closed = True
            self._connection.close()
            self._leave()


class SqliteStorage(Storage):
    """Each database is a directory with one SQLite file.

    Options are checked, so that a client hears of a wrong one, and have no effect.
    """

    capabilities = frozenset(Capability) - {Capability.REMOTE}  # all that a store of files can have

    def __init__(self) -> None:
        self._open: set[str] = set()
        self._lock = threading.Lock()

    def resolve(self, path: str) -> str:
        return str(Path(path).resolve())

    def check_options(self, options: Mapping[str, Any]) -> dict[str, Any]:
        return check_options(options)

    def open(self, path: str, options: Mapping[str, Any]) -> Engine:
        check_options(options)
        self._enter(path)
        try:
            Path(path).mkdir(parents=True, exist_ok=True)
            return SqliteEngine(path, lambda: self._open.discard(path))
        except BaseException:
            self._open.discard(path)
            raise

    def _enter(self, path: str) -> None:
        with self._lock:
            self._check_closed(path)
            self._open.add(path)

    def _check_closed(self, path: str) -> None:
        if path in self._open:
            raise EngineError(f"{path} is open already")

    def exists(self, path: str) -> bool:
        return Path(path, FILE).exists()

    def repair(self, path: str, options: Mapping[str, Any], *, force: bool = False) -> RepairReport:
        check_options(options)
        if not self.exists(path):
            raise EngineError(f"there is no database at {path}")
        self._enter(path)
        try:
            with translated_errors(), closing(connect(path)) as damaged, closing(connect(path, SAVED)) as saved:
                saved.execute(TABLE)
                saved.execute("BEGIN")
                for order in ("ASC", "DESC"):  # from both ends, each as far as it can be read
                    saved.executemany("INSERT OR IGNORE INTO pairs VALUES (?, ?)", readable(damaged, order))
                saved.execute("COMMIT")
            Path(path, FILE).rename(Path(path, DAMAGED))
            Path(path, SAVED).rename(Path(path, FILE))
        finally:
            self._open.discard(path)
        return RepairReport(kept=(FILE,), set_aside=(DAMAGED,), size=Path(path, FILE).stat().st_size)

    def destroy(self, path: str, *, set_aside: bool = False) -> None:
        self._check_closed(path)
        for name in (FILE, f"{FILE}-wal", f"{FILE}-shm", SAVED, *([DAMAGED] if set_aside else [])):
            Path(path, name).unlink(missing_ok=True)
        with suppress(OSError):  # it has other files, or does not exist
            Path(path).rmdir()


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        for _ in range(2):  # the second server finds what the first one has left
            with Server(Application(Catalog(SqliteStorage(), folder)), ["tcp://127.0.0.1:0"]) as server:
                with Elevator.from_url(server.urls[0]) as E:
                    if "testdb" not in E.listdb():
                        E.createdb("testdb")
                    E.connect("testdb")
                    print(E.Range())
                    with E.WriteBatch() as batch:
                        batch.Put("abc", "123")
                        batch.Put("easy as", "do re mi")
        print(sorted(path.name for path in Path(folder).iterdir() if path.is_dir()))


if __name__ == "__main__":
    main()
