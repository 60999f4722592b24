"""The names and options that old servers take, checked before anything is sent to them."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

from pyelevator.errors import ErrorCode

_OWN_FILES: Final = frozenset({"store.json", "store"})
"""What lies beside the databases of an old server."""

_LONGEST: Final = 255
"""Bytes of one part of a path."""

_REFUSALS: Final[Sequence[tuple[Callable[[str], bool], str]]] = (
    (lambda name: not name, "A database needs a name"),
    (lambda name: not name.isascii(), "An old server takes ASCII names of databases only"),
    (lambda name: "\0" in name, "A database name cannot hold NUL"),
    (lambda name: name != "/".join(_parts(name)), "A path has one spelling: no // and no / at the end"),
    (lambda name: ".." in _parts(name), "A database path cannot hold '..'"),
    (lambda name: max(map(len, name.split("/"))) > _LONGEST, f"A file name has {_LONGEST} bytes at most"),
    (lambda name: name in _OWN_FILES, "The name is the server's own; choose another one"),
)

_KNOWN: Final = frozenset(
    {
        *("bloom_filter_bits", "paranoid_checks", "lru_cache_size"),
        *("write_buffer_size", "block_size", "max_open_files"),
    }
)
"""Options that 0.5 acts on, and that cannot end a worker."""


def _parts(name: str) -> list[str]:
    root, *rest = name.split("/")
    return [root, *(part for part in rest if part)]


def refused_name(name: str) -> str | None:
    """Say why an old server is not asked about a database of this name; None if it is."""
    return next((text for refused, text in _REFUSALS if refused(name)), None)


def refused_options(options: Mapping[str, Any]) -> tuple[ErrorCode, str] | None:
    """Say why an old server is not asked to create a database with these options; None if it is."""
    from pyelevator.engines.base import EngineError  # few clients create databases
    from pyelevator.engines.options import check_options

    unknown = sorted(options.keys() - _KNOWN)
    if unknown:
        return ErrorCode.VALUE, f"this server does not know the option {unknown[0]!r}; nothing was sent"
    try:
        check_options(options)
    except EngineError as error:
        return ErrorCode.VALUE, str(error)
    return None
