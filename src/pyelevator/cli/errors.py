"""Errors of the commands: one line on stderr and an exit code, never a traceback."""

import enum
import os
import re
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Final, NoReturn

import click

from pyelevator.cli.logs import printable
from pyelevator.cli.old_command_line import suggest_command_line
from pyelevator.cli.suggestions import describe_unknown_option
from pyelevator.errors import (
    AuthenticationFailed,
    CheckFailed,
    ElevatorError,
    KeyNotFound,
    MessageTooLarge,
    PermissionDenied,
    ProtocolError,
    ServerError,
    TransportError,
    UsageError,
)


class ExitCode(enum.IntEnum):
    """The exit codes of all commands."""

    DONE = 0
    FAILED = 1
    USAGE = 2
    CONNECTION = 3
    REFUSED = 4
    DENIED = 5
    INTERRUPTED = 130
    BROKEN_PIPE = 141


_MEANINGS: Final = {
    ExitCode.DONE: "done",
    ExitCode.FAILED: "the key is missing, or a check does not hold; or a failure of this machine",
    ExitCode.USAGE: "a mistake in the command line, the configuration or the input",
    ExitCode.CONNECTION: "no connection, or no answer in time",
    ExitCode.REFUSED: "the server refused: no such database, over a limit...",
    ExitCode.DENIED: "the server does not know the client, or does not allow it to do that",
}

EXIT_CODES_HELP: Final = "\b\nExit codes:\n" + "\n".join(f"  {code:d}  {text}" for code, text in _MEANINGS.items())
"""The exit codes, as the help tells them."""

_EXIT_CODES: Final[Sequence[tuple[type[BaseException], ExitCode]]] = (
    (KeyNotFound, ExitCode.FAILED),
    (CheckFailed, ExitCode.FAILED),
    (MessageTooLarge, ExitCode.REFUSED),
    (UsageError, ExitCode.USAGE),
    (AuthenticationFailed, ExitCode.DENIED),
    (PermissionDenied, ExitCode.DENIED),
    (TransportError, ExitCode.CONNECTION),
    (ProtocolError, ExitCode.CONNECTION),
    (ServerError, ExitCode.REFUSED),
    (click.Abort, ExitCode.INTERRUPTED),
    (BaseException, ExitCode.FAILED),
)
"""What was raised -> the exit code; the first class that fits counts."""


def exit_code(error: BaseException) -> ExitCode:
    """Return the exit code for an error.

    >>> exit_code(KeyNotFound("Key not found")), exit_code(ConnectionError())
    (<ExitCode.FAILED: 1>, <ExitCode.FAILED: 1>)
    """
    return next(code for kind, code in _EXIT_CODES if isinstance(error, kind))


class OneLineErrorGroup(click.Group):
    """A group that reports errors in one line, and exits with what ``ExitCode`` says of them."""

    def main(self, *args: Any, **kwargs: Any) -> NoReturn:
        """Run the command and exit."""
        try:
            code = super().main(*args, **{**kwargs, "standalone_mode": False})
        except (click.ClickException, ElevatorError, OSError, click.Abort) as error:
            message, code = explain(error)
            click.echo(f"elevator: {message}", err=True)
        raise SystemExit(code if isinstance(code, int) else 0)

    def invoke(self, ctx: click.Context) -> Any:
        """Invoke the command. When stdout has no reader any more it ends, and says nothing."""
        try:
            result = super().invoke(ctx)
            sys.stdout.flush()
        except BrokenPipeError:
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # what is flushed at the interpreter's end
            return ExitCode.BROKEN_PIPE
        return result

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Parse the options of ``elevator`` itself; for an old server's command line, suggest the new one."""
        words = list(args)
        try:
            return super().parse_args(ctx, args)
        except click.NoSuchOption as error:
            raise click.UsageError(suggest_command_line(words) or _usage_message(error)) from error


@contextmanager
def start_failures() -> Iterator[None]:
    """Report what keeps a server or a proxy from starting as a failure of this machine.

    The command line is sound by then: an address may be taken, or a directory not writable.
    """
    try:
        yield
    except ElevatorError as error:
        raise click.ClickException(str(error)) from error


def explain(error: BaseException) -> tuple[str, int]:
    """Return what to say about an error, in one line, and the exit code."""
    if isinstance(error, click.ClickException):
        message, code = _usage_message(error), error.exit_code
    else:
        message, code = _error_message(error), exit_code(error)
    return printable(" ".join(message.split())), code


def _usage_message(error: click.ClickException) -> str:
    """Return what to say about a command line that is not understood, and where it says more."""
    if isinstance(error, click.NoSuchOption):
        return describe_unknown_option(error)
    if isinstance(error, click.MissingParameter):
        path = error.ctx.command_path if error.ctx else "elevator"
        return f"{error.format_message()} See `{path} --help`."
    if isinstance(error, click.BadParameter):
        from pyelevator.config.values import quoted  # which few commands need otherwise

        return re.sub(r"'([^'\s]+)'", lambda value: quoted(value[1]), error.format_message())
    return error.format_message()


def _error_message(error: BaseException) -> str:
    if isinstance(error, KeyNotFound) and error.key is not None:
        return f"{error}: {printable(error.key)}"
    if isinstance(error, CheckFailed) and error.keys:
        return f"nothing was written, because of the checks of {', '.join([printable(key) for key in error.keys])}"
    if isinstance(error, (TransportError, ServerError)) or not isinstance(error, OSError):
        return str(error) or "aborted"
    return f"{error.filename}: {error.strerror}" if error.filename else str(error)
