"""The catalog: which databases there are, under which names and uids, and where they lie."""

import errno
import logging
import os
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from math import inf
from pathlib import Path
from time import monotonic
from typing import Any, Final, TypeAlias
from uuid import uuid4

from attrs import evolve, field, frozen

from pyelevator.application.mounts import Mount, absence
from pyelevator.application.names import DEFAULT, Located, Names, normal
from pyelevator.application.openings import Openings
from pyelevator.application.store import LOCK_FILE, STORE_FILE, Entry, Store, fields_of, lock
from pyelevator.commands import Command, RepairReport
from pyelevator.engines.base import Capability, Engine, EngineError, OptionValueError, Storage
from pyelevator.engines.options import describe_unknown_option, parse_creation
from pyelevator.errors import DatabaseError, ServerRuntimeError, UsageError

_log: Final = logging.getLogger("pyelevator.catalog")

_IN_MEMORY: Final = "memory:"
"""The data directory of databases that are no files."""

_FULL: Final = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)

_Change: TypeAlias = Callable[[tuple[Mount, ...]], tuple[Mount, ...]]


@frozen
class _Index:
    """The databases in the order of their creation; replaced as a whole, so that readers need no lock."""

    mounts: tuple[Mount, ...] = ()
    by_uid: Mapping[str | None, Mount] = field(init=False)
    by_name: Mapping[str, Mount] = field(init=False)
    by_path: Mapping[str, Mount] = field(init=False)

    @by_uid.default
    def _index_uids(self) -> Mapping[str | None, Mount]:
        return {mount.entry.uid: mount for mount in self.mounts}

    @by_name.default
    def _index_names(self) -> Mapping[str, Mount]:
        return {mount.entry.name: mount for mount in self.mounts}

    @by_path.default
    def _index_paths(self) -> Mapping[str, Mount]:
        return {mount.entry.path: mount for mount in self.mounts}

    def entries(self) -> list[Entry]:
        return [mount.entry for mount in self.mounts]


class Catalog:
    """The databases of one server.

    Requests run in several threads: a use of one database never waits for another database. With a storage that is
    durable the catalog survives in the store file, and the data directory is locked against other servers.

    Args:
        storage: opens the databases.
        directory: the data directory, created where it is missing; not used by a storage that is not durable.
        store: path of the store file; None for ``store.json`` in the data directory.
        allowed_roots: directories under which absolute paths may be created; None for everywhere, () for nowhere.
        max_open: databases that are open at once; the one unused for longest makes room.

    Raises:
        CatalogLocked: another server uses the directory.
        CatalogError: the directory cannot be used.
        StoreError: the store file is broken.
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
        self._openings = Openings(max_open, storage.files_per_database)
        self._lock = threading.Lock()
        self._creating: set[str] = set()
        self._index = _Index()
        self._store: Store | None = None
        self._release: Callable[[], None] = lambda: None
        roots = None if allowed_roots is None else tuple(allowed_roots)
        self._names = Names(_IN_MEMORY, storage.resolve, allowed_roots=roots)
        if Capability.DURABLE in storage.capabilities:
            self._take(directory, store)
        if self._names.directories is not None:
            storage.confine(self._names.directories)
        try:
            self._load()
        except BaseException:
            self.close()
            raise

    def _take(self, directory: str | None, store: str | None) -> None:
        if directory is None:
            raise UsageError("a storage that keeps files needs a data directory")
        resolved = self._storage.resolve(directory)
        self._release = lock(resolved)
        self._store = Store.of(resolved, store)
        reserved = frozenset({STORE_FILE, LOCK_FILE, self._store.path.name})
        self._names = evolve(self._names, directory=resolved, reserved=reserved)

    # What there is at the start

    def _load(self) -> None:
        recorded = self._store.read() if self._store else []
        entries = self._found() if recorded is None else self._all_placed(recorded)
        self._index = _Index(tuple([self._mount_of(entry, fresh=_is_to_be(entry)) for entry in _once(entries)]))
        try:
            if DEFAULT not in self._index.by_name:
                self.create(DEFAULT)
            elif recorded is None or list(map(fields_of, recorded)) != list(map(fields_of, self._index.entries())):
                self._save(self._index)
        except (EngineError, OSError) as error:  # the other databases are served all the same
            _log.error("%s", error)
            self._stand_in()

    def _mount_of(self, entry: Entry, *, fresh: bool = False) -> Mount:
        return Mount(self._storage, entry, self._openings, self._record, fresh=fresh)

    def _stand_in(self) -> None:
        """Has a default database even where there is none; its first use says why, or creates it."""
        if DEFAULT not in self._index.by_name:
            entry = Entry(DEFAULT, str(uuid4()), self._names.locate(DEFAULT), {}, opened=False)
            self._index = _Index((*self._index.mounts, self._mount_of(entry, fresh=True)))

    def _found(self) -> list[Entry]:
        """The databases of a data directory that has lost its store file, under the names of their directories."""
        names = sorted(os.listdir(self._names.directory))  # noqa: PTH208 - names are all that is wanted
        paths = {name: self._names.locate(name) for name in names if not name.startswith(".")}
        found = {name: path for name, path in paths.items() if os.path.isdir(path) and self._is_database(path)}  # noqa: PTH112
        entries = [Entry(name, str(uuid4()), path, {}, opened=False) for name, path in found.items()]
        for entry in entries:
            _log.warning("there is no store file; found the database %s at %s", entry.name, entry.path)
        return entries

    def _is_database(self, path: str) -> bool:
        """Whether there is a database; what cannot be looked at is none, such as the lost+found of a fresh volume."""
        try:
            return self._storage.exists(path)
        except (EngineError, OSError) as error:
            _log.warning("passing over %s, which cannot be read: %s", path, error)
            return False

    def _all_placed(self, recorded: Sequence[Entry]) -> list[Entry]:
        base = self._working_directory(recorded)
        return [self._placed(entry, base) for entry in recorded]

    def _working_directory(self, recorded: Sequence[Entry]) -> str:
        """The directory that an old server recorded relative paths against.

        Where its data directory was a relative one, that shows in the path of every database with a plain name;
        otherwise it is taken for this server's own.
        """
        for entry in recorded:
            root = f"/{Path(entry.path).parent}"
            if Path(entry.path).name == entry.name and self._names.directory.endswith(root):
                return self._names.directory.removesuffix(root) or "/"
        return os.getcwd()  # noqa: PTH109

    def _placed(self, entry: Entry, base: str) -> Entry:
        """The entry with its resolved path.

        A plain name lies in the data directory, wherever that was when the path was recorded (a copied or moved
        directory must not open the original); then where it was recorded; then in the data directory under the last
        part of the path. A name that is a relative path lies where it was recorded. What is nowhere stays recorded as
        it was, so that the server that recorded it finds it.
        """
        try:
            recorded, name = self._names.locate(os.path.join(base, entry.path)), self._names.locate(entry.name)  # noqa: PTH118
            moved = self._names.locate(Path(entry.path).name)
        except ValueError as error:
            _log.warning(
                "the database %s cannot be used, the others are: %r is no path (%s)", entry.name, entry.path, error
            )
            return entry
        candidates = (recorded,) if "/" in entry.name else (name, recorded, moved)
        path, is_there = next(
            filter(_may_be_used, ((path, self._look(path)) for path in candidates)), (recorded, False)
        )
        if is_there is False:
            why = f"{absence(recorded)} ({recorded})"
            _log.warning("the database %s cannot be used, the others are: %s", entry.name, why)
        return evolve(entry, path=path, recorded=None if is_there else entry.path)

    def _look(self, path: str) -> bool | None:
        """Whether there is a database; None for something that cannot be looked at: who uses that hears why."""
        try:
            return self._storage.exists(path)
        except (EngineError, OSError) as error:
            _log.warning("the database at %s cannot be used, the others are: %s", path, error)
            return None

    def before_close(self, call: Callable[[Engine], None]) -> None:
        """Has ``call`` called with each engine that is about to close, when nobody uses it any more."""
        self._openings.before_close = call

    # What clients ask

    def use(self, uid: str | None) -> Mount:
        """The database as a context that leases its engine, and opens it on demand; see :class:`Mount` for the rules.

        Raises:
            ServerRuntimeError: there is no such database (any more).
            DatabaseError, EngineError: on entering, if it cannot be opened.
        """
        mount = self._index.by_uid.get(uid)
        if mount is None:
            raise ServerRuntimeError(f"Database {uid or '(no uid)'} doesn't exist")
        return mount

    def names(self) -> list[str]:
        """The names of all databases, 'default' first, then in the order of their creation."""
        return sorted([mount.entry.name for mount in self._index.mounts], key=lambda name: name != DEFAULT)

    def is_named_by_path(self, path: str, command: Command[Any]) -> bool:
        """Return whether clients know the database at ``path`` by that, or ``command`` has named it so."""
        mount = self._index.by_path.get(path)
        if mount is not None:
            return normal(mount.entry.name) == path
        name: str = getattr(command, "name", "")
        return name.startswith("/") and normal(name) == path  # nobody learns where a link leads

    def uid_of(self, name: str) -> str:
        """The uid under which requests address the database.

        Raises:
            DatabaseError: there is no such database.
        """
        return self._named(name, "Database {} doesn't exist").entry.uid

    def name_of(self, uid: str | None) -> str | None:
        """The name of the database with this uid; None if there is none (any more)."""
        mount = self._index.by_uid.get(uid)
        return None if mount is None else mount.entry.name

    def located(self, name: str) -> Located:
        """What a name stands for, found out once: with the result nothing is looked up again by any other method."""
        mount = self._index.by_name.get(name)
        if mount is None:
            path = self._names.lookup(name)
            mount = self._index.by_path.get(path) if path is not None else None
            if mount is None:
                return self._names.unregistered(name, path)
        return Located(mount.entry.name, mount.entry.path, is_registered=True)

    def mount(self, name: str) -> None:
        """Opens a database; one that is open stays so."""
        with self._named(name):
            pass

    def unmount(self, name: str) -> None:
        """Closes a database once its users are done; one that is closed stays so."""
        self._named(name).unmount()

    def unmount_unused(self, seconds: float | None, adopted: float | None = None) -> None:
        """Closes the databases that nobody has used for so many seconds, and adopted ones for ``adopted`` seconds.

        None is never; for an adopted one, the shorter of the two holds.
        """
        now = monotonic()
        limit = inf if seconds is None else seconds
        self._openings.close_unused(now - limit, now - min(limit, inf if adopted is None else adopted))

    def repair(self, uid: str | None, *, force: bool = False) -> RepairReport:
        """Repairs a database, which closes it; ``force`` goes on where most of the data would be set aside."""
        return self.use(uid).repair(force=force)

    def create(self, name: str, options: Mapping[str, Any] | None = None, *, tolerant: bool = False) -> None:
        """Creates a database in the data directory, or at an absolute path; one that is there is adopted.

        An adopted database keeps its data, and the options that its files show. One that is damaged is registered as it
        is, so that it can be repaired.

        Args:
            name: a plain name or an absolute path.
            options: LevelDB's. ``create_if_missing=False`` only adopts, ``error_if_exists=True`` never does.
            tolerant: True passes over options that do not exist.

        Raises:
            DatabaseError: the name is not allowed, or there is such a database.
            EngineError: an option is wrong, or the storage refuses.
        """
        if self._named_or_none(name):
            raise _taken(name)
        path, options = self._names.path_of(name), options or {}
        name = normal(str(name))
        if not tolerant:
            self._check_names(options)
        allowed, kept = parse_creation(options), self._storage.check_options(options)
        with self._reserved(name, path):
            adopted = self._storage.exists(path)
            _check_creation(name, adopted, **allowed)
            shown = self._storage.detect_options(path) if adopted else {}
            mount = self._mount_of(Entry(name, str(uuid4()), path, shown | kept, adopted), fresh=not adopted)
            with mount.created():
                self._change(lambda mounts: (*mounts, mount))

    def _check_names(self, options: Iterable[str]) -> None:
        names = self._storage.option_names
        unknown = None if names is None else describe_unknown_option(options, names)
        if unknown is not None:
            raise OptionValueError(unknown)

    def drop(self, name: str, *, force: bool = False) -> None:
        """Removes a database and its files, once its users are done; 'default' is emptied instead, and stays.

        Args:
            name: of the database.
            force: also the files of an adopted one, and what repairs have set aside.

        Raises:
            DatabaseError: there is no such database, or it is adopted, or it has never opened; nothing is removed.
        """
        mount = self._named(name)
        if mount.entry.name == DEFAULT:
            mount.empty(force=force)
        else:
            self._drop(mount, force)

    def forget(self, name: str) -> None:
        """Takes a database off the list, once its users are done; its files stay as they are.

        Raises:
            DatabaseError: there is no such database, or it is 'default', which is always there.
        """
        mount = self._named(name)
        if mount.entry.name == DEFAULT:
            raise DatabaseError(f"Database {DEFAULT} is always there, and cannot be forgotten")
        with mount.forgotten():
            self._change(lambda mounts: _without(mounts, mount))

    def _drop(self, mount: Mount, force: bool) -> None:
        """Removes the files once it is sure that this can be recorded; on a full disk it frees the space for that."""
        with mount.dropped(force=force) as destroy:
            try:
                with self._changing(lambda mounts: _without(mounts, mount)):
                    destroy()
            except OSError as error:
                if error.errno not in _FULL:
                    raise
                destroy()
                self._change(lambda mounts: _without(mounts, mount))

    def close(self) -> None:
        """Closes every database once its users are done, and gives the data directory back."""
        index, self._index = self._index, _Index()
        for mount in index.mounts:
            try:
                mount.close()
            except EngineError as error:
                _log.error("closing %s: %s", mount.entry.name, error)
        self._release()

    # How it changes

    def _named(self, name: str, refusal: str = "Database {} does not exist") -> Mount:
        mount = self._named_or_none(name)
        if mount is None:
            raise DatabaseError(refusal.format(name))
        return mount

    def _named_or_none(self, name: str) -> Mount | None:
        """The database of that name, or for an absolute path the one that lies there."""
        index = self._index
        if name in index.by_name:
            return index.by_name[name]
        path = self._names.lookup(name)
        return None if path is None else index.by_path.get(path)

    @contextmanager
    def _reserved(self, name: str, path: str) -> Iterator[None]:
        """Nobody else creates a database of that name or path meanwhile."""
        with self._lock:
            taken = self._creating | self._index.by_name.keys() | self._index.by_path.keys()
            if not taken.isdisjoint((name, path)):
                raise _taken(name)
            self._creating |= {name, path}
        try:
            yield
        finally:
            with self._lock:
                self._creating -= {name, path}

    def _record(self) -> None:
        """Records what is known of the databases; where that fails, it is known until the server stops."""
        try:
            self._change(lambda mounts: mounts)
        except OSError as error:
            _log.warning("the catalog could not be written: %s", error)

    def _change(self, change: _Change) -> None:
        """Changes what there is."""
        with self._changing(change):
            pass

    @contextmanager
    def _changing(self, change: _Change) -> Iterator[None]:
        """Writes the new store file, runs the block, puts the file in place, and then shows what has changed.

        So nothing is shown that a restart would forget, and the block runs only if the file could be written.
        """
        with self._lock:
            index = _Index(change(self._index.mounts))
            with self._store.replaced(index.entries()) if self._store else nullcontext():
                yield
            self._index = index

    def _save(self, index: _Index) -> None:
        if self._store:
            self._store.write(index.entries())


def _may_be_used(found: tuple[str, bool | None]) -> bool:
    return found[1] is not False


def _without(mounts: tuple[Mount, ...], mount: Mount) -> tuple[Mount, ...]:
    return tuple([other for other in mounts if other is not mount])


def _taken(name: str) -> DatabaseError:
    return DatabaseError(f"Database {name} already exists")


def _is_to_be(entry: Entry) -> bool:
    """Whether it is the default database that a server recorded without having been able to create it."""
    return entry.name == DEFAULT and not entry.opened


def _check_creation(name: str, there: bool, *, create_if_missing: bool, error_if_exists: bool) -> None:
    if not there and not create_if_missing:
        raise DatabaseError(f"There is no database at {name}, and create_if_missing is False")
    if there and error_if_exists:
        raise DatabaseError(f"There is a database at {name} already, and error_if_exists is True")


def _once(entries: Iterable[Entry]) -> list[Entry]:
    """Without those that another one shadows: an old server could register one LevelDB under two paths."""
    seen: set[tuple[str, str]] = set()
    kept = []
    for entry in entries:
        marks = {("name", entry.name), ("uid", entry.uid), ("path", entry.path)}
        if seen.isdisjoint(marks):
            kept.append(entry)
            seen |= marks
        else:
            _log.warning(
                "ignoring the database %s at %s: its name, uid or path is another one's", entry.name, entry.path
            )
    return kept
