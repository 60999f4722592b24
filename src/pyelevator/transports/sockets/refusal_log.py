"""Refusals: what the log says of clients that are not let in, and how often."""

import logging
import time
from collections.abc import Callable
from typing import Final

_LOG: Final = logging.getLogger("pyelevator.server")


class Refusals:
    """Logs who was refused: for the same reason each address once a minute, and not more than ``MOST`` in that time.

    Args:
        clock: seconds, monotonic.
    """

    SECONDS: Final = 60.0
    MOST: Final = 50

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._since = clock()
        self._told: set[tuple[str, str]] = set()

    def tell(self, address: str, why: str) -> None:
        """Logs a refusal, unless that was done not long ago.

        Args:
            address: the client's, without its port.
            why: it was refused.
        """
        if self._clock() - self._since >= self.SECONDS:
            self._told, self._since = set(), self._clock()
        if (address, why) in self._told or len(self._told) > self.MOST:
            return
        self._told.add((address, why))
        if len(self._told) > self.MOST:
            _LOG.warning("refused more clients than are named here; the next minute is told again")
        else:
            _LOG.warning("refused a client at %s: %s", address, why)
