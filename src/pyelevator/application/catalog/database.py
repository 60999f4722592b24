"""One database of a catalog: its entry, its engine while it is open, and the leases on it."""

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

from pyelevator.application.catalog.log import log
from pyelevator.application.catalog.open_limit import OpenDatabases
from pyelevator.commands import RepairReport
from pyelevator.engines.base import Capability, Engine, EngineDamaged, EngineError, Storage
from pyelevator.engines.base.catalog_store import Entry
from pyelevator.errors import DatabaseError, ServerRuntimeError
from pyelevator.monitoring import DatabaseStats

_LOOK_TIMEOUT: Final = 0.1
"""Seconds that ``stats`` waits for the lock: requests hold it shortly, and repairs for as long as they take."""


def describe_absence(path: str) -> str:
    """Return why there is no database at a path, without the path: a client may know it by another name."""
    try:
        is_directory = stat.S_ISDIR(Path(path).stat().st_mode)
    except FileNotFoundError:
        is_directory = True  # it was one
    except OSError as error:
        return str(error.strerror)
    return "its files are gone" if is_directory else "Not a directory"


class Database:
    """A database that opens on demand.

    As a context manager, it leases the engine::

        with database as engine:
            engine.get(key)

    Many threads may hold leases. ``unmount``, ``repair``, ``dropping``, ``forgetting`` and ``clear`` wait until all
    leases have ended, and block new ones until they are done. So a thread that holds a lease must not call them, nor
    take a second lease.

    Args:
        storage: opens it.
        entry: what the catalog records of it.
        open_databases: counts the open ones.
        record: called when ``entry`` has changed, to save it.
        is_new: True for one that has no files yet, and may be created by its first use.

    Attributes:
        entry: as given; ``opened`` once it has been open.
        lock: a thread that acquires it without waiting, and finds an ``engine``, may use that for a short time while it
            holds the lock; then it sets ``used_at``. This is a cheaper lease that never waits.
        engine: None while the database is closed, or an exclusive operation waits, and always if its calls may wait for
            a network.
        used_at: time of the last use, by ``time.monotonic``.
    """

    def __init__(
        self,
        storage: Storage,
        entry: Entry,
        open_databases: OpenDatabases,
        record: Callable[[], None] = lambda: None,
        *,
        is_new: bool = False,
    ) -> None:
        self.entry = entry
        self.engine: Engine | None = None
        self.lock: Final = threading.Lock()
        self.used_at = monotonic()
        self._storage = storage
        self._open_databases = open_databases
        self._record = record
        self._is_new = is_new
        self._is_remote = Capability.REMOTE in storage.capabilities
        self._open_engine: Engine | None = None
        self._leases = 0
        self._exclusive = 0
        self._dropped = False
        self._changed = threading.Condition(self.lock)

    @property
    def adopted(self) -> bool:
        """True if another program has created it."""
        return self.entry.adopted

    def __enter__(self) -> Engine:
        with self.lock:
            engine = self.engine or self._wait_for_engine()
            self._leases += 1
            self.used_at = monotonic()
            return engine

    def __exit__(self, *_: type[BaseException] | BaseException | TracebackType | None) -> None:
        self.used_at = monotonic()
        self._end_lease()

    def _end_lease(self) -> None:
        with self.lock:
            self._leases -= 1
            if not self._leases and self._exclusive:
                self._changed.notify_all()

    def _wait_for_engine(self) -> Engine:
        self._changed.wait_for(lambda: not self._exclusive)
        if self._open_engine is None:
            self._check_files()
            self._open()
            self._publish()
        return self._open_engine  # type: ignore[return-value]

    def _publish(self) -> None:
        """Let others use the engine without a lease, unless its calls may wait or something exclusive is under way."""
        self.engine = None if self._exclusive or self._is_remote else self._open_engine

    def _open(self) -> None:
        self._open_databases.add(self)
        try:
            self._adopt_options()
            self._open_engine = self._storage.open(self.entry.path, self.entry.options)
        except BaseException:
            self._open_databases.remove(self)
            raise
        self._is_new = False
        log.info("mounted %s", self.entry.name)
        if not self.entry.opened:
            self.entry = evolve(self.entry, opened=True)
            self._record()

    def _adopt_options(self) -> None:
        """Record the options that the files of an adopted database show, if an older catalog has not recorded them."""
        if self.entry.adopted and "compression" not in self.entry.options:
            detected = self._storage.detect_options(self.entry.path)
            if detected:
                self.entry = evolve(self.entry, options=detected | dict(self.entry.options))
                self._record()

    def _check_files(self) -> None:
        if self._dropped:
            raise ServerRuntimeError(f"Database {self.entry.uid} doesn't exist")
        if not self._is_new and not self._is_remote and not self._exists():
            raise DatabaseError(f"Database {self.entry.name}: {describe_absence(self.entry.path)}")

    def _exists(self) -> bool:
        try:
            return self._storage.exists(self.entry.path)
        except ValueError as error:  # a store file can hold any text
            raise DatabaseError(f"Database {self.entry.name}: what is recorded for it is no path") from error

    @contextmanager
    def _exclusively(self) -> Iterator[None]:
        """Hold the database exclusively: wait for leases, block new ones, close the engine."""
        with self.lock:
            self._exclusive += 1
            self.engine = None
            try:
                self._changed.wait_for(lambda: not self._leases)
                self._close()
                yield
            finally:
                self._exclusive -= 1
                self._publish()
                self._changed.notify_all()

    def _close(self) -> None:
        engine, self._open_engine = self._open_engine, None
        if engine is not None:
            self.engine = None
            try:
                self._open_databases.on_close(engine)
                engine.close()
            finally:
                self._open_databases.remove(self)
            log.info("unmounted %s", self.entry.name)

    def stats(self) -> DatabaseStats:
        """Return figures for an operator, without opening the database, waiting for it, or counting as a use.

        Those of the engine are left out if they cannot be read.
        """
        with self._leased_if_open() as engine:
            is_open, idle, figures = self._open_engine is not None, monotonic() - self.used_at, None
            try:
                figures = None if engine is None else engine.stats()
            except EngineError as error:
                log.warning("the figures of %s could not be read: %s", self.entry.name, error)
            return DatabaseStats(self.entry.name, is_open, adopted=self.entry.adopted, idle=idle, engine=figures)

    @contextmanager
    def _leased_if_open(self) -> Iterator[Engine | None]:
        """Lease the engine for a block; None if it is closed, or about to be."""
        if not self.lock.acquire(timeout=_LOOK_TIMEOUT):
            yield None
            return
        try:
            engine = None if self._exclusive else self._open_engine
            self._leases += engine is not None
        finally:
            self.lock.release()
        try:
            yield engine
        finally:
            if engine is not None:
                self._end_lease()

    def close_if_idle(self, before: float) -> bool:
        """Close the engine unless it is in use or was used since ``before``; return True if it did. It never waits."""
        if not self.lock.acquire(blocking=False):
            return False
        try:
            if self._open_engine is None or self._exclusive or self._leases or self.used_at >= before:
                return False
            self._close()
            return True
        finally:
            self.lock.release()

    def unmount(self) -> None:
        """Close the engine; the next lease opens it again."""
        with self._exclusively():
            pass

    def reopen_after_failure(self) -> None:
        """Close an engine of which a write failed; the next lease opens it again, and writes are accepted again.

        Raises:
            EngineError: there is no space to open it again; so it stays open, for reads.
        """
        engine = self.engine
        if engine is not None and engine.write_failed:
            self._storage.check_free_space(self.entry.path)
            log.warning("a write to %s had failed; opening it again", self.entry.name)
            self.unmount()

    def repair(self, *, force: bool = False) -> RepairReport:
        """Repair the files; the next lease opens them. See ``Storage.repair``."""
        with self._exclusively():
            self._check_files()
            self._adopt_options()
            report = self._storage.repair(self.entry.path, self.entry.options, force=force)
            log.info("repaired %s", self.entry.name)
            return report

    @contextmanager
    def creating(self) -> Iterator[None]:
        """Open the database, creating it if it is missing; if the block raises, what was created is removed.

        An existing one that is damaged stays closed: only what is in the catalog can be repaired.
        """
        with self._exclusively():
            undo = self._storage.prepare(self.entry.path)
            try:
                self._open_or_register()
                yield
            except BaseException:
                self._close()
                with suppress(EngineError):
                    undo()
                raise

    def _open_or_register(self) -> None:
        try:
            self._open()
        except EngineDamaged as error:
            if self._is_new:
                raise
            self.entry = evolve(self.entry, opened=False)
            log.warning("registering %s as it is: %s", self.entry.name, error)

    @contextmanager
    def dropping(self, *, force: bool = False) -> Iterator[Callable[[], None]]:
        """Hold the database exclusively for a block, and yield what removes its files; afterwards it does not exist.

        Args:
            force: also remove the files of an adopted database, and what repairs have set aside.

        Raises:
            DatabaseError: another request has dropped it, so there may be another database at its path; or it is
                adopted; or it has never opened, and does not open now.
        """
        with self._exclusively():
            self._check_may_be_destroyed(force)
            yield partial(self._destroy, set_aside=force)
            self._dropped = True

    def clear(self, *, force: bool = False) -> None:
        """Remove the files, and create the database again.

        Raises:
            DatabaseError: as of ``dropping``.
        """
        with self._exclusively():
            self._check_may_be_destroyed(force)
            if self.entry.opened and not self._is_new:
                self._storage.empty(self.entry.path, set_aside=force)
            self._open()

    @contextmanager
    def forgetting(self) -> Iterator[None]:
        """Hold the database exclusively for a block; afterwards it is not in the catalog, and its files are unchanged.

        Raises:
            DatabaseError: another request has dropped it.
        """
        with self._exclusively():
            self._check_exists()
            yield
            self._dropped = True

    def _check_exists(self) -> None:
        if self._dropped:
            raise DatabaseError(f"Database {self.entry.name} does not exist")

    def _check_may_be_destroyed(self, force: bool) -> None:
        self._check_exists()
        if self.entry.adopted and not force:
            raise DatabaseError(
                f"Database {self.entry.name} was there before this server, and its files are another program's; "
                "forgetdb takes it off the list and leaves them, dropdb with force=True deletes them (`elevator forget "
                "NAME`, `elevator drop NAME --force`)"
            )
        if self._exists() and not self.entry.opened:
            try:  # whether it is a database
                self._open()
            except EngineError as error:
                raise DatabaseError(
                    f"Database {self.entry.name} has never opened, so its files may be another program's and are left "
                    f"as they are; forgetdb takes it off the list, or `elevator forget NAME` ({error})"
                ) from error
            self._close()

    def _destroy(self, *, set_aside: bool) -> None:
        if self.entry.opened and not self._is_new:
            self._storage.destroy(self.entry.path, set_aside=set_aside)

    def close(self) -> None:
        """Close the engine permanently; leases raise from now on."""
        with self._exclusively():
            self._dropped = True
