"""``elevator shell``: from its command line to the end of its input."""

import os
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Final

import click

from pyelevator.cli.connection_options import ConnectionOptions, connection_options
from pyelevator.cli.errors import ExitCode
from pyelevator.cli.shell.blocks import is_complete
from pyelevator.cli.shell.commands import find_command
from pyelevator.cli.shell.session import ShellSession
from pyelevator.errors import MissingExtra

_EPILOG: Final = """\b
Within the shell:
  help [COMMAND]       what there is
  use NAME             connect to another database
  batch ... end        write several lines as one batch
  \\watch [SECONDS]     repeat the last command
  \\slow                what took long on the server
  Tab                  complete commands, databases and keys
  Ctrl-C, Ctrl-D       end the call; leave the shell
"""


@click.command(epilog=_EPILOG)
@connection_options(url_argument=True)
@click.option(
    "--history",
    type=click.Path(dir_okay=False, path_type=Path),
    metavar="FILE",
    envvar="ELEVATOR_HISTORY",
    show_envvar=True,
    help="File that keeps the history; '' for none. Default: ~/.local/state/elevator/history.",
)
def shell(connection: ConnectionOptions, history: Path | None) -> int:
    """Open a prompt for the commands that call a server.

    Every command of `Keys and values` and `Databases` works there as it does here, without its connection options.
    Where stdin is no terminal, commands are read from it, one in each line, until one fails.
    """
    if not sys.stdin.isatty():
        with connection.open() as client:
            return run_script(ShellSession(client, connection, find_command), sys.stdin)
    try:
        from pyelevator.cli.shell.prompt import run_prompt
    except ImportError as error:
        if error.name != "prompt_toolkit":
            raise
        message = "the shell needs prompt_toolkit; install it with: pip install 'pyelevator[shell]'"
        raise MissingExtra(message) from error
    with connection.open() as client:
        session = ShellSession(client, connection, find_command, is_interactive=True)
        run_prompt(session, default_history() if history is None else history)
    return ExitCode.DONE


def default_history() -> Path:
    """Return the path of the history, where the system keeps the state of programs."""
    state = os.environ.get("XDG_STATE_HOME") or str(Path.home() / ".local" / "state")
    return Path(state) / "elevator" / "history"


def run_script(session: ShellSession, lines: Iterable[str]) -> int:
    """Run the commands of a text until one fails, and return the last exit code.

    That a key is missing may be an answer, and is no failure.
    """
    code: int = ExitCode.DONE
    for text in _commands_of(lines):
        code = session.execute(text)
        if session.has_failed or session.is_done:
            break
    return code


def _commands_of(lines: Iterable[str]) -> Iterator[str]:
    """Join the lines of batches and of quotes that are open."""
    text = ""
    for line in lines:
        text += line
        if is_complete(text):
            yield text
            text = ""
    if text:
        yield text
