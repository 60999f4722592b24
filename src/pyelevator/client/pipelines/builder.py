"""The commands of a pipeline before it is executed, and their results afterwards; for sync and async."""

import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Generic, Self, TypeVar, overload

from pyelevator import commands
from pyelevator.arguments import flag, integer
from pyelevator.arguments.data import KeyRange, to_text
from pyelevator.client.batches import BatchBuilder
from pyelevator.client.decoding import ResultDecoder, T, same
from pyelevator.client.facade import BaseClient
from pyelevator.client.operations import NOT_WRITTEN, ExpectedError, is_written
from pyelevator.client.options import UNSET
from pyelevator.client.paging import SLICE_NAMES, ScanCommand, ScanPager, build_scan
from pyelevator.client.pipelines.results import PipelineResult
from pyelevator.commands import Command, Data, Expected, Get
from pyelevator.deadlines import check_timeout
from pyelevator.errors import ElevatorError, KeyNotFound, UsageError

if TYPE_CHECKING:
    from pyelevator.client.signatures import PipelinedRangeCall, PipelinedSliceCall
    from pyelevator.monitoring import ServerStats, SlowRequest
    from pyelevator.reports import BackupReport, TaskProgress

R = TypeVar("R")
U = TypeVar("U")
D = TypeVar("D")


class _PipelinedMethod(Generic[R]):
    """A method as type checkers see it; at run time, there is only the function."""

    def __get__(self, pipeline: Any, owner: Any = None) -> R: ...  # type: ignore[empty-body]


def pipelined_range(
    method: Callable[..., PipelineResult[list[R]]],
) -> "_PipelinedMethod[PipelinedRangeCall[PipelineResult[list[list[R]]], PipelineResult[list[R]]]]":
    """Declare ``Range``: what is left out of the rows says what the result is."""
    return method  # type: ignore[return-value]


def pipelined_slice(
    method: Callable[..., PipelineResult[list[R]]],
) -> "_PipelinedMethod[PipelinedSliceCall[PipelineResult[list[list[R]]], PipelineResult[list[R]]]]":
    """Declare ``Slice``, as ``Range``."""
    return method  # type: ignore[return-value]


class PipelineBuilder(Generic[T]):
    """The commands of a pipeline before it is executed, and their results afterwards; for sync and async."""

    def __init__(self, client: BaseClient[T], raise_errors: bool, timeout: float | None) -> None:
        self._client: Any = client  # a sync or an async one
        self._decoder: ResultDecoder[T] = client._decoder
        self._timeout = check_timeout(timeout)
        self._raise_errors = flag(raise_errors, "raise_errors")
        self._queue: list[PipelineResult[Any]] = []
        self._executed: Sequence[PipelineResult[Any]] = ()

    @overload
    def Get(self, key: Data) -> PipelineResult[T]: ...

    @overload
    def Get(self, key: Data, default: D) -> PipelineResult[T | D]: ...

    def Get(self, key: Data, default: Any = UNSET) -> PipelineResult[Any]:
        """Get the value of ``key``.

        Returns:
            A handle; where there is no such key, its result is the default, or without one raises KeyNotFound.
        """
        expected = None if default is UNSET else (KeyNotFound, default)
        result = PipelineResult(Get.make(key), self._decoder.value, expected)
        self._queue.append(result)  # as ``_add``, without a call: there may be many
        return result

    def Put(self, key: Data, value: Data, *, sync: bool = False) -> PipelineResult[None]:
        """Set the value of ``key``; ``sync`` as in :meth:`Elevator.Put <pyelevator.Elevator.Put>`.

        Returns:
            A handle; its result is None.
        """
        return self._add(commands.Put(key, value, sync), same)

    def Delete(self, key: Data, *, sync: bool = False) -> PipelineResult[None]:
        """Remove ``key``; a missing one is no error.

        Returns:
            A handle; its result is None.
        """
        return self._add(commands.Delete(key, sync), same)

    def PutIfAbsent(self, key: Data, value: Data, *, sync: bool = False) -> PipelineResult[bool]:
        """Set the value of ``key`` if there is none.

        Returns:
            A handle on a bool: whether it is written.
        """
        return self._add(commands.put_if(key, commands.MISSING, value, sync), is_written, NOT_WRITTEN)

    def CompareAndSet(self, key: Data, expected: Expected, value: Data, *, sync: bool = False) -> PipelineResult[bool]:
        """Set the value of ``key`` if it is as expected.

        Returns:
            A handle on a bool: whether it is written.
        """
        return self._add(commands.put_if(key, expected, value, sync), is_written, NOT_WRITTEN)

    def Increment(self, key: Data, by: int = 1, initial: int = 0, *, sync: bool = False) -> PipelineResult[int]:
        """Add to the number of ``key``.

        Returns:
            A handle on the sum.
        """
        return self._add(commands.Increment(key, by, initial, sync), same)

    def GetAndDelete(self, key: Data, *, sync: bool = False) -> PipelineResult[T]:
        """Remove ``key``, and get the value that it had.

        Returns:
            A handle; its result raises KeyNotFound where there was none.
        """
        return self._add(commands.GetAndDelete(key, sync), self._decoder.value)

    def WriteBatch(self) -> "PipelinedBatch":
        """Make a batch, with checks or without, whose Write queues it as one command of the pipeline.

        Returns:
            The batch; its ``Write`` returns a handle, whose result is None, or raises CheckFailed.
        """
        return PipelinedBatch(lambda command: self._add(command, same))

    def Exists(self, key: Data) -> PipelineResult[bool]:
        """Tell whether ``key`` is there.

        Returns:
            A handle on a bool.
        """
        return self._add(commands.Exists.make(key), same)

    def Count(
        self, start: Data | None = None, stop: Data | None = None, *, prefix: Data | None = None
    ) -> PipelineResult[int]:
        """Count keys, as :meth:`Elevator.Count <pyelevator.Elevator.Count>`.

        Returns:
            A handle on the number.
        """
        return self._add(commands.Count(start, stop, prefix), same)

    def MGet(self, keys: Sequence[Data], fill_cache: bool = False) -> PipelineResult[list[T | None]]:
        """Get the values of ``keys``.

        Returns:
            A handle on a list in the order of the keys, with None for a missing one.
        """
        return self._add(commands.MGet(keys, fill_cache), self._decoder.values)

    @pipelined_range
    def Range(
        self,
        start: Data | None = None,
        limit: Data | int | None = None,
        *,
        include_key: bool = True,
        include_value: bool = True,
        prefix: Data | None = None,
        reverse: bool = False,
    ) -> PipelineResult[list[T]]:
        """Get the pairs from ``start`` on, as in :meth:`Elevator.Range <pyelevator.Elevator.Range>`.

        Returns:
            A handle on a list.

        Raises:
            UsageError: a count under a prefix, which takes more than one message.
        """
        return self._add_scan(build_scan(start, limit, include_key, include_value, prefix, reverse=reverse))

    @pipelined_slice
    def Slice(
        self,
        key_from: Data | None,
        offset: int,
        *,
        include_key: bool = True,
        include_value: bool = True,
        reverse: bool = False,
    ) -> PipelineResult[list[T]]:
        """Get ``offset`` pairs from ``key_from`` on, as in :meth:`Elevator.Slice <pyelevator.Elevator.Slice>`.

        Returns:
            A handle on a list.
        """
        count = integer(offset, "offset")
        return self._add_scan(
            build_scan(key_from, count, include_key, include_value, None, reverse=reverse, names=SLICE_NAMES)
        )

    def _add_scan(self, command: ScanCommand) -> PipelineResult[Any]:
        if isinstance(command, ScanPager):
            raise UsageError("a count under a prefix takes several messages, and no place in a pipeline; use Slice")
        pairs = command.include_key and command.include_value
        return self._add(command, self._decoder.pairs if pairs else self._decoder.values)

    # Each of these is sent in a request of its own, in its place: when what was queued before it is answered, and
    # before what follows. So a long one does not hold up the commands of other clients, they see its progress, and each
    # is authorized by itself.

    def DeleteRange(
        self,
        start: Data | None = None,
        stop: Data | None = None,
        *,
        prefix: Data | None = None,
        sync: bool = False,
    ) -> PipelineResult[int]:
        """Delete a range chunk by chunk, as :meth:`Elevator.DeleteRange <pyelevator.Elevator.DeleteRange>`.

        The time that the pipeline has is for all of the chunks. An error's ``deleted`` says how far it has come.

        Returns:
            A handle on the number of keys that were deleted.
        """
        return self._add(commands.DeleteRange(start, stop, prefix, sync), same)

    def sizes(self, ranges: Sequence[KeyRange]) -> PipelineResult[list[int]]:
        """Ask about how many bytes ranges take on disk, as :meth:`Elevator.sizes <pyelevator.Elevator.sizes>`.

        Returns:
            A handle on the bytes, in the order of the ranges.
        """
        return self._add(commands.Sizes(ranges), same)

    def compact(self, start: Data | None = None, stop: Data | None = None) -> PipelineResult[None]:
        """Reclaim the space of deleted pairs, as :meth:`Elevator.compact <pyelevator.Elevator.compact>`.

        Returns:
            A handle; its result is None.
        """
        return self._add(commands.Compact(start, stop), same)

    def backup(self, db_name: str, directory: str) -> PipelineResult["BackupReport"]:
        """Copy a database on the server, as :meth:`Elevator.backup <pyelevator.Elevator.backup>`.

        Returns:
            A handle on how large the copy is.
        """
        return self._add(commands.Backup(to_text(db_name, "db_name"), directory), same)

    def progress(self) -> PipelineResult["list[TaskProgress]"]:
        """Ask how far the server's long tasks have come, as :meth:`Elevator.progress <pyelevator.Elevator.progress>`.

        Returns:
            A handle on those that are under way.
        """
        return self._add(commands.Progress(), same)

    def stats(self) -> PipelineResult["ServerStats"]:
        """Ask the server what it says about itself, as :meth:`Elevator.stats <pyelevator.Elevator.stats>`.

        Returns:
            A handle on the figures.
        """
        return self._add(commands.Stats(), same)

    def slowlog(self, limit: int | None = None) -> PipelineResult["list[SlowRequest]"]:
        """Ask for the latest requests that took long, as :meth:`Elevator.slowlog <pyelevator.Elevator.slowlog>`.

        Returns:
            A handle on a list, the latest first.
        """
        return self._add(commands.SlowLog(limit), same)

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

    def _add(
        self, command: Command, decode: Callable[[Any], U], expected: ExpectedError[U] | None = None
    ) -> PipelineResult[U]:
        result = PipelineResult(command, decode, expected)
        self._queue.append(result)
        return result

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
        """Set the outcomes of the commands.

        Raises:
            ElevatorError: what the first command that failed raised, if errors are to be raised; ``other_errors`` has
                those of the later ones.
        """
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
