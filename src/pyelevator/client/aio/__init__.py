"""The async client: tasks of one event loop share its connections."""

from pyelevator.client.aio.batch import AsyncWriteBatch
from pyelevator.client.aio.elevator import AsyncElevator, AsyncSnapshot
from pyelevator.client.aio.ranges import AsyncRangeIter

__all__ = [
    "AsyncElevator",
    "AsyncRangeIter",
    "AsyncSnapshot",
    "AsyncWriteBatch",
]
