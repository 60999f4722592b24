"""Engines that a URL names: those of this package, and those that other packages announce."""

from collections.abc import Callable, Mapping
from importlib.metadata import EntryPoint, entry_points
from typing import Final

from pyelevator.engines.base import Storage
from pyelevator.errors import UsageError

GROUP: Final = "pyelevator.engines"
"""The entry points of engines: the scheme of their URLs, and what returns a ``Storage`` for a URL."""

_OWN: Final[Mapping[str, EntryPoint]] = {
    name: EntryPoint(name, "pyelevator.engines.postgresql:PostgreSqlStorage.from_url", GROUP)
    for name in ("postgresql", "postgres")
}
"""The engines of this package by their schemes."""


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
    scheme = scheme_of(url) or ""
    found = _OWN.get(scheme) or next(iter(entry_points(group=GROUP, name=scheme)), None)
    if found is None:
        raise UsageError(f"there is no engine {scheme!r}; there are {', '.join(engine_schemes())}")
    make: Callable[[str], Storage] = found.load()
    return make(url)
