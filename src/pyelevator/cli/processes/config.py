"""``elevator config``: check and show the settings of a server or a proxy."""

import json
import logging
import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final

import click
from attrs import evolve

from pyelevator.cli.errors import OneLineErrorGroup
from pyelevator.cli.processes.server import validate
from pyelevator.config import values
from pyelevator.config.environment import PROXY, SERVER, ProgramSchema, read_variables, unknown_variables
from pyelevator.config.schema import ProgramSettings, Setting
from pyelevator.config.server_settings import ServerSettings
from pyelevator.proxy import Upstream

_proxy_option: Final = click.option(
    "--proxy", "is_proxy", is_flag=True, help="Take the settings of `elevator proxy`, not those of `elevator serve`."
)
_file_option: Final = click.option(
    "--config",
    "file",
    type=click.Path(dir_okay=False, path_type=Path),
    metavar="FILE",
    help="Configuration file. Default: the one that ELEVATOR_CONFIG names, or ELEVATOR_PROXY_CONFIG with --proxy.",
)


@click.group(cls=OneLineErrorGroup)
def config() -> None:
    """Check or show settings: of the configuration file and the environment."""


@config.command()
@click.argument("path", metavar="[FILE]", required=False, type=click.Path(dir_okay=False, path_type=Path))
@_file_option
@_proxy_option
def check(path: Path | None, file: Path | None, is_proxy: bool) -> None:
    """Check that a program would start with these settings; the exit code is 2 if not.

    Nothing is opened. Keys of the file that are ignored, and ELEVATOR_ variables that mean nothing, are warned of.
    """
    if path is not None and file is not None:
        raise click.UsageError("the file is given twice, as an argument and with --config")
    program = PROXY if is_proxy else SERVER
    settings, _ = _load_settings(program, path or file)
    if isinstance(settings, ServerSettings):
        validate(settings)
        for key in settings.ignored:
            click.echo(f"elevator: {key} is ignored", err=True)
    for sentence in unknown_variables(os.environ):
        click.echo(f"elevator: {sentence}", err=True)
    click.echo("ok")


@config.command()
@_file_option
@_proxy_option
@click.option("--json", "as_json", is_flag=True, help="Print JSON: the value and the source of each setting.")
def show(file: Path | None, is_proxy: bool, as_json: bool) -> None:
    """Show all settings and where each comes from: a default, the file, or a variable.

    The output is a configuration file. Passwords in URLs are left out.
    """
    program = PROXY if is_proxy else SERVER
    settings, sources = _load_settings(program, file)
    shown = {one.key: (_plain(one, getattr(settings, one.name)), sources[one.name]) for one in program.settings}
    if as_json:
        click.echo(json.dumps({key: {"value": value, "source": source} for key, (value, source) in shown.items()}))
    else:
        click.echo("\n".join(_toml(shown)))


def _load_settings(program: ProgramSchema[Any], file: Path | None) -> tuple[ProgramSettings, Mapping[str, str]]:
    """Return the settings, and for each field where its value comes from."""
    variable = os.environ.get(f"{program.prefix}CONFIG")
    path = file or (Path(variable) if variable else None)
    from_file = {} if path is None else program.read_file(path)
    from_environment = read_variables(program, os.environ)
    settings: ProgramSettings = evolve(program.settings_class(), **{**from_file, **from_environment})
    sources = {one.name: "default" for one in program.settings}
    sources |= dict.fromkeys(from_file, str(path))
    sources |= {one.name: name for name, one in program.variables.items() if one.name in from_environment}
    return settings, sources


def _plain(setting: Setting, value: object) -> object:
    """Return a value as a configuration file has it: of strings, numbers, lists and tables, None for none."""
    if isinstance(value, Upstream):
        return {"name": value.name, "url": values.without_secrets(value.url), "databases": list(value.databases)}
    if isinstance(value, (tuple, list)):
        return [_plain(setting, one) for one in value]
    if isinstance(value, Mapping):
        return {str(name): _plain(setting, one) for name, one in value.items()}
    if setting.read is values.mode:
        return f"{value:04o}"
    if setting.read is values.log_level and isinstance(value, int):
        return logging.getLevelName(value)
    return values.without_secrets(str(value)) if isinstance(value, (str, Path)) else value


def _toml(shown: Mapping[str, tuple[object, str]]) -> Iterator[str]:
    """Yield the lines of a TOML file: tables at the end, as they must be."""
    for key, (value, source) in shown.items():
        if not isinstance(value, dict):
            line = f"# {key} is not set" if value is None else f"{key} = {_toml_value(value)}"
            yield f"{line:<50}  # {source}"
    for key, (value, source) in shown.items():
        if isinstance(value, dict):
            yield f"\n[{key}]  # {source}"
            yield from [f"{name} = {_toml_value(one)}" for name, one in value.items()]


def _toml_value(value: object) -> str:
    if isinstance(value, dict):
        return "{" + ", ".join(f"{name} = {_toml_value(one)}" for name, one in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(map(_toml_value, value)) + "]"
    return json.dumps(value)
