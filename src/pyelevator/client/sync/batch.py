"""WriteBatch: many puts and deletes in one message, all of them or none."""

from typing import TYPE_CHECKING, Any, Unpack, overload

from pyelevator.client.batches import ClientBatch
from pyelevator.client.decoding import T
from pyelevator.client.options import TypedOptions
from pyelevator.client.sync.client import SyncClient
from pyelevator.legacy import accept_old_calls


@accept_old_calls
class WriteBatch(ClientBatch[T], SyncClient[T]):
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
