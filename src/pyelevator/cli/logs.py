"""Where the log goes, and how much of it."""

import logging
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from io import TextIOWrapper
from logging.handlers import WatchedFileHandler
from pathlib import Path
from typing import Any, Final

_FORMAT: Final = "%(asctime)s %(levelname)s %(name)s: %(message)s"


def escaped(text: str) -> str:
    r"""The text without anything that moves a cursor, begins a line or is no text.

    >>> print(escaped("app\n2026-01-01 INFO forged \x1b[2J"))
    app\n2026-01-01 INFO forged \x1b[2J
    """
    if text.isascii() and text.isprintable():
        return text
    return "".join([char if char.isprintable() else ascii(char)[1:-1] for char in text])


class OneLine(logging.Formatter):
    """A formatter of which each record is a line of its own, whatever names are in it; tracebacks are indented."""

    def formatMessage(self, record: logging.LogRecord) -> str:
        """Format the line of a record, in which nothing can end the line or move the cursor."""
        record.message = escaped(record.message)
        return super().formatMessage(record)

    def formatException(self, ei: Any) -> str:
        return "\n".join([f"  {escaped(line)}" for line in super().formatException(ei).split("\n")])


class LogFile(WatchedFileHandler):
    """A log file that is opened anew when another one is at its path, or none: somebody has rotated it.

    While it cannot be opened, lines go to stderr: whatever is logged must never fail because of the log.
    """

    def _open(self) -> TextIOWrapper:
        """Opens the file; a new one is its owner's alone, whatever the umask."""
        descriptor = os.open(self.baseFilename, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o600)
        return os.fdopen(descriptor, "a", encoding=self.encoding, errors="backslashreplace")

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
    handler.setFormatter(OneLine(_FORMAT))
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
