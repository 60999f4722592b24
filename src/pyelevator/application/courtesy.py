"""Courtesy: long work in one thread makes room for short work in another."""

import time
from collections.abc import Iterator, Sequence
from itertools import chain
from typing import Any, Final

from pyelevator.messages import Rows

PIECE: Final = 256
"""Rows between two looks; a tenth of a millisecond of work, about. What has less is no long work."""

_REST: Final = 0.0001


class Courtesy:
    """Where long work looks up now and then whether short work has been done meanwhile, and if so, rests a moment.

    Python runs one thread at a time, and takes the turn from one that does not give it away only after a while. Who
    sleeps gives it away at once; so a short request that comes beside a long one mostly finds Python free.
    (Measured: docs/decisions.md.)

    Attributes:
        wanted: set by who does short work.
    """

    def __init__(self) -> None:
        self.wanted = False

    def look_up(self) -> None:
        """Rests if there was short work since the last look."""
        if self.wanted:
            self.wanted = False
            time.sleep(_REST)


class CourteousRows(Rows):
    """Rows of an answer; who goes through them, to write them down, looks up now and then."""

    def __init__(self, courtesy: Courtesy) -> None:
        super().__init__()
        self._courtesy = courtesy

    def __iter__(self) -> Iterator[Any]:
        return chain.from_iterable(self._pieces())

    def _pieces(self) -> Iterator[Sequence[Any]]:
        for first in range(0, len(self), PIECE):
            if first:
                self._courtesy.look_up()
            yield self[first : first + PIECE]
