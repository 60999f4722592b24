"""The limit of open databases."""

import resource
import threading
from collections.abc import Callable
from math import inf
from typing import Final, Protocol

from pyelevator.application.catalog.log import log
from pyelevator.engines.base import Engine
from pyelevator.errors import DatabaseError

_SHARE: Final = 0.3
"""The share of this process's open-file limit for what each open database holds.

Half of the files are for connections, LevelDB takes a fifth for tables, and the rest is a reserve."""

_RESERVED_FILES: Final = 16


class Closable(Protocol):
    """A database, as :class:`OpenDatabases` uses it."""

    used_at: float

    @property
    def adopted(self) -> bool:
        """True if another program has created it."""

    def close_if_idle(self, before: float) -> bool:
        """Close it unless it is in use or was used after ``before``; return True if it did. It never waits."""


class OpenDatabases:
    """The open databases of one catalog; if there are too many, the least recently used one is closed.

    A database is in this set from before it opens until after it has closed, so that there are never more.

    Args:
        max_open: databases that may be open at once.
        files_per_database: file descriptors that each of them holds; fewer databases may be open if this process may
            not have so many.

    Attributes:
        on_close: called with each engine just before it is closed, when no request uses it.
    """

    def __init__(self, max_open: int, files_per_database: int = 0) -> None:
        self.on_close: Callable[[Engine], None] = lambda _: None
        self._max_open: Final = max_open
        self._files_per_database: Final = files_per_database
        self._has_warned = False
        self._open: set[Closable] = set()
        self._lock = threading.RLock()  # reentrant: an addition may close another database, which is removed

    def add(self, database: Closable) -> None:
        """Add a database that is about to open; if there are too many, close another one or raise a DatabaseError."""
        with self._lock:
            limit = self._limit()
            by_age = sorted(self._open, key=lambda database: database.used_at)
            if len(by_age) >= limit and not any(database.close_if_idle(inf) for database in by_age):
                option = "--max-open" if limit == self._max_open else "the limit of open files (ulimit -n)"
                raise DatabaseError(f"{limit} databases are in use already; try again, or raise {option}")
            self._open.add(database)

    def _limit(self) -> int:
        """Return how many may be open now: a server raises its limit of open files when it starts."""
        if not self._files_per_database:
            return self._max_open
        files, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
        if files == resource.RLIM_INFINITY:
            return self._max_open
        limit = max(1, (int(files * _SHARE) - _RESERVED_FILES) // self._files_per_database)
        if limit < self._max_open and not self._has_warned:
            self._has_warned = True
            log.warning("no more than %d databases are open at once, as this process may open %d files", limit, files)
        return min(limit, self._max_open)

    def remove(self, database: Closable) -> None:
        """Remove a database that has closed, or could not be opened."""
        with self._lock:
            self._open.discard(database)

    def close_idle(self, before: float, adopted_before: float) -> None:
        """Close every database that was not used since ``before``, or since ``adopted_before`` if it is adopted."""
        with self._lock:
            limits = [(database, adopted_before if database.adopted else before) for database in self._open]
        for database, limit in limits:
            if database.used_at < limit:
                database.close_if_idle(limit)
