"""The binding to LevelDB's C++ library: plyvel or plyvel-next, the same code under two import names."""

import sys
from collections.abc import Mapping, Sequence
from importlib import import_module
from types import ModuleType
from typing import Final

from pyelevator.errors import MissingExtra
from pyelevator.native import is_native_forced, load_native

DISTRIBUTIONS: Final[Mapping[str, str]] = {"plyvel": "plyvel", "plyvel_next": "plyvel-next"}
"""Import name -> name on PyPI."""

_NATIVE: Final = "pyelevator_native.leveldb"

LIBRARIES: Final = frozenset({*DISTRIBUTIONS, _NATIVE.partition(".")[0]})
"""Packages whose errors are LevelDB's."""

LAST_KEY: Final = b"\xff" * 65536
"""A key after all others, for all practical purposes: without bounds plyvel 1.5.1 compacts nothing."""

_NEXT_SINCE: Final = (3, 12)
"""The first Python that plyvel-next (2.1.2) has wheels for; plyvel 1.5.1 has them for earlier ones."""
_NEXT_UNTIL: Final = (3, 15)
"""The first Python that plyvel-next (2.1.2) refuses."""


def load_library() -> ModuleType:
    """Import what opens LevelDBs in this process: ``pyelevator_native.leveldb`` where it is installed, or the binding.

    If a binding is imported already, the program opens databases with it itself, and only that one excludes it from
    ours. So it is used then.

    Raises:
        MissingExtra: none is installed.
    """
    is_loaded = any(map(sys.modules.get, DISTRIBUTIONS))
    native = None if is_loaded and not is_native_forced() else load_native("leveldb")
    return native or load_binding()


def is_native(library: ModuleType) -> bool:
    """Return whether that is what ``load_library`` has imported."""
    return library.__name__ == _NATIVE


def library_name(source: object) -> str:
    """Return the short name of the library that has opened a database."""
    package = type(source).__module__.partition(".")[0]
    return DISTRIBUTIONS.get(package, "native")


def load_binding() -> ModuleType:
    """Import this process's binding.

    Each binding carries a copy of LevelDB, and two copies in one process do not exclude each other from a database.
    So a binding that the process has imported already comes first; then the one that the extra installs for this
    Python; then the other.

    Returns:
        The module ``plyvel`` or ``plyvel_next``.

    Raises:
        MissingExtra: neither is installed.
    """
    names = binding_names(sys.version_info[:2], sys.modules)
    first: ImportError | None = None
    for name in names:
        try:
            return import_module(name)
        except ImportError as error:
            first = first or error
    raise MissingExtra(
        f"the LevelDB engine needs {DISTRIBUTIONS[names[0]]}; install it with: pip install 'pyelevator[server]'"
    ) from first


def binding_names(version: tuple[int, int], loaded: Mapping[str, ModuleType | None]) -> Sequence[str]:
    """Return the import names in the order in which a process tries them.

    >>> binding_names((3, 11), {}), binding_names((3, 14), {}), binding_names((3, 15), {})
    (['plyvel', 'plyvel_next'], ['plyvel_next', 'plyvel'], ['plyvel', 'plyvel_next'])
    """
    names = ["plyvel_next", "plyvel"] if _NEXT_SINCE <= version < _NEXT_UNTIL else ["plyvel", "plyvel_next"]
    return sorted(names, key=lambda name: loaded.get(name) is None)
