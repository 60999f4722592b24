"""The files of a catalog: the store file (this server's, and those of both old servers) and the lock."""

import errno
import fcntl
import json
import os
import shlex
import stat
from codecs import BOM_UTF8
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

from attrs import frozen

from pyelevator.application.catalog.log import log
from pyelevator.engines.base.catalog_store import CatalogStore, Entry
from pyelevator.errors import ElevatorError
from pyelevator.paths import is_file, replacing_file, sync_file

STORE_FILE: Final = "store.json"
"""The store file in the data directory, unless another path is given."""

OLD_STORE_FILES: Final = ("store",)
"""Other names that an old server may have given it; read if there is no ``store.json``, and not changed."""

LOCK_FILE: Final = "elevator.lock"
"""Locked by the server that uses the data directory."""

_NEW_SUFFIX: Final = ".new"
"""The suffix of files that are to replace others."""

_OWN_MODE: Final = 0o600


class CatalogError(ElevatorError):
    """The data directory cannot be used; the message says what to do."""


class CatalogLocked(CatalogError):
    """Another server uses the data directory."""


class StoreError(CatalogError):
    """The store file is damaged; it has been left as it is."""


@frozen
class Store(CatalogStore):
    """The store file: JSON, ``{name: {"path", "uid", "options"}}``.

    An entry has ``adopted`` and ``opened`` as well if they differ from what an entry without them means.

    Attributes:
        path: of the file that is written.
        legacy_paths: files that are read as long as it does not exist.
    """

    path: Path
    legacy_paths: tuple[Path, ...] = ()

    @classmethod
    def open(cls, directory: str, path: str | None) -> "Store":
        """Return the store at ``path``, or if None the one of the data directory."""
        if path is not None:
            return cls(Path(path))
        return cls(Path(directory, STORE_FILE), tuple([Path(directory, name) for name in OLD_STORE_FILES]))

    def read(self) -> list[Entry] | None:
        """Return the databases as they were created, None without a store file; raise a StoreError if it is damaged."""
        try:
            found = next(filter(_has_content, (self.path, *self.legacy_paths)), None)
            return None if found is None else _read_entries(found)
        except OSError as error:
            raise StoreError(f"{self.path} cannot be read: {error.strerror}") from error

    @contextmanager
    def replacing(self, before: Sequence[Entry], after: Sequence[Entry]) -> Iterator[None]:  # noqa: ARG002
        """Write the new file under another name, run the block, and replace the old one unless the block raises."""
        content = {entry.name: entry_fields(entry) for entry in after}
        with replacing_file(self.path, _NEW_SUFFIX) as file:
            file.write(json.dumps(content, indent=1).encode("ascii"))
            sync_file(file)  # before the block, so that a full disk is found now
            yield


def _has_content(path: Path) -> bool:
    """Return True if there is a store file. An old server truncates it before writing, so an empty one is ignored."""
    if not is_file(path):
        return False
    if path.stat().st_size == 0:
        log.warning("%s is empty, and taken for missing: an old server was interrupted while it wrote it", path)
        return False
    return True


def _read_entries(path: Path) -> list[Entry]:
    try:
        # An old server wrote some names as raw bytes, which need not be UTF-8.
        content = json.loads(path.read_bytes().removeprefix(BOM_UTF8).decode("utf-8", "surrogateescape"))
        entries = [_entry(key, fields) for key, fields in content.items()]
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise StoreError(
            f"{path} is not a store file ({error}); restore it from a copy, or move it away to start afresh"
        ) from error
    return [entry for entry in entries if _has_name(entry)]


def entry_fields(entry: Entry) -> dict[str, Any]:
    """Return the fields of an entry in the store file."""
    path = entry.path if entry.recorded is None else entry.recorded
    fields: dict[str, Any] = {"path": path, "uid": entry.uid, "options": entry.options}
    if entry.adopted != _is_outside(entry.name):
        fields["adopted"] = entry.adopted
    return fields if entry.opened else fields | {"opened": False}


def _is_outside(name: str) -> bool:
    """Return True if the database is named by its path.

    Old servers did not record which program had created such a database. So it counts as another program's, which only
    means that dropping it takes ``force``.
    """
    return "/" in name


def _entry(key: str, fields: Mapping[str, Any]) -> Entry:
    """Parse an entry of any server: ``{name: {"path", "uid", "options"}}`` or ``{uid: {"name", "uid", "path"}}``."""
    name, uid = (fields["name"], fields.get("uid", key)) if "name" in fields else (key, fields["uid"])
    path, options = fields["path"], fields.get("options") or {}
    if not all(isinstance(text, str) for text in (name, uid, path)) or not isinstance(options, dict):
        raise TypeError(f"the entry {key!r} has fields of wrong types")
    adopted, opened = fields.get("adopted", _is_outside(name)), fields.get("opened", True)
    if not isinstance(adopted, bool) or not isinstance(opened, bool):
        raise TypeError(f"the entry {key!r} has a flag that is neither true nor false")
    return Entry(name, uid, path, options, adopted, opened)


def _has_name(entry: Entry) -> bool:
    """Return False for a name that is empty or cannot be encoded; such databases are ignored.

    Old servers allowed a database without a name to be created, on the storage root itself. A name that cannot be sent
    to clients would prevent them from listing the others.
    """
    if not entry.name:
        log.warning("ignoring the database without a name at %s", entry.path)
        return False
    try:
        (entry.name + entry.uid).encode("utf-8", "surrogateescape")
    except UnicodeEncodeError as error:
        log.warning("ignoring the database %r: its name or its uid is no text (%s)", entry.name, error.reason)
        return False
    return True


def lock_directory(directory: str) -> Callable[[], None]:
    """Lock the data directory for this server, creating it if it is missing, and return a function that releases it.

    Raises:
        CatalogError: it cannot be created or written, or another server uses it.
    """
    try:
        Path(directory).mkdir(mode=0o700, parents=True, exist_ok=True)
        flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
        file = os.fdopen(os.open(Path(directory, LOCK_FILE), flags, _OWN_MODE), "wb")
    except OSError as error:
        reason = f"{LOCK_FILE} in it is a symbolic link" if error.errno == errno.ELOOP else error.strerror
        raise CatalogError(f"the data directory {directory} cannot be used: {reason}") from error
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        file.close()
        raise CatalogLocked(
            f"{directory} is in use by another server; stop that one, or choose another --data"
        ) from error
    _check_directory(Path(directory))
    return file.close


def _check_directory(directory: Path) -> None:
    """Warn of a data directory that other users can write, and remove what interrupted writes have left in it."""
    status = directory.stat()
    if stat.S_IMODE(status.st_mode) & 0o022 or status.st_uid not in (0, os.geteuid()):
        log.warning(
            "others can write in the data directory %s, and so replace databases; run: chmod go-w %s",
            directory,
            shlex.quote(str(directory)),
        )
    for leftover in directory.glob(f".*{_NEW_SUFFIX}"):
        leftover.unlink(missing_ok=True)
