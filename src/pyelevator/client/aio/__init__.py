"""The async client: tasks of one event loop share its connections."""

from pyelevator.client.aio.batch import AsyncWriteBatch as AsyncWriteBatch
from pyelevator.client.aio.elevator import AsyncElevator as AsyncElevator, AsyncSnapshot as AsyncSnapshot
from pyelevator.client.aio.ranges import AsyncRangeIter as AsyncRangeIter
