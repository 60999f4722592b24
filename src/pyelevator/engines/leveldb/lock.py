"""The lock of a LevelDB directory, against every other implementation and against this process itself.

LevelDB takes a lock of fcntl(2) on the file LOCK, goleveldb one of flock(2), and on Linux neither sees the other; so
both are held here. A lock of fcntl belongs to the process: it does not keep a second copy of LevelDB in this process
out, and it is gone as soon as the process closes any descriptor of the file. So the descriptor is opened only when no
other one of this process is, before LevelDB opens, and is closed only after LevelDB has closed.
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

_taking: Final = threading.Lock()
_held: Final["weakref.WeakSet[DirectoryLock]"] = weakref.WeakSet()


class DirectoryLock:
    """The exclusive lock of a directory; as a context, it is released at the end.

    Args:
        path: of the directory, which must be there.

    Raises:
        EngineError: the database is open already, in this process or in another one.
        OSError: LOCK cannot be opened or created.
    """

    def __init__(self, path: str) -> None:
        file = Path(path, LOCK)
        with _taking:
            if _is_open_here(file):
                raise EngineError(f"{path} is open already")
            descriptor = os.open(file, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
            if not _take(descriptor):
                os.close(descriptor)
                raise EngineError(f"{path} is in use by another process")
            self._descriptor: Final = descriptor
            self._close: Final = weakref.finalize(self, os.close, descriptor)
            self._close.atexit = False  # LevelDB may still be open then
            _held.add(self)

    def release(self) -> None:
        """Give the lock back; twice is fine. LevelDB must have closed the directory before."""
        if self._close.alive:
            with suppress(OSError):
                fcntl.flock(self._descriptor, fcntl.LOCK_UN)  # a child that was forked meanwhile may have it still
            self.forget()

    def forget(self) -> None:
        """Close the descriptor, but leave the lock to others that share it: the parent of a forked child."""
        _held.discard(self)
        self._close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.release()


def _take(descriptor: int) -> bool:
    """Take both locks; where the file system makes one of the other, as NFS does, that one lock is enough."""
    if not _try(fcntl.flock, descriptor):
        return False
    if _try(fcntl.lockf, descriptor):
        return True
    fcntl.flock(descriptor, fcntl.LOCK_UN)
    return _try(fcntl.lockf, descriptor)


def _try(lock: Callable[[int, int], None], descriptor: int) -> bool:
    """Take one of the locks, and return whether nobody else has it; a kind that the file system lacks nobody has."""
    try:
        lock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        return error.errno in _UNSUPPORTED
    return True


def _is_open_here(file: Path) -> bool:
    """Return whether this process has a descriptor of the file, under whatever path, by whatever library."""
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


def _forget_all() -> None:
    for lock in list(_held):
        lock.forget()


os.register_at_fork(before=_taking.acquire, after_in_parent=_taking.release, after_in_child=_taking.release)
os.register_at_fork(after_in_child=_forget_all)
