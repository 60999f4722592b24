"""The commands of a pipeline before it is executed, and their results afterwards; for sync and async."""

import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from inspect import Signature, signature
from typing import TYPE_CHECKING, Any, Self, TypeVar

from pyelevator import commands
from pyelevator.arguments import flag
from pyelevator.client.batches import BatchBuilder
from pyelevator.client.declaration import QueuedMethods, Steps, shared_steps
from pyelevator.client.decoding import T, same
from pyelevator.client.facade import BaseClient
from pyelevator.client.methods.keys import KeyMethods
from pyelevator.client.methods.maintenance import MaintenanceMethods
from pyelevator.client.methods.ranges import RangeMethods
from pyelevator.client.operations import ExpectedError
from pyelevator.client.options import UNSET
from pyelevator.client.paging import ScanCommand, ScanPager
from pyelevator.client.pipelines.execution import execute_pipeline
from pyelevator.client.results import PipelineResult
from pyelevator.commands import Command, DeleteRange, Get, MGet
from pyelevator.deadlines import check_timeout
from pyelevator.errors import ElevatorError, KeyNotFound, UsageError

U = TypeVar("U")


class PipelineBuilder(KeyMethods[T], RangeMethods[T], MaintenanceMethods[T], QueuedMethods):
    """The commands of a pipeline before it is executed, and their results afterwards; for sync and async."""

    _prefetches = False

    def __init__(self, client: BaseClient[T], raise_errors: bool, timeout: float | None) -> None:
        self._client: Any = client  # a sync or an async one
        self._decoder = client._decoder
        self._timeout = check_timeout(timeout)
        self._raise_errors = flag(raise_errors, "raise_errors")
        self._queue: list[PipelineResult[Any]] = []
        self._executed: Sequence[PipelineResult[Any]] = ()

    def WriteBatch(self) -> "PipelinedBatch":
        """Make a batch, with checks or without, whose Write queues it as one command of the pipeline.

        Returns:
            The batch; its ``Write`` returns a handle, whose result is None, or raises CheckFailed.
        """
        return PipelinedBatch(self._add)

    def _call(  # type: ignore[override]  # see Outcome
        self,
        command: Command,
        timeout: float | None,
        compression: bool = False,
        decode: Callable[[Any], U] = same,
        expected: ExpectedError[U] | None = None,
    ) -> PipelineResult[U]:
        if timeout is not None or compression is not False:
            raise UsageError("a pipeline's commands have no timeout= or compression= of their own; see pipeline()")
        result = PipelineResult(command, decode, expected)
        self._queue.append(result)
        return result

    def _add(self, command: Command, decode: Callable[[Any], U] = same) -> PipelineResult[U]:
        return self._call(command, None, False, decode)

    if not TYPE_CHECKING:  # the same without ``_call``: there may be many

        def Get(self, key, default=UNSET, *, timeout=None, compression=False):
            """Return the value of ``key``.

            Returns:
                A handle; its result, or its error, is what :meth:`Elevator.Get <pyelevator.Elevator.Get>` gives.
            """
            if timeout is not None or compression is not False:
                return self._call(Get.make(key), timeout, compression)  # which refuses them
            expected = None if default is UNSET else (KeyNotFound, default)
            result = PipelineResult(Get.make(key), self._decoder.value, expected)
            self._queue.append(result)
            return result

        Get.__signature__ = Signature([*signature(Get).parameters.values()][:-2])

    # Each of these takes several messages where it is not in a pipeline.

    def _get_many(self, command: MGet, timeout: float | None) -> Any:
        return self._call(command, timeout, False, self._decoder.values)

    def _delete_chunks(self, command: DeleteRange, timeout: float | None) -> Any:
        return self._call(command, timeout)

    def _scan(self, command: ScanCommand, timeout: float | None, compression: bool) -> Any:
        if isinstance(command, ScanPager):
            raise UsageError("a count under a prefix takes several messages, and no place in a pipeline; use Slice")
        return self._call(command, timeout, compression, self._rows_decoder(command))

    @shared_steps
    def execute(self, *, timeout: float | None = None) -> Steps[list[Any]]:
        """Send what is queued. Afterwards the queue is empty, and may be filled again.

        Args:
            timeout: seconds for all of it; the pipeline's if None.

        Returns:
            The results, in the order of the commands.

        Raises:
            ElevatorError: what the first command that failed raised (not with ``raise_errors=False``); its
                ``other_errors`` are those of later commands. The other handles have their results nevertheless.
        """
        yield from self._send_queue(self._timeout if timeout is None else timeout)
        return self.results

    @shared_steps
    def _leave(self, kind: type[BaseException] | None) -> Steps[None]:
        if kind is None:
            yield from self._send_queue(self._timeout)  # without the list of results
        self.Clear()

    def _send_queue(self, timeout: float | None) -> Steps[None]:
        with self._take() as results:
            flow = execute_pipeline(self._client._handle, [result.command for result in results])
            outcomes = yield self._client._execute(flow, timeout)
            self._resolve(results, outcomes)

    def Clear(self) -> None:
        """Discard what was not executed."""
        self._queue.clear()

    def __len__(self) -> int:
        return len(self._queue)

    def __repr__(self) -> str:
        return f"<{type(self).__name__}: {len(self._queue)} commands queued>"

    def __del__(self, warn: Callable[..., None] = warnings.warn) -> None:
        queued = len(getattr(self, "_queue", ()))
        if queued:
            text = f"a pipeline with {queued} commands was dropped; call execute(), or Clear() to discard them"
            warn(text, ResourceWarning, stacklevel=2, source=self)

    @contextmanager
    def _take(self) -> Iterator[list[PipelineResult[Any]]]:
        """Return the queue, and leave an empty one.

        Whatever has no outcome in the end (there is no database, say, or a signal handler raised) is queued again.
        """
        results = self._queue
        try:
            self._queue = []
            yield results
        except BaseException:
            added = self._queue if self._queue is not results else []
            self._queue = [result for result in results if not result.done()] + added
            raise

    def _resolve(self, results: Sequence[PipelineResult[Any]], outcomes: Sequence[Any]) -> None:
        """Set the outcomes of the commands, and raise the first error if errors are to be raised."""
        self._executed = results
        errors: list[Exception] = []
        for result, outcome in zip(results, outcomes, strict=True):
            if not isinstance(outcome, Exception):
                result._outcome = outcome
                continue
            if isinstance(outcome, ElevatorError):
                self._decoder.decode_keys_of(outcome)
            if result.set_outcome(outcome) is not None:
                errors.append(outcome)
        if errors and self._raise_errors:
            raise _first_error(errors, len(outcomes))

    @property
    def results(self) -> list[Any]:
        """The results of the last execution, in the order of the commands; what failed has its exception there."""
        return [result.exception() or result.result() for result in self._executed]


class PipelinedBatch(BatchBuilder):
    """A batch that becomes one command of a pipeline; made by ``PipelineBuilder.WriteBatch``.

    In a ``with`` block it is queued at the end, unless the block raised.
    """

    def __init__(self, add: Callable[[Command[None]], PipelineResult[None]]) -> None:
        self._ops, self._checks = [], []
        self._add = add

    def Write(self, *, sync: bool = False) -> PipelineResult[None]:
        """Queue the batch: all of it is written or none. Afterwards it is empty, and may be filled again.

        Args:
            sync: as in :meth:`Elevator.Put <pyelevator.Elevator.Put>`.

        Returns:
            A handle; its result is None, or raises CheckFailed.
        """
        with self._take(sync) as command:
            return self._add(commands.Batch([], sync) if command is None else command)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        if kind is None and len(self):
            self.Write()
        self.Clear()


def _first_error(errors: list[Exception], count: int) -> Exception:
    first = errors[0]
    if isinstance(first, ElevatorError):
        first.other_errors = tuple(errors[1:])
    if len(errors) > 1:
        first.add_note(f"{len(errors)} of the {count} commands of the pipeline failed; this was the first")
    return first
