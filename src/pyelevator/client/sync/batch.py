"""WriteBatch: many puts and deletes in one message, all of them or none."""

import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Final, Unpack, overload

from pyelevator.client import operations
from pyelevator.client.decoding import T
from pyelevator.client.options import ClientKwargs
from pyelevator.client.sync.client import SyncClient
from pyelevator.codec import Codec
from pyelevator.commands import DELETE, PUT, Batch, BatchOp, Data, to_bytes
from pyelevator.deadlines import check_timeout
from pyelevator.flows import Flow
from pyelevator.legacy import accept_old_calls

BATCH_TIMEOUT: Final = 10.0


class BatchBuilder:
    """The puts and deletes of a batch before they are written; the same for sync and async."""

    _ops: list[BatchOp]

    def Put(self, key: Data, value: Data, *, timeout: float | None = None) -> None:
        """Add a put to the batch; nothing is sent before Write.

        Args:
            key, value: str or bytes-like.
            timeout: has no effect.

        Raises:
            ArgumentTypeError: an argument has the wrong type.
        """
        if timeout is not None:
            check_timeout(timeout)
        self._ops.append((PUT, to_bytes(key, "key"), to_bytes(value, "value")))

    def Delete(self, key: Data, *, timeout: float | None = None) -> None:
        """Add a delete to the batch; nothing is sent before Write.

        Args:
            key: str or bytes-like.
            timeout: has no effect.

        Raises:
            ArgumentTypeError: the key has the wrong type.
        """
        if timeout is not None:
            check_timeout(timeout)
        self._ops.append((DELETE, to_bytes(key, "key")))

    def Clear(self) -> None:
        """Discard the operations."""
        self._ops.clear()

    def __len__(self) -> int:
        return len(self._ops)

    def __repr__(self) -> str:
        return f"{super().__repr__()[:-1]}, {len(self._ops)} operations>"

    def __del__(self, warn: Callable[..., None] = warnings.warn) -> None:
        waiting = len(getattr(self, "_ops", ()))
        if waiting:
            text = f"a batch with {waiting} operations was dropped; call Write(), or Clear() to discard them"
            warn(text, ResourceWarning, stacklevel=2, source=self)

    @contextmanager
    def _take(self) -> Iterator[list[BatchOp]]:
        """Return the operations, which are no longer in the batch unless something is raised.

        It is one list for good: what is added meanwhile, by another thread say, is for the next Write.
        """
        ops = self._ops[:]
        try:
            del self._ops[: len(ops)]
            yield ops
        except BaseException:
            if not any(here is op for here, op in zip(self._ops, ops[:1], strict=False)):  # else they are still there
                self._ops[:0] = ops
            raise


@accept_old_calls
class WriteBatch(BatchBuilder, SyncClient[T]):
    """A batch of writes to one database.

    It takes the same arguments as :class:`~pyelevator.Elevator`; its timeout is 10 s unless it says otherwise. In a
    ``with`` block it writes at the end, or discards everything if the block raised.

    >>> from pyelevator import Elevator
    >>> with Elevator(transport="fake") as E:
    ...     with E.WriteBatch() as batch:
    ...         batch.Put("a", "1")
    ...         batch.Delete("b")
    ...     E.Get("a")
    '1'
    """

    _default_timeout = BATCH_TIMEOUT

    if TYPE_CHECKING:  # at run time the constructor is inherited

        @overload
        def __init__(
            self: "WriteBatch[str]", db_name: str | None = ..., *, encoding: str = ..., **options: Unpack[ClientKwargs]
        ) -> None: ...

        @overload
        def __init__(
            self: "WriteBatch[bytes]", db_name: str | None = ..., *, encoding: None, **options: Unpack[ClientKwargs]
        ) -> None: ...

        def __init__(self, db_name: str | None = None, **options: Any) -> None: ...

    def _open_session(self, codec: Codec, max_connections: int, auto_connect: bool) -> None:
        self._ops = []
        super()._open_session(codec, max_connections, auto_connect)

    @classmethod
    def for_client(cls, client: SyncClient[T], timeout: float | None = BATCH_TIMEOUT) -> "WriteBatch[T]":
        """Make a batch for the database that ``client`` is connected to, over its connections."""
        batch = cls.__new__(cls)
        batch._share_session(client, timeout)
        batch._ops = []
        return batch

    def Write(self, *, sync: bool = False, timeout: float | None = None) -> None:
        """Write the batch: all of it or none. Afterwards it is empty, and may be filled again.

        If it fails the operations stay, and Write may be called again. A batch that is not connected connects first.

        Args:
            sync: as in :meth:`Elevator.Put <pyelevator.Elevator.Put>`.
            timeout: seconds; the batch's (10 unless it says otherwise) if None.

        Raises:
            MessageTooLarge: it is over the server's limit; nothing was written.
            TransportError: no answer came; unless it is a ConnectFailed, the batch may have been written.
            ServerError: the server refused it; nothing was written.
        """
        with self._take() as ops:
            self._execute(self._write(ops, sync), timeout)

    def _write(self, ops: list[BatchOp], sync: bool) -> Flow[None]:
        if self._handle.uid is None:
            yield from operations.connect(self._handle, self._database_name, self._creates)
        if ops:
            yield from operations.execute(self._handle, Batch(ops, sync))

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        try:
            if kind is None:
                self.Write()
        finally:
            self.Clear()
            self.disconnect()
