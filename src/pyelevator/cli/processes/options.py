"""Options of ``elevator serve`` and ``elevator proxy``, made from the settings of the programs.

Each setting is an option, an environment variable and a key of the configuration file. The command line overrides the
environment, and that overrides the file.
"""

import logging
import os
from collections.abc import Callable, Mapping
from typing import Any, Final, TypeAlias, TypeVar

import click
from attrs import evolve

from pyelevator.cli.command import ParamType
from pyelevator.config import values
from pyelevator.config.environment import ProgramSchema, read_tables
from pyelevator.config.schema import ProgramSettings, Setting

S = TypeVar("S", bound=ProgramSettings)

Decorator: TypeAlias = Callable[[Callable[..., int]], Callable[..., int]]

_VERBOSITY: Final = (logging.WARNING, logging.INFO, logging.DEBUG)


class SettingType(ParamType):
    """Parses an option or an environment variable as the value in a configuration file is parsed.

    A variable for a setting with several values has spaces between them.
    """

    name = "value"

    def __init__(self, setting: Setting) -> None:
        self._setting = setting

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> object:
        """Parse the value; an empty one, such as an unset shell variable leaves, is a mistake."""
        try:
            return self._setting.read(value)
        except ValueError as error:
            message = str(error) if isinstance(error, values.EntryError) else f"{values.quoted(value)}: {error}"
            message = message if value else "it is empty; is a variable not set?"
            raise click.BadParameter(message, ctx, param, _source_of(param, ctx)) from error


def _source_of(param: click.Parameter | None, ctx: click.Context | None) -> str | None:
    """Return the option, and the environment variable if the value came from it."""
    if param is None or ctx is None or not param.name:
        return None
    from_environment = ctx.get_parameter_source(param.name) is click.core.ParameterSource.ENVIRONMENT
    return param.get_error_hint(ctx) if from_environment else f"'{param.opts[0]}'"


class PathType(SettingType):
    """Parses paths; in a variable, they have colons between them."""

    envvar_list_splitter = os.pathsep


PATH: Final = PathType(Setting(values.path, "", "PATH"))


def settings_options(program: ProgramSchema[Any]) -> Decorator:
    """Make a decorator that gives a command the options of its settings, file and log."""
    options: list[Decorator] = [
        click.option(
            "--config",
            type=PATH,
            metavar="FILE",
            envvar=f"{program.prefix}CONFIG",
            show_envvar=True,
            help="Configuration file: TOML, or for a server the elevator.conf of an old one.",
        ),
        *[_setting_option(setting, program.prefix) for setting in program.settings if setting.is_option],
        click.option(
            "-v", "verbose", count=True, help="Log more than warnings: -v for events, -vv for connections too."
        ),
        click.option("--quiet", is_flag=True, help="Log errors only."),
    ]

    def decorate(command: Callable[..., int]) -> Callable[..., int]:
        for option in reversed(options):
            command = option(command)
        return command

    return decorate


def _setting_option(setting: Setting, prefix: str) -> Decorator:
    default = f" Default: {setting.default_text}." if setting.default_text else ""
    value_type = PathType if setting.read is values.path else SettingType
    kind: dict[str, Any] = {"is_flag": True, "default": None} if setting.is_flag else {"type": value_type(setting)}
    return click.option(
        setting.option,
        setting.name,
        metavar=setting.metavar or None,
        multiple=setting.is_list,
        envvar=setting.environment(prefix),
        show_envvar=True,
        help=f"{setting.help}{default}",
        **kind,
    )


def load_settings(program: ProgramSchema[S], given: Mapping[str, Any]) -> S:
    """Combine defaults, configuration file, environment and the parameters of a command with ``settings_options``."""
    extra = ("config", "verbose", "quiet")
    changes = {name: value for name, value in given.items() if name not in extra and value not in (None, ())}
    config = given["config"]
    from_file = program.read_file(config) if config else {}
    tables = read_tables(program, os.environ)
    log_level = _log_level(given["verbose"], given["quiet"])
    return evolve(program.settings_class(), **{**from_file, **tables, **changes, **log_level})


def _log_level(verbose: int, quiet: bool) -> dict[str, int]:
    if verbose and quiet:
        raise click.UsageError("-v and --quiet contradict one another")
    if quiet:
        return {"log_level": logging.ERROR}
    return {"log_level": _VERBOSITY[min(verbose, 2)]} if verbose else {}
