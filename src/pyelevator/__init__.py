"""Elevator for Python 3: client, server and protocol toolkit for many LevelDB databases over ZeroMQ.

>>> from pyelevator import Elevator
>>> with Elevator(transport="fake") as E:
...     E.Put("abc", "123")
...     E.Get("abc")
'123'
"""

from typing import TYPE_CHECKING

from pyelevator._lazy import lazy_names
from pyelevator.errors import (
    ArgumentTypeError,
    AuthenticationFailed,
    BadRequest,
    CheckFailed,
    ConnectFailed,
    ConnectionLost,
    ConnectTimeout,
    CursorExpired,
    DatabaseError,
    DatabaseUnavailable,
    ElevatorError,
    ErrorCode,
    KeyNotFound,
    LimitExceeded,
    MalformedMessage,
    MessageTooLarge,
    MissingExtra,
    OutcomeUnknown,
    PermissionDenied,
    PoolTimeout,
    ProtocolError,
    RequestTimeout,
    ServerError,
    ServerOSError,
    ServerRuntimeError,
    SignalError,
    TransportError,
    UnknownCommand,
    UsageError,
    WriteConflict,
    WrongIndex,
    WrongType,
    WrongValue,
)
from pyelevator.legacy import install

if TYPE_CHECKING:
    from pyelevator.arguments.batches import MISSING, PRESENT
    from pyelevator.client import Elevator, RangeIter, Snapshot, WriteBatch
    from pyelevator.client.aio import AsyncElevator, AsyncRangeIter, AsyncSnapshot, AsyncWriteBatch
    from pyelevator.commands import RepairReport
    from pyelevator.interceptors import Retry
    from pyelevator.transports import Curve

__version__ = "1.0.0.dev0"

__all__ = [
    "MISSING",
    "PRESENT",
    "ArgumentTypeError",
    "AsyncElevator",
    "AsyncRangeIter",
    "AsyncSnapshot",
    "AsyncWriteBatch",
    "AuthenticationFailed",
    "BadRequest",
    "CheckFailed",
    "ConnectFailed",
    "ConnectTimeout",
    "ConnectionLost",
    "CursorExpired",
    "Curve",
    "DatabaseError",
    "DatabaseUnavailable",
    "Elevator",
    "ElevatorError",
    "ErrorCode",
    "KeyNotFound",
    "LimitExceeded",
    "MalformedMessage",
    "MessageTooLarge",
    "MissingExtra",
    "OutcomeUnknown",
    "PermissionDenied",
    "PoolTimeout",
    "ProtocolError",
    "RangeIter",
    "RepairReport",
    "RequestTimeout",
    "Retry",
    "ServerError",
    "ServerOSError",
    "ServerRuntimeError",
    "SignalError",
    "Snapshot",
    "TransportError",
    "UnknownCommand",
    "UsageError",
    "WriteBatch",
    "WriteConflict",
    "WrongIndex",
    "WrongType",
    "WrongValue",
]


install()
_LAZY = {
    "arguments": ("MISSING", "PRESENT"),
    "client": ("Elevator", "RangeIter", "Snapshot", "WriteBatch", "client"),
    "client.aio": ("AsyncElevator", "AsyncRangeIter", "AsyncSnapshot", "AsyncWriteBatch"),
    "commands": ("RepairReport",),
    "transports": ("Curve", "transports"),
    "interceptors": ("Retry",),
}
"""Module -> the names in it, and perhaps its own, that are loaded when they are first used: a program that only
catches errors does not wait for the client, and one without asyncio does not wait for that."""

if not TYPE_CHECKING:  # a type checker would take it to allow any name
    __getattr__ = lazy_names(__name__, _LAZY)

    def __dir__():
        return sorted({*globals(), *__all__})
