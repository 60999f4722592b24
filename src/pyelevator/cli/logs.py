"""Where the log goes, and how much of it."""

import logging
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from logging.handlers import WatchedFileHandler
from pathlib import Path
from typing import Final

_FORMAT: Final = "%(asctime)s %(levelname)s %(name)s: %(message)s"


class LogFile(WatchedFileHandler):
    """A log file that is opened anew when another one is at its path, or none: somebody has rotated it.

    While it cannot be opened, lines go to stderr: whatever is logged must never fail because of the log.
    """

    def emit(self, record: logging.LogRecord) -> None:
        try:
            super().emit(record)
        except OSError as error:
            print(f"{self.format(record)} [the log file cannot be opened: {error}]", file=sys.stderr)

    def reopen(self) -> None:
        """Opens the file at the path, whichever is open by now.

        Raises:
            OSError: it cannot be opened; each line tries again.
        """
        with self.lock or nullcontext():
            if self.stream is not None:
                self.stream.close()
            self.stream = None
            self.stream = self._open()
            self._statstream()


@contextmanager
def logging_to(file: Path | None, level: int) -> Iterator[Callable[[], None]]:
    """Writes what this package logs from ``level`` on to the file, or to stderr; gives what opens the file anew.

    Raises:
        OSError: the file cannot be written.
    """
    handler = logging.StreamHandler() if file is None else LogFile(file, encoding="utf-8")
    handler.setFormatter(logging.Formatter(_FORMAT))
    logger = logging.getLogger("pyelevator")
    before = logger.level
    logger.addHandler(handler)
    logger.setLevel(level)
    try:
        yield handler.reopen if isinstance(handler, LogFile) else _nothing_to_reopen
    finally:
        logger.setLevel(before)
        logger.removeHandler(handler)
        handler.close()


def _nothing_to_reopen() -> None:
    """Stands for opening stderr anew."""
