"""Settings from environment variables: ``ELEVATOR_MAX_BATCH`` for a server, ``ELEVATOR_PROXY_TIMEOUT`` for a proxy."""

import os
import tomllib
from collections.abc import Callable, Iterator, Mapping
from difflib import get_close_matches
from pathlib import Path
from typing import Any, Final, Generic, TypeVar

from attrs import frozen

from pyelevator.config import values
from pyelevator.config.proxy_settings import ProxySettings, read_proxy_config
from pyelevator.config.schema import ProgramSettings, Setting, Values, settings_of
from pyelevator.config.server_settings import ServerSettings, read_server_config
from pyelevator.errors import UsageError

S = TypeVar("S", bound=ProgramSettings)

_PREFIX: Final = "ELEVATOR_"
_CLIENT_VARIABLES: Final = frozenset({"ELEVATOR_URL"})
"""Variables that are read by clients."""


@frozen
class ProgramSchema(Generic[S]):
    """A program's settings, the prefix of its environment variables, and what reads its configuration file."""

    settings_class: type[S]
    prefix: str
    read_file: Callable[[Path], Values]

    @property
    def settings(self) -> tuple[Setting, ...]:
        """All settings, in the order of the documentation."""
        return settings_of(self.settings_class)

    @property
    def variables(self) -> Mapping[str, Setting]:
        """The settings by their environment variables."""
        return {setting.environment(self.prefix): setting for setting in self.settings}


SERVER: Final = ProgramSchema(ServerSettings, _PREFIX, read_server_config)
PROXY: Final = ProgramSchema(ProxySettings, "ELEVATOR_PROXY_", read_proxy_config)


def read_variables(program: ProgramSchema[Any], environment: Mapping[str, str]) -> Values:
    """Return the values of the variables that are set, by the names of their fields.

    Raises:
        UsageError: a value is invalid; the message names the variable.
    """
    found = {}
    for variable, setting in program.variables.items():
        if environment.get(variable):  # an empty one counts as not set
            try:
                found[setting.name] = _read_variable(setting, environment[variable])
            except ValueError as error:
                raise UsageError(f"{variable}: {values.quoted(environment[variable])}: {error}") from error
    return found


def read_tables(program: ProgramSchema[Any], environment: Mapping[str, str]) -> Values:
    """Return the same of those variables only that have no option on the command line."""
    tables = {variable for variable, setting in program.variables.items() if not setting.is_option}
    return read_variables(program, {name: value for name, value in environment.items() if name in tables})


def _read_variable(setting: Setting, text: str) -> Any:
    if isinstance(setting.read, values.TableParser):
        return setting.read(_parse_table_text(text))
    if not setting.is_list:
        return setting.read(text)
    return tuple(map(setting.read, text.split(os.pathsep if setting.read is values.path else None)))


def _parse_table_text(text: str) -> Any:
    """Parse a table of TOML in one line; the braces around it may be left out."""
    table = text if text.lstrip().startswith("{") else f"{{{text}}}"
    try:
        return tomllib.loads(f"table = {table}")["table"]
    except tomllib.TOMLDecodeError as error:
        raise ValueError("must be a table of TOML in one line: block_size = 4096, compression = false") from error


def unknown_variables(environment: Mapping[str, str]) -> Iterator[str]:
    """Yield a sentence for each variable that begins like ours, and that no program reads."""
    known = {*SERVER.variables, *PROXY.variables, f"{SERVER.prefix}CONFIG", f"{PROXY.prefix}CONFIG", *_CLIENT_VARIABLES}
    for name in sorted(environment.keys() - known):
        if name.startswith(_PREFIX):
            near = get_close_matches(name, sorted(known), 1)
            yield f"{name} means nothing" + (f"; did you mean {near[0]}?" if near else "")
