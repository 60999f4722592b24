"""The catalog of one server."""

import errno
import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import nullcontext
from math import inf
from time import monotonic
from typing import Any, Final
from uuid import uuid4

from attrs import evolve

from pyelevator.application.catalog.database import Database
from pyelevator.application.catalog.log import log
from pyelevator.application.catalog.names import DEFAULT, LocatedName, NamePolicy, normalize_name
from pyelevator.application.catalog.open_limit import OpenDatabases
from pyelevator.application.catalog.recorded import load_entries
from pyelevator.application.catalog.registry import Index, Registry, UnknownUid, already_exists, check_creation
from pyelevator.application.catalog.store import LOCK_FILE, STORE_FILE, Store, entry_fields, lock_directory
from pyelevator.commands import Command, RepairReport
from pyelevator.engines.base import Capability, Engine, EngineError, OptionValueError, Storage
from pyelevator.engines.base.catalog_store import Entry, NoStore
from pyelevator.engines.options import describe_unknown_option, parse_creation
from pyelevator.errors import DatabaseError, UsageError
from pyelevator.messages import split_uid
from pyelevator.monitoring import DatabaseStats
from pyelevator.reports import BackupReport

_IN_MEMORY: Final = "memory:"
"""The data directory of databases that have no files."""

_DISK_FULL: Final = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


class Catalog(Registry):
    """The databases of one server.

    Requests run in several threads: the use of one database never waits for another database. With a storage that is
    durable the catalog survives in the store file, and the data directory is locked against other servers.

    Args:
        storage: opens the databases.
        directory: the data directory, created if it is missing; not used by a storage that is not durable.
        store: path of the store file; None for ``store.json`` in the data directory.
        allowed_roots: directories under which absolute paths may be created; None for everywhere, () for nowhere.
        max_open: databases that are open at once; the least recently used one is closed to make room.

    Attributes:
        open_snapshot: returns a database at the moment of a snapshot, by its cursor, for a peer; None if none are kept.

    Raises:
        CatalogLocked: another server uses the directory.
        CatalogError: the directory cannot be used.
        StoreError: the store file is damaged.
    """

    def __init__(
        self,
        storage: Storage,
        directory: str | None = None,
        *,
        store: str | None = None,
        allowed_roots: Iterable[str] | None = None,
        max_open: int = 256,
    ) -> None:
        self._storage = storage
        self._open_databases = OpenDatabases(max_open, storage.files_per_database)
        self._unlock_directory: Callable[[], None] = lambda: None
        self.open_snapshot: Callable[[Database, bytes, str | None], Any] | None = None
        kept = storage.catalog_store() or NoStore()
        roots = () if kept.is_shared else None if allowed_roots is None else tuple(allowed_roots)
        names = NamePolicy(_IN_MEMORY, storage.resolve, allowed_roots=roots, takes_paths=not kept.is_shared)
        super().__init__(kept, names)
        if Capability.DURABLE in storage.capabilities and not self.is_shared:
            self._lock_directory(directory, store)
        if self._names.directories is not None:
            storage.confine(self._names.directories)
        try:
            self._load()
        except BaseException:
            self.close()
            raise

    def _lock_directory(self, directory: str | None, store: str | None) -> None:
        if directory is None:
            raise UsageError("a storage that keeps files needs a data directory")
        resolved = self._storage.resolve(directory)
        self._unlock_directory = lock_directory(resolved)
        self._store = file = Store.open(resolved, store)
        reserved = frozenset({STORE_FILE, LOCK_FILE, file.path.name})
        self._names = evolve(self._names, directory=resolved, reserved=reserved)

    def _load(self) -> None:
        recorded = self._store.read()
        if self.is_shared:
            self._load_shared(recorded or ())
            return
        entries = load_entries(self._storage, self._names, recorded)
        # a default database that has never opened is one that a server could not create
        databases = [self._database(each, is_new=each.name == DEFAULT and not each.opened) for each in entries]
        self._index = Index(tuple(databases))
        known = self._index.entries()
        try:
            if DEFAULT not in self._index.by_name:
                self.create(DEFAULT)
            elif recorded is None or list(map(entry_fields, recorded)) != list(map(entry_fields, known)):
                with self._store.replacing((), known):
                    pass
        except (EngineError, OSError) as error:  # the other databases are served all the same
            log.error("%s", error)
            if DEFAULT not in self._index.by_name:  # there is one all the same: its first use says why, or creates it
                entry = Entry(DEFAULT, str(uuid4()), self._names.path_for(DEFAULT), {}, opened=False)
                self._index = Index((*self._index.databases, self._database(entry, is_new=True)))

    def _load_shared(self, entries: Sequence[Entry]) -> None:
        self._index = Index(tuple(map(self._database, entries)))
        if DEFAULT not in self._index.by_name:
            try:
                self.create(DEFAULT)
            except DatabaseError:  # another server has created it at this moment
                self.refresh()

    @property
    def is_remote(self) -> bool:
        """True if the calls of engines may wait for a network."""
        return Capability.REMOTE in self._storage.capabilities

    @property
    def call_timeout(self) -> float | None:
        """Seconds that the calls of engines for one request may take; None for any time."""
        return self._storage.call_timeout

    def confine_files(self) -> None:
        """Refuse databases with files that are links from now on: they may be of a database that is forbidden.

        They are refused anyway if there are ``allowed_roots``.
        """
        if self._names.directories is None:
            self._storage.confine((os.sep,))

    def _database(self, entry: Entry, *, is_new: bool = False) -> Database:
        return Database(self._storage, entry, self._open_databases, self._record, is_new=is_new)

    def on_close(self, callback: Callable[[Engine], None]) -> None:
        """Register a callback that runs with each engine before it is closed, when no request uses it any more.

        Args:
            callback: called with the engine.
        """
        self._open_databases.on_close = callback

    # Requests of clients

    def get_database(self, uid: str | None, peer: str | None = None) -> Database:
        """Return the database with this uid: as a context manager, it leases its engine, opening it on demand.

        Args:
            uid: as requests address it.
            peer: that asks, see ``CallContext.peer``; only it reads its snapshots.

        Raises:
            ServerRuntimeError: there is no such database, or not any more.
            DatabaseError, EngineError: on entering, if it cannot be opened.
        """
        database = self._index.by_uid.get(uid)
        return self._find_snapshot(uid, peer) if database is None else database

    def _find_snapshot(self, uid: str | None, peer: str | None) -> Any:
        """Return the database at the moment of the snapshot that a uid names."""
        base, cursor = split_uid(uid)
        database = self._index.by_uid.get(base)
        if database is None or cursor is None or self.open_snapshot is None:
            raise UnknownUid(f"Database {uid or '(no uid)'} doesn't exist")
        return self.open_snapshot(database, cursor, peer)

    @property
    def count(self) -> int:
        """The number of databases."""
        return len(self._index.databases)

    def names(self) -> list[str]:
        """Return the names of all databases, 'default' first, then in the order of their creation."""
        return [database.entry.name for database in self._index.in_order()]

    def is_named_by_path(self, path: str, command: Command) -> bool:
        """Return True if clients know the database at ``path`` by that, or if ``command`` has named it so."""
        database = self._index.by_path.get(path)
        if database is not None:
            return normalize_name(database.entry.name) == path
        name: str = getattr(command, "name", "")
        return name.startswith("/") and normalize_name(name) == path  # the target of a link is not shown

    def stats(self) -> tuple[DatabaseStats, ...]:
        """Return figures of each database, in the order of ``names``, without opening any."""
        return tuple([database.stats() for database in self._index.in_order()])

    def uid_of(self, name: str) -> str:
        """Return the uid by which requests address the database.

        Args:
            name: of the database, or its absolute path.

        Raises:
            DatabaseError: there is no such database.
        """
        return self._find(name, "Database {} doesn't exist").entry.uid

    def name_of(self, uid: str | None) -> str | None:
        """Return the name of the database with this uid; None if there is none, or not any more.

        Args:
            uid: as a request has it.
        """
        database = self._index.by_uid.get(uid) or self._index.by_uid.get(split_uid(uid)[0])
        return None if database is None else database.entry.name

    def locate(self, name: str) -> LocatedName:
        """Find out what a name stands for; with the result no other method looks up anything again."""
        database = self._index.by_name.get(name)
        if database is None:
            path = self._names.resolve_absolute(name)
            database = self._index.by_path.get(path) if path is not None else None
            if database is None:
                return self._names.locate_unregistered(name, path)
        return LocatedName(database.entry.name, database.entry.path, is_registered=True)

    def mount(self, name: str) -> None:
        """Open a database; one that is open stays so.

        Args:
            name: of the database.

        Raises:
            DatabaseError, EngineError: there is no such database, or it cannot be opened.
        """
        with self._find(name):
            pass

    def unmount(self, name: str) -> None:
        """Close a database once its requests are done; one that is closed stays so.

        Args:
            name: of the database.

        Raises:
            DatabaseError: there is no such database.
        """
        self._find(name).unmount()

    def unmount_idle(self, seconds: float | None, adopted_seconds: float | None = None) -> None:
        """Close the databases that have not been used for some time.

        Args:
            seconds: since the last use; None for never.
            adopted_seconds: the same for adopted databases; the shorter of the two counts for them.
        """
        now = monotonic()
        limit = inf if seconds is None else seconds
        adopted_limit = min(limit, inf if adopted_seconds is None else adopted_seconds)
        self._open_databases.close_idle(now - limit, now - adopted_limit)

    def repair(self, uid: str | None, *, force: bool = False) -> RepairReport:
        """Repair a database, which closes it.

        Args:
            uid: of the database.
            force: go on even if most of the data would be set aside.

        Raises:
            ServerRuntimeError: there is no such database.
            EngineError: nothing was changed; see ``Storage.repair``.
        """
        return self.get_database(uid).repair(force=force)

    def locate_directory(self, directory: str) -> LocatedName:
        """Find out what the path of a directory stands for in which a command writes; see ``locate``."""
        return self._names.locate_unregistered(directory, self._names.resolve_absolute(directory))

    def backup(self, name: str, directory: str) -> BackupReport | None:
        """Write a consistent copy of a database into a new directory, while it is used.

        Args:
            name: of the database.
            directory: absolute path.

        Returns:
            What was written, if the engine tells.

        Raises:
            DatabaseError: there is no such database, or the directory is not allowed.
            EngineError: it failed, or the engine makes no backups.
        """
        database = self._find(name)
        path = directory if self.is_shared else self._names.path_for_backup(directory)  # a cluster writes none
        try:
            with database as engine:
                return engine.backup(path)
        except EngineError as error:
            if error.path == path:  # the client knows it by the name that it gave
                error.args, error.path = (str(error).replace(path, directory),), ""
            raise

    def create(self, name: str, options: Mapping[str, Any] | None = None, *, tolerant: bool = False) -> None:
        """Create a database in the data directory, or at an absolute path; one that exists there is adopted.

        An adopted database keeps its data, and the options that its files show. One that is damaged is registered as it
        is, so that it can be repaired.

        Args:
            name: a plain name or an absolute path.
            options: LevelDB's. ``create_if_missing=False`` only adopts, ``error_if_exists=True`` never does.
            tolerant: True ignores options that do not exist.

        Raises:
            DatabaseError: the name is not allowed, or there is such a database.
            EngineError: an option is wrong, or the storage refuses.
        """
        self.refresh()
        if self._get(name):
            raise already_exists(name)
        path, options = self._names.path_for_creation(name), options or {}
        name = normalize_name(str(name))
        names = None if tolerant else self._storage.option_names
        if names is not None and (unknown := describe_unknown_option(options, names)) is not None:
            raise OptionValueError(unknown)
        allowed, recorded = parse_creation(options), self._storage.check_options(options)
        with self._reserved(name, path):
            adopted = not self.is_shared and self._storage.exists(path)
            check_creation(name, adopted, **allowed)
            detected = self._storage.detect_options(path) if adopted else {}
            entry = self._store.locate(Entry(name, str(uuid4()), path, detected | recorded, adopted))
            database = self._database(entry, is_new=not adopted and not self.is_shared)
            with nullcontext() if self.is_shared else database.creating():
                self._update(lambda index: (*index.databases, database))

    def drop(self, name: str, *, force: bool = False) -> None:
        """Remove a database and its files, once its requests are done; 'default' is cleared instead.

        Args:
            name: of the database.
            force: also remove the files of an adopted one, and what repairs have set aside.

        Raises:
            DatabaseError: there is no such database, or it is adopted, or it has never opened; nothing is removed.
        """
        database = self._find(name)
        if database.entry.name == DEFAULT:
            database.clear(force=force)
            return
        with database.dropping(force=force) as destroy:
            try:  # the files go once it is certain that this can be recorded; on a full disk, to free space for that
                with self._updating(lambda index: index.without(database)):
                    destroy()
            except OSError as error:
                if error.errno not in _DISK_FULL:
                    raise
                destroy()
                self._update(lambda index: index.without(database))

    def forget(self, name: str) -> None:
        """Remove a database from the catalog, once its requests are done; its files stay as they are.

        Args:
            name: of the database.

        Raises:
            DatabaseError: there is no such database, or it is 'default', which always exists.
        """
        database = self._find(name)
        if self.is_shared:
            raise DatabaseError("Databases of a cluster cannot be forgotten, only dropped: they are nowhere else")
        if database.entry.name == DEFAULT:
            raise DatabaseError(f"Database {DEFAULT} is always there, and cannot be forgotten")
        with database.forgetting():
            self._update(lambda index: index.without(database))

    def close(self) -> None:
        """Close every database once its requests are done, and release the data directory."""
        index, self._index = self._index, Index()
        for database in index.databases:
            try:
                database.close()
            except EngineError as error:
                log.error("closing %s: %s", database.entry.name, error)
        self._storage.close()
        self._unlock_directory()
