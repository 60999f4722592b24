"""The table of all commands."""

from collections.abc import Mapping
from typing import Final

from pyelevator.commands.admin import Backup, Compact, Ping, Progress, Sizes, SlowLog, Stats
from pyelevator.commands.base import Command
from pyelevator.commands.batches import Batch, ConditionalBatch
from pyelevator.commands.databases import (
    DbConnect,
    DbCreate,
    DbDrop,
    DbForget,
    DbList,
    DbMount,
    DbRepair,
    DbUmount,
    Snapshot,
)
from pyelevator.commands.keys import Delete, Exists, Get, GetAndDelete, Increment, MGet, Put
from pyelevator.commands.pipelines import Pipeline
from pyelevator.commands.ranges import Count, DeleteRange, Range, Slice

COMMANDS: Final[Mapping[str, type[Command]]] = {
    kind.verb: kind
    for kind in (
        *(Get, Put, Delete, Exists, MGet, Range, Slice, Count, Batch, DeleteRange),
        *(ConditionalBatch, Increment, GetAndDelete, Ping),
        *(DbConnect, DbMount, DbUmount, DbCreate, DbDrop, DbForget, DbList, DbRepair),
        *(Pipeline, Stats, Backup, Compact, Sizes, Progress, SlowLog, Snapshot),
    )
}
"""Verb -> class."""
