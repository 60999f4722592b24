"""WriteBatch: many puts and deletes in one message, all of them or none."""

import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final, TypeVar, overload

from pyelevator.client import operations
from pyelevator.client.facade import (
    DEFAULT_DIALECT,
    DEFAULT_ENCODING,
    DEFAULT_ENDPOINT,
    DEFAULT_MAX_CONNECTIONS,
    DEFAULT_TRANSPORT,
    UNSET,
    Client,
    Unset,
)
from pyelevator.codec import Codec, Limits
from pyelevator.commands import DELETE, PUT, Batch, BatchOp, Data, to_bytes
from pyelevator.deadlines import check_timeout
from pyelevator.flows import Flow, Interceptor
from pyelevator.legacy import accept_old_calls
from pyelevator.transports import Curve, Transport
from pyelevator.transports.base import HEARTBEAT
from pyelevator.transports.connect_errors import CONNECT_TIMEOUT

if TYPE_CHECKING:
    from pyelevator.interceptors import Retry

T = TypeVar("T", str, bytes)

BATCH_TIMEOUT: Final = 10.0


class Writes:
    """The puts and deletes of a batch, before they are written; the same for sync and async."""

    _ops: list[BatchOp]

    def Put(self, key: Data, value: Data, *, timeout: float | None = None) -> None:
        """Adds a put to the batch; nothing is sent before Write, so a ``timeout`` has nothing to limit."""
        if timeout is not None:
            check_timeout(timeout)
        self._ops.append((PUT, to_bytes(key, "key"), to_bytes(value, "value")))

    def Delete(self, key: Data, *, timeout: float | None = None) -> None:
        """Adds a delete to the batch; nothing is sent before Write, so a ``timeout`` has nothing to limit."""
        if timeout is not None:
            check_timeout(timeout)
        self._ops.append((DELETE, to_bytes(key, "key")))

    def Clear(self) -> None:
        """Discards the operations."""
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
    def _taken(self) -> Iterator[list[BatchOp]]:
        """The operations, which are no longer in the batch unless something is raised.

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
class WriteBatch(Writes, Client[T]):
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
    _borrowed = False

    @overload
    def __init__(
        self: "WriteBatch[str]",
        db_name: str | None = ...,
        *,
        transport: str | Transport = ...,
        endpoint: str = ...,
        timeout: float | Unset | None = ...,
        auto_connect: bool = ...,
        encoding: str = ...,
        dialect: str | Codec = ...,
        max_connections: int = ...,
        curve: Curve | None = ...,
        interceptors: Sequence[Interceptor] = ...,
        retry: "Retry | None" = ...,
        pool_timeout: float | None = ...,
        connect_timeout: float | None = ...,
        heartbeat: float | None = ...,
        limits: Limits | None = ...,
    ) -> None: ...

    @overload
    def __init__(
        self: "WriteBatch[bytes]",
        db_name: str | None = ...,
        *,
        transport: str | Transport = ...,
        endpoint: str = ...,
        timeout: float | Unset | None = ...,
        auto_connect: bool = ...,
        encoding: None,
        dialect: str | Codec = ...,
        max_connections: int = ...,
        curve: Curve | None = ...,
        interceptors: Sequence[Interceptor] = ...,
        retry: "Retry | None" = ...,
        pool_timeout: float | None = ...,
        connect_timeout: float | None = ...,
        heartbeat: float | None = ...,
        limits: Limits | None = ...,
    ) -> None: ...

    def __init__(
        self,
        db_name: str | None = None,
        *,
        transport: str | Transport = DEFAULT_TRANSPORT,
        endpoint: str = DEFAULT_ENDPOINT,
        timeout: float | Unset | None = UNSET,
        auto_connect: bool = True,
        encoding: str | None = DEFAULT_ENCODING,
        dialect: str | Codec = DEFAULT_DIALECT,
        max_connections: int = DEFAULT_MAX_CONNECTIONS,
        curve: Curve | None = None,
        interceptors: Sequence[Interceptor] = (),
        retry: "Retry | None" = None,
        pool_timeout: float | None = None,
        connect_timeout: float | None = CONNECT_TIMEOUT,
        heartbeat: float | None = HEARTBEAT,
        limits: Limits | None = None,
    ) -> None:
        self._ops: list[BatchOp] = []
        super().__init__(
            db_name,
            transport=transport,
            endpoint=endpoint,
            timeout=timeout,
            auto_connect=auto_connect,
            encoding=encoding,
            dialect=dialect,
            max_connections=max_connections,
            curve=curve,
            interceptors=interceptors,
            retry=retry,
            pool_timeout=pool_timeout,
            connect_timeout=connect_timeout,
            heartbeat=heartbeat,
            limits=limits,
        )

    @classmethod
    def borrowing(cls, client: Client[T], timeout: float | None = BATCH_TIMEOUT) -> "WriteBatch[T]":
        """A batch for the database that ``client`` is connected to, over its connections."""
        batch = cls.__new__(cls)
        batch._borrow(client, timeout)
        batch._borrowed = True
        batch._ops = []
        return batch

    def Write(self, *, sync: bool = False, timeout: float | None = None) -> None:
        """Writes the batch: all of it or none. Afterwards it is empty, and may be filled again.

        ``sync`` as in :meth:`Elevator.Put <pyelevator.Elevator.Put>`.
        If it fails the operations stay, and Write may be called again. A batch that is not connected connects first.
        """
        with self._taken() as ops:
            self._run(self._written(ops, sync), timeout)

    def _written(self, ops: list[BatchOp], sync: bool) -> Flow[None]:
        if self._link.uid is None:
            yield from operations.connect(self._link, self._wanted)
        if ops:
            yield from operations.call(self._link, Batch(ops, sync))

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        try:
            if kind is None:
                self.Write()
        finally:
            self.Clear()
            self.disconnect()

    def disconnect(self, *, timeout: float | None = None) -> None:
        """Closes every connection of its own; borrowed ones stay open. Write connects again."""
        if not self._borrowed:
            super().disconnect(timeout=timeout)
