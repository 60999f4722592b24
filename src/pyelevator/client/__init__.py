"""The client: the documented Elevator and WriteBatch, thin facades over flows."""

from typing import TYPE_CHECKING

from pyelevator._lazy import lazy_names

if TYPE_CHECKING:
    from pyelevator.client.sync.batch import WriteBatch as WriteBatch
    from pyelevator.client.sync.elevator import Elevator as Elevator, Snapshot as Snapshot
    from pyelevator.client.sync.ranges import RangeIter as RangeIter


_LAZY = {
    "sync.batch": ("WriteBatch",),
    "sync.elevator": ("Elevator", "Snapshot"),
    "sync.ranges": ("RangeIter",),
}
"""Module -> the names in it that are loaded when they are first used."""

if not TYPE_CHECKING:
    __getattr__, __all__ = lazy_names(globals(), _LAZY)
