"""How the commands report: one line on stderr and an exit code, never a traceback."""

from collections.abc import Callable
from typing import Any, Final, NoReturn

import click

from pyelevator.cli.old_command_line import new_line
from pyelevator.errors import ElevatorError, ServerError, TransportError, UsageError

_FAILED: Final = 1


class OneLineErrors(click.Group):
    """A group whose errors are one line: exit code 2 for what was typed, 1 for what then failed."""

    def main(self, *args: Any, **kwargs: Any) -> NoReturn:
        try:
            code = super().main(*args, **{**kwargs, "standalone_mode": False})
        except click.ClickException as error:
            code = _report(error.format_message(), error.exit_code)
        except (ElevatorError, OSError, click.Abort) as error:
            code = _report(_words(error), _FAILED)
        raise SystemExit(code if isinstance(code, int) else 0)

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Parse the options of ``elevator`` itself; an old server's command line is answered with the new one."""
        words = list(args)
        try:
            return super().parse_args(ctx, args)
        except click.NoSuchOption as error:
            raise click.UsageError(new_line(words) or error.format_message()) from error


def usage(call: Callable[[], Any]) -> Any:
    """What ``call`` gives; its UsageError is a mistake on the command line or in the file that it names."""
    try:
        return call()
    except UsageError as error:
        raise click.UsageError(str(error)) from error


def _report(message: str, code: int) -> int:
    click.echo(f"elevator: {' '.join(message.split())}", err=True)
    return code


def _words(error: BaseException) -> str:
    if isinstance(error, (TransportError, ServerError)) or not isinstance(error, OSError):
        return str(error) or "aborted"
    return f"{error.filename}: {error.strerror}" if error.filename else str(error)
