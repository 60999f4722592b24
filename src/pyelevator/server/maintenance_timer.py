"""Maintenance of a server: what its application does now and then, in a worker."""

import logging
from collections.abc import Callable
from concurrent.futures import Future
from math import inf
from typing import Final

from pyelevator.application import Application

_LOG: Final = logging.getLogger("pyelevator.server")


class MaintenanceTimer:
    """Runs the maintenance of an application in a worker, again and again, and never twice at the same time.

    Attributes:
        interval: seconds between two runs; None for never.
        due_at: seconds, monotonic; infinite if there is none.
    """

    def __init__(self, application: Application, run: Callable[[Callable[[], None]], Future[None]], now: float) -> None:
        self._application, self._run_in_worker = application, run
        self.interval = application.maintenance_interval
        self.due_at = inf if self.interval is None else now
        self._running: Future[None] | None = None

    def start_if_due(self, now: float) -> None:
        """Start a run if it is time for one, and the one before has ended."""
        if self.interval is not None and now >= self.due_at and (self._running is None or self._running.done()):
            self.due_at = now + self.interval
            self._running = self._run_in_worker(self._run)

    def _run(self) -> None:
        try:
            self._application.run_maintenance()
        except Exception:  # noqa: BLE001 - an application must not raise; the next run tries again
            _LOG.exception("the application raised")
