"""Methods for operators of a server: what it does, and to copy and compact databases."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from pyelevator import commands
from pyelevator.arguments.data import KeyRange, to_text
from pyelevator.client.declaration import Outcome, SharedMethods, shared_method
from pyelevator.client.decoding import T
from pyelevator.commands import Data

if TYPE_CHECKING:
    from pyelevator.monitoring import ServerStats, SlowRequest
    from pyelevator.reports import BackupReport, TaskProgress


class MaintenanceMethods(SharedMethods[T]):
    """The methods with which a server and its databases are looked after."""

    @shared_method
    def stats(self, *, timeout: float | None = None) -> Outcome["ServerStats"]:
        """Ask the server what it says about itself: requests, latencies, connections, memory, databases.

        Args:
            timeout: seconds; the client's if None.

        Returns:
            The figures of the server, whatever database the client is connected to. With a proxy in between they are
            those of the server behind it.

        Raises:
            PermissionDenied: it takes admin access to all databases.
            UnknownCommand: the server does not know STATS; to an old one, nothing was sent.
            UsageError: the flat dialect has no STATS; nothing was sent.

        >>> from pyelevator import Elevator
        >>> with Elevator(transport="fake") as E:
        ...     E.Put("k", "v")
        ...     E.stats().requests["PUT"].count
        1
        """
        return self._call(commands.Stats(), timeout)

    @shared_method
    def backup(self, db_name: str, directory: str, *, timeout: float | None = None) -> Outcome["BackupReport"]:
        """Write a consistent copy of a database into a new directory on the server, while it is read and written.

        The copy is a LevelDB of its own, of one moment; ``createdb(directory)`` opens it, at this server or another
        one. It shares the tables, which never change, with the database where the file system can link them. All of it
        has been read when this returns, and its directory has its name only then.

        Args:
            db_name: of the database.
            directory: absolute path on the server; it must not exist, and lie where databases may (``--allow-path``).
            timeout: seconds; all of the database is read, so give it time. It goes on when the time is up.

        Returns:
            How large the copy is, and how much of it is shared.

        Raises:
            DatabaseError: there is no such database, or the directory is not allowed, or exists.
            UnknownCommand: the server does not know BACKUP; to an old one, nothing was sent.
        """
        return self._call(commands.Backup(to_text(db_name, "db_name"), directory), timeout)

    @shared_method
    def compact(
        self, start: Data | None = None, stop: Data | None = None, *, timeout: float | None = None
    ) -> Outcome[None]:
        """Have the server reclaim the space of deleted and overwritten pairs of the connected database.

        Args:
            start, stop: only from this key to that, inclusive; None for an open end.
            timeout: seconds; all of it is read and written, so give it time. It goes on when the time is up.

        Raises:
            UsageError: the server does not know COMPACT; nothing was sent.
        """
        return self._call(commands.Compact(start, stop), timeout)

    @shared_method
    def sizes(self, ranges: Sequence[KeyRange], *, timeout: float | None = None) -> Outcome[list[int]]:
        """Return about how many bytes ranges of the connected database take on the server's disk.

        What was written last and is not in tables yet is not counted. A memory engine counts keys and values.

        Args:
            ranges: each is a prefix of keys, or a key and the one up to which it goes, None for an open end.
            timeout: seconds; the client's if None.

        Returns:
            The bytes, in the order of the ranges.

        Raises:
            UsageError: the server does not know SIZES; nothing was sent.

        >>> from pyelevator import Elevator
        >>> with Elevator(transport="fake") as E:
        ...     E.Put("user:1", "abc")
        ...     E.sizes(["user:", ("a", "b"), (None, None)])
        [9, 0, 9]
        """
        return self._call(commands.Sizes(ranges), timeout)

    @shared_method
    def progress(self, *, timeout: float | None = None) -> Outcome["list[TaskProgress]"]:
        """Ask the server how far its backups, compactions and repairs have come, those of other clients too.

        Args:
            timeout: seconds; the client's if None.

        Returns:
            Those that are under way, the oldest first.

        Raises:
            PermissionDenied: it takes admin access to all databases.
            UnknownCommand: the server does not know PROGRESS; to an old one, nothing was sent.
        """
        return self._call(commands.Progress(), timeout)

    @shared_method
    def slowlog(self, limit: int | None = None, *, timeout: float | None = None) -> Outcome["list[SlowRequest]"]:
        """Return the latest requests that took the server long (``elevator serve --slow MS``), the latest first.

        Args:
            limit: how many at most; None for all that the server keeps.
            timeout: seconds; the client's if None.

        Returns:
            The time, the client, the database and verb, how long, and the sizes of request and answer.

        Raises:
            PermissionDenied: it takes admin access to all databases.
            UnknownCommand: the server does not know SLOWLOG; to an old one, nothing was sent.
            UsageError: the flat dialect has no SLOWLOG; nothing was sent.
        """
        return self._call(commands.SlowLog(limit), timeout)
