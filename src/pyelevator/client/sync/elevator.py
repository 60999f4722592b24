"""Elevator: the documented API, one line per method over the operations."""

from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Literal, TypeVar, Unpack, overload

from pyelevator.arguments import KeyRange, to_text
from pyelevator.client import operations
from pyelevator.client.decoding import T
from pyelevator.client.operations import SnapshotHandle
from pyelevator.client.options import UNSET, ClientKwargs
from pyelevator.client.paging import (
    ITER_NAMES,
    SLICE_NAMES,
    IncompleteRange,
    RangePager,
    ScanCommand,
    ScanPager,
    build_scan,
    can_page,
    check_count,
)
from pyelevator.client.range_options import RangeIterOptions, RangeOptions
from pyelevator.client.snapshots import check_names, find_database, take_open
from pyelevator.client.sync import batch, ranges
from pyelevator.client.sync.batch import BATCH_TIMEOUT
from pyelevator.client.sync.client import SyncClient
from pyelevator.client.sync.mapping import ElevatorMapping
from pyelevator.client.sync.pipeline import Pipeline
from pyelevator.commands import (
    MISSING,
    Backup,
    Compact,
    ConditionalBatch,
    Count,
    Data,
    DbCreate,
    DbDrop,
    DbForget,
    DbList,
    DbMount,
    DbUmount,
    Delete,
    DeleteRange,
    Exists,
    Expected,
    Get,
    GetAndDelete,
    Increment,
    MGet,
    Ping,
    Progress,
    Put,
    Range,
    RepairReport,
    Sizes,
    SlowLog,
    Stats,
    put_if,
)
from pyelevator.errors import CheckFailed, CursorExpired, ElevatorError, KeyNotFound
from pyelevator.forks import FORKS
from pyelevator.legacy import accept_old_calls, call_timeout

if TYPE_CHECKING:
    from pyelevator.monitoring import ServerStats, SlowRequest
    from pyelevator.reports import BackupReport, TaskProgress

D = TypeVar("D")


@accept_old_calls
class Elevator(SyncClient[T]):
    """A client of one database.

    Every method that talks to the server also raises :class:`~pyelevator.ConnectFailed` (nothing was sent),
    :class:`~pyelevator.RequestTimeout` (no answer came in time), another :class:`~pyelevator.TransportError`, or
    :class:`~pyelevator.ServerError` for what the server refuses. A ``timeout`` is in seconds, and limits all of the
    call; the client's is taken if it is None. Keys and values are str or bytes-like; another type is an
    ArgumentTypeError.

    >>> E = Elevator(transport="fake")
    >>> E.db_name
    'default'
    >>> E.Put("abc", "123")
    >>> E.Get("abc")
    '123'
    >>> E.disconnect()
    """

    if TYPE_CHECKING:  # at run time the constructor is inherited

        @overload
        def __init__(
            self: "Elevator[str]", db_name: str | None = ..., *, encoding: str = ..., **options: Unpack[ClientKwargs]
        ) -> None: ...

        @overload
        def __init__(
            self: "Elevator[bytes]", db_name: str | None = ..., *, encoding: None, **options: Unpack[ClientKwargs]
        ) -> None: ...

        def __init__(self, db_name: str | None = None, **options: Any) -> None: ...

    def __exit__(self, *_: object) -> None:
        self.disconnect()

    # Databases

    def listdb(self, *, timeout: float | None = None) -> list[str]:
        """Return the names of the server's databases, ``default`` first.

        Args:
            timeout: seconds; the client's if None.

        Returns:
            The names, as str in either encoding.
        """
        return self._execute(operations.execute(self._handle, DbList()), timeout)

    def createdb(self, db_name: str, options: Mapping[str, Any] | None = None, *, timeout: float | None = None) -> None:
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
        self._execute(operations.create(self._handle, DbCreate(to_text(db_name, "db_name"), options)), timeout)

    def dropdb(self, db_name: str, *, force: bool = False, timeout: float | None = None) -> None:
        """Remove a database and its files. ``default`` is emptied and stays.

        Args:
            db_name: of the database.
            force: also one that was there before ``createdb``, whose files are another program's; and what repairs
                have set aside.
            timeout: seconds; the client's if None.

        Raises:
            DatabaseError: there is no such database, or it was there before; nothing was removed.
        """
        self._execute(operations.execute(self._handle, DbDrop(to_text(db_name, "db_name"), force)), timeout)

    def forgetdb(self, db_name: str, *, timeout: float | None = None) -> None:
        """Take a database off the server's list, and leave its files as they are; ``createdb`` adopts it again.

        Args:
            db_name: of the database.
            timeout: seconds; the client's if None.

        Raises:
            DatabaseError: there is no such database, or it is ``default``.
            UsageError: an old server, which only drops databases; nothing was sent.
        """
        self._execute(operations.execute(self._handle, DbForget(to_text(db_name, "db_name"))), timeout)

    def repairdb(self, *, force: bool = False, timeout: float | None = None) -> RepairReport | None:
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

    def mount(self, db_name: str, *, timeout: float | None = None) -> None:
        """Open a database on the server; using one does the same.

        Args:
            db_name: of the database.
            timeout: seconds; the client's if None.

        Raises:
            DatabaseError: there is no such database, or it cannot be opened.
        """
        self._execute(operations.execute(self._handle, DbMount(to_text(db_name, "db_name"))), timeout)

    def unmount(self, db_name: str, *, timeout: float | None = None) -> None:
        """Close a database on the server and give its memory back; the next use opens it again.

        Args:
            db_name: of the database.
            timeout: seconds; the client's if None.

        Raises:
            DatabaseError: there is no such database.
        """
        self._execute(operations.execute(self._handle, DbUmount(to_text(db_name, "db_name"))), timeout)

    def ping(self, *, timeout: float | None = None) -> str:
        """Ask the server for a sign of life.

        Args:
            timeout: seconds; the client's if None.

        Returns:
            ``"PONG"``.
        """
        return self._execute(operations.execute(self._handle, Ping()), timeout).decode("ascii", "replace")

    def stats(self, *, timeout: float | None = None) -> "ServerStats":
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

        >>> with Elevator(transport="fake") as E:
        ...     E.Put("k", "v")
        ...     E.stats().requests["PUT"].count
        1
        """
        return self._execute(operations.execute(self._handle, Stats()), timeout)

    def backup(self, db_name: str, directory: str, *, timeout: float | None = None) -> "BackupReport":
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
        command = Backup(to_text(db_name, "db_name"), directory)
        return self._execute(operations.execute(self._handle, command), timeout)

    def compact(self, start: Data | None = None, stop: Data | None = None, *, timeout: float | None = None) -> None:
        """Have the server reclaim the space of deleted and overwritten pairs of the connected database.

        Args:
            start, stop: only from this key to that, inclusive; None for an open end.
            timeout: seconds; all of it is read and written, so give it time. It goes on when the time is up.

        Raises:
            UsageError: the server does not know COMPACT; nothing was sent.
        """
        self._execute(operations.execute(self._handle, Compact(start, stop)), timeout)

    def sizes(self, ranges: Sequence[KeyRange], *, timeout: float | None = None) -> list[int]:
        """Return about how many bytes ranges of the connected database take on the server's disk.

        What was written last and is not in tables yet is not counted. A memory engine counts keys and values.

        Args:
            ranges: each is a prefix of keys, or a key and the one up to which it goes, None for an open end.
            timeout: seconds; the client's if None.

        Returns:
            The bytes, in the order of the ranges.

        Raises:
            UsageError: the server does not know SIZES; nothing was sent.

        >>> with Elevator(transport="fake") as E:
        ...     E.Put("user:1", "abc")
        ...     E.sizes(["user:", ("a", "b"), (None, None)])
        [9, 0, 9]
        """
        return self._execute(operations.execute(self._handle, Sizes(ranges)), timeout)

    def progress(self, *, timeout: float | None = None) -> "list[TaskProgress]":
        """Ask the server how far its backups, compactions and repairs have come, those of other clients too.

        Args:
            timeout: seconds; the client's if None.

        Returns:
            Those that are under way, the oldest first.

        Raises:
            PermissionDenied: it takes admin access to all databases.
            UnknownCommand: the server does not know PROGRESS; to an old one, nothing was sent.
        """
        return self._execute(operations.execute(self._handle, Progress()), timeout)

    def slowlog(self, limit: int | None = None, *, timeout: float | None = None) -> "list[SlowRequest]":
        """Return the latest requests that took the server long (``elevator serve --slow MS``), the latest first.

        Args:
            limit: how many at most; None for all that the server keeps.
            timeout: seconds; the client's if None.

        Returns:
            When, who, which database and verb, how long, and the sizes of request and answer.

        Raises:
            PermissionDenied: it takes admin access to all databases.
            UnknownCommand: the server does not know SLOWLOG; to an old one, nothing was sent.
            UsageError: the flat dialect has no SLOWLOG; nothing was sent.
        """
        return self._execute(operations.execute(self._handle, SlowLog(limit)), timeout)

    # Keys and values

    @overload
    def Get(self, key: Data, *, compression: bool = ..., timeout: float | None = ...) -> T: ...

    @overload
    def Get(self, key: Data, default: D, *, compression: bool = ..., timeout: float | None = ...) -> T | D: ...

    def Get(self, key: Data, default: Any = UNSET, *, compression: bool = False, timeout: float | None = None) -> Any:
        """Return the value of ``key``.

        Args:
            key: str or bytes-like.
            default: what to return where there is no such key, as it is; without it, that is an error.
            compression: ask for an lz4-compressed answer.
            timeout: seconds; the client's if None.

        Returns:
            The value, as str or bytes by the client's encoding; or the default.

        Raises:
            KeyNotFound: "Key not found"; it is a KeyError.
        """
        try:
            return self._decoder.value(self._execute_command(Get.make(key), timeout, compression))
        except KeyNotFound as error:
            if default is not UNSET:
                return default
            self._decoder.decode_keys_of(error)
            raise

    def Put(self, key: Data, value: Data, *, sync: bool = False, timeout: float | None = None) -> None:
        """Set the value of ``key``; it is written when this returns.

        What is written survives the server's process. ``sync=True`` waits until it survives the machine, too.

        Args:
            key, value: str or bytes-like.
            sync: answer only when the disk has it.
            timeout: seconds; the client's if None.

        Raises:
            MessageTooLarge: it is over the server's limit; nothing was sent.
            UsageError: ``sync=True`` at an old server; nothing was sent.
        """
        self._execute_command(Put(key, value, sync), timeout)

    def Delete(self, key: Data, *, sync: bool = False, timeout: float | None = None) -> None:
        """Remove ``key``; a missing one is no error.

        Args:
            key: str or bytes-like.
            sync: as in :meth:`Put`.
            timeout: seconds; the client's if None.
        """
        self._execute_command(Delete(key, sync), timeout)

    def Exists(self, key: Data, *, timeout: float | None = None) -> bool:
        """Tell whether ``key`` is there; a key with an empty value is.

        Args:
            key: str or bytes-like.
            timeout: seconds; the client's if None.

        Returns:
            True if it is.
        """
        return self._execute_command(Exists.make(key), timeout)

    def PutIfAbsent(self, key: Data, value: Data, *, sync: bool = False, timeout: float | None = None) -> bool:
        """Set the value of ``key`` if there is none, in one step.

        Args:
            key, value: str or bytes-like.
            sync: as in :meth:`Put`.
            timeout: seconds; the client's if None.

        Returns:
            True if it is written; False if there is a value, which stays.

        Raises:
            RequestTimeout: no answer came; it may have been written. A ``Retry`` does not repeat it.
            UsageError: a server that does not know it; nothing was sent.
        """
        return self._put_if(put_if(key, MISSING, value, sync), timeout)

    def CompareAndSet(
        self, key: Data, expected: Expected, value: Data, *, sync: bool = False, timeout: float | None = None
    ) -> bool:
        """Set the value of ``key`` if it is the expected one, in one step.

        Args:
            key: str or bytes-like.
            expected: the value that the key must have, ``pyelevator.MISSING`` or ``pyelevator.PRESENT``.
            value: str or bytes-like.
            sync: as in :meth:`Put`.
            timeout: seconds; the client's if None.

        Returns:
            True if it is written; False if the key is not as expected, and stays as it is.

        Raises:
            RequestTimeout: no answer came; it may have been written. A ``Retry`` does not repeat it.
            UsageError: a server that does not know it; nothing was sent.

        >>> E = Elevator(transport="fake")
        >>> E.PutIfAbsent("color", "blue"), E.CompareAndSet("color", "red", "green"), E.Get("color")
        (True, False, 'blue')
        """
        return self._put_if(put_if(key, expected, value, sync), timeout)

    def _put_if(self, command: ConditionalBatch, timeout: float | None) -> bool:
        try:
            self._execute_command(command, timeout)
        except CheckFailed:
            return False
        return True

    def Increment(
        self, key: Data, by: int = 1, initial: int = 0, *, sync: bool = False, timeout: float | None = None
    ) -> int:
        """Add to the number of ``key``, in one step.

        Numbers are decimal text of 64 bits with a sign, as ``str(int)`` makes it.

        Args:
            key: str or bytes-like.
            by: what to add; it may be negative.
            initial: the number that a missing key counts as.
            sync: as in :meth:`Put`.
            timeout: seconds; the client's if None.

        Returns:
            The sum, which the key has now.

        Raises:
            WrongValue: the value is no such number, or the sum does not fit into 64 bits; nothing was written.
            RequestTimeout: no answer came; it may have been added. A ``Retry`` does not repeat it.
            UsageError: a server that does not know it; nothing was sent.

        >>> E = Elevator(transport="fake")
        >>> E.Increment("visits"), E.Increment("visits", 10), E.Get("visits")
        (1, 11, '11')
        """
        return self._execute_command(Increment(key, by, initial, sync), timeout)

    def GetAndDelete(self, key: Data, *, sync: bool = False, timeout: float | None = None) -> T:
        """Remove ``key`` and return the value that it had, in one step: of several clients, one gets it.

        Args:
            key: str or bytes-like.
            sync: as in :meth:`Put`.
            timeout: seconds; the client's if None.

        Returns:
            The value, as str or bytes by the client's encoding.

        Raises:
            KeyNotFound: "Key not found"; it is a KeyError.
            RequestTimeout: no answer came; it may have been removed. A ``Retry`` does not repeat it.
            UsageError: a server that does not know it; nothing was sent.
        """
        try:
            value: T = self._decoder.value(self._execute_command(GetAndDelete(key, sync), timeout))
        except KeyNotFound as error:
            self._decoder.decode_keys_of(error)
            raise
        return value

    def MGet(
        self,
        keys: Sequence[Data],
        fill_cache: bool = False,
        *,
        compression: bool = False,
        timeout: float | None = None,
    ) -> list[T | None]:
        """Return the values of many keys.

        Args:
            keys: a list or a tuple of str or bytes-like.
            fill_cache: keep what is read in the server's memory, for random keys that are read again and again: reading
                them once more is several times as fast, until they are written.
            compression: ask for an lz4-compressed answer.
            timeout: seconds; the client's if None.

        Returns:
            The values in the order of the keys, with None for a missing one.

        Raises:
            WrongValue: there are more keys than the server's ``--max-range``.
        """
        command = MGet(keys, fill_cache)
        return self._decoder.values(self._execute_command(command, timeout, compression) if command.keys else [])

    @overload
    def Range(
        self,
        start: Data | None = ...,
        limit: Data | int | None = ...,
        *,
        include_key: Literal[True] = ...,
        include_value: Literal[True] = ...,
        **options: Unpack[RangeOptions],
    ) -> list[list[T]]: ...

    @overload
    def Range(
        self,
        start: Data | None = ...,
        limit: Data | int | None = ...,
        *,
        include_key: Literal[True] = ...,
        include_value: Literal[False],
        **options: Unpack[RangeOptions],
    ) -> list[T]: ...

    @overload
    def Range(
        self,
        start: Data | None = ...,
        limit: Data | int | None = ...,
        *,
        include_key: Literal[False],
        include_value: Literal[True] = ...,
        **options: Unpack[RangeOptions],
    ) -> list[T]: ...

    @overload
    def Range(
        self,
        start: Data | None = ...,
        limit: Data | int | None = ...,
        *,
        include_key: bool = ...,
        include_value: bool = ...,
        **options: Unpack[RangeOptions],
    ) -> list[list[T]] | list[T]: ...

    def Range(
        self,
        start: Data | None = None,
        limit: Data | int | None = None,
        *,
        include_key: bool = True,
        include_value: bool = True,
        prefix: Data | None = None,
        reverse: bool = False,
        compression: bool = False,
        timeout: float | None = None,
    ) -> list[Any]:
        """Return the pairs from ``start`` on, in one answer.

        Args:
            start: the first key; None for the beginning.
            limit: the last key, inclusive, or an int: how many pairs; None for the end.
            include_key, include_value: False leaves that part out.
            prefix: only keys that start with it.
            reverse: the same pairs in the opposite order; with a count, so many pairs from ``start`` down (None for
                the end).
            compression: ask for an lz4-compressed answer.
            timeout: seconds; the client's if None.

        Returns:
            ``[[key, value], ...]``, or a flat list of keys or of values if the other part is left out.

        Raises:
            UsageError: both parts are left out; nothing was sent.
            WrongValue: it is over the server's ``--max-range``; :meth:`RangeIter` has no limit.
        """
        command = build_scan(start, limit, include_key, include_value, prefix, reverse=reverse)
        if not (self._prefetches and isinstance(command, Range) and can_page(command, self._handle.features)):
            return self._scan(command, timeout, compression)
        deadline = self._deadline(timeout)
        with suppress(CursorExpired, IncompleteRange):  # the caller has seen nothing of it yet
            return ranges.collect_range(self, RangePager.from_command(command), compression, deadline)
        return self._decode_rows(
            command, self._execute_until(operations.scan(self._handle, command, compression), deadline)
        )

    def _scan(self, command: ScanCommand, timeout: float | None, compression: bool) -> list[Any]:
        if isinstance(command, ScanPager):
            rows = self._execute(operations.scan(self._handle, command, compression), timeout)
        else:
            rows = self._execute_command(command, timeout, compression)
        return self._decode_rows(command, rows)

    @overload
    def Slice(
        self,
        key_from: Data | None,
        offset: int,
        *,
        include_key: Literal[True] = ...,
        include_value: Literal[True] = ...,
        **options: Unpack[RangeOptions],
    ) -> list[list[T]]: ...

    @overload
    def Slice(
        self,
        key_from: Data | None,
        offset: int,
        *,
        include_key: Literal[True] = ...,
        include_value: Literal[False],
        **options: Unpack[RangeOptions],
    ) -> list[T]: ...

    @overload
    def Slice(
        self,
        key_from: Data | None,
        offset: int,
        *,
        include_key: Literal[False],
        include_value: Literal[True] = ...,
        **options: Unpack[RangeOptions],
    ) -> list[T]: ...

    @overload
    def Slice(
        self,
        key_from: Data | None,
        offset: int,
        *,
        include_key: bool = ...,
        include_value: bool = ...,
        **options: Unpack[RangeOptions],
    ) -> list[list[T]] | list[T]: ...

    def Slice(
        self,
        key_from: Data | None,
        offset: int,
        *,
        include_key: bool = True,
        include_value: bool = True,
        prefix: Data | None = None,
        reverse: bool = False,
        compression: bool = False,
        timeout: float | None = None,
    ) -> list[Any]:
        """Return the first ``offset`` pairs from ``key_from`` on, or down with ``reverse``.

        Args:
            key_from: the first key; None for the beginning, or with ``reverse`` for the end.
            offset: how many pairs.
            include_key, include_value, prefix, compression, timeout: as in :meth:`Range`.
            reverse: go down. An old server does not (UsageError; nothing is sent).

        Returns:
            As :meth:`Range`.

        Raises:
            UsageError, WrongValue: as :meth:`Range`.

        >>> E = Elevator(transport="fake")
        >>> for key in "abcd":
        ...     E.Put(key, key)
        >>> E.Slice("c", 2, reverse=True, include_value=False)
        ['c', 'b']
        """
        command = build_scan(
            key_from, check_count(offset), include_key, include_value, prefix, reverse=reverse, names=SLICE_NAMES
        )
        return self._scan(command, timeout, compression)

    def Count(
        self,
        start: Data | None = None,
        stop: Data | None = None,
        *,
        prefix: Data | None = None,
        timeout: float | None = None,
    ) -> int:
        """Count the keys that :meth:`Range` would give, without fetching them.

        Args:
            start: the first key; None for the beginning.
            stop: the last key, inclusive; None for the end.
            prefix: only keys that start with it.
            timeout: seconds; the client's if None. A server counts about a million keys in a second.

        Returns:
            How many there are at one moment.

        Raises:
            UsageError: a server that does not know it; nothing was sent.

        >>> E = Elevator(transport="fake")
        >>> E.Put("user:ann", "1")
        >>> E.Count(), E.Count("user:b"), E.Count(prefix="user:")
        (1, 0, 1)
        """
        return self._execute_command(Count(start, stop, prefix), timeout)

    def DeleteRange(
        self,
        start: Data | None = None,
        stop: Data | None = None,
        *,
        prefix: Data | None = None,
        sync: bool = False,
        timeout: float | None = None,
    ) -> int:
        """Delete the keys that :meth:`Range` would give, without fetching them.

        It is done in chunks of some thousand keys, each in one step: all of a chunk is deleted or nothing, and no other
        write comes between. Between two chunks others may write; keys that they put behind the last chunk are deleted,
        others stay. Neither side has more than a chunk in memory. After an error or an interrupt, the same call goes on
        where this one has come to.

        Args:
            start: the first key; None for the beginning.
            stop: the last key, inclusive; None for the end.
            prefix: only keys that start with it.
            sync: as in :meth:`Put`, for each chunk.
            timeout: seconds for each chunk; the client's if None.

        Returns:
            How many keys were deleted.

        Raises:
            TransportError: no answer came for a chunk, which may have been deleted. The error's ``deleted`` is the
                number of keys in the chunks before.
            UsageError: a server that does not know it; nothing was sent.

        >>> E = Elevator(transport="fake")
        >>> E.Put("user:ann", "1")
        >>> E.Put("visits", "7")
        >>> E.DeleteRange(prefix="user:"), E.Range()
        (1, [['visits', '7']])
        """
        command: DeleteRange | None = DeleteRange(start, stop, prefix, sync)
        deleted = 0
        while command is not None:
            try:
                count, command = self._execute(operations.delete_chunk(self._handle, command), timeout)
            except ElevatorError as error:
                operations.note_deleted(error, deleted)
                raise
            deleted += count
        return deleted

    @overload
    def RangeIter(
        self,
        key_from: Data | None = ...,
        key_to: Data | int | None = ...,
        *,
        include_key: Literal[True] = ...,
        include_value: Literal[True] = ...,
        **options: Unpack[RangeIterOptions],
    ) -> ranges.RangeIter[list[T]]: ...

    @overload
    def RangeIter(
        self,
        key_from: Data | None = ...,
        key_to: Data | int | None = ...,
        *,
        include_key: Literal[True] = ...,
        include_value: Literal[False],
        **options: Unpack[RangeIterOptions],
    ) -> ranges.RangeIter[T]: ...

    @overload
    def RangeIter(
        self,
        key_from: Data | None = ...,
        key_to: Data | int | None = ...,
        *,
        include_key: Literal[False],
        include_value: Literal[True] = ...,
        **options: Unpack[RangeIterOptions],
    ) -> ranges.RangeIter[T]: ...

    @overload
    def RangeIter(
        self,
        key_from: Data | None = ...,
        key_to: Data | int | None = ...,
        *,
        include_key: bool = ...,
        include_value: bool = ...,
        **options: Unpack[RangeIterOptions],
    ) -> ranges.RangeIter[list[T]] | ranges.RangeIter[T]: ...

    def RangeIter(
        self,
        key_from: Data | None = None,
        key_to: Data | int | None = None,
        *,
        include_key: bool = True,
        include_value: bool = True,
        prefix: Data | None = None,
        reverse: bool = False,
        consistent: bool = False,
        compression: bool = False,
        timeout: float | None = None,
    ) -> "ranges.RangeIter[Any]":
        """Return an iterator over what :meth:`Range` gives, of any length: it fetches page by page as it goes.

        Writes between two pages are seen or not, as they come; with ``consistent=True`` all pages are of one moment,
        that of the first page. The server keeps a snapshot for that, as long as the pages follow one another within a
        minute (its ``--cursor-idle``); an old server does not (UsageError).

        Args:
            key_from: the first key; None for the beginning.
            key_to: the last key, inclusive, or an int: how many pairs; None for the end.
            include_key, include_value, prefix, reverse, compression: as in :meth:`Range`.
            consistent: read all pages from one snapshot.
            timeout: seconds for each page; the client's if None.

        Returns:
            The iterator. Its steps raise what :meth:`Range` raises, and CursorExpired when the snapshot is gone.

        >>> E = Elevator(transport="fake")
        >>> E.Put("a", "1")
        >>> with E.RangeIter(consistent=True) as rows:  # gives the snapshot back, wherever the block is left
        ...     next(rows)
        ['a', '1']
        """
        command = build_scan(key_from, key_to, include_key, include_value, prefix, reverse=reverse, names=ITER_NAMES)
        pager = ScanPager.for_iterator(command, consistent, lazy=self._prefetches)
        return ranges.RangeIter(self, pager, compression, call_timeout(timeout))

    def mapping(self) -> ElevatorMapping[T]:
        """Return the database as a mapping, with Python's protocols: ``m[key]``, ``in``, ``items()``, ``update``...

        Returns:
            The mapping; an async client's has methods to await.

        >>> E = Elevator(transport="fake")
        >>> m = E.mapping()
        >>> m["abc"] = "123"
        >>> m["abc"], "x" in m, m.get("x", "?"), len(m)
        ('123', False, '?', 1)
        """
        return ElevatorMapping(self)

    def snapshot(self, *databases: str, timeout: float | None = None) -> "Snapshot[T]":
        """Take a snapshot: a client that reads what the connected database, and others, are at this moment.

        All methods that read are the same there (``Get``, ``MGet``, ``Exists``, ``Range``, ``Slice``, ``RangeIter``,
        pipelines, views); what writes is refused. The server keeps the snapshot until the ``with`` block ends, and no
        longer than its ``--cursor-idle`` and ``--cursor-age`` say.

        Args:
            databases: the names of others, to be read with :meth:`Snapshot.database`.
            timeout: seconds; the client's if None.

        Returns:
            The snapshot. An async one is taken on entering ``async with``, or by ``await``.

        Raises:
            DatabaseError: there is no such database.
            UsageError: a server that does not know it; nothing was sent.

        >>> E = Elevator(transport="fake")
        >>> E.Put("a", "1")
        >>> with E.snapshot() as s:
        ...     E.Put("a", "2")
        ...     s.Get("a"), E.Get("a")
        ('1', '2')
        """
        return Snapshot.for_client(self, databases, timeout)

    def prefix(self, prefix: Data) -> "Elevator[T]":
        """Return a view of the keys with a prefix: a client whose keys have it on the server, and never here.

        It has all methods, and batches, ranges, iterators and pipelines as well; what is about databases is not
        changed. A view of a view is under both prefixes. It uses this client's connections, and stays with the database
        that this client is connected to now. Leaving its ``with`` block disconnects the view, and closes no connection.

        Args:
            prefix: str or bytes-like.

        Returns:
            The view.

        >>> E = Elevator(transport="fake")
        >>> users = E.prefix("user:")
        >>> users.Put("ann", "1")
        >>> users.prefix("bob:").Put("mail", "2")
        >>> users.Range(), E.Range()
        ([['ann', '1'], ['bob:mail', '2']], [['user:ann', '1'], ['user:bob:mail', '2']])
        """
        view: Elevator[T] = Elevator.__new__(Elevator)
        view._share_session(self, self._timeout)
        view._add_prefix(prefix)
        return view

    def WriteBatch(self, *, timeout: float | None = BATCH_TIMEOUT) -> "batch.WriteBatch[T]":
        """Return a batch for the connected database, over this client's connections.

        Args:
            timeout: seconds for each Write.

        Returns:
            The batch; in a ``with`` block it is written at the end.
        """
        return batch.WriteBatch.for_client(self, timeout)

    def pipeline(self, *, raise_errors: bool = True, timeout: float | None = None) -> "Pipeline[T]":
        """Return a pipeline: commands that travel together, in one round trip where the server knows how.

        ``with E.pipeline() as p: p.Put("a", "1"); f = p.Get("a")``, and then ``f.result()`` or ``p.results``. It is not
        a transaction, see :class:`~pyelevator.client.sync.pipeline.Pipeline`.

        Args:
            raise_errors: raise the first error at the end; False leaves all of them to the handles and the results.
            timeout: seconds for all of it; the client's if None.

        Returns:
            The pipeline.
        """
        return Pipeline(self, raise_errors, timeout)


class Snapshot(Elevator[T]):
    """Databases as they were at one moment: a client that reads, made by :meth:`Elevator.snapshot`.

    It uses the connections of its client, and stays with its databases. What writes, or is about databases, is a
    UsageError before anything is sent. CursorExpired says that the server has not kept the snapshot: it was not used
    for a minute (``--cursor-idle``), or one of its databases was closed, or the server restarted.

    >>> E = Elevator(transport="fake")
    >>> E.createdb("orders")
    >>> with E.snapshot("orders") as s:
    ...     s.Range(), s.database("orders").Range()
    ([], [])
    """

    _handles: dict[str, SnapshotHandle]
    _forks: int

    @classmethod
    def for_client(cls, client: Elevator[T], databases: Sequence[str], timeout: float | None) -> "Snapshot[T]":
        """Take a snapshot of the database that a client is connected to, and of others."""
        names = check_names(databases)
        snapshot = cls.__new__(cls)
        snapshot._handles, snapshot._forks = {}, FORKS.count
        snapshot._share_session(client, client._timeout)
        taken = client._execute(operations.take_snapshot(client._handle, names), timeout)
        snapshot._handles, snapshot._handle = taken, taken[str(client.db_name)]
        return snapshot

    def database(self, name: str) -> "Elevator[T]":
        """Return a client of another database of the snapshot, at the same moment.

        Args:
            name: one of those that the snapshot was taken of.

        Raises:
            UsageError: it is none of these.
        """
        view: Elevator[T] = Elevator.__new__(Elevator)
        view._share_session(self, self._timeout)
        view._handle = find_database(self._handles, name)
        return view

    def close(self, *, timeout: float | None = None) -> None:
        """Tell the server that the snapshot is no longer needed; twice is fine. The ``with`` block ends with it.

        It does not matter if the server cannot be told: it keeps no snapshot for long.

        Args:
            timeout: seconds; the client's if None.
        """
        for handle in take_open(self._handles, self._forks):
            with suppress(ElevatorError):
                self._execute(operations.release_snapshot(handle.database_uid, handle.cursor or b""), timeout)
        self._handle.clear()

    def disconnect(self, *, timeout: float | None = None) -> None:
        """Close the snapshot; the connections of its client stay open.

        Args:
            timeout: seconds; the client's if None.
        """
        self.close(timeout=timeout)

    def __del__(self) -> None:
        with suppress(AttributeError):  # its construction failed
            self._session.dropped.extend(take_open(self._handles, self._forks))  # neither waits nor sends
