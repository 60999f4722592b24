"""The database options of the old protocol: their names, older names, types and ranges."""

import logging
from collections.abc import Callable, Mapping
from typing import Any, Final

from pyelevator.engines.base import OptionTypeError, OptionValueError

_log: Final = logging.getLogger("pyelevator.engines")

_INT: Final = (1 << 31) - 1
_SIZE: Final = (1 << 63) - 1

Check = Callable[[str, Any], Any]


def _number(least: int, most: int) -> Check:
    def check(name: str, value: Any) -> int:
        if isinstance(value, bool) or not isinstance(value, int):
            raise OptionTypeError(f"option {name} must be an integer, not {type(value).__name__}")
        if not least <= value <= most:
            raise OptionValueError(f"option {name} must be from {least} to {most}, not {value}")
        return value

    return check


def _flag(name: str, value: Any) -> bool:
    if isinstance(value, bool):
        return value
    raise OptionTypeError(f"option {name} must be a boolean, not {type(value).__name__}")


_COMPRESSIONS: Final = {True: "snappy", "snappy": "snappy", False: None, "none": None}


def _compression(name: str, value: Any) -> str | None:
    value = value.decode("utf-8", "replace") if isinstance(value, bytes) else value
    if not isinstance(value, (bool, str)):
        raise OptionTypeError(f"option {name} must be a boolean or 'snappy', not {type(value).__name__}")
    if value not in _COMPRESSIONS:
        raise OptionValueError(f"option {name} must be a boolean or 'snappy', not {value!r:.40}")
    return _COMPRESSIONS[value]


OPTIONS: Final[Mapping[str, Check]] = {
    "block_size": _number(0, _SIZE),
    "block_restart_interval": _number(1, _INT),
    "bloom_filter_bits": _number(0, 1024),
    "compression": _compression,
    "lru_cache_size": _number(0, _SIZE),
    "max_file_size": _number(0, _SIZE),
    "max_open_files": _number(-_INT, _INT),
    "paranoid_checks": _flag,
    "write_buffer_size": _number(0, _SIZE),
}
"""Option -> check; sizes are bytes. LevelDB itself moves what is too small or too large to its nearest limit."""

ALIASES: Final[Mapping[str, str]] = {
    "block_cache_size": "lru_cache_size",
    "cache_size": "lru_cache_size",
    "verify_checksums": "paranoid_checks",
}
"""Older name -> present name."""

IGNORED: Final = frozenset({"create_if_missing", "error_if_exists"})
"""Options that old clients send and that the catalog decides."""


def check_options(options: Mapping[str, Any]) -> dict[str, Any]:
    """The options under their present names, ready for JSON; None is "not given", but for ``compression``.

    >>> check_options({"cache_size": 1024, "compression": b"snappy", "create_if_missing": True})
    {'lru_cache_size': 1024, 'compression': 'snappy'}

    Raises:
        OptionTypeError, OptionValueError: the message names the option.
    """
    named = {ALIASES.get(name, name): value for name, value in options.items()}
    unknown = sorted(named.keys() - OPTIONS.keys() - IGNORED)
    if unknown:
        _log.warning("ignoring unknown database options: %s", ", ".join(unknown))
    return {name: _checked(name, value) for name, value in named.items() if _given(name, value)}


def _given(name: str, value: Any) -> bool:
    return name in OPTIONS and (value is not None or name == "compression")


def _checked(name: str, value: Any) -> Any:
    return None if value is None else OPTIONS[name](name, value)
