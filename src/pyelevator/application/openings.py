"""Openings: which databases are open, and how many may be at once."""

import logging
import resource
import threading
from collections.abc import Callable
from typing import Final, Protocol

from pyelevator.engines.base import Engine
from pyelevator.errors import DatabaseError

_log: Final = logging.getLogger("pyelevator.catalog")

_SHARE: Final = 0.3
"""Of the files that this process may have open, for what each open database holds. Half are for connections, a fifth
LevelDB takes for tables, and the rest is spare."""

_SPARE: Final = 16


class Openable(Protocol):
    """What :class:`Openings` knows of a database."""

    used_at: float

    @property
    def adopted(self) -> bool:
        """Whether another program has made it."""

    def close_if_unused(self, before: float) -> bool:
        """Closes it unless it is in use now or was after ``before``; whether it did. Waits for nobody."""


class Openings:
    """The open databases of one catalog; where there are too many, the one that was unused for longest is closed.

    A database is in here from before it opens until after it has closed, so that there are never more.

    Args:
        most: databases that may be open at once.
        files: that each of them holds; fewer may be open where this process may not have so many files.

    Attributes:
        before_close: called with each engine just before it is closed, while nobody uses it.
    """

    def __init__(self, most: int, files: int = 0) -> None:
        self.before_close: Callable[[Engine], None] = lambda _: None
        self._wanted: Final = most
        self._files: Final = files
        self._warned = False
        self._open: set[Openable] = set()
        self._lock = threading.RLock()  # reentrant: who makes room closes another one, which leaves

    def enter(self, database: Openable) -> None:
        """Takes note of a database that is about to open, and makes room for it.

        Raises:
            DatabaseError: as many as may be are open, and all of them are in use.
        """
        with self._lock:
            most = self._most()
            if len(self._open) >= most and not self._close_one():
                limit = "--max-open" if most == self._wanted else "the limit of open files (ulimit -n)"
                raise DatabaseError(f"{most} databases are in use already; try again, or raise {limit}")
            self._open.add(database)

    def _most(self) -> int:
        """How many may be open, as of now: a server raises its limit of files when it starts."""
        if not self._files:
            return self._wanted
        files, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
        if files == resource.RLIM_INFINITY:
            return self._wanted
        most = max(1, (int(files * _SHARE) - _SPARE) // self._files)
        if most < self._wanted and not self._warned:
            self._warned = True
            _log.warning("no more than %d databases are open at once, as this process may open %d files", most, files)
        return min(most, self._wanted)

    def leave(self, database: Openable) -> None:
        """Takes note of a database that has closed, or could not be opened."""
        with self._lock:
            self._open.discard(database)

    def close_unused(self, before: float, adopted_before: float) -> None:
        """Closes every database that has not been used since ``before``, or if adopted since ``adopted_before``."""
        with self._lock:
            limits = [(database, adopted_before if database.adopted else before) for database in self._open]
        for database, limit in limits:
            if database.used_at < limit:
                database.close_if_unused(limit)

    def _close_one(self) -> bool:
        by_age = sorted(self._open, key=lambda database: database.used_at)
        return any(database.close_if_unused(float("inf")) for database in by_age)
