"""The exceptions of pyelevator, all under one base.

::

    ElevatorError
    ├── UsageError (ValueError)             the call itself is wrong; nothing was sent
    │   ├── ArgumentTypeError (TypeError)   an argument has a type that the command cannot carry
    │   └── MessageTooLarge                 the server takes no request of that size
    ├── MissingExtra (ImportError)          an optional package is not installed
    ├── TransportError                      the request or its answer did not get through
    │   ├── RequestTimeout (TimeoutError)   no answer in time; the request may have been executed
    │   │   ├── PoolTimeout                 every connection of the client was busy; nothing was sent
    │   │   └── ConnectionLost (also ConnectionError) the server left before it answered
    │   └── ConnectFailed (ConnectionError) nothing could be sent
    │       ├── ConnectTimeout (also RequestTimeout)
    │       └── AuthenticationFailed        the server wants other keys, or none; trying again does not help
    ├── ProtocolError                       bytes that are not a message of the dialect
    │   ├── MalformedMessage
    │   └── LimitExceeded
    └── ServerError                         the server's answer is a failure: ``code``, ``message``
        ├── WrongType (TypeError)           code 0
        ├── KeyNotFound (KeyError)          code 1, of a key
        ├── UnknownCommand (KeyError)       code 1, of a verb
        ├── WrongValue (ValueError)         code 2
        ├── WrongIndex (IndexError)         code 3
        ├── ServerRuntimeError (RuntimeError) code 4
        │   └── CursorExpired               code 4, the snapshot of an iteration is gone
        ├── ServerOSError (OSError)         code 5
        │   └── PermissionDenied (PermissionError) code 5, the server knows the client and refuses
        ├── DatabaseError                   code 6
        │   ├── DatabaseUnavailable         code 6, the store behind the server cannot be reached; nothing was done
        │   ├── WriteConflict               code 6, others held what was to be written; nothing was done
        │   ├── OutcomeUnknown (RequestTimeout) code 6, the write may have been executed
        │   └── CheckFailed                 code 6, a check of a conditional batch does not hold
        ├── SignalError                     code 7
        └── BadRequest                      code 8

The builtins in parentheses are what the Python 2 client raised, so ``except KeyError`` keeps working.
Some rooms narrow a class of this tree where they raise it: ``commands.BadSignal``, ``codec.UnsupportedByDialect``.
"""

import enum
from collections.abc import Mapping
from typing import Final, TypeAlias


class ErrorCode(enum.IntEnum):
    """The failure codes of the wire (``err_code``), the same numbers in both dialects."""

    TYPE = 0
    KEY = 1
    VALUE = 2
    INDEX = 3
    RUNTIME = 4
    OS = 5
    DATABASE = 6
    SIGNAL = 7
    REQUEST = 8


Id: TypeAlias = int | str | bytes
"""What a request is called, so that its reply can be known: a number where it is one of our clients'."""


class ElevatorError(Exception):
    """Base of every exception of this package.

    Attributes:
        other_errors: the errors of later commands of the same pipeline.
        deleted: keys that a DeleteRange is known to have deleted before it failed.
    """

    other_errors: "tuple[Exception, ...]" = ()
    deleted: int = 0


class UsageError(ElevatorError, ValueError):
    """The call is wrong as written; nothing was sent."""


class ArgumentTypeError(UsageError, TypeError):
    """An argument has a type that the command cannot carry; the message names the argument."""


class MessageTooLarge(UsageError):
    """The request is larger than the server has said it takes; nothing was sent.

    Attributes:
        size: bytes of the request.
        limit: bytes of the largest one that the server takes.
    """

    size: int = 0
    limit: int = 0


class MissingExtra(ElevatorError, ImportError):
    """An optional package is not installed; the message says which extra brings it."""


class TransportError(ElevatorError):
    """The request or its answer did not get through.

    Attributes:
        attempts: how often it was tried; more than once only where a retry policy says so.
        earlier: the errors of the attempts before the last one.
    """

    attempts: int = 1
    earlier: "tuple[ElevatorError, ...]" = ()


class RequestTimeout(TransportError, TimeoutError):
    """No answer came in time. Whether the server executed the request is not known."""

    __str__ = Exception.__str__


class ConnectFailed(TransportError, ConnectionError):
    """Nothing could be sent, so nothing was executed.

    Attributes:
        reason: why, in a few words without an address; empty if that is not known.
    """

    reason: str = ""
    __str__ = Exception.__str__


class ConnectTimeout(ConnectFailed, RequestTimeout):
    """No connection came up in time; nothing was sent."""


class AuthenticationFailed(ConnectFailed):
    """The server does not let this client in: it asks for keys, or for others, or has none. Nothing was sent."""


class PoolTimeout(RequestTimeout):
    """Every connection of the client stayed busy; nothing was sent."""


class ConnectionLost(RequestTimeout, ConnectionError):
    """The server closed the connection before it answered; whether it executed the request is not known."""

    __str__ = Exception.__str__


class ProtocolError(ElevatorError):
    """Bytes that are not a message of the dialect.

    ``code`` is what a server answers, ``request_id`` the id to answer it under, where one could be read, and
    ``compression`` whether a compressed answer was asked for.
    """

    code: ErrorCode = ErrorCode.REQUEST

    def __init__(self, message: str, *, code: ErrorCode | None = None, request_id: Id | None = None) -> None:
        super().__init__(message)
        self.code = self.code if code is None else code
        self.request_id = request_id
        self.compression = False


class MalformedMessage(ProtocolError):
    """The bytes do not decode, or not to a message of the dialect."""


class LimitExceeded(ProtocolError):
    """The message is larger, deeper or longer than the codec's limits allow."""

    code = ErrorCode.VALUE


class ServerError(ElevatorError):
    """The server answered with a failure.

    Attributes:
        code: the wire's failure code.
        message: the text shown to the caller.
        detail: what the server wrote, where ``message`` is the documented text instead.
    """

    code: ErrorCode = ErrorCode.RUNTIME

    def __init__(self, message: str, code: ErrorCode | None = None, detail: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.code = self.code if code is None else code
        self.detail = detail or message

    def __str__(self) -> str:
        return self.message

    def __reduce__(self) -> tuple[object, ...]:
        return type(self), (self.message, self.code, self.detail), self.__dict__


class WrongType(ServerError, TypeError):
    """Code 0: the server refused the type of an argument."""

    code = ErrorCode.TYPE


class KeyNotFound(ServerError, KeyError):
    """Code 1: the key is not in the database.

    Attributes:
        key: that was asked for, as the client's results are (str, or bytes); None if that is not known.
    """

    code = ErrorCode.KEY
    key: str | bytes | None = None


class UnknownCommand(ServerError, KeyError):
    """Code 1 of anything but a key: the server does not know the verb."""

    code = ErrorCode.KEY


class WrongValue(ServerError, ValueError):
    """Code 2: the server refused the value of an argument."""

    code = ErrorCode.VALUE


class WrongIndex(ServerError, IndexError):
    """Code 3."""

    code = ErrorCode.INDEX


class ServerRuntimeError(ServerError, RuntimeError):
    """Code 4: the server failed, or does not know the database's uid (any more)."""

    code = ErrorCode.RUNTIME


class CursorExpired(ServerRuntimeError):
    """Code 4 with a text that begins with ``MESSAGE_PREFIX``: the server no longer keeps the snapshot of an iterator.

    What was read so far is right, and of one moment; the rest of that moment is gone. Start the iteration again.
    """

    MESSAGE_PREFIX: Final = "the cursor is gone: "


class ServerOSError(ServerError, OSError):
    """Code 5: the server's file system refused."""

    code = ErrorCode.OS


class PermissionDenied(ServerOSError, PermissionError):
    """Code 5 with a text that begins with ``MESSAGE_PREFIX``: this client may not do that. Nothing was executed."""

    MESSAGE_PREFIX: Final = "not allowed: "


class DatabaseError(ServerError):
    """Code 6: the database does not exist, exists already, or cannot be used.

    Attributes:
        database: its name; None if that is not known.
    """

    code = ErrorCode.DATABASE
    database: str | None = None


class DatabaseUnavailable(DatabaseError):
    """Code 6 with a text that begins with ``MESSAGE_PREFIX``: what keeps the data could not be reached in time.

    Nothing was executed, so that any command may be tried again; a ``Retry`` does.
    """

    MESSAGE_PREFIX: Final = "unavailable: "


class WriteConflict(DatabaseError):
    """Code 6 with a text that begins with ``MESSAGE_PREFIX``: another client held what the write needed for too long.

    Nothing was executed, so that the write may be tried again; a ``Retry`` does.
    """

    MESSAGE_PREFIX: Final = "conflict: "


class OutcomeUnknown(DatabaseError, RequestTimeout):
    """Code 6 with a text that begins with ``MESSAGE_PREFIX``: the server cannot find out whether it wrote.

    The write was executed once or not at all, or it will be in a moment, as after a RequestTimeout. A ``Retry`` repeats
    it only with ``writes=True``.
    """

    MESSAGE_PREFIX: Final = "may have been executed: "

    __str__ = ServerError.__str__


class CheckFailed(DatabaseError):
    """Code 6 with a text that begins with ``MESSAGE_PREFIX``: checks of a batch do not hold, and nothing was written.

    Behind the prefix, the server lists the positions of these checks in the batch, from 0 on: ``check failed: 0, 2``.

    Attributes:
        keys: those whose check failed, in the order of the checks, as the client's results are (str, or bytes).
    """

    MESSAGE_PREFIX: Final = "check failed: "
    keys: tuple[str, ...] | tuple[bytes, ...] = ()


class SignalError(ServerError):
    """Code 7: a batch holds something else than puts and deletes."""

    code = ErrorCode.SIGNAL


class BadRequest(ServerError):
    """Code 8: the server could not read the request."""

    code = ErrorCode.REQUEST


SERVER_ERRORS: Final[Mapping[ErrorCode, type[ServerError]]] = {
    kind.code: kind
    for kind in (
        *(WrongType, UnknownCommand, WrongValue, WrongIndex, ServerRuntimeError),
        *(ServerOSError, DatabaseError, SignalError, BadRequest),
    )
}
"""Wire code -> class. A command may refine this for itself (see ``Command.errors``)."""

MARKED_ERRORS: Final = (
    *(PermissionDenied, CursorExpired, DatabaseUnavailable, WriteConflict, OutcomeUnknown, CheckFailed),
)
"""What is told from others of its code by the ``MESSAGE_PREFIX`` of its text."""
