"""Memory: given back to the system once much of it has become free."""

import ctypes
from contextlib import suppress
from typing import Any, Final

LARGE: Final = 16 << 20
"""Bytes that have become free, from which on it is worth the time."""


_M_MMAP_THRESHOLD: Final = -3
_PIECE: Final = 4 << 20  # bytes; pages of ranges are smaller, and stay quick


def _trim() -> Any:
    with suppress(OSError, AttributeError, TypeError):
        return ctypes.CDLL(None).malloc_trim  # of glibc; others give back what they like
    return None


def give_back_large() -> None:
    """Has the allocator give back each large piece as soon as it is free, in a process that is nothing but a server.

    Otherwise it keeps such for each thread, up to 32 MB a piece.
    """
    with suppress(OSError, AttributeError, TypeError):
        ctypes.CDLL(None).mallopt(_M_MMAP_THRESHOLD, _PIECE)


class Freed:
    """Counts what has become free, and has the allocator give it back, which keeps it otherwise."""

    def __init__(self) -> None:
        self._trim = _trim()
        self._bytes = 0

    def add(self, size: int) -> None:
        """So many bytes are about to become free."""
        self._bytes += size

    def give_back(self) -> bool:
        """Gives back what has become free since, if it is much; whether it did."""
        if self._bytes < LARGE or self._trim is None:
            return False
        self._bytes = 0
        self._trim(0)
        return True
