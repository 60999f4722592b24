"""The lock of a LevelDB directory, against every other implementation and against this process itself.

LevelDB takes a lock of fcntl(2) on the file LOCK, goleveldb one of flock(2), and on Linux neither sees the other. So
both are taken here. A lock of fcntl belongs to the process: it does not exclude a second copy of LevelDB in this
process, and it is lost as soon as the process closes any descriptor of the file. So the descriptor is opened only
while this process has no other one of the file, before LevelDB opens, and is closed only after LevelDB has closed.
"""

import errno
import fcntl
import os
import threading
import weakref
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Final, Self

from pyelevator.engines.base import EngineError

LOCK: Final = "LOCK"

_DESCRIPTORS: Final = "/dev/fd"
_UNSUPPORTED: Final = (errno.ENOTSUP, errno.EINVAL, errno.ENOLCK, errno.ENOSYS)

_acquiring: Final = threading.Lock()
_open_directory: Final["weakref.WeakSet[DirectoryLock]"] = weakref.WeakSet()


class DirectoryLock:
    """The exclusive lock of a directory; as a context manager, it is released at the end.

    Args:
        path: of the directory, which must exist.

    Raises:
        EngineError: the database is open already, in this process or in another one.
        OSError: LOCK cannot be opened or created.
    """

    def __init__(self, path: str) -> None:
        file = Path(path, LOCK)
        with _acquiring:
            if _is_open_in_process(file):
                raise EngineError(f"{path} is open already")
            descriptor = os.open(file, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
            if not _take(descriptor):
                os.close(descriptor)
                raise EngineError(f"{path} is in use by another process")
            self._descriptor: Final = descriptor
            self._close: Final = weakref.finalize(self, os.close, descriptor)
            self._close.atexit = False  # LevelDB may still be open then
            _open_directory.add(self)

    def release(self) -> None:
        """Release the lock; releasing twice is fine. LevelDB must have closed the directory before."""
        if self._close.alive:
            with suppress(OSError):
                fcntl.flock(self._descriptor, fcntl.LOCK_UN)  # a forked child may still share it
            self.close()

    def close(self) -> None:
        """Close the descriptor, but leave the lock to others that share it: the parent of a forked child."""
        _open_directory.discard(self)
        self._close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.release()


def _take(descriptor: int) -> bool:
    """Take both locks; on a file system that maps one to the other, such as NFS, that one lock is enough."""
    if not _try(fcntl.flock, descriptor):
        return False
    if _try(fcntl.lockf, descriptor):
        return True
    fcntl.flock(descriptor, fcntl.LOCK_UN)
    return _try(fcntl.lockf, descriptor)


def _try(lock: Callable[[int, int], None], descriptor: int) -> bool:
    """Take one of the locks; return False if another process has it. A file system without this kind has no holder."""
    try:
        lock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        return error.errno in _UNSUPPORTED
    return True


def _is_open_in_process(file: Path) -> bool:
    """Return True if this process has a descriptor of the file, under any path and opened by any library."""
    try:
        status = file.stat()
        descriptors = os.listdir(_DESCRIPTORS)  # noqa: PTH208 - numbers
    except OSError:
        return False
    for descriptor in descriptors:
        with suppress(OSError, ValueError):
            if os.path.samestat(os.fstat(int(descriptor)), status):
                return True
    return False


def _close_after_fork() -> None:
    for lock in list(_open_directory):
        lock.close()


os.register_at_fork(before=_acquiring.acquire, after_in_parent=_acquiring.release, after_in_child=_acquiring.release)
os.register_at_fork(after_in_child=_close_after_fork)
