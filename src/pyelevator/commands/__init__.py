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

from typing import TYPE_CHECKING

from pyelevator._lazy import lazy_names
from pyelevator.arguments.batches import (
    DELETE,
    HAS_VALUE,
    IS_MISSING,
    IS_PRESENT,
    MISSING,
    PRESENT,
    PUT,
    BadSignal,
    BatchOp,
    Expected,
    KeyCheck,
    make_check,
)
from pyelevator.arguments.data import Data, OptionValue, to_bytes
from pyelevator.commands.base import Access, Command, PayloadKind, Unknown
from pyelevator.commands.keys import Delete, Exists, Get, GetAndDelete, Increment, MGet, Put

if TYPE_CHECKING:
    from pyelevator.commands.admin import Backup, Compact, Ping, Progress, Sizes, SlowLog, Stats
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
    from pyelevator.commands.pipelines import PIPELINED, Pipeline
    from pyelevator.commands.ranges import Count, DeletedChunk, DeleteRange, Range, Slice
    from pyelevator.commands.table import COMMANDS

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

_LAZY = {
    "admin": ("Backup", "Compact", "Ping", "Progress", "Sizes", "SlowLog", "Stats"),
    "batches": ("Batch", "ConditionalBatch", "put_if"),
    "databases": (
        "DbConnect",
        "DbCreate",
        "DbDrop",
        "DbForget",
        "DbList",
        "DbMount",
        "DbRepair",
        "DbUmount",
        "RepairReport",
        "Snapshot",
    ),
    "pipelines": ("PIPELINED", "Pipeline"),
    "ranges": ("Count", "DeletedChunk", "DeleteRange", "Range", "Slice"),
    "table": ("COMMANDS",),
}
"""Module -> the names in it that are loaded when they are first used."""

if not TYPE_CHECKING:
    __getattr__ = lazy_names(__name__, _LAZY)
