"""The ``elevator`` command: the table of its subcommands."""

from collections.abc import Mapping
from typing import Final

import click

from pyelevator.cli.errors import EXIT_CODES_HELP
from pyelevator.cli.group import LazyGroup

COMMANDS: Final[Mapping[str, Mapping[str, str]]] = {
    "Programs": {
        "serve": "serve:serve",
        "proxy": "proxy:proxy",
    },
    "Backup": {
        "dump": "dump:dump",
        "load": "dump:load",
    },
    "Tools": {
        "ping": "ping:ping",
        "bench": "bench:bench",
        "keygen": "keygen:keygen",
    },
}
"""Heading in the help -> name of a subcommand -> its module in this package, and what it is called there.

A module is imported when its command is used, or when the help is shown.
"""


@click.group(
    cls=LazyGroup,
    sections=COMMANDS,
    invoke_without_command=True,
    context_settings={"help_option_names": ["-h", "--help"]},
    epilog=EXIT_CODES_HELP,
)
@click.version_option(package_name="pyelevator", prog_name="elevator")
@click.pass_context
def elevator(context: click.Context) -> None:
    """Elevator: many LevelDB databases, served over ZeroMQ."""
    if context.invoked_subcommand is None:
        click.echo(context.get_help())
