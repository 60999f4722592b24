"""Elevator: the documented API."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Unpack, overload

from pyelevator.arguments.data import to_text
from pyelevator.client import operations
from pyelevator.client.decoding import T
from pyelevator.client.methods.databases import DatabaseMethods
from pyelevator.client.methods.keys import KeyMethods
from pyelevator.client.methods.maintenance import MaintenanceMethods
from pyelevator.client.methods.ranges import IterationMethods
from pyelevator.client.options import BATCH_TIMEOUT, TypedOptions
from pyelevator.client.paging import IncompleteRange, RangePager, ScanPager
from pyelevator.client.snapshots import SnapshotMethods
from pyelevator.client.sync.client import SyncClient
from pyelevator.commands import Data, Range
from pyelevator.deadlines import Deadline
from pyelevator.errors import CursorExpired
from pyelevator.forks import FORKS
from pyelevator.legacy import accept_old_calls, call_timeout


def collect_range(client: SyncClient[Any], pager: RangePager, compression: bool, deadline: Deadline) -> list[Any]:
    """Return all pairs of a range: while one page is decoded, the next one comes."""
    page, pager = client._fetch_page(pager, compression, deadline)
    decode = client._decoder.pairs
    rows: list[Any] = []
    while not pager.done:
        prefetched = client._prefetch_page(pager, compression, deadline)
        try:
            rows += decode(page)
            page, pager = prefetched.finish()
        finally:
            prefetched.abandon()
    return rows + decode(page) if rows else decode(page)


if TYPE_CHECKING:
    from pyelevator.client.sync.batch import WriteBatch as SyncBatch
    from pyelevator.client.sync.mapping import ElevatorMapping
    from pyelevator.client.sync.pipeline import Pipeline as SyncPipeline


@accept_old_calls
class Elevator(KeyMethods[T], IterationMethods[T], DatabaseMethods[T], MaintenanceMethods[T], SyncClient[T]):
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
            self: "Elevator[str]", db_name: str | None = ..., *, encoding: str = ..., **options: Unpack[TypedOptions]
        ) -> None: ...
        @overload
        def __init__(
            self: "Elevator[bytes]", db_name: str | None = ..., *, encoding: None, **options: Unpack[TypedOptions]
        ) -> None: ...
        def __init__(self, db_name: str | None = None, **options: Any) -> None: ...

    def _collect_range(self, command: Range, timeout: float | None, compression: bool) -> Any:
        deadline = self._deadline(timeout)
        try:
            return collect_range(self, RangePager.from_command(command), compression, deadline)
        except (CursorExpired, IncompleteRange):  # the caller has seen nothing of it yet
            return self._decoder.pairs(command.result(self._send(command, deadline, compression).payload))

    def _iterate(self, pager: ScanPager, compression: bool, timeout: float | None) -> Any:
        from pyelevator.client.sync.ranges import RangeIter  # not before it is needed

        return RangeIter(self, pager, compression, call_timeout(timeout))

    def mapping(self) -> "ElevatorMapping[T]":
        """Return the database as a mapping, with Python's protocols: ``m[key]``, ``in``, ``items()``, ``update``...

        Returns:
            The mapping; an async client's has methods to await.

        >>> E = Elevator(transport="fake")
        >>> m = E.mapping()
        >>> m["abc"] = "123"
        >>> m["abc"], "x" in m, m.get("x", "?"), len(m)
        ('123', False, '?', 1)
        """
        from pyelevator.client.sync.mapping import ElevatorMapping  # not before it is needed

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

    def WriteBatch(self, *, timeout: float | None = BATCH_TIMEOUT) -> "SyncBatch[T]":
        """Return a batch for the connected database, over this client's connections.

        Args:
            timeout: seconds for each Write.

        Returns:
            The batch; in a ``with`` block it is written at the end.
        """
        from pyelevator.client.sync.batch import WriteBatch  # not before it is needed

        return WriteBatch.for_client(self, timeout)

    def pipeline(self, *, raise_errors: bool = True, timeout: float | None = None) -> "SyncPipeline[T]":
        """Return a pipeline: commands that travel together, in one round trip where the server knows how.

        ``with E.pipeline() as p: p.Put("a", "1"); f = p.Get("a")``, and then ``f.result()`` or ``p.results``. It is not
        a transaction, see :class:`~pyelevator.client.sync.pipeline.Pipeline`.

        Args:
            raise_errors: raise the first error at the end; False leaves all of them to the handles and the results.
            timeout: seconds for all of it; the client's if None.

        Returns:
            The pipeline.
        """
        from pyelevator.client.sync.pipeline import Pipeline  # not before it is needed

        return Pipeline(self, raise_errors, timeout)


class Snapshot(SnapshotMethods[T], Elevator[T]):
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

    @classmethod
    def for_client(cls, client: Elevator[T], databases: Sequence[str], timeout: float | None) -> "Snapshot[T]":
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
        view._handle = self._handle_of(name)
        return view
