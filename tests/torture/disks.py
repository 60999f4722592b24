"""Small disks that can be full and have space again: a tmpfs, and where that cannot be mounted a limit on file sizes."""

import os
import resource
import subprocess
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import ClassVar, Final, TypeAlias

_BALLAST: Final = "ballast"


class Disk(ABC):
    """A place for files, with little space.

    Attributes:
        kind: what it is, for the report.
        path: the directory.
    """

    kind: ClassVar[str]

    def __init__(self, path: Path) -> None:
        self.path = path

    @abstractmethod
    def shrink(self, pid: int) -> None:
        """Leaves little space to the process."""

    @abstractmethod
    def grow(self, pid: int) -> None:
        """Gives the space back."""


class LimitedFiles(Disk):
    """RLIMIT_FSIZE of the server process: no file may grow above a limit; which needs no rights.

    Writes fail with EFBIG instead of ENOSPC; what they leave behind is the same: half of what was written.
    """

    kind = "RLIMIT_FSIZE of 1 MB"
    _limit: Final = 1 << 20

    def shrink(self, pid: int) -> None:
        resource.prlimit(pid, resource.RLIMIT_FSIZE, (self._limit, resource.RLIM_INFINITY))

    def grow(self, pid: int) -> None:
        resource.prlimit(pid, resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))


class SmallFileSystem(Disk):
    """A file system that another file nearly fills; ENOSPC as on every full disk."""

    kind = "tmpfs of 24 MB, filled up to its last 3 MB"
    _left: Final = 3 << 20

    def shrink(self, pid: int) -> None:
        room = os.statvfs(self.path)
        (self.path / _BALLAST).write_bytes(bytes(room.f_bavail * room.f_frsize - self._left))

    def grow(self, pid: int) -> None:
        (self.path / _BALLAST).unlink()


@contextmanager
def limited_files(folder: Path) -> Iterator[Disk]:
    """A directory in ``folder``, on a disk that is as large as it is."""
    folder.mkdir()
    yield LimitedFiles(folder)


@contextmanager
def small_file_system(folder: Path) -> Iterator[Disk]:
    """A file system mounted at ``folder``."""
    folder.mkdir()
    _mount("-t", "tmpfs", "-o", "size=24m", "elevator-torture", str(folder))
    try:
        yield SmallFileSystem(folder)
    finally:
        subprocess.run(["umount", "--lazy", str(folder)], check=True)


OpenDisk: TypeAlias = Callable[[Path], AbstractContextManager[Disk]]


def available(folder: Path) -> list[OpenDisk]:
    """The kinds of disks that this user can have on this machine."""
    if os.geteuid() != 0:
        return [limited_files]
    try:
        with small_file_system(folder / "probe"):
            return [limited_files, small_file_system]
    except subprocess.CalledProcessError:
        return [limited_files]


def _mount(*args: str) -> None:
    subprocess.run(["mount", *args], check=True, capture_output=True)
