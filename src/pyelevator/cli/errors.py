"""Errors of the commands: one line on stderr and an exit code, never a traceback."""

from collections.abc import Callable
from typing import Any, Final, NoReturn

import click

from pyelevator.cli.old_command_line import suggest_command_line
from pyelevator.errors import ElevatorError, ServerError, TransportError, UsageError

_FAILED: Final = 1


class OneLineErrorGroup(click.Group):
    """A group that reports errors in one line: exit code 2 for mistakes in the input, 1 for failures."""

    def main(self, *args: Any, **kwargs: Any) -> NoReturn:
        """Run the command and exit."""
        try:
            code = super().main(*args, **{**kwargs, "standalone_mode": False})
        except click.ClickException as error:
            code = _report(error.format_message(), error.exit_code)
        except (ElevatorError, OSError, click.Abort) as error:
            code = _report(_message(error), _FAILED)
        raise SystemExit(code if isinstance(code, int) else 0)

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Parse the options of ``elevator`` itself; for an old server's command line, suggest the new one."""
        words = list(args)
        try:
            return super().parse_args(ctx, args)
        except click.NoSuchOption as error:
            raise click.UsageError(suggest_command_line(words) or error.format_message()) from error


def as_usage_error(call: Callable[[], Any]) -> Any:
    """Call a function, and report its UsageError as a mistake in the command line or the configuration file."""
    try:
        return call()
    except UsageError as error:
        raise click.UsageError(str(error)) from error


def _report(message: str, code: int) -> int:
    click.echo(f"elevator: {' '.join(message.split())}", err=True)
    return code


def _message(error: BaseException) -> str:
    if isinstance(error, (TransportError, ServerError)) or not isinstance(error, OSError):
        return str(error) or "aborted"
    return f"{error.filename}: {error.strerror}" if error.filename else str(error)
