"""The client: the documented Elevator and WriteBatch, thin facades over flows."""

from pyelevator.client.sync.batch import WriteBatch
from pyelevator.client.sync.elevator import Elevator, Snapshot
from pyelevator.client.sync.ranges import RangeIter

__all__ = ["Elevator", "RangeIter", "Snapshot", "WriteBatch"]
