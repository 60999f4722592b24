"""Forks: tells whether this is still the process in which something was made, however it was forked."""

import mmap
import os
import sys
import threading
from contextlib import AbstractContextManager, suppress
from typing import Final, Protocol

_MADV_WIPEONFORK: Final = 18  # of Linux since 4.14; Python's mmap does not name it
_NO_ADVICE: Final = -1


class _Slot(Protocol):
    """A place for one small number, which is 0 after each fork until it is written."""

    def __getitem__(self, index: int, /) -> int: ...

    def __setitem__(self, index: int, number: int, /) -> None: ...


class _WipedPage(mmap.mmap):
    """A page of memory that the kernel wipes in every child. Looking at it takes a tenth of what ``getpid`` takes.

    Raises:
        OSError, ValueError: the system does not wipe pages.
    """

    def __new__(cls) -> "_WipedPage":
        page = super().__new__(cls, -1, mmap.PAGESIZE, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
        if not _is_advised(page, _MADV_WIPEONFORK) or _is_advised(page, _NO_ADVICE):  # emulators agree to anything
            raise OSError("no page is wiped when the process forks")
        return page


def _is_advised(page: mmap.mmap, advice: int) -> bool:
    with suppress(OSError):
        page.madvise(advice)
        return True
    return False


class _Pid:
    """The same by the number of the process, for systems that wipe no pages."""

    def __init__(self) -> None:
        self._pid = self._number = 0

    def __getitem__(self, _: int, /) -> int:
        return self._number if os.getpid() == self._pid else 0

    def __setitem__(self, _: int, number: int, /) -> None:
        self._pid, self._number = os.getpid(), number


def _slot() -> _Slot:
    if sys.platform == "linux":
        with suppress(OSError):
            return _WipedPage()
    return _Pid()


class Forks:
    """A count of the forks between the first process and this one.

    An object that stored the count belongs to this process if the count is unchanged. Python's own hooks tell only of
    forks that Python makes; uWSGI, say, forks its workers without them.

    Attributes:
        count: the number of this process; the same for as long as it lives.
        here: its item 0 is the count, or 0 in a child that has not been counted yet; faster than a property.
    """

    _MAX_COUNT: Final = 255
    """The greatest count; what a process has from an ancestor of the 255th degree it may take for its own."""

    def __init__(self, slot: _Slot | None = None) -> None:
        self.here = _slot() if slot is None else slot
        self.here[0] = self._count = 1

    @property
    def count(self) -> int:
        return self.here[0] or self._counted()

    def _counted(self) -> int:
        self._count = self._count % self._MAX_COUNT + 1
        self.here[0] = self._count
        return self._count


FORKS: Final = Forks()


class ProcessLock:
    """A lock for short sections of code, taken with ``with lock():``.

    It is reentrant, so that a signal handler or a finalizer that comes in between does not wait for its own thread;
    what the section does must bear that. A forked child has another lock, which no thread of the parent's holds.
    """

    def __init__(self) -> None:
        self._begin_anew()

    def _begin_anew(self) -> None:
        self._lock = threading.RLock()
        self._forks = FORKS.count

    def __call__(self) -> AbstractContextManager[bool]:
        """Return the lock of this process; the ``with`` statement itself takes it, so no interrupt comes in between."""
        if self._forks != FORKS.count:
            self._begin_anew()
        return self._lock
