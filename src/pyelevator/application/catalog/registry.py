"""The registry of a catalog: its databases, and the store that keeps them."""

import threading
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from typing import TypeAlias

from pyelevator.application.catalog.database import Database
from pyelevator.application.catalog.log import log
from pyelevator.application.catalog.names import DEFAULT, NamePolicy
from pyelevator.engines.base import EngineError
from pyelevator.engines.base.catalog_store import CatalogStore, Entry
from pyelevator.errors import DatabaseError, ServerRuntimeError


class UnknownName(DatabaseError):
    """There is no database with that name, or it was created by another server a moment ago."""


class Index:
    """The databases in the order of their creation; replaced as one value, so that readers need no lock."""

    def __init__(self, databases: tuple[Database, ...] = ()) -> None:
        self.databases = databases
        self.by_uid: Mapping[str | None, Database] = {database.entry.uid: database for database in databases}
        self.by_name: Mapping[str, Database] = {database.entry.name: database for database in databases}
        self.by_path: Mapping[str, Database] = {database.entry.path: database for database in databases}

    def in_order(self) -> list[Database]:
        """Return the databases as clients list them: 'default' first."""
        return sorted(self.databases, key=lambda database: database.entry.name != DEFAULT)

    def entries(self) -> list[Entry]:
        """Return what the store file records of the databases."""
        return [database.entry for database in self.databases]

    def without(self, database: Database) -> tuple[Database, ...]:
        """Return the other databases; raise an UnknownName if another server has dropped this one."""
        if self.by_uid.get(database.entry.uid) is not database:
            raise UnknownName(f"Database {database.entry.name} does not exist")
        return tuple([other for other in self.databases if other is not database])


class UnknownUid(ServerRuntimeError):
    """There is no database with that uid, or it was created by another server a moment ago."""


Change: TypeAlias = Callable[[Index], tuple[Database, ...]]
"""Returns the databases that there are to be."""


class Registry(ABC):
    """The databases of a catalog, as they are now and as its store has them; the base of a catalog."""

    def __init__(self, store: CatalogStore, names: NamePolicy) -> None:
        self._index = Index()
        self._store, self._names = store, names
        self._lock = threading.Lock()
        self._creating: set[str] = set()
        self._is_failing = False

    @abstractmethod
    def _database(self, entry: Entry) -> Database:
        """Return the database of an entry."""

    @property
    def is_shared(self) -> bool:
        """True if other servers have the same catalog, and change it."""
        return self._store.is_shared

    def refresh(self) -> bool:
        """Take over what other servers have changed; return True if that was something.

        Databases that they have dropped are closed, once their requests are done, and so are their cursors.

        Raises:
            EngineError: it could not be found out.
        """
        with self._lock:
            entries = self._store.read_changes()
            if entries is None:
                return False
            known, uids = self._index.by_uid, {entry.uid for entry in entries}
            gone = [database for database in self._index.databases if database.entry.uid not in uids]
            self._index = Index(tuple([known.get(entry.uid) or self._database(entry) for entry in entries]))
        for database in gone:
            with suppress(EngineError):
                database.close()
        return True

    def maintain(self) -> None:
        """Take over what others have changed, and do what the store needs now and then; failures are logged once."""
        try:
            self.refresh()
            self._store.maintain()
            self._is_failing = False
        except EngineError as error:
            if not self._is_failing:
                log.warning("the catalog could not be read: %s", error)
            self._is_failing = True

    def _get(self, name: str) -> Database | None:
        """Return the database of that name, or for an absolute path the one at it; None if there is none."""
        index = self._index
        if name in index.by_name:
            return index.by_name[name]
        path = self._names.resolve_absolute(name)
        return None if path is None else index.by_path.get(path)

    def _find(self, name: str, refusal: str = "Database {} does not exist") -> Database:
        """Return the database as ``_get`` does; raise an UnknownName with ``refusal`` as its text if there is none."""
        database = self._get(name)
        if database is None:
            raise UnknownName(refusal.format(name))
        return database

    @contextmanager
    def _reserved(self, name: str, path: str) -> Iterator[None]:
        """Prevent other creations with that name or path during the block; raise a DatabaseError if there is one."""
        with self._lock:
            taken = self._creating | self._index.by_name.keys() | self._index.by_path.keys()
            if not taken.isdisjoint((name, path)):
                raise already_exists(name)
            self._creating |= {name, path}
        try:
            yield
        finally:
            with self._lock:
                self._creating -= {name, path}

    @contextmanager
    def _updating(self, change: Change) -> Iterator[None]:
        """Write the new store file, run the block, put the file in place, and then publish the change.

        So nothing is published that a restart would forget, and the block runs only if the file could be written.
        """
        with self._lock:
            index = Index(change(self._index))
            with self._store.replacing(self._index.entries(), index.entries()):
                yield
            self._index = index

    def _update(self, change: Change) -> None:
        """Record a change, and publish it."""
        with self._updating(change):
            pass

    def _record(self) -> None:
        """Record changes of the databases' entries; if that fails, they are known until the server stops."""
        try:
            self._update(lambda index: index.databases)
        except OSError as error:
            log.warning("the catalog could not be written: %s", error)


def already_exists(name: str) -> DatabaseError:
    """Return the error for the creation of a database that there is."""
    return DatabaseError(f"Database {name} already exists")


def check_creation(name: str, exists: bool, *, create_if_missing: bool, error_if_exists: bool) -> None:
    """Raise a DatabaseError if the options of a creation refuse it."""
    if not exists and not create_if_missing:
        raise DatabaseError(f"There is no database at {name}, and create_if_missing is False")
    if exists and error_if_exists:
        raise DatabaseError(f"There is a database at {name} already, and error_if_exists is True")
