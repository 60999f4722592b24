"""Elevator for Python 3: client, server and protocol toolkit for many LevelDB databases over ZeroMQ.

>>> from pyelevator import Elevator
>>> with Elevator(transport="fake") as E:
...     E.Put("abc", "123")
...     E.Get("abc")
'123'
"""

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

__version__ = "1.0.0.dev0"

__all__ = [
    "ArgumentTypeError",
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
