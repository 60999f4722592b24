"""The database options of the old protocol: their names, older names, types and ranges."""

import logging
from collections.abc import Callable, Iterable, Mapping
from difflib import get_close_matches
from typing import Final, TypeAlias

from pyelevator.commands import OptionValue
from pyelevator.engines.base import OptionTypeError, OptionValueError

_log: Final = logging.getLogger("pyelevator.engines")

_INT: Final = (1 << 31) - 1
_MAX_SIZE: Final = (1 << 63) - 1
_KIB: Final = 1 << 10
_MIB: Final = 1 << 20
_GIB: Final = 1 << 30
WRITE_BUFFERS_BYTES: Final = 512 << 20
"""Bytes that the write buffers of all open databases may take by default, see ``leveldb.write_buffers``."""

_SHOWN: Final = 40
"""Characters of an unknown name that a message shows."""

Check: TypeAlias = Callable[[str, object], OptionValue]


def _integer(minimum: int, maximum: int, lowest: int | None = None, highest: int | None = None) -> Check:
    """Return a check of a number from ``minimum`` to ``maximum``, which clamps it to ``lowest`` and ``highest``.

    LevelDB has these limits as well, but truncates a size to 32 bits first, so that 2 GiB became 64 KiB.
    """

    def check(name: str, value: object) -> int:
        if isinstance(value, bool) or not isinstance(value, int):
            raise OptionTypeError(f"option {name} must be an integer, not {type(value).__name__}")
        if not minimum <= value <= maximum:
            raise OptionValueError(f"option {name} must be from {minimum} to {maximum}, not {value}")
        nearest = max(minimum if lowest is None else lowest, min(value, highest or maximum))
        if nearest != value:
            _log.info("option %s is %d, the nearest to %d that LevelDB can do", name, nearest, value)
        return nearest

    return check


def _boolean(name: str, value: object) -> bool:
    if isinstance(value, bool):
        return value
    raise OptionTypeError(f"option {name} must be a boolean, not {type(value).__name__}")


_COMPRESSIONS: Final = {True: "snappy", "snappy": "snappy", False: None, "none": None}


def _compression(name: str, value: object) -> str | None:
    value = value.decode("utf-8", "replace") if isinstance(value, bytes) else value
    if not isinstance(value, (bool, str)):
        raise OptionTypeError(f"option {name} must be a boolean or 'snappy', not {type(value).__name__}")
    if value not in _COMPRESSIONS:
        raise OptionValueError(f"option {name} must be a boolean or 'snappy', not {value!r:.40}")
    return _COMPRESSIONS[value]


OPTIONS: Final[Mapping[str, Check]] = {
    "block_size": _integer(0, _MAX_SIZE, _KIB, 4 * _MIB),
    "block_restart_interval": _integer(1, _INT),
    "bloom_filter_bits": _integer(0, 1024),
    "compression": _compression,
    "lru_cache_size": _integer(0, _MAX_SIZE),
    "max_file_size": _integer(0, _MAX_SIZE, _MIB, _GIB),
    "max_open_files": _integer(-_INT, _INT, 74, 50_000),
    "paranoid_checks": _boolean,
    "write_buffer_size": _integer(0, _MAX_SIZE, 64 * _KIB, _GIB),
}
"""Option -> check; sizes are bytes. A size that LevelDB cannot do becomes the nearest that it can."""

ALIASES: Final[Mapping[str, str]] = {
    "block_cache_size": "lru_cache_size",
    "cache_size": "lru_cache_size",
    "verify_checksums": "paranoid_checks",
}
"""Older name -> present name."""

CREATION_DEFAULTS: Final[Mapping[str, bool]] = {"create_if_missing": True, "error_if_exists": False}
"""Options that apply to the creation only, and are not recorded -> their defaults."""

OPTION_NAMES: Final = frozenset({*OPTIONS, *ALIASES, *CREATION_DEFAULTS})
"""Every name that an option may have."""


def check_options(options: Mapping[str, object]) -> dict[str, OptionValue]:
    """Return the options under their present names, ready for JSON; unknown ones are left out, and logged.

    Args:
        options: under present or older names. None means "not given", except for ``compression``.

    >>> check_options({"cache_size": 1024, "compression": b"snappy", "create_if_missing": True})
    {'lru_cache_size': 1024, 'compression': 'snappy'}
    >>> check_options({"write_buffer_size": 3 << 30})
    {'write_buffer_size': 1073741824}

    Raises:
        OptionTypeError, OptionValueError: the message names the option.
    """
    named = {ALIASES.get(name, name): value for name, value in options.items()}
    unknown = sorted(named.keys() - OPTIONS.keys() - CREATION_DEFAULTS.keys())
    if unknown:
        _log.warning("ignoring unknown database options: %s", ", ".join(unknown))
    known = {name: value for name, value in named.items() if name in OPTIONS}
    given = {name: value for name, value in known.items() if value is not None or name == "compression"}
    return {name: None if value is None else OPTIONS[name](name, value) for name, value in given.items()}


def parse_creation(options: Mapping[str, object]) -> dict[str, bool]:
    """Return ``create_if_missing`` and ``error_if_exists``, or their defaults.

    >>> parse_creation({"create_if_missing": False, "block_size": 4096})
    {'create_if_missing': False, 'error_if_exists': False}

    Raises:
        OptionTypeError: one is not a boolean.
    """
    given = {name: options.get(name) for name in CREATION_DEFAULTS}
    return {name: CREATION_DEFAULTS[name] if value is None else _boolean(name, value) for name, value in given.items()}


def describe_unknown_option(options: Iterable[str], known: Iterable[str] = OPTION_NAMES) -> str | None:
    """Return an error text about the first option that does not exist; None if all do.

    >>> describe_unknown_option({"blok_size": 4096})
    "there is no option 'blok_size'; did you mean block_size?"
    """
    names = sorted(known)
    wrong = next((name for name in options if name not in names), None)
    if wrong is None:
        return None
    matches = get_close_matches(wrong, names, 1)
    hint = f"did you mean {matches[0]}?" if matches else f"there are {', '.join(names)}"
    return f"there is no option {wrong[:_SHOWN]!r}; {hint}"
