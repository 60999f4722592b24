"""Backups of an open LevelDB: links to its tables, which never change, and a copy of its log up to one moment.

While no write is under way, the manifest, the tables that it names and the logs that it needs are the database of that
moment. Compactions go on meanwhile: if one has changed the manifest or removed a file, it is tried again.
"""

import errno
import fcntl
import os
import shutil
import stat
from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from typing import BinaryIO, Final

from attrs import frozen

from pyelevator._closing import Closing
from pyelevator.engines.base import EngineDamaged, EngineError
from pyelevator.engines.base.errors import describe_damage
from pyelevator.engines.leveldb.directories.handle import DirectoryHandle
from pyelevator.engines.leveldb.format import FormatError
from pyelevator.engines.leveldb.format.file_names import FileKind, FileName, list_files, missing_file
from pyelevator.engines.leveldb.format.log_records import complete_length
from pyelevator.engines.leveldb.format.manifest import Manifest, read_manifest
from pyelevator.paths import NEW_FILE, sync_file

_ATTEMPTS: Final = 100
_COPY_BYTES: Final = 1 << 20

_NO_LINKS: Final = (errno.EXDEV, errno.EPERM, errno.EACCES, errno.EMLINK, errno.ENOTSUP, errno.ENOSYS, errno.ELOOP)
"""What the system says where a file cannot be linked."""

_READ: Final = os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC


class CannotLink(Exception):
    """The tables cannot be linked into the directory of the backup."""


@frozen
class Cut(Closing):
    """The files of a database at one moment: the tables are linked already, and the rest is to be copied.

    Attributes:
        manifest_name, manifest: the name of the manifest, and its bytes.
        logs: to copy, each with the bytes of it that belong to the backup; it is open, as it may be removed.
    """

    manifest_name: str
    manifest: bytes
    logs: Sequence[tuple[BinaryIO, int]]
    _resources: ExitStack

    def copy_into(self, target: DirectoryHandle) -> None:
        """Copy what is not linked, and make it survive a crash of the machine."""
        for log, size in self.logs:
            _write_new(target, log.name, _chunks(log, size))
        _write_new(target, self.manifest_name, [self.manifest])
        _write_new(target, "CURRENT", [f"{self.manifest_name}\n".encode()])

    def close(self) -> None:
        self._resources.close()


def _chunks(log: BinaryIO, size: int) -> Iterator[bytes]:
    while size:
        chunk = log.read(min(_COPY_BYTES, size))
        if not chunk:
            raise EngineError(f"the log {log.name} is shorter than it was")
        yield chunk
        size -= len(chunk)


def _write_new(target: DirectoryHandle, name: str, chunks: Iterable[bytes]) -> None:
    with os.fdopen(os.open(name, NEW_FILE, 0o600, dir_fd=target.descriptor), "wb") as file:
        file.writelines(chunks)
        sync_file(file)


def cut(source: DirectoryHandle, target: DirectoryHandle) -> Cut:
    """Link the tables of a database into an empty directory, and return what is to be copied.

    No write may be under way.

    Raises:
        CannotLink: the file system does not link the tables there.
        EngineError: the files change all the time.
        OSError: a file cannot be read.
    """
    for _ in range(_ATTEMPTS):
        try:
            found = _try_cut(source, target)
        except FileNotFoundError:
            found = None
        except OSError as error:
            if error.errno in _NO_LINKS:
                raise CannotLink(os.strerror(error.errno)) from error
            raise
        if found is not None:
            return found
        clear(target)
    raise EngineError(f"the files of {source.path} change too quickly for a backup; try again")


def _try_cut(source: DirectoryHandle, target: DirectoryHandle) -> Cut | None:
    """Return the cut; None, or FileNotFoundError, if a compaction came in between."""
    name, data = _read_manifest(source)
    manifest = _parse(data, source)
    files = list(list_files(source.name))
    for table in _tables(files, manifest):
        os.link(table, table, src_dir_fd=source.descriptor, dst_dir_fd=target.descriptor, follow_symlinks=False)
        if not stat.S_ISREG(os.stat(table, dir_fd=target.descriptor, follow_symlinks=False).st_mode):
            raise OSError(errno.ELOOP, os.strerror(errno.ELOOP), table)
    with ExitStack() as logs:
        opened = [logs.enter_context(_open(source, log)) for log in _logs(files, manifest)]
        sizes = [os.fstat(log.fileno()).st_size for log in opened]
        if _read_manifest(source) != (name, data):
            return None
        return Cut(name, data[: complete_length(data)], list(zip(opened, sizes, strict=True)), logs.pop_all())


def _read_manifest(source: DirectoryHandle) -> tuple[str, bytes]:
    with _open(source, "CURRENT") as current:
        name = current.read().decode("ascii", "replace").strip()
    with _open(source, name) as manifest:
        return name, manifest.read()


def _open(source: DirectoryHandle, name: str) -> BinaryIO:
    return open(name, "rb", buffering=0, opener=lambda name, _: os.open(name, _READ, dir_fd=source.descriptor))


def _parse(data: bytes, source: DirectoryHandle) -> Manifest:
    try:
        return read_manifest(data)
    except FormatError as error:
        raise EngineDamaged(describe_damage(source.path, str(error)), source.path) from error


def _tables(files: Sequence[FileName], manifest: Manifest) -> list[str]:
    names = {file.number: file.name for file in files if file.kind is FileKind.TABLE}
    missing = manifest.tables - names.keys()
    if missing:
        raise missing_file(f"{min(missing):06}.ldb")
    return [names[number] for number in manifest.tables]


def _logs(files: Sequence[FileName], manifest: Manifest) -> list[str]:
    """Return the names of the logs that the manifest needs; the oldest always exists, or it is in a table by now."""
    logs = {file.number: file.name for file in files if file.kind is FileKind.LOG}
    if manifest.log_number and manifest.log_number not in logs:
        raise missing_file(f"{manifest.log_number:06}.log")
    return [name for number, name in sorted(logs.items()) if manifest.needs_log(number)]


def clear(directory: DirectoryHandle) -> None:
    """Remove everything in a directory."""
    for entry in os.scandir(directory.name):
        if entry.is_dir(follow_symlinks=False):
            shutil.rmtree(entry.path)
        else:
            os.unlink(entry.name, dir_fd=directory.descriptor)


def linked_bytes(directory: str) -> tuple[int, int]:
    """Return the bytes of the files in a directory, and of those that are links to files elsewhere."""
    found = [entry.stat(follow_symlinks=False) for entry in os.scandir(directory)]
    sizes = [status.st_size for status in found if stat.S_ISREG(status.st_mode)]
    return sum(sizes), sum([status.st_size for status in found if status.st_nlink > 1 and stat.S_ISREG(status.st_mode)])


@contextmanager
def partial_directory(path: str) -> Iterator[DirectoryHandle]:
    """Make a directory for the block, beside ``path``, that gets this name at the end, when it is on the disk.

    It is removed if the block raises. If the process is killed, ``.NAME.partial`` stays, until the next backup of this
    name.

    Raises:
        EngineError: something is there, or another backup is being written there.
    """
    parent_path, name = os.path.split(path)
    with DirectoryHandle(parent_path, create=True, parents=True) as parent:
        _check_free(parent, name, path)
        partial = f".{name}.partial"
        with DirectoryHandle(os.path.join(parent_path, partial), create=True) as target:  # noqa: PTH118
            _lock(target, path)
            try:
                clear(target)
                yield target
                os.fsync(target.descriptor)
                _check_free(parent, name, path)
                os.rename(partial, name, src_dir_fd=parent.descriptor, dst_dir_fd=parent.descriptor)
            except BaseException:
                with suppress(OSError):
                    clear(target)
                    os.rmdir(partial, dir_fd=parent.descriptor)
                raise
            os.fsync(parent.descriptor)


def _lock(target: DirectoryHandle, path: str) -> None:
    try:
        fcntl.flock(target.descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        raise EngineError(f"another backup to {path} is under way", path) from error


def _check_free(parent: DirectoryHandle, name: str, path: str) -> None:
    with suppress(FileNotFoundError):
        os.stat(name, dir_fd=parent.descriptor, follow_symlinks=False)
        raise EngineError(f"{path} exists already; a backup goes into a new directory", path)
