"""Mount: one database, its engine while it is open, and who is using it."""

import logging
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from types import TracebackType
from typing import Final

from pyelevator.application.store import Entry
from pyelevator.engines.base import Engine, EngineError, Storage
from pyelevator.errors import DatabaseError, ServerRuntimeError

_log: Final = logging.getLogger("pyelevator.catalog")


class Mount:
    """A database that opens on demand. As a context it leases the engine::

        with mount as engine:
            engine.get(key)

    Many threads may hold leases. ``unmount``, ``repair`` and ``destroy`` wait until all leases are gone and hold up
    new ones meanwhile; so a thread that holds a lease must not call them, nor take a second lease.
    """

    def __init__(self, storage: Storage, entry: Entry) -> None:
        self.entry: Final = entry
        self._storage = storage
        self._engine: Engine | None = None
        self._leases = 0
        self._exclusive = 0
        self._gone = False
        self._lock = threading.Lock()
        self._changed = threading.Condition(self._lock)

    @property
    def ready(self) -> bool:
        """A lease would be had at once."""
        return self._engine is not None and not self._exclusive

    def __enter__(self) -> Engine:
        with self._lock:
            engine = self._engine
            if engine is None or self._exclusive:
                engine = self._wait_for_engine()
            self._leases += 1
            return engine

    def __exit__(self, *_: type[BaseException] | BaseException | TracebackType | None) -> None:
        with self._lock:
            self._leases -= 1
            if not self._leases and self._exclusive:
                self._changed.notify_all()

    def _wait_for_engine(self) -> Engine:
        self._changed.wait_for(lambda: not self._exclusive)
        if self._engine is None:
            self._check_files()
            self._open()
        return self._engine  # type: ignore[return-value]

    def _open(self) -> None:
        self._engine = self._storage.open(self.entry.path, self.entry.options)
        _log.info("mounted %s", self.entry.name)

    def _check_files(self) -> None:
        if self._gone:
            raise ServerRuntimeError(f"Database {self.entry.uid} doesn't exist")
        if not self._storage.exists(self.entry.path):
            raise DatabaseError(f"Database {self.entry.name}: its files are gone ({self.entry.path})")

    @contextmanager
    def _alone(self) -> Iterator[None]:
        """Without leases, and with the lock, so that new ones wait; the engine is closed."""
        with self._lock:
            self._exclusive += 1
            try:
                self._changed.wait_for(lambda: not self._leases)
                self._close()
                yield
            finally:
                self._exclusive -= 1
                self._changed.notify_all()

    def _close(self) -> None:
        engine, self._engine = self._engine, None
        if engine is not None:
            engine.close()
            _log.info("unmounted %s", self.entry.name)

    def unmount(self) -> None:
        """Closes the engine; the next lease opens it again."""
        with self._alone():
            pass

    def repair(self) -> None:
        """Repairs the files; the next lease opens them."""
        with self._alone():
            self._check_files()
            self._storage.repair(self.entry.path, self.entry.options)
            _log.info("repaired %s", self.entry.name)

    @contextmanager
    def created(self) -> Iterator[None]:
        """Opens the database, there or not; what the block raises takes back what was created."""
        with self._alone():
            fresh = not self._storage.exists(self.entry.path)
            try:
                self._open()
                yield
            except BaseException:
                self._close()
                if fresh:
                    with suppress(EngineError):
                        self._storage.destroy(self.entry.path)
                raise

    @contextmanager
    def destroyed(self, *, anew: bool) -> Iterator[None]:
        """Removes the files, then runs the block; with ``anew`` the database stays, empty.

        Raises:
            DatabaseError: somebody else dropped it meanwhile; what lies there now is another database.
        """
        with self._alone():
            if self._gone:
                raise DatabaseError(f"Database {self.entry.name} does not exist")
            self._storage.destroy(self.entry.path)
            if anew:
                self._open()
            yield
            self._gone = not anew

    def close(self) -> None:
        """Closes the engine for good; leases raise from now on."""
        with self._alone():
            self._gone = True
