"""The write buffers: memory in which LevelDB gathers what is written, before it makes a table of it.

The larger the buffer, the fewer times LevelDB merges a pair into other tables, and the less often a write waits for
that. So each database has a large one while there is memory, and the databases after those LevelDB's own 4 MiB.
"""

import threading
from typing import Final

_MIN_SIZE: Final = 4 << 20
"""LevelDB's own default, in bytes."""

_MAX_SIZE: Final = 64 << 20
"""Above it, writing gets little faster, and a database that was killed takes long to open (decision 109)."""

_PER_DATABASE: Final = 2
"""Write buffers that a database may have at once: one is filled while the other is written into a table."""


class WriteBuffers:
    """The write buffers of the open databases of one storage; may be called from many threads at once.

    Args:
        max_bytes: that they take together. A database that asks for a size gets it, and one that opens when nothing is
            left gets LevelDB's default, so there may be more.

    >>> buffers = WriteBuffers(512 << 20)
    >>> [buffers.open() >> 20 for _ in range(7)]
    [64, 64, 64, 32, 16, 8, 4]
    """

    def __init__(self, max_bytes: int) -> None:
        self._max_bytes = max_bytes
        self._used = 0
        self._lock = threading.Lock()

    @property
    def used(self) -> int:
        """Bytes that the buffers of the open databases may take."""
        return self._used

    def open(self, size: int | None = None) -> int:
        """Return the size of the buffer of a database that is about to open; the caller closes it.

        Args:
            size: that the database asks for, in bytes; by default half of what is left, within limits.
        """
        with self._lock:
            if size is None:
                half = (self._max_bytes - self._used) // (2 * _PER_DATABASE)
                size = max(_MIN_SIZE, min(half, _MAX_SIZE))
            self._used += _PER_DATABASE * size
            return size

    def close(self, size: int) -> None:
        """Give back the memory of a buffer of that size."""
        with self._lock:
            self._used -= _PER_DATABASE * size
