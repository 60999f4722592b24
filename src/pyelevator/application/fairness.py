"""Cooperation of threads: long requests yield to short ones in another thread."""

import time
from collections.abc import Iterator, Sequence
from itertools import chain
from typing import Any, Final

from pyelevator.messages import GradualList

CHUNK_ROWS: Final = 256
"""Rows between two checkpoints; about a tenth of a millisecond of work. A request with fewer rows is not a long one."""

_YIELD_SECONDS: Final = 0.0001


class Cooperation:
    """The checkpoints of long requests: they yield the GIL if a short request ran since the last one.

    Python runs one thread at a time, and preempts one that does not yield only after some milliseconds. A thread that
    sleeps yields at once. So a short request that arrives during a long one mostly finds Python free.

    Attributes:
        requested: True once a short request has run since the last checkpoint.
    """

    def __init__(self) -> None:
        self.requested = False

    def checkpoint(self) -> None:
        """Yield to other threads if a short request ran since the last checkpoint."""
        if self.requested:
            self.requested = False
            time.sleep(_YIELD_SECONDS)


class CheckpointedRows(GradualList):
    """Rows of an answer, with a checkpoint after each chunk of them when they are iterated for encoding."""

    def __init__(self, cooperation: Cooperation) -> None:
        super().__init__()
        self._cooperation = cooperation

    def __iter__(self) -> Iterator[Any]:
        return chain.from_iterable(self._chunks())

    def _chunks(self) -> Iterator[Sequence[Any]]:
        for first in range(0, len(self), CHUNK_ROWS):
            if first:
                self._cooperation.checkpoint()
            yield self[first : first + CHUNK_ROWS]
