"""Openings: which databases are open, and how many may be at once."""

import threading
from collections.abc import Callable
from typing import Final, Protocol

from pyelevator.engines.base import Engine
from pyelevator.errors import DatabaseError


class Openable(Protocol):
    """What :class:`Openings` knows of a database."""

    used_at: float

    def close_if_unused(self, before: float) -> bool:
        """Closes it unless it is in use now or was after ``before``; whether it did. Waits for nobody."""


class Openings:
    """The open databases of one catalog; where there are too many, the one that was unused for longest is closed.

    A database is in here from before it opens until after it has closed, so that there are never more.

    Attributes:
        before_close: called with each engine just before it is closed, while nobody uses it.
    """

    def __init__(self, most: int) -> None:
        self.before_close: Callable[[Engine], None] = lambda _: None
        self._most: Final = most
        self._open: set[Openable] = set()
        self._lock = threading.RLock()  # reentrant: who makes room closes another one, which leaves

    def enter(self, database: Openable) -> None:
        """Takes note of a database that is about to open, and makes room for it.

        Raises:
            DatabaseError: as many as may be are open, and all of them are in use.
        """
        with self._lock:
            if len(self._open) >= self._most and not self._close_one():
                raise DatabaseError(f"{self._most} databases are in use already; try again, or raise --max-open")
            self._open.add(database)

    def leave(self, database: Openable) -> None:
        """Takes note of a database that has closed, or could not be opened."""
        with self._lock:
            self._open.discard(database)

    def close_unused(self, before: float) -> None:
        """Closes every database that has not been used since ``before``."""
        with self._lock:
            unused = [database for database in self._open if database.used_at < before]
        for database in unused:
            database.close_if_unused(before)

    def _close_one(self) -> bool:
        by_age = sorted(self._open, key=lambda database: database.used_at)
        return any(database.close_if_unused(float("inf")) for database in by_age)
