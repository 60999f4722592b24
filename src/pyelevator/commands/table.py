"""The table of all commands."""

from collections.abc import Mapping
from typing import Any, Final

from pyelevator.commands import admin, batches, databases, keys, pipelines, ranges
from pyelevator.commands.base import Command

COMMANDS: Final[Mapping[str, type[Command[Any]]]] = {
    "GET": keys.Get,
    "PUT": keys.Put,
    "DELETE": keys.Delete,
    "EXISTS": keys.Exists,
    "MGET": keys.MGet,
    "RANGE": ranges.Range,
    "SLICE": ranges.Slice,
    "COUNT": ranges.Count,
    "BATCH": batches.Batch,
    "DELETERANGE": ranges.DeleteRange,
    "CONDITIONALBATCH": batches.ConditionalBatch,
    "INCREMENT": keys.Increment,
    "GETANDDELETE": keys.GetAndDelete,
    "PING": admin.Ping,
    "DBCONNECT": databases.DbConnect,
    "DBMOUNT": databases.DbMount,
    "DBUMOUNT": databases.DbUmount,
    "DBCREATE": databases.DbCreate,
    "DBDROP": databases.DbDrop,
    "DBFORGET": databases.DbForget,
    "DBLIST": databases.DbList,
    "DBREPAIR": databases.DbRepair,
    "PIPELINE": pipelines.Pipeline,
    "STATS": admin.Stats,
    "BACKUP": admin.Backup,
    "COMPACT": admin.Compact,
    "SIZES": admin.Sizes,
    "PROGRESS": admin.Progress,
    "SLOWLOG": admin.SlowLog,
    "SNAPSHOT": databases.Snapshot,
}
"""Verb -> class."""
