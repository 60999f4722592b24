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
    DELETE as DELETE,
    HAS_VALUE as HAS_VALUE,
    IS_MISSING as IS_MISSING,
    IS_PRESENT as IS_PRESENT,
    MISSING as MISSING,
    PRESENT as PRESENT,
    PUT as PUT,
    BadSignal as BadSignal,
    BatchOp as BatchOp,
    Expected as Expected,
    KeyCheck as KeyCheck,
    make_check as make_check,
)
from pyelevator.arguments.data import Data as Data, OptionValue as OptionValue, to_bytes as to_bytes
from pyelevator.commands.base import (
    Access as Access,
    Command as Command,
    PayloadKind as PayloadKind,
    Unknown as Unknown,
)
from pyelevator.commands.keys import (
    Delete as Delete,
    Exists as Exists,
    Get as Get,
    GetAndDelete as GetAndDelete,
    Increment as Increment,
    MGet as MGet,
    Put as Put,
)

if TYPE_CHECKING:
    from pyelevator.commands.admin import (
        Backup as Backup,
        Compact as Compact,
        Ping as Ping,
        Progress as Progress,
        Sizes as Sizes,
        SlowLog as SlowLog,
        Stats as Stats,
    )
    from pyelevator.commands.batches import Batch as Batch, ConditionalBatch as ConditionalBatch, put_if as put_if
    from pyelevator.commands.databases import (
        DbConnect as DbConnect,
        DbCreate as DbCreate,
        DbDrop as DbDrop,
        DbForget as DbForget,
        DbList as DbList,
        DbMount as DbMount,
        DbRepair as DbRepair,
        DbUmount as DbUmount,
        RepairReport as RepairReport,
        Snapshot as Snapshot,
    )
    from pyelevator.commands.pipelines import PIPELINED as PIPELINED, Pipeline as Pipeline
    from pyelevator.commands.ranges import (
        Count as Count,
        DeletedChunk as DeletedChunk,
        DeleteRange as DeleteRange,
        Range as Range,
        Slice as Slice,
    )
    from pyelevator.commands.table import COMMANDS as COMMANDS


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
    __getattr__, __all__ = lazy_names(globals(), _LAZY)
