"""The client: the documented Elevator and WriteBatch, thin facades over flows."""

from pyelevator.client.ranges import RangeIter
from pyelevator.client.sync.batch import WriteBatch
from pyelevator.client.sync.elevator import Elevator

__all__ = ["Elevator", "RangeIter", "WriteBatch"]
