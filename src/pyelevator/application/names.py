"""Which names a database may have, and where it lies."""

import os
from collections.abc import Callable, Sequence
from pathlib import PurePath
from typing import Final

from attrs import frozen

from pyelevator.errors import DatabaseError

DEFAULT: Final = "default"
"""The database that is always there."""

_RELATIVE: Final = "Canno't create database from relative path"


def _cannot_be_encoded(name: str) -> bool:
    try:
        os.fsencode(name)
    except UnicodeEncodeError:
        return True
    return False


_REFUSALS: Final[Sequence[tuple[Callable[[str], bool], str]]] = (
    (lambda name: not name, "A database needs a name"),
    (lambda name: "\0" in name, "A database name cannot hold NUL"),
    (_cannot_be_encoded, "A database name must be text or bytes that a file name can hold"),
    (lambda name: name.startswith(".") or ("/" in name and not name.startswith("/")), _RELATIVE),
    (lambda name: ".." in name.split("/"), "A database path cannot hold '..'"),
)
"""Test -> the text to refuse with; the relative path's is the old server's."""


@frozen
class Names:
    """Turns the names that clients give into paths, or refuses them.

    Attributes:
        directory: the data directory, resolved; where the databases with plain names lie.
        resolve: the storage's, so that one database has one path.
        reserved: names of files of our own in the directory.
        allowed_roots: directories under which absolute paths may lie; None for everywhere.
    """

    directory: str
    resolve: Callable[[str], str]
    reserved: frozenset[str] = frozenset()
    allowed_roots: tuple[str, ...] | None = None

    def path_of(self, name: str) -> str:
        """The resolved path of a database that is to be created under ``name``.

        Raises:
            DatabaseError: the name is no name, or the path is not allowed.
        """
        refusal = self.refusal(name)
        if refusal:
            raise DatabaseError(refusal)
        if name in self.reserved:
            raise DatabaseError(f"The name {name} is reserved; choose another one")
        path = self.locate(name)
        if name.startswith("/") and _lies_under(path, self.directory):
            raise DatabaseError(f"{name} lies in the data directory; databases there are created by their plain names")
        if _lies_under(self.directory, path):
            raise DatabaseError(f"{name} holds the data directory, and cannot be a database; choose a directory for it")
        if not _lies_under(path, self.directory):
            self._check_allowed(path)
        return path

    def refusal(self, name: str) -> str | None:
        """Why nothing can have this name; None if something can."""
        return next((text for refused, text in _REFUSALS if refused(name)), None)

    def locate(self, name: str) -> str:
        """The resolved path that a name stands for, without a judgement on the name."""
        return self.resolve(os.path.join(self.directory, name))  # noqa: PTH118

    def _check_allowed(self, path: str) -> None:
        roots = self.allowed_roots
        if roots is not None and not any(_lies_under(path, self.resolve(root)) for root in roots):
            raise DatabaseError(f"{path} is not under an allowed directory; start the server with --allow-path DIR")


def _lies_under(path: str, directory: str) -> bool:
    return PurePath(path).is_relative_to(directory)
