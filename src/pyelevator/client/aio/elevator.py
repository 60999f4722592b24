"""AsyncElevator: the documented API, awaited."""

from collections.abc import Generator, Sequence
from typing import TYPE_CHECKING, Any, Self, Unpack, overload

from pyelevator.arguments.data import to_text
from pyelevator.client import operations
from pyelevator.client.aio.batch import AsyncWriteBatch
from pyelevator.client.aio.client import AsyncClient, copy_docstrings
from pyelevator.client.aio.mapping import AsyncElevatorMapping
from pyelevator.client.aio.pipeline import AsyncPipeline
from pyelevator.client.aio.ranges import AsyncRangeIter, collect_range
from pyelevator.client.decoding import T
from pyelevator.client.handles import SnapshotHandle
from pyelevator.client.methods.databases import DatabaseMethods
from pyelevator.client.methods.keys import KeyMethods
from pyelevator.client.methods.maintenance import MaintenanceMethods
from pyelevator.client.methods.ranges import IterationMethods
from pyelevator.client.options import BATCH_TIMEOUT, TypedOptions
from pyelevator.client.paging import IncompleteRange, RangePager, ScanPager
from pyelevator.client.snapshots import SnapshotMethods
from pyelevator.client.sync.elevator import Elevator, Snapshot
from pyelevator.commands import Data, Range
from pyelevator.deadlines import check_timeout
from pyelevator.errors import CursorExpired
from pyelevator.forks import FORKS


@copy_docstrings(Elevator)
class AsyncElevator(KeyMethods[T], IterationMethods[T], DatabaseMethods[T], MaintenanceMethods[T], AsyncClient[T]):
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
            **options: Unpack[TypedOptions],
        ) -> None: ...
        @overload
        def __init__(
            self: "AsyncElevator[bytes]", db_name: str | None = ..., *, encoding: None, **options: Unpack[TypedOptions]
        ) -> None: ...
        def __init__(self, db_name: str | None = None, **options: Any) -> None: ...

    async def _collect_range(  # type: ignore[override]  # see Outcome
        self, command: Range, timeout: float | None, compression: bool
    ) -> list[list[T]]:
        deadline = self._deadline(timeout)
        try:
            return await collect_range(self, RangePager.from_command(command), compression, deadline)
        except (CursorExpired, IncompleteRange):  # the caller has seen nothing of it yet
            flow = operations.execute(self._handle, command, compression)
            return self._decoder.pairs(await self._execute_until(flow, deadline))

    def _iterate(self, pager: ScanPager, compression: bool, timeout: float | None) -> Any:
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
class AsyncSnapshot(SnapshotMethods[T], AsyncElevator[T]):
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

    _client: AsyncElevator[T]
    _names: list[str]
    _taking: float | None

    @classmethod
    def for_client(
        cls, client: AsyncElevator[T], databases: Sequence[str], timeout: float | None
    ) -> "AsyncSnapshot[T]":
        """Take a snapshot of the database that a client is connected to, and of others.

        Args:
            client: a connected client, whose connections are used.
            databases: names of the others.
            timeout: seconds for each call; None for no limit.
        """
        names = [to_text(name, "databases") for name in databases]
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
        view._handle = self._handle_of(name)
        return view
