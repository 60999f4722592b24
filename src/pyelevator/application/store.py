"""What the catalog keeps on disk: the store file (ours, and those of both old servers) and the lock."""

import errno
import fcntl
import json
import logging
import os
import shlex
import stat
from codecs import BOM_UTF8
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from secrets import token_hex
from typing import Any, Final

from attrs import frozen

from pyelevator.errors import ElevatorError

_log: Final = logging.getLogger("pyelevator.catalog")

STORE_FILE: Final = "store.json"
"""The store file in the data directory, unless another path is given."""

OLD_STORE_FILES: Final = ("store",)
"""What else an old server may have called it; read if there is no ``store.json``, and left alone."""

LOCK_FILE: Final = "elevator.lock"
"""Held by the server that uses the data directory."""


_NEW: Final = ".new"
"""How the names of files end that are to replace others."""

_OWN_MODE: Final = 0o600


class CatalogError(ElevatorError):
    """The data directory cannot be used; the message says what to do."""


class CatalogLocked(CatalogError):
    """Another server uses the data directory."""


class StoreError(CatalogError):
    """The store file is broken; it has been left as it is."""


@frozen
class Entry:
    """One database of the store file.

    Attributes:
        name: as clients know it.
        uid: as requests address it; it survives restarts.
        path: where it lies; resolved by the catalog, in a store file as it was recorded.
        options: LevelDB's, under their present names.
        adopted: it was there before this server, so its files are another program's.
        opened: it has been open here at least once; else nobody knows whether it is a database at all.
        recorded: the path as an old server recorded it, kept in the store file as long as nothing is found there; None
            where that is ``path``.
    """

    name: str
    uid: str
    path: str
    options: Mapping[str, Any]
    adopted: bool = False
    opened: bool = True
    recorded: str | None = None


@frozen
class Store:
    """The store file: JSON, ``{name: {"path", "uid", "options"}}``, and ``adopted`` and ``opened`` where they differ
    from what an entry without them means.

    Attributes:
        path: of the file that is written.
        older: read in its place while there is none.
    """

    path: Path
    older: tuple[Path, ...] = ()

    @classmethod
    def of(cls, directory: str, path: str | None) -> "Store":
        """The store at ``path``, or the one of the data directory."""
        if path is not None:
            return cls(Path(path))
        return cls(Path(directory, STORE_FILE), tuple([Path(directory, name) for name in OLD_STORE_FILES]))

    def read(self) -> list[Entry] | None:
        """The databases, in the order of their creation; None if no server has been here before.

        Raises:
            StoreError: the file is not a store file, or cannot be read.
        """
        try:
            found = next(filter(_has_content, (self.path, *self.older)), None)
            return None if found is None else _read(found)
        except OSError as error:
            raise StoreError(f"{self.path} cannot be read: {error.strerror}") from error

    def write(self, entries: Iterable[Entry]) -> None:
        """Replaces the file, all of it or nothing: a crash leaves the old one or the new one."""
        with self.replaced(entries):
            pass

    @contextmanager
    def replaced(self, entries: Iterable[Entry]) -> Iterator[None]:
        """Writes the new file aside, runs the block, and then replaces the old one; unless the block raises."""
        content = {entry.name: fields_of(entry) for entry in entries}
        temporary = self.path.with_name(f".{self.path.name}.{token_hex(8)}{_NEW}")
        try:
            _write(temporary, content)
            yield
            temporary.replace(self.path)
        except BaseException:
            temporary.unlink(missing_ok=True)
            raise
        _sync_directory(self.path.parent)


def _write(path: Path, content: Mapping[str, Any]) -> None:
    """Writes a new file, which nobody can have put there before."""
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
    with os.fdopen(os.open(path, flags, _OWN_MODE), "w", encoding="ascii") as file:
        json.dump(content, file, indent=1)
        file.flush()
        os.fsync(file.fileno())


def _has_content(path: Path) -> bool:
    """Whether there is a store file. An old server truncates its own before it writes, so an empty one says nothing."""
    if not path.is_file():
        return False
    if path.stat().st_size == 0:
        _log.warning("%s is empty, and taken for missing: an old server was interrupted while it wrote it", path)
        return False
    return True


def _read(path: Path) -> list[Entry]:
    try:
        # An old server wrote some names as the bytes that they are, which need not be UTF-8.
        content = json.loads(path.read_bytes().removeprefix(BOM_UTF8).decode("utf-8", "surrogateescape"))
        entries = [_entry(key, fields) for key, fields in content.items()]
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise StoreError(
            f"{path} is not a store file ({error}); restore it from a copy, or move it away to start afresh"
        ) from error
    return [entry for entry in entries if _has_name(entry)]


def fields_of(entry: Entry) -> dict[str, Any]:
    """Give what the store file says of a database."""
    path = entry.path if entry.recorded is None else entry.recorded
    fields: dict[str, Any] = {"path": path, "uid": entry.uid, "options": entry.options}
    if entry.adopted != _is_outside(entry.name):
        fields["adopted"] = entry.adopted
    return fields if entry.opened else fields | {"opened": False}


def _is_outside(name: str) -> bool:
    """Whether the database is named by its path. Old servers did not record who made such a one; so it is taken for
    another program's, which only means that dropping it takes one more word."""
    return "/" in name


def _entry(key: str, fields: Mapping[str, Any]) -> Entry:
    """An entry of either old server: ``{name: {"path", "uid", "options"}}`` or ``{uid: {"name", "uid", "path"}}``."""
    name, uid = (fields["name"], fields.get("uid", key)) if "name" in fields else (key, fields["uid"])
    path, options = fields["path"], fields.get("options") or {}
    if not all(isinstance(text, str) for text in (name, uid, path)) or not isinstance(options, dict):
        raise TypeError(f"the entry {key!r} has fields of wrong types")
    adopted, opened = fields.get("adopted", _is_outside(name)), fields.get("opened", True)
    if not isinstance(adopted, bool) or not isinstance(opened, bool):
        raise TypeError(f"the entry {key!r} has a flag that is neither true nor false")
    return Entry(name, uid, path, options, adopted, opened)


def _has_name(entry: Entry) -> bool:
    """Old servers let a database without a name be created, on the storage root itself.

    What no client could be told is no name either: it would keep the others from being listed.
    """
    if not entry.name:
        _log.warning("ignoring the database without a name at %s", entry.path)
        return False
    try:
        (entry.name + entry.uid).encode("utf-8", "surrogateescape")
    except UnicodeEncodeError as error:
        _log.warning("ignoring the database %r: its name or its uid is no text (%s)", entry.name, error.reason)
        return False
    return True


def _sync_directory(directory: Path) -> None:
    handle = os.open(directory, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def lock(directory: str) -> Callable[[], None]:
    """Takes the data directory for this server, creating it where it is missing; the result gives it back.

    Raises:
        CatalogLocked: another server has it.
        CatalogError: it cannot be created or written.
    """
    try:
        Path(directory).mkdir(mode=0o700, parents=True, exist_ok=True)
        flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
        file = os.fdopen(os.open(Path(directory, LOCK_FILE), flags, _OWN_MODE), "wb")
    except OSError as error:
        raise CatalogError(f"the data directory {directory} cannot be used: {_why(error)}") from error
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        file.close()
        raise CatalogLocked(
            f"{directory} is in use by another server; stop that one, or choose another --data"
        ) from error
    _look_over(Path(directory))
    return file.close


def _why(error: OSError) -> str:
    return f"{LOCK_FILE} in it is a symbolic link" if error.errno == errno.ELOOP else str(error.strerror)


def _look_over(directory: Path) -> None:
    """Warns of a data directory that others can write, and removes what a write left there that was killed."""
    status = directory.stat()
    if stat.S_IMODE(status.st_mode) & 0o022 or status.st_uid not in (0, os.geteuid()):
        _log.warning(
            "others can write in the data directory %s, and so replace databases; run: chmod go-w %s",
            directory,
            shlex.quote(str(directory)),
        )
    for left in directory.glob(f".*{_NEW}"):
        left.unlink(missing_ok=True)
