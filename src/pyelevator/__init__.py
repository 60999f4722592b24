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
    ArgumentTypeError as ArgumentTypeError,
    AuthenticationFailed as AuthenticationFailed,
    BadRequest as BadRequest,
    CheckFailed as CheckFailed,
    ConnectFailed as ConnectFailed,
    ConnectionLost as ConnectionLost,
    ConnectTimeout as ConnectTimeout,
    CursorExpired as CursorExpired,
    DatabaseError as DatabaseError,
    DatabaseUnavailable as DatabaseUnavailable,
    ElevatorError as ElevatorError,
    ErrorCode as ErrorCode,
    KeyNotFound as KeyNotFound,
    LimitExceeded as LimitExceeded,
    MalformedMessage as MalformedMessage,
    MessageTooLarge as MessageTooLarge,
    MissingExtra as MissingExtra,
    OutcomeUnknown as OutcomeUnknown,
    PermissionDenied as PermissionDenied,
    PoolTimeout as PoolTimeout,
    ProtocolError as ProtocolError,
    RequestTimeout as RequestTimeout,
    ServerError as ServerError,
    ServerOSError as ServerOSError,
    ServerRuntimeError as ServerRuntimeError,
    SignalError as SignalError,
    TransportError as TransportError,
    UnknownCommand as UnknownCommand,
    UsageError as UsageError,
    WriteConflict as WriteConflict,
    WrongIndex as WrongIndex,
    WrongType as WrongType,
    WrongValue as WrongValue,
)
from pyelevator.legacy import install as _install

if TYPE_CHECKING:
    from pyelevator.arguments.batches import MISSING as MISSING, PRESENT as PRESENT
    from pyelevator.client import (
        Elevator as Elevator,
        RangeIter as RangeIter,
        Snapshot as Snapshot,
        WriteBatch as WriteBatch,
    )
    from pyelevator.client.aio import (
        AsyncElevator as AsyncElevator,
        AsyncRangeIter as AsyncRangeIter,
        AsyncSnapshot as AsyncSnapshot,
        AsyncWriteBatch as AsyncWriteBatch,
    )
    from pyelevator.commands import RepairReport as RepairReport
    from pyelevator.interceptors import Retry as Retry
    from pyelevator.transports import Curve as Curve

__version__ = "1.0.0.dev0"


_install()
_LAZY = {
    "arguments.batches": ("MISSING", "PRESENT"),
    "client": ("Elevator", "RangeIter", "Snapshot", "WriteBatch", "client"),
    "client.aio": ("AsyncElevator", "AsyncRangeIter", "AsyncSnapshot", "AsyncWriteBatch"),
    "commands": ("RepairReport",),
    "transports": ("Curve", "transports"),
    "interceptors": ("Retry",),
}
"""Module -> the names in it, and perhaps its own, that are loaded when they are first used: a program that only
catches errors does not wait for the client, and one without asyncio does not wait for that."""

if not TYPE_CHECKING:  # a type checker would take it to allow any name
    __getattr__, __all__ = lazy_names(globals(), _LAZY)

    def __dir__():
        return sorted({*globals(), *__all__})
