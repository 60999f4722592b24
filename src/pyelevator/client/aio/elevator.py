"""AsyncElevator: the documented API, one line per method over the operations that Elevator runs, too.

The docstrings are copied from Elevator's at run time.
"""

from collections.abc import Generator, Mapping, Sequence
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Literal, Self, TypeVar, Unpack, overload

from pyelevator.arguments import KeyRange, to_text
from pyelevator.client import operations
from pyelevator.client.aio.batch import AsyncWriteBatch
from pyelevator.client.aio.client import AsyncClient, copy_docstrings
from pyelevator.client.aio.mapping import AsyncElevatorMapping
from pyelevator.client.aio.pipeline import AsyncPipeline
from pyelevator.client.aio.ranges import AsyncRangeIter, collect_range
from pyelevator.client.decoding import T
from pyelevator.client.operations import SnapshotHandle
from pyelevator.client.options import UNSET, ClientKwargs
from pyelevator.client.paging import (
    ITER_NAMES,
    SLICE_NAMES,
    IncompleteRange,
    RangePager,
    ScanPager,
    build_scan,
    can_page,
    check_count,
)
from pyelevator.client.range_options import RangeIterOptions, RangeOptions
from pyelevator.client.snapshots import check_names, find_database, take_open
from pyelevator.client.sync.batch import BATCH_TIMEOUT
from pyelevator.client.sync.elevator import Elevator, Snapshot
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
from pyelevator.deadlines import check_timeout
from pyelevator.errors import CheckFailed, CursorExpired, ElevatorError, KeyNotFound
from pyelevator.forks import FORKS

if TYPE_CHECKING:
    from pyelevator.monitoring import ServerStats, SlowRequest
    from pyelevator.reports import BackupReport, TaskProgress

D = TypeVar("D")


@copy_docstrings(Elevator)
class AsyncElevator(AsyncClient[T]):
    """A client of one database for an event loop: :class:`~pyelevator.Elevator` with methods to await.

    >>> import asyncio
    >>> async def main():
    ...     async with AsyncElevator(transport="fake") as E:
    ...         await E.Put("abc", "123")
    ...         return await E.Get("abc")
    >>> asyncio.run(main())
    '123'
    """

    if TYPE_CHECKING:  # at run time the constructor is inherited

        @overload
        def __init__(
            self: "AsyncElevator[str]",
            db_name: str | None = ...,
            *,
            encoding: str = ...,
            **options: Unpack[ClientKwargs],
        ) -> None: ...

        @overload
        def __init__(
            self: "AsyncElevator[bytes]", db_name: str | None = ..., *, encoding: None, **options: Unpack[ClientKwargs]
        ) -> None: ...

        def __init__(self, db_name: str | None = None, **options: Any) -> None: ...

    async def __aexit__(self, *_: object) -> None:
        await self.disconnect()

    # Databases

    async def listdb(self, *, timeout: float | None = None) -> list[str]:
        return await self._execute(operations.execute(self._handle, DbList()), timeout)

    async def createdb(
        self, db_name: str, options: Mapping[str, Any] | None = None, *, timeout: float | None = None
    ) -> None:
        await self._execute(operations.create(self._handle, DbCreate(to_text(db_name, "db_name"), options)), timeout)

    async def dropdb(self, db_name: str, *, force: bool = False, timeout: float | None = None) -> None:
        await self._execute(operations.execute(self._handle, DbDrop(to_text(db_name, "db_name"), force)), timeout)

    async def forgetdb(self, db_name: str, *, timeout: float | None = None) -> None:
        await self._execute(operations.execute(self._handle, DbForget(to_text(db_name, "db_name"))), timeout)

    async def repairdb(self, *, force: bool = False, timeout: float | None = None) -> RepairReport | None:
        return await self._execute(operations.repair(self._handle, force), timeout)

    async def mount(self, db_name: str, *, timeout: float | None = None) -> None:
        await self._execute(operations.execute(self._handle, DbMount(to_text(db_name, "db_name"))), timeout)

    async def unmount(self, db_name: str, *, timeout: float | None = None) -> None:
        await self._execute(operations.execute(self._handle, DbUmount(to_text(db_name, "db_name"))), timeout)

    async def ping(self, *, timeout: float | None = None) -> str:
        return (await self._execute(operations.execute(self._handle, Ping()), timeout)).decode("ascii", "replace")

    async def stats(self, *, timeout: float | None = None) -> "ServerStats":
        return await self._execute(operations.execute(self._handle, Stats()), timeout)

    async def backup(self, db_name: str, directory: str, *, timeout: float | None = None) -> "BackupReport":
        command = Backup(to_text(db_name, "db_name"), directory)
        return await self._execute(operations.execute(self._handle, command), timeout)

    async def compact(
        self, start: Data | None = None, stop: Data | None = None, *, timeout: float | None = None
    ) -> None:
        await self._execute(operations.execute(self._handle, Compact(start, stop)), timeout)

    async def sizes(self, ranges: Sequence[KeyRange], *, timeout: float | None = None) -> list[int]:
        return await self._execute(operations.execute(self._handle, Sizes(ranges)), timeout)

    async def progress(self, *, timeout: float | None = None) -> "list[TaskProgress]":
        return await self._execute(operations.execute(self._handle, Progress()), timeout)

    async def slowlog(self, limit: int | None = None, *, timeout: float | None = None) -> "list[SlowRequest]":
        return await self._execute(operations.execute(self._handle, SlowLog(limit)), timeout)

    # Keys and values

    @overload
    async def Get(self, key: Data, *, compression: bool = ..., timeout: float | None = ...) -> T: ...

    @overload
    async def Get(self, key: Data, default: D, *, compression: bool = ..., timeout: float | None = ...) -> T | D: ...

    async def Get(
        self, key: Data, default: Any = UNSET, *, compression: bool = False, timeout: float | None = None
    ) -> Any:
        try:
            return self._decoder.value(await self._execute_command(Get.make(key), timeout, compression))
        except KeyNotFound as error:
            if default is not UNSET:
                return default
            self._decoder.decode_keys_of(error)
            raise

    async def Put(self, key: Data, value: Data, *, sync: bool = False, timeout: float | None = None) -> None:
        await self._execute_command(Put(key, value, sync), timeout)

    async def Delete(self, key: Data, *, sync: bool = False, timeout: float | None = None) -> None:
        await self._execute_command(Delete(key, sync), timeout)

    async def Exists(self, key: Data, *, timeout: float | None = None) -> bool:
        return await self._execute_command(Exists.make(key), timeout)

    async def PutIfAbsent(self, key: Data, value: Data, *, sync: bool = False, timeout: float | None = None) -> bool:
        return await self._put_if(put_if(key, MISSING, value, sync), timeout)

    async def CompareAndSet(
        self, key: Data, expected: Expected, value: Data, *, sync: bool = False, timeout: float | None = None
    ) -> bool:
        return await self._put_if(put_if(key, expected, value, sync), timeout)

    async def _put_if(self, command: ConditionalBatch, timeout: float | None) -> bool:
        try:
            await self._execute_command(command, timeout)
        except CheckFailed:
            return False
        return True

    async def Increment(
        self, key: Data, by: int = 1, initial: int = 0, *, sync: bool = False, timeout: float | None = None
    ) -> int:
        return await self._execute_command(Increment(key, by, initial, sync), timeout)

    async def GetAndDelete(self, key: Data, *, sync: bool = False, timeout: float | None = None) -> T:
        try:
            value: T = self._decoder.value(await self._execute_command(GetAndDelete(key, sync), timeout))
        except KeyNotFound as error:
            self._decoder.decode_keys_of(error)
            raise
        return value

    async def MGet(
        self,
        keys: Sequence[Data],
        fill_cache: bool = False,
        *,
        compression: bool = False,
        timeout: float | None = None,
    ) -> list[T | None]:
        command = MGet(keys, fill_cache)
        return self._decoder.values(await self._execute(operations.mget(self._handle, command, compression), timeout))

    @overload
    async def Range(
        self,
        start: Data | None = ...,
        limit: Data | int | None = ...,
        *,
        include_key: Literal[True] = ...,
        include_value: Literal[True] = ...,
        **options: Unpack[RangeOptions],
    ) -> list[list[T]]: ...

    @overload
    async def Range(
        self,
        start: Data | None = ...,
        limit: Data | int | None = ...,
        *,
        include_key: Literal[True] = ...,
        include_value: Literal[False],
        **options: Unpack[RangeOptions],
    ) -> list[T]: ...

    @overload
    async def Range(
        self,
        start: Data | None = ...,
        limit: Data | int | None = ...,
        *,
        include_key: Literal[False],
        include_value: Literal[True] = ...,
        **options: Unpack[RangeOptions],
    ) -> list[T]: ...

    @overload
    async def Range(
        self,
        start: Data | None = ...,
        limit: Data | int | None = ...,
        *,
        include_key: bool = ...,
        include_value: bool = ...,
        **options: Unpack[RangeOptions],
    ) -> list[list[T]] | list[T]: ...

    async def Range(
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
        command = build_scan(start, limit, include_key, include_value, prefix, reverse=reverse)
        deadline = self._deadline(timeout)
        if self._prefetches and isinstance(command, Range) and can_page(command, self._handle.features):
            with suppress(CursorExpired, IncompleteRange):  # the caller has seen nothing of it yet
                return await collect_range(self, RangePager.from_command(command), compression, deadline)
        return self._decode_rows(
            command, await self._execute_until(operations.scan(self._handle, command, compression), deadline)
        )

    @overload
    async def Slice(
        self,
        key_from: Data | None,
        offset: int,
        *,
        include_key: Literal[True] = ...,
        include_value: Literal[True] = ...,
        **options: Unpack[RangeOptions],
    ) -> list[list[T]]: ...

    @overload
    async def Slice(
        self,
        key_from: Data | None,
        offset: int,
        *,
        include_key: Literal[True] = ...,
        include_value: Literal[False],
        **options: Unpack[RangeOptions],
    ) -> list[T]: ...

    @overload
    async def Slice(
        self,
        key_from: Data | None,
        offset: int,
        *,
        include_key: Literal[False],
        include_value: Literal[True] = ...,
        **options: Unpack[RangeOptions],
    ) -> list[T]: ...

    @overload
    async def Slice(
        self,
        key_from: Data | None,
        offset: int,
        *,
        include_key: bool = ...,
        include_value: bool = ...,
        **options: Unpack[RangeOptions],
    ) -> list[list[T]] | list[T]: ...

    async def Slice(
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
        command = build_scan(
            key_from, check_count(offset), include_key, include_value, prefix, reverse=reverse, names=SLICE_NAMES
        )
        return self._decode_rows(
            command, await self._execute(operations.scan(self._handle, command, compression), timeout)
        )

    async def Count(
        self,
        start: Data | None = None,
        stop: Data | None = None,
        *,
        prefix: Data | None = None,
        timeout: float | None = None,
    ) -> int:
        return await self._execute_command(Count(start, stop, prefix), timeout)

    async def DeleteRange(
        self,
        start: Data | None = None,
        stop: Data | None = None,
        *,
        prefix: Data | None = None,
        sync: bool = False,
        timeout: float | None = None,
    ) -> int:
        command: DeleteRange | None = DeleteRange(start, stop, prefix, sync)
        deleted = 0
        while command is not None:
            try:
                count, command = await self._execute(operations.delete_chunk(self._handle, command), timeout)
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
    ) -> AsyncRangeIter[list[T]]: ...

    @overload
    def RangeIter(
        self,
        key_from: Data | None = ...,
        key_to: Data | int | None = ...,
        *,
        include_key: Literal[True] = ...,
        include_value: Literal[False],
        **options: Unpack[RangeIterOptions],
    ) -> AsyncRangeIter[T]: ...

    @overload
    def RangeIter(
        self,
        key_from: Data | None = ...,
        key_to: Data | int | None = ...,
        *,
        include_key: Literal[False],
        include_value: Literal[True] = ...,
        **options: Unpack[RangeIterOptions],
    ) -> AsyncRangeIter[T]: ...

    @overload
    def RangeIter(
        self,
        key_from: Data | None = ...,
        key_to: Data | int | None = ...,
        *,
        include_key: bool = ...,
        include_value: bool = ...,
        **options: Unpack[RangeIterOptions],
    ) -> AsyncRangeIter[list[T]] | AsyncRangeIter[T]: ...

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
    ) -> "AsyncRangeIter[Any]":
        command = build_scan(key_from, key_to, include_key, include_value, prefix, reverse=reverse, names=ITER_NAMES)
        pager = ScanPager.for_iterator(command, consistent, lazy=self._prefetches)
        return AsyncRangeIter(self, pager, compression, check_timeout(timeout))

    def mapping(self) -> AsyncElevatorMapping[T]:
        return AsyncElevatorMapping(self)

    def snapshot(self, *databases: str, timeout: float | None = None) -> "AsyncSnapshot[T]":
        return AsyncSnapshot.for_client(self, databases, timeout)

    def prefix(self, prefix: Data) -> "AsyncElevator[T]":
        view: AsyncElevator[T] = AsyncElevator.__new__(AsyncElevator)
        view._share_session(self, self._timeout)
        view._add_prefix(prefix)
        return view

    def WriteBatch(self, *, timeout: float | None = BATCH_TIMEOUT) -> "AsyncWriteBatch[T]":
        return AsyncWriteBatch.for_client(self, timeout)

    def pipeline(self, *, raise_errors: bool = True, timeout: float | None = None) -> "AsyncPipeline[T]":
        return AsyncPipeline(self, raise_errors, timeout)


@copy_docstrings(Snapshot)
class AsyncSnapshot(AsyncElevator[T]):
    """Databases as they were at one moment, for an event loop: made by :meth:`AsyncElevator.snapshot`.

    It is taken on entering ``async with``, or by ``await``; see :class:`~pyelevator.Snapshot`.

    >>> import asyncio
    >>> async def main():
    ...     async with AsyncElevator(transport="fake") as E:
    ...         await E.Put("a", "1")
    ...         async with E.snapshot() as s:
    ...             await E.Put("a", "2")
    ...             return await s.Get("a"), await E.Get("a")
    >>> asyncio.run(main())
    ('1', '2')
    """

    _handles: dict[str, SnapshotHandle]
    _forks: int
    _client: AsyncElevator[T]
    _names: list[str]
    _taking: float | None

    @classmethod
    def for_client(
        cls, client: AsyncElevator[T], databases: Sequence[str], timeout: float | None
    ) -> "AsyncSnapshot[T]":
        """Take a snapshot of the database that a client is connected to, and of others."""
        names = check_names(databases)
        snapshot = cls.__new__(cls)
        snapshot._handles, snapshot._forks = {}, FORKS.count
        snapshot._share_session(client, client._timeout)
        snapshot._handle, snapshot._auto_connect = SnapshotHandle(client._handle.codec), False
        snapshot._client, snapshot._names, snapshot._taking = client, names, check_timeout(timeout)
        return snapshot

    async def __aenter__(self) -> Self:
        if not self._handles:
            client = self._client
            taken = await client._execute(operations.take_snapshot(client._handle, self._names), self._taking)
            self._handles, self._handle, self._forks = taken, taken[str(client.db_name)], FORKS.count
        return self

    def __await__(self) -> Generator[Any, None, Self]:
        return self.__aenter__().__await__()

    def database(self, name: str) -> "AsyncElevator[T]":
        view: AsyncElevator[T] = AsyncElevator.__new__(AsyncElevator)
        view._share_session(self, self._timeout)
        view._handle = find_database(self._handles, name)
        return view

    async def close(self, *, timeout: float | None = None) -> None:
        for handle in take_open(self._handles, self._forks):
            with suppress(ElevatorError):
                await self._execute(operations.release_snapshot(handle.database_uid, handle.cursor or b""), timeout)
        self._handle.clear()

    async def disconnect(self, *, timeout: float | None = None) -> None:
        await self.close(timeout=timeout)

    def __del__(self) -> None:
        with suppress(AttributeError):  # its construction failed
            self._session.dropped.extend(take_open(self._handles, self._forks))
