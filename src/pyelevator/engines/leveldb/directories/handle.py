"""Handles of open directories: operations by a handle stay in its directory, even if its path is replaced."""

import errno
import os
import stat
import weakref
from contextlib import suppress
from pathlib import Path
from typing import Final

from pyelevator._closing import Closing

_PARENT_FLAGS: Final = getattr(os, "O_PATH", os.O_RDONLY) | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_DIRECTORY_FLAGS: Final = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_NAMES: Final = Path("/proc/self/fd")

OWN_MODE: Final = 0o700
"""The mode of directories that are created here."""


def open_directory(path: str, *, create: bool = False, parents: bool = False) -> int:
    """Open a directory without following a symbolic link anywhere on the way, and return its descriptor.

    Args:
        path: of the directory; links in it were resolved when it was chosen, so there should be none now.
        create: True creates the directory if it is missing, for its owner alone; its parents must exist.
        parents: True creates those, too.

    Raises:
        OSError: it is missing, or not a directory, or its path has a symbolic link.
    """
    root, *parts = Path(os.path.abspath(path)).parts  # noqa: PTH100 - which would follow links
    here = os.open(root, _PARENT_FLAGS if parts else _DIRECTORY_FLAGS)
    try:
        for part in parts[:-1]:
            here = _open_next(here, part, _PARENT_FLAGS, parents)
        return _open_next(here, parts[-1], _DIRECTORY_FLAGS, create) if parts else here
    except BaseException as error:
        os.close(here)
        if isinstance(error, OSError):
            raise OSError(error.errno, error.strerror, path) from error
        raise


def _open_next(here: int, part: str, flags: int, create: bool) -> int:
    """Open a directory in another one, which is closed then."""
    try:
        there = _open(here, part, flags)
    except FileNotFoundError:
        if not create:
            raise
        with suppress(FileExistsError):
            os.mkdir(part, OWN_MODE, dir_fd=here)
        there = _open(here, part, flags)
    os.close(here)
    return there


def _open(here: int, part: str, flags: int) -> int:
    try:
        return os.open(part, flags, dir_fd=here)
    except OSError as error:
        refused = error.errno in (errno.ELOOP, errno.ENOTDIR)
        if refused and stat.S_ISLNK(os.stat(part, dir_fd=here, follow_symlinks=False).st_mode):
            raise OSError(errno.ELOOP, "there is a symbolic link instead of a directory") from error
        raise


class DirectoryHandle(Closing):
    """An open directory, and a name that always leads to it.

    Attributes:
        name: a path that leads to the directory as long as it is open, whatever ``path`` leads to. It is ``path`` on a
            system without such names.

    Raises:
        OSError: as ``open_directory``.
    """

    def __init__(self, path: str, *, create: bool = False, parents: bool = False) -> None:
        descriptor = open_directory(path, create=create, parents=parents)
        self.path: Final = path
        self.descriptor: Final = descriptor
        self.name: Final = str(_NAMES / str(descriptor)) if (_NAMES / str(descriptor)).is_dir() else path
        self._close = weakref.finalize(self, os.close, descriptor)
        self._close.atexit = False  # files in it may still be open then

    def close(self) -> None:
        """Close the directory; closing twice is fine."""
        self._close()
