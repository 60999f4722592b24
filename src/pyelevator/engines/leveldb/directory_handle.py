"""Directories that are held open: what is done in one stays there, whatever somebody puts in its place meanwhile."""

import errno
import os
import stat
import weakref
from contextlib import suppress
from pathlib import Path
from typing import Final

_ON_THE_WAY: Final = getattr(os, "O_PATH", os.O_RDONLY) | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_AT_THE_END: Final = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_NAMES: Final = Path("/proc/self/fd")

OWN_MODE: Final = 0o700
"""What a directory is created with."""


def open_directory(path: str, *, create: bool = False) -> int:
    """Open a directory without following a symbolic link anywhere on the way.

    Args:
        path: of the directory; links in it were resolved when it was chosen, so there should be none now.
        create: True makes the directory where there is none, for its owner alone; its parents have to be there.

    Returns:
        Its file descriptor.

    Raises:
        OSError: it is not there, is no directory, or a symbolic link stands on the way.
    """
    root, *parts = Path(os.path.abspath(path)).parts  # noqa: PTH100 - which would follow links
    here = os.open(root, _ON_THE_WAY if parts else _AT_THE_END)
    try:
        for part in parts[:-1]:
            here = _step(here, part, _ON_THE_WAY)
        return _last(here, parts[-1], create) if parts else os.dup(here)
    except OSError as error:
        raise OSError(error.errno, error.strerror, path) from error
    finally:
        os.close(here)


def _step(here: int, part: str, flags: int) -> int:
    there = _open(here, part, flags)
    os.close(here)
    return there


def _last(here: int, part: str, create: bool) -> int:
    if create:
        with suppress(FileExistsError):
            os.mkdir(part, OWN_MODE, dir_fd=here)
    return _open(here, part, _AT_THE_END)


def _open(here: int, part: str, flags: int) -> int:
    try:
        return os.open(part, flags, dir_fd=here)
    except OSError as error:
        if error.errno in (errno.ELOOP, errno.ENOTDIR) and _is_link(here, part):
            raise OSError(errno.ELOOP, "a symbolic link stands in place of a directory") from error
        raise


def _is_link(here: int, part: str) -> bool:
    return stat.S_ISLNK(os.stat(part, dir_fd=here, follow_symlinks=False).st_mode)


class DirectoryHandle:
    """A directory that is open, and a name for it that leads nowhere else.

    Args:
        path: of the directory.
        create: as of ``open_directory``.

    Attributes:
        path: as given.
        descriptor: of the open directory.
        name: a path that leads to the directory as long as it is held, whatever ``path`` leads to; or that, where the
            system has no such names.

    Raises:
        OSError: as ``open_directory``.
    """

    def __init__(self, path: str, *, create: bool = False) -> None:
        descriptor = open_directory(path, create=create)
        self.path: Final = path
        self.descriptor: Final = descriptor
        self.name: Final = str(_NAMES / str(descriptor)) if (_NAMES / str(descriptor)).is_dir() else path
        self._close = weakref.finalize(self, os.close, descriptor)
        self._close.atexit = False  # what is open in it may still be

    def close(self) -> None:
        """Let go of it; twice is fine."""
        self._close()

    def __enter__(self) -> str:
        return self.name

    def __exit__(self, *_: object) -> None:
        self.close()
