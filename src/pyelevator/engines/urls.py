"""Engines that a URL names: those of this package, and those that other packages announce."""

from collections.abc import Callable, Mapping
from importlib import import_module
from importlib.metadata import entry_points
from typing import Any, Final

from pyelevator.engines.base import Storage
from pyelevator.errors import UsageError

GROUP: Final = "pyelevator.engines"
"""The entry points of engines: the scheme of their URLs, and what returns a ``Storage`` for a URL."""

_OWN: Final[Mapping[str, tuple[str, str]]] = {
    "postgresql": ("pyelevator.engines.postgresql", "PostgreSqlStorage"),
    "postgres": ("pyelevator.engines.postgresql", "PostgreSqlStorage"),
}
"""Scheme -> the module and the class with ``from_url``."""


def scheme_of(engine: str) -> str | None:
    """Return the scheme of an engine's URL; None for a name.

    >>> scheme_of("postgresql://db.example/data"), scheme_of("leveldb")
    ('postgresql', None)
    """
    scheme, separator, _ = engine.partition("://")
    return scheme if separator else None


def engine_schemes() -> list[str]:
    """Return the schemes of all engines that can be named by a URL."""
    return sorted({*_OWN, *entry_points(group=GROUP).names})


def open_storage(url: str) -> Storage:
    """Return the storage that a URL names.

    Args:
        url: its scheme is one of :func:`engine_schemes`.

    Raises:
        UsageError: there is no engine of that scheme, or the URL is wrong.
        MissingExtra: a package that the engine needs is not installed.
    """
    make = _find(scheme_of(url) or "")
    storage: Storage = make(url)
    return storage


def _find(scheme: str) -> Callable[[str], Any]:
    if scheme in _OWN:
        module, name = _OWN[scheme]
        make: Callable[[str], Any] = getattr(import_module(module), name).from_url
        return make
    found = next(iter(entry_points(group=GROUP, name=scheme)), None)
    if found is None:
        raise UsageError(f"there is no engine {scheme!r}; there are {', '.join(engine_schemes())}")
    loaded: Callable[[str], Any] = found.load()
    return loaded
