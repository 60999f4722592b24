"""Services: what serves clients in a loop, a server or a proxy."""

import threading
from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Self

from pyelevator.application.monitoring.metric_families import Family


class Service(ABC):
    """A server or a proxy: ``with`` runs its loop in a thread of its own.

    Attributes:
        urls: the bound URLs, with the ports that the system chose.
    """

    urls: Sequence[str]
    _is_stopping = False
    _thread: threading.Thread | None = None

    def __enter__(self) -> Self:
        self._thread = threading.Thread(target=self.serve_forever, name=f"elevator-{type(self).__name__.lower()}")
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()
        if self._thread is not None:
            self._thread.join()

    @abstractmethod
    def serve_forever(self) -> None:
        """Serve until ``stop`` is called, then answer pending requests and close everything."""

    @abstractmethod
    def _wake_up(self, probe: threading.Event | None) -> None:
        """Let the loop turn, and set the probe in it; from any thread, and from signal handlers."""

    def stop(self) -> None:
        """Ask it to stop, and return at once; from any thread, and from signal handlers."""
        self._is_stopping = True
        self._wake_up(None)

    @property
    def is_stopping(self) -> bool:
        """True once ``stop`` was called."""
        return self._is_stopping

    def probe(self, timeout: float) -> bool:
        """Return True if the loop turns within ``timeout`` seconds; from any thread but its own.

        Args:
            timeout: seconds to wait.
        """
        turned = threading.Event()
        self._wake_up(turned)
        return turned.wait(timeout)

    @abstractmethod
    def metrics(self) -> list[Family]:
        """Return the metrics as Prometheus names them; from any thread."""
