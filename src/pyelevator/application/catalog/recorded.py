"""The databases that a server finds at its start: those of the store file, or without one those of the directory."""

import os
from collections.abc import Iterable, Sequence
from pathlib import Path
from uuid import uuid4

from attrs import evolve

from pyelevator.application.catalog.database import describe_absence
from pyelevator.application.catalog.log import log
from pyelevator.application.catalog.names import NamePolicy
from pyelevator.engines.base import EngineError, Storage
from pyelevator.engines.base.catalog_store import Entry


def load_entries(storage: Storage, names: NamePolicy, recorded: Sequence[Entry] | None) -> list[Entry]:
    """Return the databases with their resolved paths, each once.

    Args:
        storage, names: of the catalog.
        recorded: the entries of the store file; None if it is missing.
    """
    if recorded is None:
        return _deduplicate(_discover(storage, names))
    base = _find_working_directory(names.directory, recorded)
    return _deduplicate([_relocate(storage, names, entry, base) for entry in recorded])


def _discover(storage: Storage, names: NamePolicy) -> list[Entry]:
    """Return the databases of a data directory without a store file, under the names of their directories."""
    found = sorted(os.listdir(names.directory))  # noqa: PTH208 - names are all that is needed
    paths = {name: names.path_for(name) for name in found if not name.startswith(".")}
    ignoring = "ignoring %s, which cannot be read: %s"  # such as the lost+found of a new volume
    entries = [
        Entry(name, str(uuid4()), path, {}, opened=False)
        for name, path in paths.items()
        if os.path.isdir(path) and _check_existence(storage, path, ignoring)  # noqa: PTH112
    ]
    for entry in entries:
        log.warning("there is no store file; found the database %s at %s", entry.name, entry.path)
    return entries


def _find_working_directory(directory: str, recorded: Sequence[Entry]) -> str:
    """Return the directory to which the relative paths of an old server are relative.

    If its data directory was a relative one, that shows in the path of every database with a plain name; otherwise
    it is assumed to be this server's own.
    """
    for entry in recorded:
        root = f"/{Path(entry.path).parent}"
        if Path(entry.path).name == entry.name and directory.endswith(root):
            return directory.removesuffix(root) or "/"
    return os.getcwd()  # noqa: PTH109


def _relocate(storage: Storage, names: NamePolicy, entry: Entry, base: str) -> Entry:
    """Return the entry with its resolved path.

    A database with a plain name is in the data directory, wherever that was when the path was recorded (a copied or
    moved directory must not open the original); or else where it was recorded; or else in the data directory under
    the last part of the path. A name that is a relative path is where it was recorded. What is found nowhere stays
    recorded as it was, so that the server that recorded it finds it.
    """
    try:
        recorded, name = names.path_for(os.path.join(base, entry.path)), names.path_for(entry.name)  # noqa: PTH118
        moved = names.path_for(Path(entry.path).name)
    except ValueError as error:
        log.warning("the database %s cannot be used, the others are: %r is no path (%s)", entry.name, entry.path, error)
        return entry
    candidates = (recorded,) if "/" in entry.name else (name, recorded, moved)
    unknown = "the database at %s cannot be used, the others are: %s"  # its use reports why
    checked = ((path, _check_existence(storage, path, unknown)) for path in candidates)
    path, exists = next((found for found in checked if found[1] is not False), (recorded, False))
    if exists is False:
        why = f"{describe_absence(recorded)} ({recorded})"
        log.warning("the database %s cannot be used, the others are: %s", entry.name, why)
    return evolve(entry, path=path, recorded=None if exists else entry.path)


def _check_existence(storage: Storage, path: str, warning: str) -> bool | None:
    """Return whether there is a database; None, with a warning, if that cannot be found out."""
    try:
        return storage.exists(path)
    except (EngineError, OSError) as error:
        log.warning(warning, path, error)
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
            log.warning(
                "ignoring the database %s at %s: its name, uid or path is another one's", entry.name, entry.path
            )
    return kept
