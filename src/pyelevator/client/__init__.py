"""The client: the documented Elevator and WriteBatch, thin facades over flows."""

from pyelevator.client.batch import WriteBatch
from pyelevator.client.elevator import Elevator
from pyelevator.client.ranges import RangeIter

__all__ = ["Elevator", "RangeIter", "WriteBatch"]
