"""Pipeline: many commands in one message, with a handle on the result of each."""

from typing import Any, Self

from pyelevator.client.decoding import T
from pyelevator.client.pipelines.builder import PipelineBuilder
from pyelevator.client.pipelines.execution import execute_pipeline


class Pipeline(PipelineBuilder[T]):
    """Commands that travel together: one round trip for all of them, where the server knows how.

    Made by :meth:`Elevator.pipeline <pyelevator.Elevator.pipeline>`. Each method queues a command and gives a handle;
    the end of the ``with`` block, or ``execute``, sends them, and then the handles have the results. If the block
    raises, nothing is sent. A pipeline is **not a transaction**: the commands are executed in their order, but each
    succeeds or fails by itself, others' commands may come between, and what was executed stays, whatever comes after.
    (A :class:`~pyelevator.WriteBatch` is written whole or not at all.) A server that does not know pipelines gets the
    commands one by one, with the same results.

    Commands that may take long, or are not about keys (``DeleteRange``, ``sizes``, ``compact``, ``backup``,
    ``progress``, ``stats``, ``slowlog``), are sent in requests of their own, each in its place: when those before it
    are answered, and before those after it. The time that the pipeline has is for all chunks of a ``DeleteRange``. A
    count of pairs under a prefix takes several messages, and is a UsageError.

    >>> from pyelevator import Elevator
    >>> with Elevator(transport="fake") as E:
    ...     with E.pipeline() as p:
    ...         put = p.Put("a", "1")
    ...         a = p.Get("a")
    ...     a.result(), p.results
    ('1', [None, '1'])
    """

    def execute(self, *, timeout: float | None = None) -> list[Any]:
        """Send what is queued. Afterwards the queue is empty, and may be filled again.

        Args:
            timeout: seconds for all of it; the pipeline's if None.

        Returns:
            The results, in the order of the commands.

        Raises:
            ElevatorError: what the first command that failed raised (not with ``raise_errors=False``); its
                ``other_errors`` are those of later commands. The other handles have their results nevertheless.
        """
        self._send_queued(self._timeout if timeout is None else timeout)
        return self.results

    def _send_queued(self, timeout: float | None) -> None:
        with self._take() as results:
            flow = execute_pipeline(self._client._handle, [result.command for result in results])
            self._resolve(results, self._client._execute(flow, timeout))

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        if kind is None:
            self._send_queued(self._timeout)
        self.Clear()
