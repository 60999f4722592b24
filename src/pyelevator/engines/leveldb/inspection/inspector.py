"""The inspection of a directory.

It usually takes a millisecond or two. Of many tables a few are looked into, unless all are asked for.
"""

import os
import re
import stat
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from functools import cached_property
from pathlib import Path
from typing import Final

from attrs import define, field

from pyelevator.engines.leveldb.format import ForeignFormat, FormatError
from pyelevator.engines.leveldb.format.file_names import FileKind, FileName, parse_file_name
from pyelevator.engines.leveldb.format.log_records import is_text, starts_with_record
from pyelevator.engines.leveldb.format.manifest import BYTEWISE, Manifest, read_manifest
from pyelevator.engines.leveldb.format.table_files import NO_COMPRESSION, SNAPPY, BlockHandle, TableFile
from pyelevator.engines.leveldb.inspection.hidden_records import find_hidden_records
from pyelevator.engines.leveldb.inspection.unlisted_tables import has_unlogged_writes

_SAMPLED_TABLES: Final = 24
_SAMPLED_BLOCKS: Final = 8
_MAX_MANIFEST: Final = 64 << 20
_MAX_CURRENT: Final = 1 << 16
_SHOWN: Final = 40
_MANIFEST_NAME: Final = re.compile(rb"MANIFEST-[0-9]+\n")


@define(eq=False, slots=False)
class Inspection:
    """The contents of a directory. The texts are ready for an error that begins with the path.

    Attributes:
        path: of the directory.
        files: those that LevelDB takes for its own, in the order of their names.
        foreign: why these are not files for this LevelDB, although they may be sound; None if they may be.
        damage: why the database cannot be opened as it is: CURRENT or the manifest is missing or damaged; None if it
            can be opened.
        hidden: which damaged records of a log LevelDB would silently skip; None if there are none.
        incomplete: which files the manifest names that do not exist, or which table it is too old to name; None if the
            files match it.
        lookalikes: names that LevelDB would take for its own and delete, although they are not LevelDB's.
        manifest: the contents of the current manifest; None if it cannot be read.
        block_types: the types of blocks seen in its tables, each with its count: 0 is no compression, 1 Snappy.
        is_leveldb: True if something in the directory is certainly LevelDB's: a manifest, a table, or a log.
    """

    path: str
    files: Sequence[FileName] = ()
    foreign: str | None = None
    damage: str | None = None
    hidden: str | None = None
    incomplete: str | None = None
    lookalikes: Sequence[str] = ()
    manifest: Manifest | None = None
    block_types: Counter[int] = field(factory=Counter)
    is_leveldb: bool = False

    @property
    def is_valid(self) -> bool:
        """True if CURRENT names a manifest that can be read."""
        return self.manifest is not None and self.damage is None

    @property
    def missing_tables(self) -> set[int]:
        """The numbers of tables that the manifest names and that do not exist."""
        named = self.manifest.tables if self.manifest else set()
        return named - {file.number for file in self.of_kind(FileKind.TABLE)}

    @property
    def compression(self) -> str | None:
        """The compression that its own tables show: "snappy", or None for none (also without tables)."""
        return "snappy" if SNAPPY in self.block_types else None

    def of_kind(self, *kinds: FileKind) -> list[FileName]:
        """Return the files of these kinds."""
        return [file for file in self.files if file.kind in kinds]


def inspect(path: str, *, thorough: bool = False, logs: bool = True) -> Inspection:
    """Inspect the directory ``path``.

    Args:
        path: of a directory; a missing one is empty.
        thorough: check every block of every table instead of a few.
        logs: read the logs from end to end, which takes most of the time; without them ``hidden`` is not known.

    Raises:
        OSError: it cannot be read, or is not a directory.
    """
    inspector = _Inspector(path, thorough=thorough, scan_logs=logs)
    with suppress(FileNotFoundError):
        inspector.names = sorted(os.listdir(path))  # noqa: PTH208 - names are all that is needed
    inspector.run()
    return inspector


@define(eq=False, slots=False, kw_only=True)
class _Inspector(Inspection):
    """An inspection while it is made, in the steps of ``run``."""

    thorough: bool
    scan_logs: bool
    names: Sequence[str] = ()
    manifests_read: set[str] = field(factory=set)

    def run(self) -> None:
        self.files = tuple(filter(None, map(parse_file_name, self.names)))
        if not self.files:
            return
        self._check_names()
        try:
            self.manifest = self._current_manifest()
        except FormatError as error:
            self.damage = str(error)
        self._read_other_manifests()
        self._check_hidden_records()
        self._check_tables()
        if not self.is_leveldb:  # the logs are evidence, if there is no other
            self.is_leveldb = any(starts_with_record(self._read_head(file)) for file in self.of_kind(FileKind.LOG))
        self.incomplete = self._find_missing_files()
        self.lookalikes = tuple(
            [one.name for one in self.files if not one.canonical or self._is_irregular(one) or self._is_text(one)]
        )

    @cached_property
    def logs(self) -> list[FileName]:
        """The logs that the manifest needs, and later ones."""
        manifest = self.manifest
        return [file for file in self.of_kind(FileKind.LOG) if manifest and manifest.needs_log(file.number)]

    def mark_foreign(self, text: str) -> None:
        """Record that the directory is foreign; the first reason counts."""
        self.foreign = self.foreign or text

    def _check_names(self) -> None:
        for pattern, text in FOREIGN_NAMES:
            found = next(filter(pattern.fullmatch, self.names), None)
            if found:
                self.mark_foreign(f"{text} ({found})")

    def _read_start(self, name: str, max_bytes: int) -> bytes:
        with self._opened(name) as descriptor:
            return os.pread(descriptor, min(max_bytes, os.fstat(descriptor).st_size), 0)

    @contextmanager
    def _opened(self, name: str) -> Iterator[int]:
        """Open a file and yield its descriptor; a pipe or a device is refused, without waiting for it."""
        path = os.path.join(self.path, name)  # noqa: PTH118 - there are many
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
        try:
            if not stat.S_ISREG(os.fstat(descriptor).st_mode):
                raise FormatError(f"{name} is no file")
            yield descriptor
        finally:
            os.close(descriptor)

    # CURRENT and manifests

    def _current_manifest(self) -> Manifest:
        name = self._current()
        try:
            return self._manifest(name)
        except FileNotFoundError:
            raise FormatError(f"CURRENT names {name}, which is missing") from None

    def _current(self) -> str:
        if "CURRENT" not in self.names:
            raise FormatError("CURRENT is missing")
        try:
            content = self._read_content("CURRENT", _MAX_CURRENT)
        except FileNotFoundError:
            raise FormatError("CURRENT is a link to nothing") from None
        if not _MANIFEST_NAME.fullmatch(content):
            held = repr(content[:_SHOWN])[1:] + ("..." if len(content) > _SHOWN else "")
            raise FormatError(f"CURRENT names no manifest, it holds {held}")
        return content[:-1].decode()

    def _manifest(self, name: str) -> Manifest:
        self.manifests_read.add(name)
        content = self._read_content(name, _MAX_MANIFEST)
        try:
            manifest = read_manifest(content)
            if len(content) == _MAX_MANIFEST:  # the rest is not known, so nothing is missing
                manifest.tables.clear()
                manifest.log_number = manifest.previous_log_number = 0
        except ForeignFormat as error:
            self.mark_foreign(f"made by another program than LevelDB, such as RocksDB ({name} has {error})")
            raise FormatError(f"{name} is foreign") from None
        except FormatError as error:
            raise FormatError(f"{name} is damaged: {error}") from None
        self._check_comparator(name, manifest)
        self.is_leveldb = True
        return manifest

    def _check_comparator(self, name: str, manifest: Manifest) -> None:
        comparator = manifest.comparator
        if comparator not in ("", BYTEWISE):
            owner = COMPARATORS.get(comparator, "the program that made it")
            self.mark_foreign(
                f"not in bytewise order, as this server's databases are: its keys are in the order {comparator!r} of "
                f"{owner} ({name}), which only that program knows; nothing in it is damaged"
            )

    def _read_other_manifests(self) -> None:
        """Read old and lost ones, too: they may show another comparator, and that this is a LevelDB."""
        for file in self.of_kind(FileKind.MANIFEST):
            if file.name not in self.manifests_read:
                with suppress(FormatError, FileNotFoundError):
                    self._manifest(file.name)

    def _check_hidden_records(self) -> None:
        """Find the damage of the logs and of the manifest that LevelDB silently skips."""
        if self.manifest is None:
            return
        self.damage = self._find_hidden_records(self._current())
        names = [file.name for file in self.logs]
        for name in names:
            self._check_pointer(name)
        if self.scan_logs:
            self.hidden = next(filter(None, map(self._find_hidden_records, names)), None)

    def _find_hidden_records(self, name: str) -> str | None:
        with suppress(FormatError, FileNotFoundError), self._opened(name) as descriptor:
            reason = find_hidden_records(descriptor)
            return None if reason is None else f"{name} has {reason}"
        return None

    def _read_content(self, name: str, max_bytes: int) -> bytes:
        """Return the content of a file; a placeholder for it is marked as foreign."""
        try:
            content = self._read_start(name, max_bytes)
        except FileNotFoundError:
            target = os.fsencode(os.readlink(os.path.join(self.path, name)))  # noqa: PTH115, PTH118
            self._mark_pointer(name, target)
            raise
        self._mark_pointer(name, content)
        return content

    def _mark_pointer(self, name: str, content: bytes) -> None:
        for pattern, text in POINTERS:
            if pattern.match(content):
                self.mark_foreign(f"not all there: {name} is {text}")

    # Tables

    def _check_tables(self) -> None:
        tables = self.of_kind(FileKind.TABLE)
        if self.manifest is not None and not self.thorough:
            tables = [file for file in tables if file.number in self.manifest.tables] or tables
        step = 1 if self.thorough else max(1, -(-len(tables) // _SAMPLED_TABLES))
        for file in tables[::step]:
            self._check_table(file.name)

    def _check_table(self, name: str) -> None:
        try:
            with self._opened(name) as descriptor:
                self._check_blocks(name, TableFile(descriptor))
        except FileNotFoundError:
            self._check_pointer(name)
        except ForeignFormat:
            self.mark_foreign(f"{ROCKSDB} ({name})")
        except FormatError:
            self._check_pointer(name)

    def _check_pointer(self, name: str) -> None:
        with suppress(OSError, FormatError):
            self._read_content(name, 256)

    def _check_blocks(self, name: str, table: TableFile) -> None:
        handles: dict[int, list[BlockHandle]] = {}
        for handle in table.blocks(None if self.thorough else _SAMPLED_BLOCKS):
            with suppress(FormatError):
                handles.setdefault(table.block_type(handle), []).append(handle)
        for kind, same_kind in handles.items():
            self._record_blocks(name, table, kind, same_kind)

    def _record_blocks(self, name: str, table: TableFile, kind: int, handles: Sequence[BlockHandle]) -> None:
        if kind in (NO_COMPRESSION, SNAPPY):
            self.block_types[kind] += len(handles)
            self.is_leveldb = True
        elif any(map(table.is_sound, sorted(handles, key=lambda handle: handle.size)[:3])):
            self.block_types[kind] += len(handles)
            self.mark_foreign(
                f"made with a compression that this LevelDB lacks: {name} has blocks of type {kind} "
                f"({COMPRESSIONS.get(kind, 'of another program')}); nothing in it is damaged"
            )

    # Files that do not belong together

    def _find_missing_files(self) -> str | None:
        if self.manifest is None:
            return None
        needed = {self.manifest.log_number, self.manifest.previous_log_number} - {0}
        logs = needed - {file.number for file in self.of_kind(FileKind.LOG)}
        missing = [f"{number:06}.log" for number in sorted(logs)]
        missing += [f"{number:06}.ldb" for number in sorted(self.missing_tables)]
        if not missing:
            return self._find_unlogged_table(self.manifest)
        more = f" and {len(missing) - 3:,} more" if len(missing) > 3 else ""
        return f"its manifest counts on {', '.join(missing[:3])}{more}, which is not there"

    def _find_unlogged_table(self, manifest: Manifest) -> str | None:
        """Return why the manifest is older than a table; LevelDB would delete that, like those of a killed process."""
        last, number = manifest.last_sequence, manifest.next_file_number
        tables = [file for file in self.of_kind(FileKind.TABLE) if file.number >= number]
        later = [file.name for file in tables if not self._is_irregular(file)]
        logs = [Path(self.path, file.name) for file in self.logs if not self._is_irregular(file)]
        found = next((name for name in later if has_unlogged_writes(Path(self.path, name), last, logs)), None)
        return found and f"its manifest does not name {found}, which holds writes that are in no log"

    def _is_irregular(self, file: FileName) -> bool:
        """Return True if a log or a table is a pipe, a directory or the like; LevelDB would wait for a pipe forever."""
        try:
            mode = os.stat(os.path.join(self.path, file.name)).st_mode  # noqa: PTH116, PTH118 - there are many
        except OSError:
            return False
        return file.kind in (FileKind.LOG, FileKind.TABLE) and not stat.S_ISREG(mode)

    def _is_text(self, file: FileName) -> bool:
        """Return True if a log or a table is text, and the manifest does not name it; unknown without a manifest."""
        if self.manifest is None or file.kind not in (FileKind.LOG, FileKind.TABLE):
            return False
        logs = {self.manifest.log_number, self.manifest.previous_log_number}
        named = self.manifest.tables if file.kind is FileKind.TABLE else logs
        return file.number not in named and is_text(self._read_head(file))

    def _read_head(self, file: FileName) -> bytes:
        try:
            return self._read_start(file.name, 64)
        except (OSError, FormatError):
            return b""


ROCKSDB: Final = "made by RocksDB"

FOREIGN_NAMES: Final[Sequence[tuple[re.Pattern[str], str]]] = (
    (re.compile(r"OPTIONS-[0-9]+(\.dbtmp)?"), ROCKSDB),
    (re.compile(r"IDENTITY"), ROCKSDB),
)
"""Name of a file that LevelDB never creates -> what it shows."""

POINTERS: Final[Sequence[tuple[re.Pattern[bytes], str]]] = (
    (
        re.compile(rb"version https://git-lfs\.github\.com/"),
        "a git-lfs pointer, not the data; fetch it with: git lfs pull",
    ),
    (
        re.compile(rb"[./\\]*(\.git/|/)annex/objects/"),
        "a git-annex pointer, not the data; fetch it with: git annex get",
    ),
    (re.compile(rb"<{7} "), "two versions between git's merge markers; check one of them out"),
)
"""Beginning of a file that is a placeholder for the data -> what it is."""

COMPARATORS: Final[Mapping[str, str]] = {"idb_cmp1": "Chromium's IndexedDB"}
"""Comparator -> the program that it belongs to."""

COMPRESSIONS: Final[Mapping[int, str]] = {2: "zstd, or Mojang's zlib", 4: "Mojang's raw zlib, or LZ4"}
"""Type of a block that not every LevelDB can read -> its compression."""
