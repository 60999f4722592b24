"""Batches: puts, deletes and checks before they are written, and how they are."""

import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Self, TypeVar

from pyelevator.arguments.batches import DELETE, PUT, BatchOp, CheckedList, Expected, KeyCheck, make_check
from pyelevator.arguments.data import Data, to_bytes
from pyelevator.client import operations
from pyelevator.client.declaration import Steps, shared_steps
from pyelevator.client.decoding import T
from pyelevator.client.facade import BaseClient
from pyelevator.client.options import BATCH_TIMEOUT
from pyelevator.codec import Codec
from pyelevator.commands import Batch, ConditionalBatch
from pyelevator.deadlines import check_timeout
from pyelevator.errors import CheckFailed

U = TypeVar("U")


class BatchBuilder:
    """The puts, deletes and checks of a batch before they are written; the same for sync and async."""

    _ops: list[BatchOp]
    _checks: list[KeyCheck]

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
        key = (
            key if type(key) is bytes else to_bytes(key, "key")
        )  # batches are long, and a call takes as long as all this
        self._ops.append((PUT, key, value if type(value) is bytes else to_bytes(value, "value")))

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

    def Check(self, key: Data, expected: Expected, *, timeout: float | None = None) -> None:
        """Add a check to the batch: it is written only if all checks hold at that moment.

        No other client writes between the checks and the writes. A batch of checks alone writes nothing.

        Args:
            key: str or bytes-like.
            expected: the value that the key must have, ``pyelevator.MISSING`` or ``pyelevator.PRESENT``.
            timeout: has no effect.

        Raises:
            ArgumentTypeError: an argument has the wrong type.
        """
        if timeout is not None:
            check_timeout(timeout)
        self._checks.append(make_check(key, expected))

    def Clear(self) -> None:
        """Discard the operations and the checks."""
        self._ops.clear()
        self._checks.clear()

    def __len__(self) -> int:
        return len(self._ops) + len(self._checks)

    def __repr__(self) -> str:
        return f"{super().__repr__()[:-1]}, {len(self)} operations>"

    def __del__(self, warn: Callable[..., None] = warnings.warn) -> None:
        waiting = len(getattr(self, "_ops", ())) + len(getattr(self, "_checks", ()))
        if waiting:
            text = f"a batch with {waiting} operations was dropped; call Write(), or Clear() to discard them"
            warn(text, ResourceWarning, stacklevel=2, source=self)

    @contextmanager
    def _take(self, sync: bool) -> Iterator[Batch | ConditionalBatch | None]:
        """Return the command that writes the batch, None for an empty one.

        What it writes is no longer in the batch, unless something is raised.
        """
        with _drained(self._ops) as ops, _drained(self._checks) as checks:
            if checks:
                yield ConditionalBatch(CheckedList(ops), checks, sync)
            else:
                yield Batch(CheckedList(ops), sync) if ops else None


class ClientBatch(BatchBuilder, BaseClient[T]):
    """A batch with a client's connections."""

    _default_timeout = BATCH_TIMEOUT

    def _open_session(self, codec: Codec, max_connections: int, auto_connect: bool) -> None:
        self._ops, self._checks = [], []
        super()._open_session(codec, max_connections, auto_connect)  # type: ignore[safe-super]

    @classmethod
    def for_client(cls, client: BaseClient[T], timeout: float | None = BATCH_TIMEOUT) -> Self:
        """Make a batch for the database that ``client`` is connected to, over its connections.

        Args:
            client: a connected client, whose connections are used.
            timeout: seconds for each call; None for no limit.
        """
        batch = cls.__new__(cls)
        batch._share_session(client, timeout)
        batch._ops, batch._checks = [], []
        return batch

    @shared_steps
    def Write(self, *, sync: bool = False, timeout: float | None = None) -> Steps[None]:
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
            write = operations.write(self._handle, command)
            flow = operations.connect_first(self._handle, self._database_name, self._creates, write)
            try:
                yield self._drive(flow, self._deadline(timeout))
            except CheckFailed as error:
                self._decoder.decode_keys_of(error)
                raise

    @shared_steps
    def _leave(self, kind: type[BaseException] | None) -> Steps[None]:
        try:
            if kind is None:
                yield self.Write()
        finally:
            self.Clear()
            yield self.disconnect()


@contextmanager
def _drained(items: list[U]) -> Iterator[list[U]]:
    """Take the items out of a list, and put them back if something is raised.

    It is one list for good: what is added meanwhile, by another thread say, is for the next Write.
    """
    taken = items[:]
    try:
        del items[: len(taken)]
        yield taken
    except BaseException:
        if not any(here is item for here, item in zip(items, taken[:1], strict=False)):  # else they are still there
            items[:0] = taken
        raise
