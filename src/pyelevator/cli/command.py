"""The base of the commands: options under headings in the help, and negative numbers as arguments."""

import re
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any, Final

import click

if TYPE_CHECKING:
    ParamType = click.ParamType[Any]
else:  # generic from click 8.5 on only
    ParamType = click.ParamType

_NEGATIVE: Final = re.compile(r"-[\d.]")


class SectionedCommand(click.Command):
    """A command whose help lists its options under headings; those that ``sections`` does not name are ``Options``."""

    sections: Mapping[str, Iterable[str]]

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the options under their headings."""
        headings = {name: heading for heading, names in self.sections.items() for name in names}
        found: dict[str, list[tuple[str, str]]] = {"Options": [], **{heading: [] for heading in self.sections}}
        for param in self.get_params(ctx):
            record = param.get_help_record(ctx) if isinstance(param, click.Option) else None
            if record is not None:
                found[headings.get(param.name or "", "Options")].append(record)
        for heading, records in found.items():
            if records:
                with formatter.section(heading):
                    formatter.write_dl(records)

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Parse the arguments; what looks like a negative number is one, and no option."""
        ctx.ignore_unknown_options = any(_NEGATIVE.match(word) for word in args)
        return super().parse_args(ctx, args)
