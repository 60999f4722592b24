"""WriteBatch: many puts and deletes in one message, all of them or none."""

from typing import TYPE_CHECKING, Any, Unpack, overload

from pyelevator.client import operations
from pyelevator.client.batches import BatchBuilder
from pyelevator.client.decoding import T
from pyelevator.client.options import BATCH_TIMEOUT, TypedOptions
from pyelevator.client.sync.client import SyncClient
from pyelevator.codec import Codec
from pyelevator.commands import Batch, ConditionalBatch
from pyelevator.errors import CheckFailed
from pyelevator.flows import Flow
from pyelevator.legacy import accept_old_calls


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

    With checks it is written only if all of them hold; otherwise CheckFailed says which keys are other than expected:

    >>> from pyelevator import MISSING, WriteBatch
    >>> with WriteBatch(transport="fake") as batch:
    ...     batch.Check("a", MISSING)
    ...     batch.Put("a", "1")
    """

    _default_timeout = BATCH_TIMEOUT

    if TYPE_CHECKING:  # at run time the constructor is inherited

        @overload
        def __init__(
            self: "WriteBatch[str]", db_name: str | None = ..., *, encoding: str = ..., **options: Unpack[TypedOptions]
        ) -> None: ...
        @overload
        def __init__(
            self: "WriteBatch[bytes]", db_name: str | None = ..., *, encoding: None, **options: Unpack[TypedOptions]
        ) -> None: ...
        def __init__(self, db_name: str | None = None, **options: Any) -> None: ...

    def _open_session(self, codec: Codec, max_connections: int, auto_connect: bool) -> None:
        self._ops, self._checks = [], []
        super()._open_session(codec, max_connections, auto_connect)

    @classmethod
    def for_client(cls, client: SyncClient[T], timeout: float | None = BATCH_TIMEOUT) -> "WriteBatch[T]":
        """Make a batch for the database that ``client`` is connected to, over its connections.

        Args:
            client: a connected client, whose connections are used.
            timeout: seconds for each call; None for no limit.
        """
        batch = cls.__new__(cls)
        batch._share_session(client, timeout)
        batch._ops, batch._checks = [], []
        return batch

    def Write(self, *, sync: bool = False, timeout: float | None = None) -> None:
        """Write the batch: all of it or none. Afterwards it is empty, and may be filled again.

        If it fails the operations and checks stay, and Write may be called again. A batch that is not connected
        connects first.

        Args:
            sync: as in :meth:`Elevator.Put <pyelevator.Elevator.Put>`.
            timeout: seconds; the batch's (10 unless it says otherwise) if None.

        Raises:
            CheckFailed: a check does not hold; nothing was written.
            UsageError: ``sync=True`` or checks at an old server; nothing was sent.
            MessageTooLarge: it is over the server's limit; nothing was written.
            TransportError: no answer came; unless it is a ConnectFailed, the batch may have been written.
            ServerError: the server refused it; nothing was written.
        """
        with self._take(sync) as command:
            try:
                self._execute(self._write(command), timeout)
            except CheckFailed as error:
                self._decoder.decode_keys_of(error)
                raise

    def _write(self, command: Batch | ConditionalBatch | None) -> Flow[None]:
        if self._handle.uid is None:
            yield from operations.connect(self._handle, self._database_name, self._creates)
        if command is not None:
            yield from operations.execute(self._handle, command)

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        try:
            if kind is None:
                self.Write()
        finally:
            self.Clear()
            self.disconnect()
