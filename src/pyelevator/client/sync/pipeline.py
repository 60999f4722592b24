"""Pipeline: many commands in one message, with a handle on the result of each."""

from pyelevator.client.declaration import SyncBlock
from pyelevator.client.decoding import T
from pyelevator.client.pipelines.builder import PipelineBuilder


class Pipeline(SyncBlock, PipelineBuilder[T]):
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
