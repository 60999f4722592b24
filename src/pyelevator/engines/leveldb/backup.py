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
from contextlib import contextmanager, suppress
from typing import Final

from attrs import frozen

from pyelevator.engines.base import EngineDamaged, EngineError
from pyelevator.engines.base.errors import describe_damage
from pyelevator.engines.leveldb.directories.handle import DirectoryHandle
from pyelevator.engines.leveldb.format import FormatError
from pyelevator.engines.leveldb.format.file_names import FileKind, FileName, parse_file_name
from pyelevator.engines.leveldb.format.manifest import Manifest, read_manifest
from pyelevator.engines.leveldb.format.records import complete_length

_ATTEMPTS: Final = 100
_COPY_BYTES: Final = 1 << 20

_NO_LINKS: Final = (errno.EXDEV, errno.EPERM, errno.EACCES, errno.EMLINK, errno.ENOTSUP, errno.ENOSYS, errno.ELOOP)
"""What the system says where a file cannot be linked."""

_READ: Final = os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC
_NEW: Final = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC


class CannotLink(Exception):
    """The tables cannot be linked into the directory of the backup."""


@frozen
class _Log:
    """A log of the database.

    Attributes:
        name: of the file.
        descriptor: it is open, so that it can be read even when it is removed.
        size: bytes of it that belong to the backup.
    """

    name: str
    descriptor: int
    size: int


@frozen
class Cut:
    """The files of a database at one moment: the tables are linked already, and the rest is to be copied.

    Attributes:
        manifest_name, manifest: the name of the manifest, and its bytes.
        logs: to copy.
    """

    manifest_name: str
    manifest: bytes
    logs: Sequence[_Log]

    def copy_into(self, target: DirectoryHandle) -> None:
        """Copy what is not linked, and make it survive a crash of the machine."""
        for log in self.logs:
            _write_new(target, log.name, _chunks(log))
        _write_new(target, self.manifest_name, [self.manifest])
        _write_new(target, "CURRENT", [f"{self.manifest_name}\n".encode()])

    def close(self) -> None:
        """Close the logs."""
        for log in self.logs:
            os.close(log.descriptor)


def _chunks(log: _Log) -> Iterator[bytes]:
    at = 0
    while at < log.size:
        chunk = os.pread(log.descriptor, min(_COPY_BYTES, log.size - at), at)
        if not chunk:
            raise EngineError(f"the log {log.name} is shorter than it was")
        yield chunk
        at += len(chunk)


def _write_new(target: DirectoryHandle, name: str, chunks: Iterable[bytes]) -> None:
    with os.fdopen(os.open(name, _NEW, 0o600, dir_fd=target.descriptor), "wb") as file:
        file.writelines(chunks)
        file.flush()
        os.fsync(file.fileno())


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
    files = list(filter(None, map(parse_file_name, os.listdir(source.name))))  # noqa: PTH208 - names are all that is needed
    for table in _tables(files, manifest):
        os.link(table, table, src_dir_fd=source.descriptor, dst_dir_fd=target.descriptor, follow_symlinks=False)
        if not stat.S_ISREG(os.stat(table, dir_fd=target.descriptor, follow_symlinks=False).st_mode):
            raise OSError(errno.ELOOP, os.strerror(errno.ELOOP), table)
    found = Cut(name, data[: complete_length(data)], _open_logs(source, files, manifest))
    if _read_manifest(source) == (name, data):
        return found
    found.close()
    return None


def _read_manifest(source: DirectoryHandle) -> tuple[str, bytes]:
    name = _read(source, "CURRENT").decode("ascii", "replace").strip()
    return name, _read(source, name)


def _read(source: DirectoryHandle, name: str) -> bytes:
    with os.fdopen(os.open(name, _READ, dir_fd=source.descriptor), "rb") as file:
        return file.read()


def _parse(data: bytes, source: DirectoryHandle) -> Manifest:
    try:
        return read_manifest(data)
    except FormatError as error:
        raise EngineDamaged(describe_damage(source.path, str(error)), source.path) from error


def _tables(files: Sequence[FileName], manifest: Manifest) -> list[str]:
    names = {file.number: file.name for file in files if file.kind is FileKind.TABLE}
    missing = manifest.tables - names.keys()
    if missing:
        raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), f"{min(missing):06}.ldb")
    return [names[number] for number in manifest.tables]


def _open_logs(source: DirectoryHandle, files: Sequence[FileName], manifest: Manifest) -> list[_Log]:
    """Open the logs that the manifest needs; the oldest of them always exists, or it is in a table by now."""
    logs = {file.number: file.name for file in files if file.kind is FileKind.LOG}
    if manifest.log_number and manifest.log_number not in logs:
        raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), f"{manifest.log_number:06}.log")
    opened: list[_Log] = []
    try:
        for number, name in sorted(logs.items()):
            if number >= manifest.log_number or number == manifest.previous_log_number:
                descriptor = os.open(name, _READ, dir_fd=source.descriptor)
                opened.append(_Log(name, descriptor, os.fstat(descriptor).st_size))
    except BaseException:
        Cut("", b"", opened).close()
        raise
    return opened


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

    Args:
        path: resolved; nothing may be there.

    Raises:
        EngineError: something is there, or another backup is being written there.
        OSError: it cannot be made.
    """
    parent_path, name = os.path.split(path)
    with _opened(DirectoryHandle(parent_path, create=True, parents=True)) as parent:
        _check_free(parent, name, path)
        partial = f".{name}.partial"
        with _opened(DirectoryHandle(os.path.join(parent_path, partial), create=True)) as target:  # noqa: PTH118
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


@contextmanager
def _opened(handle: DirectoryHandle) -> Iterator[DirectoryHandle]:
    with handle:
        yield handle


def _lock(target: DirectoryHandle, path: str) -> None:
    try:
        fcntl.flock(target.descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        raise EngineError(f"another backup to {path} is under way", path) from error


def _check_free(parent: DirectoryHandle, name: str, path: str) -> None:
    with suppress(FileNotFoundError):
        os.stat(name, dir_fd=parent.descriptor, follow_symlinks=False)
        raise EngineError(f"{path} exists already; a backup goes into a new directory", path)
