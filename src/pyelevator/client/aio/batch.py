"""AsyncWriteBatch: many puts and deletes in one message, all of them or none."""

from typing import TYPE_CHECKING, Any, Unpack, overload

from pyelevator.client.aio.client import AsyncClient
from pyelevator.client.batches import ClientBatch
from pyelevator.client.decoding import T
from pyelevator.client.options import TypedOptions


class AsyncWriteBatch(ClientBatch[T], AsyncClient[T]):
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
