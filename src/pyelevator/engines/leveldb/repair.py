"""Repairs of a LevelDB: no wrong data comes back, none is lost, and all reads agree.

A repair works on links to the files, in a directory of its own. The database does not change until that directory is
complete, so a repair that fails or is interrupted leaves the database as it was:

- LevelDB's own repair ignores the checksums of a log, and accepts what a machine that crashed has left of its end.
  Opening a database verifies them. So LevelDB's repair gets the tables only, and an opening reads the logs.
- It puts every table on level 0, where point reads trust the higher file number. But a compaction of old data may have
  a higher number than a younger table. So the whole range is compacted before anything is read.
- It accepts every table that it finds. If the manifest is sound, tables that it does not name are obsolete and would
  restore what was deleted since. So they are set aside.
"""

import logging
import mmap
import os
import shutil
from collections.abc import Collection, Iterable, Mapping, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any, Final

from attrs import evolve, frozen

from pyelevator.commands import RepairReport
from pyelevator.engines.base import EngineError
from pyelevator.engines.leveldb.binding.library import LAST_KEY
from pyelevator.engines.leveldb.directories.operations import (
    COMPLETE_DIR,
    LOST_DIR,
    MOVING_DIR,
    PARTIAL_DIR,
    check_lost,
    data_files,
    is_unfinished,
    move_aside,
    remove,
    remove_directory,
)
from pyelevator.engines.leveldb.format.file_names import FileKind, FileName, parse_file_name
from pyelevator.engines.leveldb.format.log_records import is_truncated
from pyelevator.engines.leveldb.inspection import Inspection
from pyelevator.engines.leveldb.inspection.hidden_records import correct_lengths, find_hidden_records
from pyelevator.engines.progress import report
from pyelevator.paths import exists, is_directory, sync_directory

_log: Final = logging.getLogger("pyelevator.engines")

_KEPT_FILE: Final = "kept.txt"
"""In the directory of a repair: the names of the files whose data it contains."""
_UNREADABLE_FILE: Final = "unreadable.txt"
"""In the directory of a repair: the names of the files of which nothing could be read."""


class RepairLibrary:
    """The parts of LevelDB that a repair uses."""

    def __init__(self, binding: Any, options: Mapping[str, object]) -> None:
        self._binding = binding
        self._strict = {**options, "paranoid_checks": True}  # or damaged blocks are taken over as they are
        self._loose = {**options, "paranoid_checks": False}  # or the first damaged record of a log ends it

    def repair_tables(self, path: str) -> None:
        """Run LevelDB's own repair on a directory of tables."""
        self._binding.repair_db(os.fsencode(path), **self._strict)

    def merge(self, path: str) -> bool:
        """Read the logs and compact everything; return whether the logs were sound."""
        try:
            self._binding.DB(os.fsencode(path), **self._strict).close()
            sound = True
        except self._binding.CorruptionError:
            self._binding.DB(os.fsencode(path), **self._loose).close()
            sound = False
        with closing(self._binding.DB(os.fsencode(path), **self._strict)) as source:
            source.compact_range(start=b"", stop=LAST_KEY)
            if source.get_property(b"leveldb.num-files-at-level0") != b"0":
                source.write_batch().write()  # raises why LevelDB has stopped
                raise EngineError("the tables could not be merged")
        return sound


def repair(path: str, inspection: Inspection, library: RepairLibrary, *, force: bool) -> RepairReport:
    """Repair a locked directory after a thorough inspection, or finish an interrupted repair of it.

    Raises:
        EngineError: most of the data would be set aside, or there is no place for it.
    """
    check_lost(path)
    if not is_unfinished(path):
        _prepare(path, inspection, library, force=force)
    report = _install(path, inspection)
    _log.warning(
        "repaired %s: kept %s; set aside %s",
        Path(path).resolve(),
        ", ".join(report.kept) or "nothing",
        ", ".join(report.set_aside) or "nothing",
    )
    return report


# Building, in a directory of its own


def _prepare(path: str, inspection: Inspection, library: RepairLibrary, *, force: bool) -> None:
    """Build the repaired database in ``PARTIAL_DIR``, with the files to set aside in its ``LOST_DIR``."""
    partial = Path(path, PARTIAL_DIR)
    remove_directory(partial)
    try:
        partial.mkdir()
        _build(path, partial, _Plan.of(inspection), library, force=force)
        sync_directory(partial)
        partial.rename(Path(path, COMPLETE_DIR))
        sync_directory(Path(path))
    except BaseException:
        remove_directory(partial)
        raise


@frozen
class _Plan:
    """The files that a repair reads, and those that it sets aside.

    Attributes:
        tables, logs: names of the files to read.
        missing: numbers of tables that the manifest names and that do not exist.
        obsolete: names of the files that a sound manifest does not name.
        damaged: names of CURRENT and of manifests, if they could not be read.
    """

    tables: Sequence[str]
    logs: Sequence[str]
    missing: Collection[int]
    obsolete: Sequence[str]
    damaged: Sequence[str]

    @classmethod
    def of(cls, inspection: Inspection) -> "_Plan":
        own = [file for file in inspection.files if file.name not in inspection.lookalikes]
        read = [file for file in own if file.kind in (FileKind.TABLE, FileKind.LOG)]
        used = [file for file in read if _is_used(file, inspection)]
        return cls(
            _names(used, FileKind.TABLE),
            _names(used, FileKind.LOG),
            inspection.missing_tables,
            [file.name for file in read if file not in used],
            [] if inspection.is_valid else [*_names(own, FileKind.CURRENT), *_names(own, FileKind.MANIFEST)],
        )


def _names(files: Iterable[FileName], kind: FileKind) -> list[str]:
    return [file.name for file in files if file.kind is kind]


def _is_used(file: FileName, inspection: Inspection) -> bool:
    """Return True if the file may hold data. Only a manifest whose files all exist shows that one is obsolete."""
    manifest = inspection.manifest
    if manifest is None or not inspection.is_valid or inspection.incomplete or file.number >= manifest.next_file_number:
        return True
    if file.kind is FileKind.TABLE:
        return file.number in manifest.tables
    return manifest.needs_log(file.number)


def _build(path: str, partial: Path, choice: _Plan, library: RepairLibrary, *, force: bool) -> None:
    _check_maps(path, choice.tables)
    size = {name: Path(path, name).stat().st_size for name in (*choice.tables, *choice.logs)}
    total = 2 * sum(size.values())  # each is read, and written again by the compaction
    report(0, total)
    _link(path, partial, choice.tables)
    library.repair_tables(str(partial))
    report(sum([size[name] for name in choice.tables]), total)
    aside = partial / LOST_DIR
    aside.mkdir(exist_ok=True)
    for file in aside.iterdir():
        if file.name not in choice.tables:  # manifests that LevelDB itself made on its way
            file.unlink()
    unreadable = [name for name in choice.tables if exists(aside / name) and not _is_rebuilt(partial, name)]
    if not force:
        _check_remaining_share(path, choice, unreadable)
    _link(path, partial, choice.logs)
    for name in choice.logs:
        _correct_log(partial / name)
    sound = library.merge(str(partial))
    report(total, total)
    passed_over = [name for name in choice.logs if not sound or _is_partly_read(Path(path, name))]
    _link(path, aside, [*choice.obsolete, *choice.damaged, *passed_over])
    (partial / _UNREADABLE_FILE).write_text("\n".join(unreadable))
    kept = [name for name in (*choice.tables, *choice.logs) if name not in unreadable]
    (partial / _KEPT_FILE).write_text("\n".join(kept))


def _correct_log(log: Path) -> None:
    """Replace the link to a log by a corrected copy, if lengths are damaged that its checksums show."""
    data = log.read_bytes()
    corrected = correct_lengths(data)
    if corrected != data:
        log.unlink()
        log.write_bytes(corrected)


def _is_partly_read(log: Path) -> bool:
    """Return True if LevelDB silently skips some of a log."""
    with log.open("rb") as file:
        return find_hidden_records(file.fileno()) is not None or is_truncated(file.read())


def _check_maps(path: str, tables: Sequence[str]) -> None:
    """Raise OSError if the process has no memory to map a table: LevelDB would set it aside as unreadable."""
    for name in tables:
        with Path(path, name).open("rb") as file:
            if os.fstat(file.fileno()).st_size == 0:
                continue
            try:
                mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ).close()
            except OSError as error:
                raise OSError(error.errno, error.strerror, file.name) from error


def _is_rebuilt(partial: Path, name: str) -> bool:
    """Return True if LevelDB has made a new table of what it could read of a damaged one."""
    return any(exists((partial / name).with_suffix(suffix)) for suffix in (".ldb", ".sst"))


def _check_remaining_share(path: str, choice: _Plan, unreadable: Sequence[str]) -> None:
    """Refuse to continue without most of the tables, by their number or by their bytes."""
    size = {name: Path(path, name).stat().st_size for name in choice.tables}
    missing, total = len(choice.missing), len(size) + len(choice.missing)
    lost = sum(size[name] for name in unreadable)
    if 2 * (len(unreadable) + missing) <= total and 2 * lost <= sum(size.values()):
        return
    losses = []
    if unreadable:
        number = f"{len(unreadable):,} of {total:,} tables ({lost:,} bytes)"
        losses.append(f"set aside {number}, as nothing in them can be read")
    if missing:
        losses.append(f"go on without {missing:,} of {total:,} tables, which are not there")
    raise EngineError(
        f"{path}: a repair would {' and '.join(losses)}; nothing was changed. If this is a copy, copy it again; to go "
        "on all the same, say repairdb(force=True), or `elevator repair NAME --force`"
    )


def _link(path: str, target: Path, names: Iterable[str]) -> None:
    for name in names:
        source = os.path.realpath(Path(path, name))  # a relative link would lead elsewhere from there
        try:
            os.link(source, target / name)
        except FileExistsError:
            continue
        except OSError:  # a file system without links, or another one
            shutil.copyfile(source, target / name)


# Installation


def _install(path: str, inspection: Inspection) -> RepairReport:
    """Set files aside, remove the old ones, move the new ones in; each step can be repeated."""
    complete, moving = Path(path, COMPLETE_DIR), Path(path, MOVING_DIR)
    report = RepairReport()
    if is_directory(complete, follow_links=False):
        report = evolve(report, set_aside=tuple(move_aside(path, complete / LOST_DIR)))
        remove(path, [file.name for file in data_files(path) if file.name not in inspection.lookalikes])
        complete.rename(moving)
        sync_directory(Path(path))
    unreadable, kept = _read_names(moving / _UNREADABLE_FILE), _read_names(moving / _KEPT_FILE)
    for file in sorted(data_files(str(moving)), key=lambda file: file.name == "CURRENT"):
        file.rename(Path(path, file.name))
    sync_directory(Path(path))
    shutil.rmtree(moving)
    size = sum(file.stat().st_size for file in data_files(path))
    lost = [name for name in report.set_aside if _original_name(name) in unreadable]
    return evolve(report, kept=tuple(kept), lost=tuple(lost), size=size)


def _read_names(file: Path) -> list[str]:
    """Return the names in a file; none if an interrupted repair has removed it already."""
    return file.read_text().split() if exists(file) else []


def _original_name(name: str) -> str:
    """Return the name that a file in ``lost`` had before."""
    name = name.removeprefix(f"{LOST_DIR}/")
    return name if parse_file_name(name) else name.rpartition(".")[0]
