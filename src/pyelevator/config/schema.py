"""The schema of settings: fields of an attrs class from which file keys, environment variables and options are made."""

import logging
import tomllib
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final, TypeAlias

from attrs import evolve, field, fields, frozen

from pyelevator._options import defaults_of
from pyelevator.config import values
from pyelevator.errors import UsageError
from pyelevator.transports.options import MAX_UNREAD, SocketFileOptions

_METADATA: Final = "setting"

Values: TypeAlias = dict[str, Any]
"""Values of settings, by the names of their fields."""

Reader: TypeAlias = Callable[[object], Any]
"""Parses a value; its ValueError says what the value must be."""


@frozen
class Setting:
    """One setting of a program.

    Attributes:
        read: parses a value, or one value of a list.
        help: a sentence for the command line and the documentation.
        metavar: the name of the value there; flags have none.
        is_list: several values may be given.
        is_option: it is also an option and an environment variable, not only a key of the file.
        key: in the file; the option and the environment variable are made of it.
        name: of the field.
        default: of the field.
    """

    read: Reader
    help: str
    metavar: str = ""
    is_list: bool = False
    is_option: bool = True
    key: str = ""
    name: str = ""
    default: Any = None

    @property
    def option(self) -> str:
        """The option: ``--max-batch``."""
        return f"--{self.key.replace('_', '-')}"

    @property
    def is_flag(self) -> bool:
        """True for a setting that is on or off."""
        return self.read is values.flag

    @property
    def default_text(self) -> str:
        """The default for humans; empty if there is none."""
        if self.default is None or self.default is False or self.default in ((), {}):
            return ""
        if self.is_list:
            return " ".join(map(str, self.default))
        return _DEFAULT_FORMATS.get(self.read, str)(self.default)

    def environment(self, prefix: str) -> str:
        """Return the name of the environment variable: ``ELEVATOR_MAX_BATCH``."""
        return f"{prefix}{self.key.upper()}"


_DEFAULT_FORMATS: Final[Mapping[Reader, Callable[[Any], str]]] = {
    values.mode: "{:04o}".format,
    values.log_level: logging.getLevelName,
    values.minutes: "{:g}".format,
    values.seconds: "{:g}".format,
    values.milliseconds: "{:g}".format,
}
"""Parser -> how a default is shown."""


def setting(default: Any, read: Reader, help: str, metavar: str = "", **traits: Any) -> Any:
    """Make a field of a settings class with the attributes of a :class:`Setting`."""
    return field(default=default, metadata={_METADATA: Setting(read, help, metavar, **traits)})


def settings_of(settings_class: type) -> tuple[Setting, ...]:
    """Return the settings of a class: its own, then the inherited ones."""
    found = [one for one in fields(settings_class) if _METADATA in one.metadata]
    return tuple(
        evolve(made, name=one.name, key=made.key or one.name, default=one.default)
        for one in sorted(found, key=lambda one: one.inherited)
        for made in [one.metadata[_METADATA]]
    )


def read_text(path: str | Path) -> str:
    """Read a configuration file; a UsageError names the one that cannot be read."""
    try:
        return Path(path).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        why = getattr(error, "strerror", None) or "it is not text"
        raise UsageError(f"cannot read {values.quoted(str(path))[1:-1]}: {why}") from error


def parse_toml(settings_class: type, text: str, path: str | Path) -> Values:
    """Parse the text of a TOML file into values by the names of the fields of a settings class.

    Raises:
        UsageError: the text is invalid; the message names file, key and value.
    """
    settings = {each.key: each for each in settings_of(settings_class)}
    parsers = {key: values.each(each.read) if each.is_list else each.read for key, each in settings.items()}
    try:
        entries = values.TableParser(parsers)(tomllib.loads(text))
    except values.EntryError as error:
        raise UsageError(f"{path}: {error}") from error
    except tomllib.TOMLDecodeError as error:
        raise UsageError(f"{path}: {str(error).splitlines()[0]}") from error
    return {settings[key].name: value for key, value in entries.items()}


@frozen(kw_only=True)
class ProgramSettings:
    """The settings that server and proxy have in common."""

    curve_keys: Path | None = setting(
        None,
        values.path,
        "Ask clients over TCP for keys. DIR is made by `elevator keygen`; its directory `clients` holds the keys of "
        "those that may connect, and its permissions.toml, if there is one, says what they may do.",
        "DIR",
    )
    insecure: bool = setting(False, values.flag, "Listen without keys where other machines can connect.")
    ipc_mode: int = setting(
        defaults_of(SocketFileOptions)["ipc_mode"], values.mode, "File mode of the socket files, in octal.", "MODE"
    )
    max_unread: int = setting(
        MAX_UNREAD,
        values.integer(1),
        "Maximum size of responses that clients have not read yet, over all clients. Clients with more of them wait.",
        "BYTES",
    )
    metrics: str | None = setting(
        None,
        values.address,
        "Serve metrics for Prometheus over HTTP at /metrics, and /healthz and /readyz, without keys.",
        "HOST:PORT",
    )
    log_format: str = setting(
        "text", values.log_format, "Format of the log: lines of text, or of JSON.", "|".join(values.LOG_FORMATS)
    )
    log_file: Path | None = setting(None, values.path, "File to log to instead of stderr.", "FILE")
    log_level: int = setting(
        logging.WARNING, values.log_level, "Least severe level to log: DEBUG, INFO, WARNING or ERROR.", "LEVEL"
    )
