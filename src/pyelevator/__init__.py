"""Elevator for Python 3: client, server and protocol toolkit for many LevelDB databases over ZeroMQ.

>>> from pyelevator import Elevator
>>> with Elevator(transport="fake") as E:
...     E.Put("abc", "123")
...     E.Get("abc")
'123'
"""

from importlib import import_module
from typing import TYPE_CHECKING

from pyelevator.client import Elevator, RangeIter, WriteBatch
from pyelevator.errors import (
    ArgumentTypeError,
    BadRequest,
    ConnectFailed,
    ConnectTimeout,
    DatabaseError,
    ElevatorError,
    ErrorCode,
    KeyNotFound,
    LimitExceeded,
    MalformedMessage,
    MissingExtra,
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
    WrongIndex,
    WrongType,
    WrongValue,
)

if TYPE_CHECKING:
    from pyelevator.client.aio import AsyncElevator, AsyncRangeIter, AsyncWriteBatch

__version__ = "1.0.0.dev0"

__all__ = [
    "ArgumentTypeError",
    "AsyncElevator",
    "AsyncRangeIter",
    "AsyncWriteBatch",
    "BadRequest",
    "ConnectFailed",
    "ConnectTimeout",
    "DatabaseError",
    "Elevator",
    "ElevatorError",
    "ErrorCode",
    "KeyNotFound",
    "LimitExceeded",
    "MalformedMessage",
    "MissingExtra",
    "PermissionDenied",
    "PoolTimeout",
    "ProtocolError",
    "RangeIter",
    "RequestTimeout",
    "ServerError",
    "ServerOSError",
    "ServerRuntimeError",
    "SignalError",
    "TransportError",
    "UnknownCommand",
    "UsageError",
    "WriteBatch",
    "WrongIndex",
    "WrongType",
    "WrongValue",
]


if not TYPE_CHECKING:  # a type checker would take it to allow any name

    def __getattr__(name):
        """The async names, with which asyncio comes; a program that does not use them does not wait for its import."""
        if name not in ("AsyncElevator", "AsyncRangeIter", "AsyncWriteBatch"):
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        return getattr(import_module("pyelevator.client.aio"), name)

    def __dir__():
        return sorted({*globals(), *__all__})
