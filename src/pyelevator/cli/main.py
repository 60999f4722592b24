"""The ``elevator`` command: the table of its subcommands."""

from collections.abc import Mapping
from importlib import import_module
from typing import Any, Final

import click
from click.shell_completion import add_completion_class

from pyelevator.cli.completion import SHELLS
from pyelevator.cli.errors import EXIT_CODES_HELP, OneLineErrorGroup
from pyelevator.cli.suggestions import suggest

_HELP_WIDTH: Final = 80


class LazyGroup(OneLineErrorGroup):
    """A group whose commands are imported when they are used, from places as in ``COMMANDS``."""

    def __init__(self, *, sections: Mapping[str, Mapping[str, str]], **options: Any) -> None:
        super().__init__(**options)
        self._sections = sections
        self._places = {name: place for section in sections.values() for name, place in section.items()}

    def list_commands(self, ctx: click.Context) -> list[str]:
        return [*self._places, *super().list_commands(ctx)]

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in self._places:
            return super().get_command(ctx, cmd_name)
        module, _, attribute = self._places[cmd_name].partition(":")
        found = getattr(import_module(f"pyelevator.cli.{module}"), attribute)
        command: click.Command = found[cmd_name] if isinstance(found, Mapping) else found
        return command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Return the command that the arguments name; where there is none, say which one may be meant."""
        name = args[0]
        if not name.startswith("-") and self.get_command(ctx, name) is None:
            raise click.UsageError(f"No such command {name!r}{suggest(name, self.list_commands(ctx)) or '.'}", ctx)
        return super().resolve_command(ctx, args)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the commands under their headings."""
        width = max(len(name) for name in self._places)
        for heading, section in self._sections.items():
            commands = [(name, self.get_command(ctx, name)) for name in section]
            rows = [
                (name.ljust(width), each.get_short_help_str(_HELP_WIDTH) if each else "") for name, each in commands
            ]
            with formatter.section(heading):
                formatter.write_dl(rows)


def _calls(names: str) -> Mapping[str, str]:
    return dict.fromkeys(names.split(), "calls.table:COMMANDS")


COMMANDS: Final[Mapping[str, Mapping[str, str]]] = {
    "Programs": {
        "serve": "processes.server:serve",
        "proxy": "processes.proxy:proxy",
        "console": "subcommands.console:console",
    },
    "Keys and values": _calls(
        "get put delete exists mget range slice count incr batch put-if-absent compare-and-set get-and-delete "
        "delete-range"
    ),
    "Databases": _calls("databases create drop forget mount unmount repair sizes"),
    "Backup": {
        "dump": "subcommands.dump:dump",
        "load": "subcommands.dump:load",
        "backup": "subcommands.backup:backup",
        **_calls("compact"),
        "progress": "subcommands.backup:progress",
    },
    "Operation": {
        "stats": "subcommands.stats:stats",
        "slowlog": "subcommands.stats:slowlog",
        "config": "processes.config:config",
    },
    "Tools": {
        "shell": "shell.command:shell",
        "completion": "subcommands.tools:completion",
        "help": "subcommands.tools:show_help",
        "ping": "subcommands.tools:ping",
        "bench": "subcommands.bench:bench",
        "keygen": "subcommands.keygen:keygen",
    },
}
"""Heading in the help -> name of a subcommand -> its module in this package, and in it the command, or a mapping of
commands by name.

A module is imported when its command is used, or when the help is shown.
"""


@click.group(
    cls=LazyGroup,
    sections=COMMANDS,
    invoke_without_command=True,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
    epilog=EXIT_CODES_HELP,
)
@click.version_option(package_name="pyelevator", prog_name="elevator")
@click.pass_context
def elevator(context: click.Context) -> None:
    """Elevator: many LevelDB databases, served over ZeroMQ."""
    if context.invoked_subcommand is None:
        click.echo(context.get_help())


for _name, _kind in SHELLS.items():
    add_completion_class(_kind, _name)
