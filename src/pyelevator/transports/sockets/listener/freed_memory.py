"""Memory: given back to the system after much of it has become free."""

import ctypes
from contextlib import suppress
from typing import Any, Final

TRIM_BYTES: Final = 16 << 20
"""Freed bytes from which on the time for trimming is well spent."""

_M_TRIM_THRESHOLD: Final = -1
_M_MMAP_THRESHOLD: Final = -3
_MMAP_BYTES: Final = 4 << 20  # pages of ranges are smaller, and stay quick

KEPT_BYTES: Final = 6 << 20
"""Free bytes that each thread of a server keeps: a page of a range, its chunks and a copy. They would come back
cleared, piece by piece, for each page, which takes a third of the time of a range."""


def _malloc_trim() -> Any:
    with suppress(OSError, AttributeError, TypeError):
        return ctypes.CDLL(None).malloc_trim  # of glibc; other allocators decide by themselves
    return None


def map_large_blocks(kept: int = 128 << 10) -> None:
    """Have the allocator map each large block by itself, so that it is given back as soon as it is free.

    It is for processes that do nothing but serve. Otherwise the allocator keeps blocks of up to 32 MB for each thread.

    Args:
        kept: free bytes of smaller blocks that each thread may keep.
    """
    with suppress(OSError, AttributeError, TypeError):
        set_option = ctypes.CDLL(None).mallopt
        set_option(_M_MMAP_THRESHOLD, _MMAP_BYTES)
        set_option(_M_TRIM_THRESHOLD, kept)


class FreedMemory:
    """Counts bytes that become free, and has the allocator give them back to the system.

    Attributes:
        is_much: True when it is time to ``trim``.
    """

    def __init__(self) -> None:
        self._malloc_trim = _malloc_trim()
        self._bytes = 0
        self.is_much = False

    def add(self, size: int) -> None:
        """Count bytes that are about to become free."""
        self._bytes += size
        self.is_much = self._bytes >= TRIM_BYTES and self._malloc_trim is not None

    def trim(self) -> None:
        """Give back what has become free since the last time, if it is much."""
        if self.is_much and self._malloc_trim is not None:
            self._bytes, self.is_much = 0, False
            self._malloc_trim(0)
