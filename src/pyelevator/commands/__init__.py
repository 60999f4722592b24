"""The commands: one frozen class per verb, and the table that lists them all.

A command is data. It takes str or bytes-like arguments and holds bytes; a wrong type is an ArgumentTypeError before
anything is sent. How it is written down is the codecs' business, what it does is the application's.

>>> Put("abc", "123")
Put(key=b'abc', value=b'123', sync=False)
>>> Put("abc", 123)
Traceback (most recent call last):
    ...
pyelevator.errors.ArgumentTypeError: value must be str or bytes, not int
"""

from collections.abc import Mapping
from typing import Any, Final

from pyelevator.arguments import (
    DELETE,
    HAS_VALUE,
    IS_MISSING,
    IS_PRESENT,
    MISSING,
    PRESENT,
    PUT,
    BadSignal,
    BatchOp,
    Data,
    Expected,
    KeyCheck,
    OptionValue,
    make_check,
    to_bytes,
)
from pyelevator.commands.admin import Backup, Compact, Ping, Progress, Sizes, SlowLog, Stats
from pyelevator.commands.base import Access, Command, PayloadKind, Unknown
from pyelevator.commands.batches import Batch, ConditionalBatch, put_if
from pyelevator.commands.databases import (
    DbConnect,
    DbCreate,
    DbDrop,
    DbForget,
    DbList,
    DbMount,
    DbRepair,
    DbUmount,
    RepairReport,
    Snapshot,
)
from pyelevator.commands.keys import Delete, Exists, Get, GetAndDelete, Increment, MGet, Put
from pyelevator.commands.pipelines import PIPELINED, Pipeline
from pyelevator.commands.ranges import Count, DeletedChunk, DeleteRange, Range, Slice

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


__all__ = [
    "COMMANDS",
    "DELETE",
    "HAS_VALUE",
    "IS_MISSING",
    "IS_PRESENT",
    "MISSING",
    "PIPELINED",
    "PRESENT",
    "PUT",
    "Access",
    "Backup",
    "BadSignal",
    "Batch",
    "BatchOp",
    "Command",
    "Compact",
    "ConditionalBatch",
    "Count",
    "Data",
    "DbConnect",
    "DbCreate",
    "DbDrop",
    "DbForget",
    "DbList",
    "DbMount",
    "DbRepair",
    "DbUmount",
    "Delete",
    "DeleteRange",
    "DeletedChunk",
    "Exists",
    "Expected",
    "Get",
    "GetAndDelete",
    "Increment",
    "KeyCheck",
    "MGet",
    "OptionValue",
    "PayloadKind",
    "Ping",
    "Pipeline",
    "Progress",
    "Put",
    "Range",
    "RepairReport",
    "Sizes",
    "Slice",
    "SlowLog",
    "Snapshot",
    "Stats",
    "Unknown",
    "make_check",
    "put_if",
    "to_bytes",
]
