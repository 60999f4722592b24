"""Names of packages that are loaded when they are first used: a program does not wait for what it never uses."""

import sys
from collections.abc import Callable, Mapping, Sequence
from importlib import import_module
from typing import Any


def lazy_names(package: str, table: Mapping[str, Sequence[str]]) -> Callable[[str], Any]:
    """Return the ``__getattr__`` of a package: it loads a name, which from then on stands there like any other.

    Args:
        package: the package's name.
        table: module within the package -> the names that it defines; its own name stands for itself.

    Returns:
        The function, which raises AttributeError for a name that is not in the table.
    """
    homes = {name: home for home, names in table.items() for name in names}

    def load(name: str) -> Any:
        if name not in homes:
            raise AttributeError(f"module {package!r} has no attribute {name!r}")
        home = homes[name]
        module = import_module(f"{package}.{home}")
        found = module if name == home else getattr(module, name)
        setattr(sys.modules[package], name, found)
        return found

    return load
