"""The errors of engines, each with the failure code that clients are told."""

from pyelevator.errors import CursorExpired, DatabaseUnavailable, ErrorCode, OutcomeUnknown, WriteConflict


class EngineError(Exception):
    """The engine failed; the only exception that engines raise on their own (its cause is the library's).

    Args:
        message: for the log; it may name files.
        path: of the database, if the message holds it.

    Attributes:
        code: the wire's failure code.
        prefix: of the message for clients, by which they tell this error from others with its code.
    """

    code = ErrorCode.DATABASE
    prefix = ""

    def __init__(self, message: str = "", path: str = "") -> None:
        super().__init__(message)
        self.path = path

    @property
    def client_message(self) -> str:
        """The message for clients, which know the database by its name: without the path."""
        text = f"{self.prefix}{self}"
        return text.replace(f"{self.path}/", "").replace(self.path, "the database") if self.path else text


class EngineFileError(EngineError):
    """The file system refused: no directory, no permission, no space."""

    code = ErrorCode.OS


class EngineDamaged(EngineError):
    """The files are damaged; ``Storage.repair`` recovers what can be recovered."""


def describe_damage(path: str, why: str) -> str:
    """Return the text about damaged files, with the ways to repair them: in a program, and on the command line."""
    return f"{path} is damaged; repair it with repairdb, or `elevator repair NAME` ({why})"


class EngineForeign(EngineError):
    """The files are another program's, sound or not; this engine would lose or delete their contents."""


class EngineBusy(EngineError):
    """A write that must not wait would have had to wait; nothing was written."""


class EngineUnavailable(EngineError):
    """The store could not be reached in time; nothing was done."""

    prefix = DatabaseUnavailable.MESSAGE_PREFIX


class EngineConflict(EngineError):
    """Others held what was to be written for too long; nothing was done."""

    prefix = WriteConflict.MESSAGE_PREFIX


class EngineOutcomeUnknown(EngineError):
    """A write was sent, and it could not be found out in time whether it was executed."""

    prefix = OutcomeUnknown.MESSAGE_PREFIX


class EngineTooLarge(EngineError):
    """A key, a value or a batch is larger than the engine can store; nothing was done."""

    code = ErrorCode.VALUE


class EngineGone(EngineError):
    """Another server has dropped the database; nothing was done."""

    code = ErrorCode.RUNTIME


class SnapshotLost(EngineError):
    """The engine has lost a snapshot, and with it the moment that it showed."""

    code = ErrorCode.RUNTIME
    prefix = CursorExpired.MESSAGE_PREFIX


class OptionTypeError(EngineError):
    """A database option has the wrong type."""

    code = ErrorCode.TYPE


class OptionValueError(EngineError):
    """A database option is out of range."""

    code = ErrorCode.VALUE
