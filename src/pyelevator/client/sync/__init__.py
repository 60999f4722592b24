"""The sync client: threads share it, each with a connection of its own."""

from typing import TYPE_CHECKING

from pyelevator._lazy import lazy_names

if TYPE_CHECKING:
    from pyelevator.client.sync.batch import WriteBatch as WriteBatch
    from pyelevator.client.sync.mapping import ElevatorMapping as ElevatorMapping
    from pyelevator.client.sync.pipeline import Pipeline as Pipeline
    from pyelevator.client.sync.ranges import RangeIter as RangeIter


_LAZY = {
    "batch": ("WriteBatch",),
    "mapping": ("ElevatorMapping",),
    "pipeline": ("Pipeline",),
    "ranges": ("RangeIter",),
}
"""Module -> the names in it that are loaded when they are first used."""

if not TYPE_CHECKING:
    __getattr__, __all__ = lazy_names(globals(), _LAZY)
