"""Files that are replaced as a whole, and questions about paths that are answered with no only if that is certain.

From Python 3.14 on the methods of ``Path`` also return False where the system cannot tell, as in a directory that may
not be searched. Here that is an error: what is wrongly taken for missing would be created again, or be left behind.
"""

import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from errno import EACCES, EBADF, EINVAL, ELOOP, ENOENT, ENOTDIR, ENOTSUP
from pathlib import Path
from secrets import token_hex
from typing import IO, Final, TypeAlias

_Path: TypeAlias = str | os.PathLike[str]

_MISSING: Final = {ENOENT, ENOTDIR, EBADF, ELOOP}

_NOT_SYNCED: Final = {EACCES, EINVAL, ENOTSUP}
"""A directory that may not be read, or a file system that syncs none: some network and shared ones."""

NEW_FILE: Final = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
"""Flags to create a file where there is none."""


@contextmanager
def replacing_file(path: Path, suffix: str = "") -> Iterator[IO[bytes]]:
    """Write a file in the block, for its owner only, that takes the place of another one unless the block raises.

    Whatever happens, the disk has the old file or the new one, completely.

    Args:
        path: of the file.
        suffix: of its name until it is complete.
    """
    temporary = path.with_name(f".{path.name}.{token_hex(8)}{suffix}")
    try:
        with os.fdopen(os.open(temporary, NEW_FILE, 0o600), "wb") as file:
            yield file
            sync_file(file)
        temporary.replace(path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
    sync_directory(path.parent)


def sync_file(file: IO[bytes]) -> None:
    """Have the disk take what was written to a file."""
    file.flush()
    os.fsync(file.fileno())


def sync_directory(path: Path) -> None:
    """Have the disk take the names of the files in a directory, where it can be asked to."""
    try:
        descriptor = os.open(path, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
    except OSError as error:
        if error.errno not in _NOT_SYNCED:
            raise


def exists(path: _Path) -> bool:
    """Return True if there is something at the path, or where a link there leads; raise OSError if that is unknown."""
    return _mode(path) is not None


def is_file(path: _Path) -> bool:
    """Return True if there is a regular file at the path, or where a link there leads; raise as :func:`exists`."""
    return stat.S_ISREG(_mode(path) or 0)


def is_directory(path: _Path, *, follow_links: bool = True) -> bool:
    """Return True if there is a directory at the path, or where a link to follow leads; raise as :func:`exists`."""
    return stat.S_ISDIR(_mode(path, follow_links=follow_links) or 0)


def _mode(path: _Path, *, follow_links: bool = True) -> int | None:
    try:
        return Path(path).stat(follow_symlinks=follow_links).st_mode
    except ValueError:  # no path at all, as with a null byte
        return None
    except OSError as error:
        if error.errno in _MISSING:
            return None
        raise
