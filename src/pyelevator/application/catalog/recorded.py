"""The databases that a server finds at its start: those of the store file, or without one those of the directory."""

import logging
import os
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Final
from uuid import uuid4

from attrs import evolve

from pyelevator.application.catalog.database import describe_absence
from pyelevator.application.catalog.names import NamePolicy
from pyelevator.engines.base import EngineError, Storage
from pyelevator.engines.base.catalog_store import Entry

_log: Final = logging.getLogger("pyelevator.catalog")


class RecordedDatabases:
    """Finds the databases that a store file records, wherever they are now."""

    def __init__(self, storage: Storage, names: NamePolicy) -> None:
        self._storage = storage
        self._names = names

    def load(self, recorded: Sequence[Entry] | None) -> list[Entry]:
        """Return the databases with their resolved paths, each once.

        Args:
            recorded: the entries of the store file; None if it is missing.
        """
        if recorded is None:
            return _deduplicate(self._discover())
        base = self._find_working_directory(recorded)
        return _deduplicate([self._relocate(entry, base) for entry in recorded])

    def _discover(self) -> list[Entry]:
        """Return the databases of a data directory without a store file, under the names of their directories."""
        names = sorted(os.listdir(self._names.directory))  # noqa: PTH208 - names are all that is needed
        paths = {name: self._names.path_for(name) for name in names if not name.startswith(".")}
        found = {name: path for name, path in paths.items() if os.path.isdir(path) and self._is_database(path)}  # noqa: PTH112
        entries = [Entry(name, str(uuid4()), path, {}, opened=False) for name, path in found.items()]
        for entry in entries:
            _log.warning("there is no store file; found the database %s at %s", entry.name, entry.path)
        return entries

    def _is_database(self, path: str) -> bool:
        """Return True if there is a database; False if unreadable, such as the lost+found of a new volume."""
        try:
            return self._storage.exists(path)
        except (EngineError, OSError) as error:
            _log.warning("ignoring %s, which cannot be read: %s", path, error)
            return False

    def _find_working_directory(self, recorded: Sequence[Entry]) -> str:
        """Return the directory to which the relative paths of an old server are relative.

        If its data directory was a relative one, that shows in the path of every database with a plain name; otherwise
        it is assumed to be this server's own.
        """
        for entry in recorded:
            root = f"/{Path(entry.path).parent}"
            if Path(entry.path).name == entry.name and self._names.directory.endswith(root):
                return self._names.directory.removesuffix(root) or "/"
        return os.getcwd()  # noqa: PTH109

    def _relocate(self, entry: Entry, base: str) -> Entry:
        """Return the entry with its resolved path.

        A database with a plain name is in the data directory, wherever that was when the path was recorded (a copied or
        moved directory must not open the original); or else where it was recorded; or else in the data directory under
        the last part of the path. A name that is a relative path is where it was recorded. What is found nowhere stays
        recorded as it was, so that the server that recorded it finds it.
        """
        try:
            recorded, name = self._names.path_for(os.path.join(base, entry.path)), self._names.path_for(entry.name)  # noqa: PTH118
            moved = self._names.path_for(Path(entry.path).name)
        except ValueError as error:
            _log.warning(
                "the database %s cannot be used, the others are: %r is no path (%s)", entry.name, entry.path, error
            )
            return entry
        candidates = (recorded,) if "/" in entry.name else (name, recorded, moved)
        checked = ((path, self._check_existence(path)) for path in candidates)
        path, exists = next((found for found in checked if found[1] is not False), (recorded, False))
        if exists is False:
            why = f"{describe_absence(recorded)} ({recorded})"
            _log.warning("the database %s cannot be used, the others are: %s", entry.name, why)
        return evolve(entry, path=path, recorded=None if exists else entry.path)

    def _check_existence(self, path: str) -> bool | None:
        """Return whether there is a database; None if that cannot be found out: its use reports why."""
        try:
            return self._storage.exists(path)
        except (EngineError, OSError) as error:
            _log.warning("the database at %s cannot be used, the others are: %s", path, error)
            return None


def _deduplicate(entries: Iterable[Entry]) -> list[Entry]:
    """Remove entries that an earlier one shadows: an old server could register one LevelDB under two paths."""
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
