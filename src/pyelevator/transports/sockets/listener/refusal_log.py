"""Log entries for clients that are refused, with a limit on how many there are."""

import logging
import time
from collections.abc import Callable
from typing import Final

_LOG: Final = logging.getLogger("pyelevator.server")


class RefusalLog:
    """Logs each address and reason once a minute, and at most ``MAX_PER_PERIOD`` entries in that time."""

    PERIOD: Final = 60.0
    MAX_PER_PERIOD: Final = 50

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._period_start = clock()
        self._logged: set[tuple[str, str]] = set()

    def log(self, address: str, reason: str) -> None:
        """Log the refusal of a client, with its address without the port, unless that was done within the period."""
        if self._clock() - self._period_start >= self.PERIOD:
            self._logged, self._period_start = set(), self._clock()
        if (address, reason) in self._logged or len(self._logged) > self.MAX_PER_PERIOD:
            return
        self._logged.add((address, reason))
        if len(self._logged) > self.MAX_PER_PERIOD:
            _LOG.warning("refused more clients than are logged; logging goes on in a minute")
        else:
            _LOG.warning("refused a client at %s: %s", address, reason)
