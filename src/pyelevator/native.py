"""The modules of ``pyelevator-native``, which do bulk work in C++ where that package is installed."""

import os
from functools import cache
from importlib import import_module
from types import ModuleType
from typing import Final

from pyelevator.errors import MissingExtra

VARIABLE: Final = "PYELEVATOR_NATIVE"
"""The environment variable that decides: 0 uses none of them, 1 requires them."""


API: Final = 4
"""What the modules offer, as a number: only a build with the same one is used (``pyelevator_native.API``)."""


def load_native(name: str) -> ModuleType | None:
    """Import a module of ``pyelevator-native``.

    Args:
        name: ``leveldb``, ``messages`` or ``pages``.

    Returns:
        None if it is not wanted, or cannot be used: it is not installed, or it was built from other sources.

    Raises:
        MissingExtra: it is required, and cannot be used.
    """
    wanted = os.environ.get(VARIABLE, "")
    if wanted == "0":
        return None
    try:
        _check_api(import_module("pyelevator_native"))
        return import_module(f"pyelevator_native.{name}")
    except ImportError as error:
        is_missing = isinstance(error, ModuleNotFoundError)
        if wanted == "1":
            reason = f"is not installed ({error})" if is_missing else f"cannot be used ({error})"
            raise MissingExtra(
                f"{VARIABLE}=1 asks for pyelevator-native, which {reason}; build it with: make native"
            ) from error
        if not is_missing:
            _warn_of_build(str(error))
        return None


def _check_api(package: ModuleType) -> None:
    """Raise an ImportError for a build that offers something else than what is used here."""
    found = getattr(package, "API", 1)  # which the first builds did not say
    if found != API:
        age = "older" if found < API else "newer"
        raise ImportError(f"it was built from {age} sources, with API {found} instead of {API}")


@cache
def _warn_of_build(reason: str) -> None:
    """Warn of a build that cannot be used, once."""
    import logging  # a client that finds none, or a sound one, does not wait for it

    logging.getLogger("pyelevator.native").warning(
        "pyelevator-native is installed and cannot be used: %s; build it again with: make native", reason
    )


def is_native_forced() -> bool:
    """Return whether it is to be used even beside another binding of LevelDB in this process."""
    return os.environ.get(VARIABLE) == "1"


def native_messages() -> ModuleType | None:
    """Return what reads and writes the short messages of single calls; None where it is not installed or not wanted."""
    return _native_messages(os.environ.get(VARIABLE))


@cache
def _native_messages(_: str | None) -> ModuleType | None:
    """Look for it once for each value of the variable: to find out that it is missing takes a while."""
    return load_native("messages")
