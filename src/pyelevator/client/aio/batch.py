"""AsyncWriteBatch: many puts and deletes in one message, all of them or none."""

from typing import TYPE_CHECKING, Any, Unpack, overload

from pyelevator.client import operations
from pyelevator.client.aio.client import AsyncClient, copy_docstrings
from pyelevator.client.batches import BatchBuilder
from pyelevator.client.decoding import T
from pyelevator.client.options import BATCH_TIMEOUT, TypedOptions
from pyelevator.client.sync.batch import WriteBatch
from pyelevator.codec import Codec
from pyelevator.errors import CheckFailed


@copy_docstrings(WriteBatch)
class AsyncWriteBatch(BatchBuilder, AsyncClient[T]):
    """A batch of writes to one database for an event loop: :class:`~pyelevator.WriteBatch`, written by an await.

    >>> import asyncio
    >>> from pyelevator import AsyncElevator
    >>> async def main():
    ...     async with AsyncElevator(transport="fake") as E:
    ...         async with E.WriteBatch() as batch:
    ...             batch.Put("a", "1")
    ...             batch.Delete("b")
    ...         return await E.Get("a")
    >>> asyncio.run(main())
    '1'
    """

    _default_timeout = BATCH_TIMEOUT

    if TYPE_CHECKING:  # at run time the constructor is inherited

        @overload
        def __init__(
            self: "AsyncWriteBatch[str]",
            db_name: str | None = ...,
            *,
            encoding: str = ...,
            **options: Unpack[TypedOptions],
        ) -> None: ...
        @overload
        def __init__(
            self: "AsyncWriteBatch[bytes]",
            db_name: str | None = ...,
            *,
            encoding: None,
            **options: Unpack[TypedOptions],
        ) -> None: ...
        def __init__(self, db_name: str | None = None, **options: Any) -> None: ...

    def _open_session(self, codec: Codec, max_connections: int, auto_connect: bool) -> None:
        super()._open_session(codec, max_connections, auto_connect)
        self._ops, self._checks = [], []

    @classmethod
    def for_client(cls, client: AsyncClient[T], timeout: float | None = BATCH_TIMEOUT) -> "AsyncWriteBatch[T]":
        """Make a batch for the database that ``client`` is connected to, over its connections.

        Args:
            client: a connected client, whose connections are used.
            timeout: seconds for each call; None for no limit.
        """
        batch = cls.__new__(cls)
        batch._share_session(client, timeout)
        batch._ops, batch._checks = [], []
        return batch

    async def Write(self, *, sync: bool = False, timeout: float | None = None) -> None:
        self._auto_connect = True
        with self._take(sync) as command:
            if command is None:
                return
            try:
                await self._execute(operations.execute(self._handle, command), timeout)
            except CheckFailed as error:
                self._decoder.decode_keys_of(error)
                raise

    async def __aexit__(self, kind: type[BaseException] | None, *_: object) -> None:
        try:
            if kind is None:
                await self.Write()
        finally:
            self.Clear()
            await self.disconnect()
