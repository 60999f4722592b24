"""The modules of ``pyelevator-native``, which do bulk work in C++ where that package is installed."""

import os
from functools import cache
from importlib import import_module
from types import ModuleType
from typing import Final

from pyelevator.errors import MissingExtra

VARIABLE: Final = "PYELEVATOR_NATIVE"
"""The environment variable that decides: 0 uses none of them, 1 insists on them."""


def load_native(name: str) -> ModuleType | None:
    """Import a module of ``pyelevator-native``.

    Args:
        name: ``leveldb``, ``messages`` or ``pages``.

    Returns:
        None if it is not installed, or not wanted.

    Raises:
        MissingExtra: it is insisted on, and not installed.
    """
    wanted = os.environ.get(VARIABLE, "")
    if wanted == "0":
        return None
    try:
        return import_module(f"pyelevator_native.{name}")
    except ImportError as error:
        if wanted == "1":
            raise MissingExtra(
                f"{VARIABLE}=1 asks for pyelevator-native, which is not installed ({error}); build it with: make native"
            ) from error
        if not isinstance(error, ModuleNotFoundError):
            import logging  # a client that finds none, or a sound one, does not wait for it

            logging.getLogger("pyelevator.native").warning(
                "pyelevator-native is installed and cannot be used: %s", error
            )
        return None


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
