"""BatchBuilder: the puts, deletes and checks of a batch before they are written."""

import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TypeVar

from pyelevator.arguments.batches import DELETE, PUT, BatchOp, CheckedList, Expected, KeyCheck, make_check
from pyelevator.arguments.data import Data, to_bytes
from pyelevator.commands import Batch, ConditionalBatch
from pyelevator.deadlines import check_timeout

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
