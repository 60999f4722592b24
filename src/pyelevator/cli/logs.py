"""Logging of the commands: format, file and rotation."""

import json
import logging
import os
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, nullcontext
from datetime import UTC, datetime
from io import TextIOWrapper
from logging.handlers import WatchedFileHandler
from pathlib import Path
from typing import Any, Final

_FORMAT: Final = "%(asctime)s %(levelname)s %(name)s: %(message)s"


def escape(text: str) -> str:
    r"""Escape everything in a text that ends a line, moves the cursor or is not printable.

    >>> print(escape("app\n2026-01-01 INFO forged \x1b[2J"))
    app\n2026-01-01 INFO forged \x1b[2J
    """
    if text.isascii() and text.isprintable():
        return text
    return "".join([char if char.isprintable() else ascii(char)[1:-1] for char in text])


def printable(data: str | bytes, keep: str = "") -> str:
    r"""Return a text that a terminal shows as it is: other bytes than UTF-8 and control characters are escaped.

    >>> print(printable(bytes([97, 255, 27, 10]), keep="\n"))
    a\xff\x1b
    <BLANKLINE>
    """
    text = data if isinstance(data, str) else data.decode("utf-8", "backslashreplace")
    return "".join([char if char in keep else escape(char) for char in text]) if keep else escape(text)


class OneLine(logging.Formatter):
    """A formatter that writes each record as one line, whatever its text; tracebacks are indented."""

    def formatMessage(self, record: logging.LogRecord) -> str:
        """Format the line of a record with its message escaped."""
        record.message = escape(record.message)
        return super().formatMessage(record)

    def formatException(self, ei: Any) -> str:
        return "\n".join([f"  {escape(line)}" for line in super().formatException(ei).split("\n")])


class JsonLines(logging.Formatter):
    """A formatter that writes each record as one JSON object: time, level, logger, message, and its ``fields``."""

    def format(self, record: logging.LogRecord) -> str:
        """Format a record; tracebacks are in ``exception``."""
        entry = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname,
            "logger": record.name,
            "message": record.getMessage(),
            **getattr(record, "fields", {}),
        }
        if record.exc_info:
            entry["exception"] = self.formatException(record.exc_info)
        return json.dumps(entry, default=str)


_FORMATTERS: Final[Mapping[str, Callable[[], logging.Formatter]]] = {
    "text": lambda: OneLine(_FORMAT),
    "json": JsonLines,
}
"""The formats of a log -> what makes their formatters."""


class LogFile(WatchedFileHandler):
    """A log file that is reopened after rotation, when its path is gone or leads to another file.

    While it cannot be opened, lines go to stderr: a failing log must not fail the program.
    """

    def _open(self) -> TextIOWrapper:
        """Open the file; only the owner can read a new one, whatever the umask."""
        descriptor = os.open(self.baseFilename, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o600)
        return os.fdopen(descriptor, "a", encoding=self.encoding, errors="backslashreplace")

    def emit(self, record: logging.LogRecord) -> None:
        try:
            if self.stream is None:
                self.reopen()
            else:
                self.reopenIfNeeded()
        except OSError as error:
            print(f"{self.format(record)} [the log file cannot be opened: {error}]", file=sys.stderr)
        else:  # not the emit() between, which from Python 3.14 on prints a traceback instead
            logging.StreamHandler.emit(self, record)

    def reopen(self) -> None:
        """Close the file and open the one at its path; if that fails, each further line tries again."""
        with self.lock or nullcontext():
            if self.stream is not None:
                self.stream.close()
            self.stream = None
            self.stream = self._open()
            self._statstream()


@contextmanager
def logging_to(file: Path | None, level: int, format: str = "text") -> Iterator[Callable[[], None]]:
    """Log records of this package, of a level and above, to a file or to stderr within the block.

    Yields:
        A function that reopens the file, or does nothing for stderr.
    """
    handler = logging.StreamHandler() if file is None else LogFile(file, encoding="utf-8")
    handler.setFormatter(_FORMATTERS[format]())
    logger = logging.getLogger("pyelevator")
    before = logger.level
    logger.addHandler(handler)
    logger.setLevel(level)
    try:
        yield handler.reopen if isinstance(handler, LogFile) else lambda: None
    finally:
        logger.setLevel(before)
        logger.removeHandler(handler)
        handler.close()
