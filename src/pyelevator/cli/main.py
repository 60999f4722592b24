"""The ``elevator`` command: the table of its subcommands."""

from collections.abc import Mapping
from typing import Final

import click

from pyelevator.cli.errors import EXIT_CODES_HELP
from pyelevator.cli.group import LazyGroup

_CALLS: Final = "calls.commands:COMMANDS"

COMMANDS: Final[Mapping[str, Mapping[str, str]]] = {
    "Programs": {
        "serve": "processes.serve:serve",
        "proxy": "processes.proxy:proxy",
        "console": "subcommands.console:console",
    },
    "Keys and values": dict.fromkeys(
        (
            "get",
            "put",
            "delete",
            "exists",
            "mget",
            "range",
            "slice",
            "count",
            "incr",
            "batch",
            "put-if-absent",
            "compare-and-set",
            "get-and-delete",
            "delete-range",
        ),
        _CALLS,
    ),
    "Databases": dict.fromkeys(
        ("databases", "create", "drop", "forget", "mount", "unmount", "repair", "sizes"), _CALLS
    ),
    "Backup": {
        "dump": "subcommands.dump:dump",
        "load": "subcommands.dump:load",
        "backup": "subcommands.tasks:backup",
        "compact": "subcommands.tasks:compact",
        "progress": "subcommands.tasks:progress",
    },
    "Operation": {
        "stats": "subcommands.stats:stats",
        "slowlog": "subcommands.stats:slowlog",
        "config": "processes.config:config",
    },
    "Tools": {
        "shell": "shell.command:shell",
        "completion": "subcommands.completion:completion",
        "help": "subcommands.help:show_help",
        "ping": "subcommands.ping:ping",
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
