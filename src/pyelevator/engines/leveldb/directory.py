"""What may be done to a LevelDB directory, given what an inspection has seen in it."""

import os
import shutil
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path
from typing import Final

from pyelevator.engines.base import EngineDamaged, EngineError, EngineForeign
from pyelevator.engines.leveldb.format.file_names import FileKind, FileName, parse_file_name
from pyelevator.engines.leveldb.inspection import Inspection, inspect
from pyelevator.engines.leveldb.lock import LOCK, DirectoryLock

CREATING: Final = "pyelevator-creating"
"""A file that is there while a database is created, in a directory that held none of LevelDB's names before."""

PARTIAL: Final = "pyelevator-repair.partial"
COMPLETE: Final = "pyelevator-repair.complete"
MOVING: Final = "pyelevator-repair.moving"
"""Directories of a repair; see ``repair``."""

LOST: Final = "lost"
"""Where repairs put what they set aside; LevelDB's own do, too."""

DATA: Final = (FileKind.CURRENT, FileKind.MANIFEST, FileKind.TABLE, FileKind.LOG)
"""The kinds of files that a database consists of, in the order in which they are removed."""

_SHOWN: Final = 3


def is_unfinished(path: str) -> bool:
    """Return whether a repair was interrupted while it put its result in place."""
    return any(Path(path, name).is_dir() for name in (COMPLETE, MOVING))


def has_database(path: str) -> bool:
    """Return whether there is a database at ``path``, sound, damaged or foreign; or what LevelDB would take for one."""
    try:
        return any(file.kind in DATA for file in _files(path)) or is_unfinished(path)
    except (FileNotFoundError, NotADirectoryError):
        return False


def data_files(path: str) -> list[Path]:
    """Return the files of a database; none where there is no directory.

    Raises:
        OSError: the directory cannot be read.
    """
    try:
        return [Path(path, file.name) for file in _files(path) if file.kind in DATA]
    except (FileNotFoundError, NotADirectoryError):
        return []


def file_size(file: Path) -> int:
    """Return the bytes of a file, 0 if it is gone: compactions remove files at any time."""
    try:
        return file.stat().st_size
    except FileNotFoundError:
        return 0


def _files(path: str) -> Iterator[FileName]:
    return filter(None, map(parse_file_name, os.listdir(path)))  # noqa: PTH208 - names are all that is needed


def look(
    path: str, check: Callable[[Inspection], None], *, thorough: bool = False, logs: bool = True
) -> tuple[Inspection, DirectoryLock | None]:
    """Inspect a directory, under its lock where it has one; nothing is created.

    Args:
        path: of the directory.
        check: raises what must not be done to it.
        thorough, logs: see ``inspect``.

    Returns:
        What was seen, and the lock, which is the caller's.

    Raises:
        EngineError: it is open already, or what ``check`` raises.
        OSError: it cannot be read.
    """
    lock = DirectoryLock(path) if Path(path, LOCK).is_file() else None
    try:
        seen = inspect(path, thorough=thorough, logs=logs)
        check(seen)
    except BaseException:
        if lock:
            lock.release()
        raise
    return seen, lock


def admit(
    path: str, check: Callable[[Inspection], None], *, thorough: bool = False
) -> tuple[Inspection, DirectoryLock]:
    """Inspect a directory as ``look`` does, and then create what is missing of it, so that it is locked in any case."""
    seen, lock = look(path, check, thorough=thorough)
    if lock is None:
        with suppress(FileExistsError):
            os.mkdir(path, 0o700)  # noqa: PTH102 - LevelDB does not say why it cannot
        lock = DirectoryLock(path)
    return seen, lock


@contextmanager
def creating(seen: Inspection) -> Iterator[None]:
    """Mark the directory while LevelDB begins a database in it, so that an interrupted beginning is known as one."""
    mark = Path(seen.path, CREATING)
    if not seen.is_valid:
        mark.touch()
    shutil.rmtree(Path(seen.path, PARTIAL), ignore_errors=True)  # of a repair that was killed
    yield
    mark.unlink(missing_ok=True)


# What must not be done


def check_opening(seen: Inspection) -> None:
    """Refuse to open what LevelDB would lose or delete.

    Raises:
        EngineForeign, EngineDamaged: the text says what it is, and what to do.
    """
    _check_own(seen)
    if not seen.is_valid and not is_vacant(seen):
        raise _damaged(seen, str(seen.damage)) if seen.proven else _occupied(seen)
    if seen.hidden:
        raise _damaged(seen, seen.hidden)
    if seen.incomplete:
        raise _damaged(seen, f"{seen.incomplete}; if this is a copy, copy it again instead")


def check_creation(seen: Inspection) -> None:
    """Refuse to create or adopt a database among files that are no valid one.

    Raises:
        EngineForeign: LevelDB would overwrite or delete them.
    """
    if is_unfinished(seen.path):
        return
    _check_own(seen)
    if seen.files and not seen.is_valid and not Path(seen.path, CREATING).exists():
        raise _occupied(seen)


def check_repair(seen: Inspection, *, force: bool) -> None:
    """Refuse to repair what is not certainly a LevelDB of this kind; ``force`` is enough where it only is not certain.

    Raises:
        EngineForeign: a repair would lose the data.
        EngineError: there is no database.
    """
    if is_unfinished(seen.path):
        return
    if seen.foreign:
        raise EngineForeign(f"{seen.path} is {seen.foreign}; a repair would lose it, so nothing was changed")
    if not any(file.kind in DATA for file in seen.files):
        raise EngineError(f"there is no database at {seen.path}")
    if not seen.proven and not force:
        raise EngineForeign(
            f"{seen.path} holds {_listed_files(seen)}, and nothing in it is surely LevelDB's; nothing was changed. "
            "To go on all the same, call repairdb with force"
        )


def check_removal(seen: Inspection) -> None:
    """Refuse to remove what is not certainly a LevelDB of this kind.

    Raises:
        EngineForeign: it is another program's, or may be.
    """
    if seen.foreign:
        raise EngineForeign(f"{seen.path} is {seen.foreign}; its files are not removed")
    if not seen.proven and not is_vacant(seen) and any(map(file_size, data_files(seen.path))):
        raise _occupied(seen)


def _check_own(seen: Inspection) -> None:
    if is_unfinished(seen.path):
        raise _damaged(seen, "a repair was interrupted")
    if seen.foreign:
        raise EngineForeign(f"{seen.path} is {seen.foreign}")
    if seen.is_valid and seen.strangers:
        raise EngineForeign(
            f"{seen.path} holds {_listed(seen.strangers)}, which LevelDB would take for its own and delete; "
            "move them elsewhere"
        )


def is_vacant(seen: Inspection) -> bool:
    """Return whether LevelDB may begin a database here: it finds none, or what an interrupted beginning left."""
    return not any(file.kind in DATA for file in seen.files) or Path(seen.path, CREATING).exists()


def _damaged(seen: Inspection, why: str) -> EngineDamaged:
    return EngineDamaged(f"{seen.path} is damaged; repair it with repairdb ({why})")


def _occupied(seen: Inspection) -> EngineForeign:
    return EngineForeign(
        f"{seen.path} is no LevelDB that can be opened ({seen.damage}), and holds {_listed_files(seen)}, which LevelDB "
        "would take for its own and delete; choose another directory, or move them elsewhere"
    )


def _listed_files(seen: Inspection) -> str:
    return _listed([file.name for file in seen.files])


def _listed(names: Sequence[str]) -> str:
    more = f" and {len(names) - _SHOWN:,} more" if len(names) > _SHOWN else ""
    return ", ".join(names[:_SHOWN]) + more


def undo(path: str) -> Callable[[str], bool]:
    """Return what takes back, later, what a creation at ``path`` has made there since; see ``Storage.prepare``.

    It takes the path as it is then, and returns whether the directory was there before.
    """
    if has_database(path):
        return lambda _: True
    return partial(_take_back, set(os.listdir(path)))  # noqa: PTH208 - names are all that is needed


def undo_new(path: str) -> bool:
    """Take back what a creation has made in a directory that was not there before; see ``undo``."""
    _take_back(set(), path)
    return False


def _take_back(before: set[str], path: str) -> bool:
    with suppress(FileNotFoundError), DirectoryLock(path):
        made = set(os.listdir(path)) - before  # noqa: PTH208
        remove(path, [name for name in made if name == CREATING or parse_file_name(name)])
    return True


def remove(path: str, names: Iterable[str]) -> None:
    """Remove files of a directory whose lock is held: first what makes it a database, at last the lock."""
    kinds = {name: parse_file_name(name) for name in names}
    order = [*DATA, None, FileKind.TEMPORARY, FileKind.INFO_LOG, FileKind.LOCK]
    for name in sorted(kinds, key=lambda name: order.index(kind.kind if (kind := kinds[name]) else None)):
        Path(path, name).unlink(missing_ok=True)


def destroy(path: str, *, set_aside: bool) -> None:
    """Remove the files of a closed database; see ``Storage.destroy``.

    Raises:
        EngineError, OSError: as ``admit`` and ``check_removal``.
    """
    if not Path(path).is_dir() or not _has_anything(path, set_aside=set_aside):
        return
    seen, lock = admit(path, check_removal)
    with lock:
        remove(path, [file.name for file in seen.files if file.name not in {LOCK, *seen.strangers}])
        Path(path, CREATING).unlink(missing_ok=True)
        _remove_repairs(path, set_aside=set_aside)
        Path(path, LOCK).unlink()
    with suppress(OSError):
        Path(path).rmdir()


def _has_anything(path: str, *, set_aside: bool) -> bool:
    names = [CREATING, PARTIAL, COMPLETE, MOVING, *([LOST] if set_aside else [])]
    return any(_files(path)) or any(Path(path, name).exists() for name in names)


def _remove_repairs(path: str, *, set_aside: bool) -> None:
    for name in (COMPLETE, MOVING):
        move_aside(path, Path(path, name, LOST))
    for name in (PARTIAL, COMPLETE, MOVING):
        shutil.rmtree(Path(path, name), ignore_errors=True)
    lost = Path(path, LOST)
    theirs = lost.is_symlink() or (lost / "CURRENT").exists()  # another directory, or another database
    if set_aside and lost.is_dir() and not theirs:
        remove(str(lost), [file.name for file in _files_set_aside(lost)])
        with suppress(OSError):
            lost.rmdir()


def _files_set_aside(lost: Path) -> Iterator[Path]:
    """What repairs have put there; a second file of one name has a number behind it."""
    for file in lost.iterdir():
        stem = file.name.rstrip("0123456789").removesuffix(".") if file.suffix[1:].isdigit() else file.name
        name = parse_file_name(stem)
        if name and name.canonical:
            yield file


def move_aside(path: str, source: Path) -> list[str]:
    """Move the files of a directory into ``lost``, under names that are free there; return where they are now."""
    files = sorted(source.iterdir()) if source.is_dir() else []
    lost = Path(path, LOST)
    if files:
        lost.mkdir(exist_ok=True)
    moved = []
    for file in files:
        target = _free(lost / file.name)
        file.rename(target)
        moved.append(f"{LOST}/{target.name}")
    return moved


def _free(path: Path) -> Path:
    number = 1
    target = path
    while target.exists():
        number += 1
        target = path.with_name(f"{path.name}.{number}")
    return target
