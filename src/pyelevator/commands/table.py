"""The table of all commands."""

from collections.abc import Mapping
from typing import Any, Final

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

COMMANDS: Final[Mapping[str, type[Command[Any]]]] = {
    "GET": Get,
    "PUT": Put,
    "DELETE": Delete,
    "EXISTS": Exists,
    "MGET": MGet,
    "RANGE": Range,
    "SLICE": Slice,
    "COUNT": Count,
    "BATCH": Batch,
    "DELETERANGE": DeleteRange,
    "CONDITIONALBATCH": ConditionalBatch,
    "INCREMENT": Increment,
    "GETANDDELETE": GetAndDelete,
    "PING": Ping,
    "DBCONNECT": DbConnect,
    "DBMOUNT": DbMount,
    "DBUMOUNT": DbUmount,
    "DBCREATE": DbCreate,
    "DBDROP": DbDrop,
    "DBFORGET": DbForget,
    "DBLIST": DbList,
    "DBREPAIR": DbRepair,
    "PIPELINE": Pipeline,
    "STATS": Stats,
    "BACKUP": Backup,
    "COMPACT": Compact,
    "SIZES": Sizes,
    "PROGRESS": Progress,
    "SLOWLOG": SlowLog,
    "SNAPSHOT": Snapshot,
}
"""Verb -> class."""
