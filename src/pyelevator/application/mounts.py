"""Mount: one database, its engine while it is open, and who is using it."""

import logging
import stat
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path
from time import monotonic
from types import TracebackType
from typing import Final

from attrs import evolve

from pyelevator.application.openings import Openings
from pyelevator.application.store import Entry
from pyelevator.commands import RepairReport
from pyelevator.engines.base import Engine, EngineDamaged, EngineError, Storage
from pyelevator.errors import DatabaseError, ServerRuntimeError

_log: Final = logging.getLogger("pyelevator.catalog")


def absence(path: str) -> str:
    """What to say of a path where there is no database, without the path: a client may know it by another name."""
    try:
        is_directory = stat.S_ISDIR(Path(path).stat().st_mode)
    except FileNotFoundError:
        is_directory = True  # once
    except OSError as error:
        return str(error.strerror)
    return "its files are gone" if is_directory else "Not a directory"


class Mount:
    """A database that opens on demand. As a context it leases the engine::

        with mount as engine:
            engine.get(key)

    Many threads may hold leases. ``unmount``, ``repair``, ``dropped``, ``forgotten`` and ``empty`` wait until all of
    them are gone and hold up new ones meanwhile; so a thread that holds a lease must not call them, nor take a second
    lease.

    Args:
        storage: opens it.
        entry: what the catalog knows of it.
        openings: counts what is open.
        record: called when ``entry`` has changed, so that it survives.
        fresh: True for one that has no files yet, and may be created by its first use.

    Attributes:
        entry: as given; ``opened`` once it has been.
        lock: who can have it at once and finds an ``engine`` may use that, quickly, while holding the lock; then
            sets ``used_at``. It is the cheaper half of a lease, and the one that never waits.
        engine: None while the database is closed, or somebody waits to have it alone.
        used_at: when it was last used, as ``time.monotonic`` counts.
    """

    def __init__(
        self,
        storage: Storage,
        entry: Entry,
        openings: Openings,
        record: Callable[[], None] = lambda: None,
        *,
        fresh: bool = False,
    ) -> None:
        self.entry = entry
        self.engine: Engine | None = None
        self.lock: Final = threading.Lock()
        self.used_at = monotonic()
        self._storage = storage
        self._openings = openings
        self._record = record
        self._fresh = fresh
        self._open_engine: Engine | None = None
        self._leases = 0
        self._exclusive = 0
        self._gone = False
        self._changed = threading.Condition(self.lock)

    @property
    def adopted(self) -> bool:
        """Whether another program has made it."""
        return self.entry.adopted

    def __enter__(self) -> Engine:
        with self.lock:
            engine = self.engine or self._wait_for_engine()
            self._leases += 1
            self.used_at = monotonic()
            return engine

    def __exit__(self, *_: type[BaseException] | BaseException | TracebackType | None) -> None:
        with self.lock:
            self._leases -= 1
            self.used_at = monotonic()
            if not self._leases and self._exclusive:
                self._changed.notify_all()

    def _wait_for_engine(self) -> Engine:
        self._changed.wait_for(lambda: not self._exclusive)
        if self._open_engine is None:
            self._check_files()
            self._open()
            self.engine = self._open_engine
        return self._open_engine  # type: ignore[return-value]

    def _open(self) -> None:
        self._openings.enter(self)
        try:
            self._settle_options()
            self._open_engine = self._storage.open(self.entry.path, self.entry.options)
        except BaseException:
            self._openings.leave(self)
            raise
        self._fresh = False
        _log.info("mounted %s", self.entry.name)
        if not self.entry.opened:
            self.entry = evolve(self.entry, opened=True)
            self._record()

    def _settle_options(self) -> None:
        """Keeps what the files of an adopted database show, where an older catalog has not recorded it."""
        if self.entry.adopted and "compression" not in self.entry.options:
            shown = self._storage.detect_options(self.entry.path)
            if shown:
                self.entry = evolve(self.entry, options=shown | dict(self.entry.options))
                self._record()

    def _check_files(self) -> None:
        if self._gone:
            raise ServerRuntimeError(f"Database {self.entry.uid} doesn't exist")
        if not self._fresh and not self._is_there():
            raise DatabaseError(f"Database {self.entry.name}: {absence(self.entry.path)}")

    def _is_there(self) -> bool:
        try:
            return self._storage.exists(self.entry.path)
        except ValueError as error:  # a store file can hold any text
            raise DatabaseError(f"Database {self.entry.name}: what is recorded for it is no path") from error

    @contextmanager
    def _alone(self) -> Iterator[None]:
        """Without leases, and with the lock, so that new ones wait; the engine is closed."""
        with self.lock:
            self._exclusive += 1
            self.engine = None
            try:
                self._changed.wait_for(lambda: not self._leases)
                self._close()
                yield
            finally:
                self._exclusive -= 1
                self.engine = None if self._exclusive else self._open_engine
                self._changed.notify_all()

    def _close(self) -> None:
        engine, self._open_engine = self._open_engine, None
        if engine is not None:
            self.engine = None
            try:
                self._openings.before_close(engine)
                engine.close()
            finally:
                self._openings.leave(self)
            _log.info("unmounted %s", self.entry.name)

    def close_if_unused(self, before: float) -> bool:
        """Closes the engine unless it is in use, or was since ``before``; waits for nobody."""
        if not self.lock.acquire(blocking=False):
            return False
        try:
            if self.engine is None or self._leases or self.used_at >= before:
                return False
            self._close()
            return True
        finally:
            self.lock.release()

    def unmount(self) -> None:
        """Closes the engine; the next lease opens it again."""
        with self._alone():
            pass

    def mend(self) -> None:
        """Closes an engine of which a write failed, so that the next lease opens it anew, and writes are taken again.

        Raises:
            EngineError: it could not be opened again, for want of space; so it stays open, for reads.
        """
        engine = self.engine
        if engine is not None and engine.write_failed:
            self._storage.check_free_space(self.entry.path)
            _log.warning("a write to %s had failed; opening it anew", self.entry.name)
            self.unmount()

    def repair(self, *, force: bool = False) -> RepairReport:
        """Repairs the files; the next lease opens them. See ``Storage.repair``."""
        with self._alone():
            self._check_files()
            self._settle_options()
            report = self._storage.repair(self.entry.path, self.entry.options, force=force)
            _log.info("repaired %s", self.entry.name)
            return report

    @contextmanager
    def created(self) -> Iterator[None]:
        """Opens the database, there or not; what the block raises takes back what was created.

        One that is there and damaged stays closed: only what the catalog knows can be repaired.
        """
        with self._alone():
            take_back = self._storage.prepare(self.entry.path)
            try:
                self._open_or_leave(self._fresh)
                yield
            except BaseException:
                self._close()
                with suppress(EngineError):
                    take_back()
                raise

    def _open_or_leave(self, fresh: bool) -> None:
        try:
            self._open()
        except EngineDamaged as error:
            if fresh:
                raise
            self.entry = evolve(self.entry, opened=False)
            _log.warning("registering %s as it is: %s", self.entry.name, error)

    @contextmanager
    def dropped(self, *, force: bool = False) -> Iterator[Callable[[], None]]:
        """Gives what removes the files to a block that has the database for itself; afterwards it is gone.

        Args:
            force: also those of an adopted database, and what repairs have set aside.

        Raises:
            DatabaseError: somebody else dropped it meanwhile, and what lies there now is another database; it is
                adopted; it has never opened, and does not now.
        """
        with self._alone():
            self._check_may_be_destroyed(force)
            yield partial(self._destroy, set_aside=force)
            self._gone = True

    def empty(self, *, force: bool = False) -> None:
        """Removes the files, and opens the database anew.

        Raises:
            DatabaseError: as ``dropped``.
        """
        with self._alone():
            self._check_may_be_destroyed(force)
            self._destroy(set_aside=force)
            self._open()

    @contextmanager
    def forgotten(self) -> Iterator[None]:
        """Closes the database for a block; afterwards it is gone, and its files are as they were.

        Raises:
            DatabaseError: somebody else dropped it meanwhile.
        """
        with self._alone():
            self._check_there()
            yield
            self._gone = True

    def _check_there(self) -> None:
        if self._gone:
            raise DatabaseError(f"Database {self.entry.name} does not exist")

    def _check_may_be_destroyed(self, force: bool) -> None:
        self._check_there()
        if self.entry.adopted and not force:
            raise DatabaseError(
                f"Database {self.entry.name} was there before this server, and its files are another program's; "
                "forgetdb takes it off the list and leaves them, dropdb with force=True deletes them"
            )
        if self._is_there() and not self.entry.opened:
            self._open_once()

    def _open_once(self) -> None:
        """Finds out whether what has never been open here is a database at all."""
        try:
            self._open()
        except EngineError as error:
            raise DatabaseError(
                f"Database {self.entry.name} has never opened, so its files may be another program's and are left "
                f"as they are; forgetdb takes it off the list ({error})"
            ) from error
        self._close()

    def _destroy(self, *, set_aside: bool) -> None:
        if self.entry.opened and not self._fresh:
            self._storage.destroy(self.entry.path, set_aside=set_aside)

    def close(self) -> None:
        """Closes the engine for good; leases raise from now on."""
        with self._alone():
            self._gone = True
