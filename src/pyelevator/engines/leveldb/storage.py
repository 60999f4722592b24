"""LevelDB directories as storage, on plyvel or plyvel-next."""

import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from copy import copy
from functools import partial
from pathlib import Path, PurePath
from secrets import token_hex
from typing import Any, Final, Self

from pyelevator.commands import OptionValue, RepairReport
from pyelevator.engines.base import Capability, Engine, EngineError, OptionValueError, Storage
from pyelevator.engines.leveldb.binding.errors import ErrorTranslator
from pyelevator.engines.leveldb.binding.library import is_native, load_library
from pyelevator.engines.leveldb.directories import operations as directories
from pyelevator.engines.leveldb.directories.handle import DirectoryHandle
from pyelevator.engines.leveldb.engine import LevelDbEngine
from pyelevator.engines.leveldb.inspection import inspect
from pyelevator.engines.leveldb.native_engine import NativeEngine
from pyelevator.engines.leveldb.repair import RepairLibrary, repair
from pyelevator.engines.leveldb.write_buffers import WriteBuffers
from pyelevator.engines.options import OPTION_NAMES, WRITE_BUFFERS_BYTES, check_options, describe_unknown_option
from pyelevator.engines.row_cache import ROW_CACHE_BYTES
from pyelevator.paths import NEW_FILE

_OPEN_HEADROOM: Final = 1 << 20
"""Bytes that opening takes besides those of the log that it writes into a table: a new log, a new manifest."""


class LevelDbStorage(Storage):
    """LevelDB directories of this machine.

    Args:
        default_options: used for options that a database does not have; they are not recorded with it.
            ``paranoid_checks`` is on unless they, or a database, say otherwise: without it, LevelDB skips what it
            cannot read of a damaged log, and returns damaged blocks as they are.
        row_cache: bytes of pairs that an open database keeps in memory after they were read with
            ``fill_cache=True``; 0 for none.
        write_buffers: bytes that the write buffers of all open databases may take, see ``write_buffers.py``; they
            decide the ``write_buffer_size`` of a database that has none, nor is there one in ``default_options``.

    Raises:
        MissingExtra: no binding to LevelDB is installed.
        OptionTypeError, OptionValueError: of a default option; also of one that does not exist.
    """

    capabilities = frozenset(Capability) - {Capability.REMOTE}
    option_names = OPTION_NAMES
    files_per_database = 6  # the directory, LOCK twice, LOG, log, manifest; LevelDB itself limits its open tables

    def __init__(
        self,
        default_options: Mapping[str, object] | None = None,
        row_cache: int = ROW_CACHE_BYTES,
        write_buffers: int = WRITE_BUFFERS_BYTES,
    ) -> None:
        if unknown := describe_unknown_option(default_options or ()):
            raise OptionValueError(unknown)
        self._defaults = {"paranoid_checks": True} | check_options(default_options or {})
        self._library: Any = load_library()
        self._engine = NativeEngine if is_native(self._library) else LevelDbEngine
        self._row_cache = row_cache
        self.write_buffers = WriteBuffers(write_buffers)
        self._confined_to: tuple[str, ...] | None = None

    def resolve(self, path: str) -> str:
        return os.path.realpath(path)

    def check_options(self, options: Mapping[str, object]) -> dict[str, OptionValue]:
        return check_options(options)

    def confine(self, directories: Iterable[str]) -> None:
        self._confined_to = tuple(directories)

    def _check_confined(self, path: str) -> None:
        if self._confined_to is not None and not any(PurePath(path).is_relative_to(one) for one in self._confined_to):
            raise EngineError(f"{path} is not under an allowed directory; start the server with --allow-path DIR", path)

    def _check_files(self, name: str) -> None:
        """Check that the files of a database are in its own directory, if databases are confined to directories."""
        if self._confined_to is not None and name:
            directories.check_links(name)

    @contextmanager
    def _open_directory(self, path: str, *, must_exist: bool = False) -> Iterator[str]:
        """Open the directory for the block, and yield a name that always leads to it; an empty one if it is missing.

        ``path`` is not used again instead of it: a link may have taken its place.
        """
        self._check_confined(path)
        with ErrorTranslator(path), ExitStack() as stack:
            name = ""
            with suppress(*() if must_exist else (FileNotFoundError, NotADirectoryError)):
                name = stack.enter_context(DirectoryHandle(path)).name
            self._check_files(name)
            yield name

    def open(self, path: str, options: Mapping[str, object]) -> Engine:
        self._check_confined(path)
        given: dict[str, Any] = self._defaults | check_options(options)
        with ErrorTranslator(path), ExitStack() as resources:
            size = self.write_buffers.open(given.get("write_buffer_size"))
            resources.callback(self.write_buffers.close, size)
            directory = DirectoryHandle(path, create=True)
            resources.callback(directory.close)
            self._check_files(directory.name)
            inspection, lock = directories.lock_and_inspect(directory.name, directories.check_opening)
            resources.callback(lock.release)
            with directories.mark_creation(inspection):
                sized = {**given, "write_buffer_size": size}
                source = self._library.DB(os.fsencode(directory.name), create_if_missing=True, **sized)
            return self._engine(
                self._unconfined(),
                path,
                source,
                given,
                row_cache=self._row_cache,
                directory=directory,
                resources=resources.pop_all(),
            )

    def _unconfined(self) -> Self:
        """Return a storage for backups, which may lie outside of the directories that databases are confined to."""
        storage = copy(self)
        storage._confined_to = None
        return storage

    def detect_options(self, path: str) -> dict[str, OptionValue]:
        """Return the compression that its tables show; none without tables, as opening turns the log into one."""
        with self._open_directory(path, must_exist=True) as name:
            return {"compression": inspect(name, logs=False).compression}

    def check_free_space(self, path: str) -> None:
        """Check that there is space for a table with what is in the log, since opening writes one."""
        with self._open_directory(path, must_exist=True) as name:
            log = sum(directories.file_size(file) for file in directories.data_files(name) if file.suffix == ".log")
            probe = Path(name, f".space-{token_hex(8)}")
            try:
                with os.fdopen(os.open(probe, NEW_FILE, 0o600), "wb") as file:
                    os.posix_fallocate(file.fileno(), 0, log + _OPEN_HEADROOM)
            finally:
                probe.unlink(missing_ok=True)

    def exists(self, path: str) -> bool:
        with self._open_directory(path) as name:
            return bool(name) and directories.has_database(name)

    def prepare(self, path: str) -> Callable[[], None]:
        with self._open_directory(path) as name:
            if name:
                _, lock = directories.inspect_under_lock(name, directories.check_creation, logs=False)
                if lock:
                    lock.release()
                if directories.has_database(name):
                    return lambda: None
            return partial(self._undo_creation, path, os.listdir(name) if name else None)  # noqa: PTH208 - names

    def _undo_creation(self, path: str, before: Sequence[str] | None) -> None:
        """Remove what was made since the directory had those files, and the directory if there was none."""
        with self._open_directory(path) as name:
            if name:
                directories.remove_new_files(name, before or ())
        if before is None:
            with suppress(OSError):
                Path(path).rmdir()

    def repair(self, path: str, options: Mapping[str, object], *, force: bool = False) -> RepairReport:
        library = RepairLibrary(self._library, self._defaults | check_options(options))
        check = partial(directories.check_repair, force=force)
        with self._open_directory(path) as name:
            if not name or not directories.has_database(name):
                raise EngineError(f"there is no database at {path}", path)
            inspection, lock = directories.lock_and_inspect(name, check, thorough=True)
            with lock:
                return repair(name, inspection, library, force=force)

    def destroy(self, path: str, *, set_aside: bool = False) -> None:
        with self._open_directory(path) as name:
            if name:
                directories.destroy(name, set_aside=set_aside)
        with suppress(OSError):
            Path(path).rmdir()
