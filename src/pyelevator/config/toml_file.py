"""Configuration files in TOML."""

import tomllib
from pathlib import Path
from typing import Any

from pyelevator.config.schema import settings_of
from pyelevator.config.values import EntryError, Table, quoted
from pyelevator.errors import UsageError


def read_text(path: str | Path) -> str:
    """Read a configuration file.

    Raises:
        UsageError: it cannot be read; the message names the file.
    """
    try:
        return Path(path).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        why = getattr(error, "strerror", None) or "it is not text"
        raise UsageError(f"cannot read {quoted(str(path))[1:-1]}: {why}") from error


def parse_toml(settings_class: type, text: str, path: str | Path) -> dict[str, Any]:
    """Parse the text of a TOML file into values of a settings class.

    Args:
        settings_class: has the known keys.
        text: of the file.
        path: of the file, for errors.

    Returns:
        The values by the names of their fields.

    Raises:
        UsageError: the text is invalid; the message names file, key and value.
    """
    settings = {each.key: each for each in settings_of(settings_class)}
    try:
        entries = Table({key: each.read_entry for key, each in settings.items()})(tomllib.loads(text))
    except EntryError as error:
        raise UsageError(f"{path}: {error}") from error
    except tomllib.TOMLDecodeError as error:
        raise UsageError(f"{path}: {str(error).splitlines()[0]}") from error
    return {settings[key].name: value for key, value in entries.items()}
