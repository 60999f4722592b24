"""Operations on a LevelDB directory, and the checks of an inspection that precede them."""

import os
import shutil
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from itertools import chain, count
from pathlib import Path
from typing import Final

from pyelevator.engines.base import EngineDamaged, EngineError, EngineForeign
from pyelevator.engines.base.errors import describe_damage
from pyelevator.engines.leveldb.directories.lock import LOCK, DirectoryLock
from pyelevator.engines.leveldb.format.file_names import FileKind, list_files, parse_file_name
from pyelevator.engines.leveldb.inspection import Inspection, inspect
from pyelevator.paths import exists, is_directory, is_file

CREATING: Final = "pyelevator-creating"
"""A file that exists while a database is created in a directory without files of LevelDB's names."""

PARTIAL_DIR: Final = "pyelevator-repair.partial"
COMPLETE_DIR: Final = "pyelevator-repair.complete"
MOVING_DIR: Final = "pyelevator-repair.moving"
"""Directories of a repair; see ``repair``."""

LOST_DIR: Final = "lost"
"""The directory for files that a repair sets aside; LevelDB's own repair uses it, too."""

DATABASE_KINDS: Final = (FileKind.CURRENT, FileKind.MANIFEST, FileKind.TABLE, FileKind.LOG)
"""The kinds of files that a database consists of, in the order in which they are removed."""

_SHOWN: Final = 3


def is_unfinished(path: str) -> bool:
    """Return True if a repair was interrupted while it installed its result."""
    return any(is_directory(Path(path, name), follow_links=False) for name in (COMPLETE_DIR, MOVING_DIR))


def has_database(path: str) -> bool:
    """Return True if there is a database at ``path``, sound, damaged or foreign, or what LevelDB takes for one."""
    return bool(data_files(path)) or is_unfinished(path)


def data_files(path: str) -> list[Path]:
    """Return the files of a database; none if there is no directory."""
    try:
        return [Path(path, file.name) for file in list_files(path) if file.kind in DATABASE_KINDS]
    except (FileNotFoundError, NotADirectoryError):
        return []


def file_size(file: Path) -> int:
    """Return the bytes of a file, 0 if it is gone: compactions remove files at any time."""
    try:
        return file.stat().st_size
    except FileNotFoundError:
        return 0


def inspect_under_lock(
    path: str, check: Callable[[Inspection], None], *, thorough: bool = False, logs: bool = True
) -> tuple[Inspection, DirectoryLock | None]:
    """Inspect a directory, under its lock if it has one, which the caller releases; nothing is created.

    Raises:
        EngineError: it is open already, or what ``check`` raises if the intended operation is not safe.
        OSError: it cannot be read.
    """
    with ExitStack() as failing:
        lock = failing.enter_context(DirectoryLock(path)) if is_file(Path(path, LOCK)) else None
        inspection = inspect(path, thorough=thorough, logs=logs)
        check(inspection)
        failing.pop_all()
    return inspection, lock


def lock_and_inspect(
    path: str, check: Callable[[Inspection], None], *, thorough: bool = False
) -> tuple[Inspection, DirectoryLock]:
    """Inspect a directory as ``inspect_under_lock`` does, then create it if it is missing, and lock it in any case."""
    inspection, lock = inspect_under_lock(path, check, thorough=thorough)
    if lock is None:
        with suppress(FileExistsError):
            os.mkdir(path, 0o700)  # noqa: PTH102 - LevelDB does not say why it cannot
        lock = DirectoryLock(path)
    return inspection, lock


@contextmanager
def mark_creation(inspection: Inspection) -> Iterator[None]:
    """Mark the directory while LevelDB creates a database in it, so that an interrupted creation is recognized."""
    mark = Path(inspection.path, CREATING)
    if not inspection.is_valid:
        with suppress(FileExistsError):  # and no link is followed
            os.close(os.open(mark, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600))
    remove_directory(Path(inspection.path, PARTIAL_DIR))  # of a repair that was killed
    yield
    mark.unlink(missing_ok=True)


# Checks


def check_links(path: str) -> None:
    """Refuse a directory in which files with LevelDB's names are symbolic links: they may be of any database."""
    with os.scandir(path) as entries:
        links = sorted([entry.name for entry in entries if entry.is_symlink() and parse_file_name(entry.name)])
    if links:
        raise EngineForeign(
            f"{path} holds symbolic links ({_format_names(links)}); where clients have keys, or may only name "
            "directories under --allow-path, the files of a database have to be in its own directory"
        )


def check_opening(inspection: Inspection) -> None:
    """Refuse to open a directory of which LevelDB would lose or delete something."""
    _check_own(inspection)
    if not inspection.is_valid and not is_vacant(inspection):
        raise (
            _damage_error(inspection, str(inspection.damage)) if inspection.is_leveldb else _occupied_error(inspection)
        )
    if inspection.hidden:
        raise _damage_error(inspection, inspection.hidden)
    if inspection.incomplete:
        raise _damage_error(inspection, f"{inspection.incomplete}; if this is a copy, copy it again instead")


def check_creation(inspection: Inspection) -> None:
    """Refuse to create or adopt a database among files that are not a valid one: LevelDB would delete them."""
    if is_unfinished(inspection.path):
        return
    _check_own(inspection)
    if inspection.files and not inspection.is_valid and not exists(Path(inspection.path, CREATING)):
        raise _occupied_error(inspection)


def check_repair(inspection: Inspection, *, force: bool) -> None:
    """Refuse to repair what is not certainly a LevelDB of this kind; ``force`` permits it if there is only doubt."""
    if is_unfinished(inspection.path):
        return
    if inspection.foreign:
        raise EngineForeign(
            f"{inspection.path} is {inspection.foreign}; a repair would lose it, so nothing was changed"
        )
    if not inspection.of_kind(*DATABASE_KINDS):
        raise EngineError(f"there is no database at {inspection.path}")
    if not inspection.is_leveldb and not force:
        raise EngineForeign(
            f"{inspection.path} holds {_format_files(inspection)}, and nothing in it is surely LevelDB's; nothing was "
            "changed. To go on all the same, say repairdb(force=True), or `elevator repair NAME --force`"
        )


def check_removal(inspection: Inspection) -> None:
    """Refuse to remove what is not certainly a LevelDB of this kind."""
    if inspection.foreign:
        raise EngineForeign(f"{inspection.path} is {inspection.foreign}; its files are not removed")
    if not inspection.is_leveldb and not is_vacant(inspection) and any(map(file_size, data_files(inspection.path))):
        raise _occupied_error(inspection)


def _check_own(inspection: Inspection) -> None:
    if is_unfinished(inspection.path):
        raise _damage_error(inspection, "a repair was interrupted")
    if inspection.foreign:
        raise EngineForeign(f"{inspection.path} is {inspection.foreign}")
    if inspection.is_valid and inspection.lookalikes:
        raise EngineForeign(
            f"{inspection.path} holds {_format_names(inspection.lookalikes)}, which LevelDB would take for its own "
            "and delete; move them elsewhere"
        )


def is_vacant(inspection: Inspection) -> bool:
    """Return True if LevelDB may create a database here: there is none, or what an interrupted creation has left."""
    return not inspection.of_kind(*DATABASE_KINDS) or exists(Path(inspection.path, CREATING))


def _damage_error(inspection: Inspection, why: str) -> EngineDamaged:
    return EngineDamaged(describe_damage(inspection.path, why))


def _occupied_error(inspection: Inspection) -> EngineForeign:
    return EngineForeign(
        f"{inspection.path} is no LevelDB that can be opened ({inspection.damage}), and holds "
        f"{_format_files(inspection)}, which LevelDB would take for its own and delete; choose another "
        "directory, or move them elsewhere"
    )


def _format_files(inspection: Inspection) -> str:
    return _format_names([file.name for file in inspection.files])


def _format_names(names: Sequence[str]) -> str:
    more = f" and {len(names) - _SHOWN:,} more" if len(names) > _SHOWN else ""
    return ", ".join(names[:_SHOWN]) + more


def remove_new_files(path: str, before: Iterable[str]) -> None:
    """Remove the files of a creation that are not among those that were there before."""
    with suppress(FileNotFoundError), DirectoryLock(path):
        made = set(os.listdir(path)).difference(before)  # noqa: PTH208 - names are all that is needed
        remove(path, [name for name in made if name == CREATING or parse_file_name(name)])


def remove(path: str, names: Iterable[str]) -> None:
    """Remove files of a locked directory: first those that make it a database, the lock last."""
    kinds = {name: parse_file_name(name) for name in names}
    order = [*DATABASE_KINDS, None, FileKind.TEMPORARY, FileKind.INFO_LOG, FileKind.LOCK]
    for name in sorted(kinds, key=lambda name: order.index(kind.kind if (kind := kinds[name]) else None)):
        Path(path, name).unlink(missing_ok=True)


def destroy(path: str, *, set_aside: bool) -> None:
    """Remove the files of a closed database; see ``Storage.destroy``."""
    if not is_directory(path) or not _has_own_files(path, set_aside=set_aside):
        return
    inspection, lock = lock_and_inspect(path, check_removal)
    with lock:
        remove(path, [file.name for file in inspection.files if file.name not in {LOCK, *inspection.lookalikes}])
        Path(path, CREATING).unlink(missing_ok=True)
        _remove_repairs(path, set_aside=set_aside)
        Path(path, LOCK).unlink()


def _has_own_files(path: str, *, set_aside: bool) -> bool:
    names = [CREATING, PARTIAL_DIR, COMPLETE_DIR, MOVING_DIR, *([LOST_DIR] if set_aside else [])]
    return any(list_files(path)) or any(exists(Path(path, name)) for name in names)


def _remove_repairs(path: str, *, set_aside: bool) -> None:
    for name in (COMPLETE_DIR, MOVING_DIR):
        move_aside(path, Path(path, name, LOST_DIR))
    for name in (PARTIAL_DIR, COMPLETE_DIR, MOVING_DIR):
        remove_directory(Path(path, name))
    lost = Path(path, LOST_DIR)
    if set_aside and is_directory(lost, follow_links=False) and not exists(lost / "CURRENT"):  # of another database
        remove(str(lost), [file.name for file in _files_set_aside(lost)])
        with suppress(OSError):
            lost.rmdir()


def _files_set_aside(lost: Path) -> Iterator[Path]:
    """Yield the files that repairs have put there; a second file of one name has a number after it."""
    for file in lost.iterdir():
        stem = file.name.rstrip("0123456789").removesuffix(".") if file.suffix[1:].isdigit() else file.name
        name = parse_file_name(stem)
        if name and name.canonical:
            yield file


def check_lost(path: str) -> None:
    """Refuse to set files aside where their directory would be something else, or a link, which may be anyone's."""
    lost = Path(path, LOST_DIR)
    if os.path.lexists(lost) and not is_directory(lost, follow_links=False):
        raise EngineError(f"{lost} is no directory, and what a repair sets aside goes there; move it elsewhere")


def remove_directory(path: Path) -> None:
    """Remove a directory with what is in it; what is none stays, and is not opened: a pipe would be waited for."""
    if is_directory(path, follow_links=False):
        shutil.rmtree(path, ignore_errors=True)


def move_aside(path: str, source: Path) -> list[str]:
    """Move the files of a directory into ``lost``, under names that are unused there; return their new names."""
    is_own = is_directory(source.parent, follow_links=False) and is_directory(source, follow_links=False)
    files = sorted(source.iterdir()) if is_own else []
    lost = Path(path, LOST_DIR)
    if files:
        check_lost(path)
        lost.mkdir(exist_ok=True)
    moved = []
    for file in files:
        names = chain([file.name], (f"{file.name}.{number}" for number in count(2)))
        target = next(one for one in map(lost.joinpath, names) if not exists(one))
        file.rename(target)
        moved.append(f"{LOST_DIR}/{target.name}")
    return moved
