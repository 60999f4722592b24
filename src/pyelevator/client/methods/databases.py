"""A server and its databases: to ask whether it lives, and to list, create, drop, open, close and repair them."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from pyelevator import commands
from pyelevator.arguments.data import to_text
from pyelevator.client import operations
from pyelevator.client.declaration import Outcome, SharedMethods, shared_method
from pyelevator.client.decoding import T

if TYPE_CHECKING:
    from pyelevator.commands import RepairReport


class DatabaseMethods(SharedMethods[T]):
    """The methods that are about the databases of the server."""

    @shared_method
    def listdb(self, *, timeout: float | None = None) -> Outcome[list[str]]:
        """Return the names of the server's databases, ``default`` first.

        Args:
            timeout: seconds; the client's if None.

        Returns:
            The names, as str in either encoding.
        """
        return self._call(commands.DbList(), timeout)

    @shared_method
    def createdb(
        self, db_name: str, options: Mapping[str, Any] | None = None, *, timeout: float | None = None
    ) -> Outcome[None]:
        """Create a database; an absolute path adopts the LevelDB there, with its data, under that path as name.

        An adopted database, one that was there before, keeps the compression that its tables show (none if they decode
        none), so that its own program can read it afterwards; see also :meth:`forgetdb`.

        Args:
            db_name: a plain name, or an absolute path on the server.
            options: LevelDB options that stay with the database: ``block_size``, ``lru_cache_size``, ``max_file_size``,
                ``write_buffer_size`` (bytes), ``block_restart_interval``, ``bloom_filter_bits``, ``max_open_files``,
                ``paranoid_checks``, ``compression``. A size that LevelDB cannot do becomes the nearest that it can.
                ``create_if_missing=False`` only adopts, ``error_if_exists=True`` only creates.
            timeout: seconds.

        Raises:
            DatabaseError: it exists already, or the server refuses the name.
            UsageError: there is no such option; nothing was sent.
        """
        command = commands.DbCreate(to_text(db_name, "db_name"), options)
        return self._execute(operations.create(self._handle, command), timeout)

    @shared_method
    def dropdb(self, db_name: str, *, force: bool = False, timeout: float | None = None) -> Outcome[None]:
        """Remove a database and its files. ``default`` is emptied and stays.

        Args:
            db_name: of the database.
            force: also one that was there before ``createdb``, whose files are another program's; and what repairs
                have set aside.
            timeout: seconds; the client's if None.

        Raises:
            DatabaseError: there is no such database, or it was there before; nothing was removed.
        """
        return self._call(commands.DbDrop(to_text(db_name, "db_name"), force), timeout)

    @shared_method
    def forgetdb(self, db_name: str, *, timeout: float | None = None) -> Outcome[None]:
        """Take a database off the server's list, and leave its files as they are; ``createdb`` adopts it again.

        Args:
            db_name: of the database.
            timeout: seconds; the client's if None.

        Raises:
            DatabaseError: there is no such database, or it is ``default``.
            UsageError: an old server, which only drops databases; nothing was sent.
        """
        return self._call(commands.DbForget(to_text(db_name, "db_name")), timeout)

    @shared_method
    def mount(self, db_name: str, *, timeout: float | None = None) -> Outcome[None]:
        """Open a database on the server; using one does the same.

        Args:
            db_name: of the database.
            timeout: seconds; the client's if None.

        Raises:
            DatabaseError: there is no such database, or it cannot be opened.
        """
        return self._call(commands.DbMount(to_text(db_name, "db_name")), timeout)

    @shared_method
    def unmount(self, db_name: str, *, timeout: float | None = None) -> Outcome[None]:
        """Close a database on the server and give its memory back; the next use opens it again.

        Args:
            db_name: of the database.
            timeout: seconds; the client's if None.

        Raises:
            DatabaseError: there is no such database.
        """
        return self._call(commands.DbUmount(to_text(db_name, "db_name")), timeout)

    @shared_method
    def repairdb(self, *, force: bool = False, timeout: float | None = None) -> Outcome["RepairReport | None"]:
        """Repair the connected database: bring back what can be read of its files, in its newest version.

        It is closed meanwhile. What could not be read is set aside in its directory, in ``lost``. If the repair fails,
        everything is as it was.

        Args:
            force: go on even where most of the data could not be read and would be set aside, or where the server
                cannot tell that the files are a LevelDB at all.
            timeout: seconds; a repair reads and writes everything, so give it time.

        Returns:
            What was kept and what was set aside; None from a server that does not say it.

        Raises:
            DatabaseError: these are another program's files, or it takes ``force``; nothing was changed.
            UsageError: an old server, which knows no ``force``; nothing was sent.
        """
        return self._execute(operations.repair(self._handle, force), timeout)

    @shared_method
    def ping(self, *, timeout: float | None = None) -> Outcome[str]:
        """Ask the server for a sign of life.

        Args:
            timeout: seconds; the client's if None.

        Returns:
            ``"PONG"``.
        """
        return self._call(commands.Ping(), timeout, decode=lambda payload: payload.decode("ascii", "replace"))
