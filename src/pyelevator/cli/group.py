"""The group of subcommands: each is imported when it is used, and the help lists them under headings."""

from collections.abc import Mapping
from importlib import import_module
from typing import Any, Final

import click

from pyelevator.cli.errors import OneLineErrorGroup
from pyelevator.cli.suggestions import suggest

_HELP_WIDTH: Final = 80


class LazyGroup(OneLineErrorGroup):
    """A group whose commands are imported when they are used.

    Args:
        sections: heading -> name of a command -> ``module:attribute``: a module in this package, and in it a command or
            a mapping of commands by name.
        options: of a click group.
    """

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
            rows = [(name.ljust(width), self._short_help(ctx, name)) for name in section]
            with formatter.section(heading):
                formatter.write_dl(rows)

    def _short_help(self, ctx: click.Context, name: str) -> str:
        command = self.get_command(ctx, name)
        return "" if command is None else command.get_short_help_str(_HELP_WIDTH)
