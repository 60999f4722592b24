"""The commands of the shell: its own, those that call a server, and those of ``elevator`` that fit in."""

import re
import time
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Final

import click

from pyelevator.cli.calls.parameters import take_format
from pyelevator.cli.calls.table import CALLS, Call
from pyelevator.cli.calls.words import quote
from pyelevator.cli.connection_options import DatabaseType
from pyelevator.cli.errors import ExitCode
from pyelevator.cli.main import COMMANDS, elevator
from pyelevator.cli.shell.session import ShellSession
from pyelevator.cli.suggestions import suggest

_WATCH_INTERVAL: Final = 2.0
_SECONDS: Final = re.compile(r"\d+(\.\d+)?|\.\d+")


def _call_command(name: str, call: Call) -> click.Command:
    @click.pass_obj
    def invoke(session: ShellSession, /, **params: object) -> ExitCode:
        output = session.output(*take_format(params))
        client = session.client
        before = client.timeout
        try:
            client.timeout = None if call.is_long else before
            return call.show(output, call.run(client, **params))
        finally:
            client.timeout = before

    return call.command(name, invoke)


@click.command()
@click.argument("name", type=DatabaseType())
@click.pass_obj
def use(session: ShellSession, name: str) -> None:
    """Connect to another database."""
    session.client.connect(name)


@click.command("exit")
@click.pass_obj
def leave(session: ShellSession) -> None:
    """Leave the shell; Ctrl-D does the same."""
    session.is_done = True


@click.command("help")
@click.argument("name", metavar="[COMMAND]", required=False)
def show_help(name: str | None) -> None:
    """List the commands, or explain one."""
    parent = click.get_current_context().parent
    if name is not None:
        command = find_command(name)
        click.echo(command.get_help(click.Context(command, parent=parent, info_name=name)))
        return
    formatter = click.HelpFormatter(max_width=100)
    for heading, section in SECTIONS.items():
        with formatter.section(heading):
            formatter.write_dl([(name, command.get_short_help_str(80)) for name, command in section.items()])
    with formatter.section("Other names"):
        formatter.write_dl([(name, other) for name, other in ALIASES.items()])
    click.echo(formatter.getvalue(), nl=False)


@click.command("\\watch", context_settings={"allow_interspersed_args": False, "ignore_unknown_options": True})
@click.option("--count", type=click.IntRange(min=1), metavar="N", help="Stop after N times.")
@click.argument("words", metavar="[SECONDS] [COMMAND...]", nargs=-1)
@click.pass_obj
def watch(session: ShellSession, count: int | None, words: Sequence[str]) -> int:
    """Repeat the last command, or COMMAND, until Ctrl-C.

    It waits for SECONDS between two runs, 2 unless you say otherwise.
    """
    seconds, command = _split_interval(words)
    text = " ".join([quote(word.encode("utf-8", "surrogateescape")) for word in command]) or session.last
    if not text:
        raise click.UsageError("there is no command to repeat; name one: \\watch 2 count")
    code, runs = 0, 0
    while count is None or runs < count:
        if runs:
            time.sleep(seconds)
        click.secho(f"{datetime.now():%H:%M:%S} {text}", dim=True)
        code, runs = session.execute(text), runs + 1
        if code in (ExitCode.INTERRUPTED, ExitCode.USAGE):  # another run would fail as well
            break
    return code


def _split_interval(words: Sequence[str]) -> tuple[float, Sequence[str]]:
    """Return the seconds that the words begin with, and the rest.

    >>> _split_interval(["0.5", "get", "a"]), _split_interval(["get", "1"])
    ((0.5, ['get', 'a']), (2.0, ['get', '1']))
    """
    if words and _SECONDS.fullmatch(words[0]):
        return float(words[0]), words[1:]
    return _WATCH_INTERVAL, words


@click.command("\\timing")
@click.pass_obj
def timing(session: ShellSession) -> None:
    """Turn the times of commands off, or on again."""
    session.shows_times = not session.shows_times
    click.echo(f"times are {'shown' if session.shows_times else 'not shown'}")


_SERVER_COMMANDS: Final = ("stats", "slowlog", "backup", "progress", "dump", "ping")
"""Commands of ``elevator`` that take the shell's connection."""

ALIASES: Final = {
    "\\slow": "slowlog",
    "\\stats": "stats",
    "\\q": "exit",
    "quit": "exit",
    "\\?": "help",
    "\\use": "use",
}
"""Other name -> name of a command."""

_SHELL_COMMANDS: Final = {"use": use, "help": show_help, "exit": leave, "\\watch": watch, "\\timing": timing}


def _sections() -> Mapping[str, Mapping[str, click.Command]]:
    """Return heading -> name -> command, in the order of the help."""
    sections = {
        heading: {name: _call_command(name, CALLS[name]) for name in names if name in CALLS}
        for heading, names in COMMANDS.items()
    }
    others = {name: elevator.get_command(click.Context(elevator), name) for name in _SERVER_COMMANDS}
    sections["Server"] = {name: command for name, command in others.items() if command is not None}
    sections["Shell"] = _SHELL_COMMANDS
    return {heading: section for heading, section in sections.items() if section}


SECTIONS: Final = _sections()
SHELL_COMMANDS: Final = {name: command for section in SECTIONS.values() for name, command in section.items()}


def find_command(name: str) -> click.Command:
    """Return the command of a name, or raise a click.UsageError."""
    command = SHELL_COMMANDS.get(ALIASES.get(name, name))
    if command is None:
        meant = suggest(name, SHELL_COMMANDS) or "; help lists what there is"
        raise click.UsageError(f"there is no command {name!r}{meant}")
    return command
