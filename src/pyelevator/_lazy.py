"""Names of packages that are loaded when they are first used: a program does not wait for what it never uses."""

from collections.abc import Callable, Mapping, Sequence
from importlib import import_module
from types import ModuleType
from typing import Final

_OWN: Final = {"TYPE_CHECKING", "lazy_names"}
"""What a package imports for this, and does not export."""


def lazy_names(
    namespace: dict[str, object], table: Mapping[str, Sequence[str]]
) -> tuple[Callable[[str], object], list[str]]:
    """Return the ``__getattr__`` and the ``__all__`` of a package, which loads a name when it is first used.

    Args:
        namespace: the package's ``globals()``; what it has imported is exported as well.
        table: module within the package -> the names that it defines; its own name stands for itself.
    """
    package = str(namespace["__name__"])
    homes = {name: home for home, names in table.items() for name in names}

    def load(name: str) -> object:
        if name not in homes:
            raise AttributeError(f"module {package!r} has no attribute {name!r}")
        home = homes[name]
        module = import_module(f"{package}.{home}")
        namespace[name] = found = module if name == home else getattr(module, name)
        return found

    imported = {name for name, value in namespace.items() if name[0] != "_" and not isinstance(value, ModuleType)}
    exported = (imported | homes.keys()) - _OWN - table.keys()
    return load, sorted(exported, key=lambda name: (not name.isupper(), name))
