"""Which names a database may have, and where it lies."""

import os
import posixpath
from collections.abc import Callable, Sequence
from pathlib import PurePath
from typing import Final, Self

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


def refusal(name: str) -> str | None:
    """Why nothing can have this name; None if something can."""
    return next((text for refused, text in _REFUSALS if refused(name)), None)


class Located(str):
    """A database's name, with the path that it was found to stand for: who has one need not look again.

    Args:
        name: of the database in the catalog, or the one that it would have.
        path: resolved; None for what is no path that may be looked at.
        is_registered: whether there is such a database.
        counts_as: the names of which somebody needs the rights who asks for it; its own if not given.
    """

    path: str | None
    is_registered: bool
    counts_as: tuple[str, ...]

    def __new__(cls, name: str, path: str | None, *, is_registered: bool, counts_as: tuple[str, ...] = ()) -> Self:
        located = super().__new__(cls, name)
        located.path, located.is_registered, located.counts_as = path, is_registered, counts_as or (name,)
        return located


def normal(name: str) -> str:
    """The name, and of a path the spelling without detours.

    >>> normal("app-1"), normal("//srv/./x/../y/")
    ('app-1', '/srv/y')
    """
    return posixpath.normpath(f"/{name.lstrip('/')}") if name.startswith("/") else name


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

    @property
    def directories(self) -> tuple[str, ...] | None:
        """Where all databases have to lie; None for everywhere."""
        roots = self.allowed_roots
        return None if roots is None else (self.directory, *map(self.resolve, roots))

    def lookup(self, name: str) -> str | None:
        """The resolved path that an absolute path leads to; None for everything else.

        What is not spelled as a path into one of the directories is not looked at, so that nobody hears what is there.
        """
        if isinstance(name, Located):
            return name.path
        if not name.startswith("/") or refusal(name) or not self._may_lead_somewhere(normal(name)):
            return None
        return self.locate(name)

    def _may_lead_somewhere(self, path: str) -> bool:
        if self.allowed_roots is None:
            return True
        spelled = [os.path.abspath(root) for root in self.allowed_roots]  # noqa: PTH100 - which would follow links
        return any(_lies_under(path, directory) for directory in (*spelled, *(self.directories or ())))

    def unregistered(self, name: str, path: str | None) -> Located:
        """What a name stands for that no database has.

        A path into the data directory counts as the plain name of what would lie there; any other one as itself and as
        where links lead from it, so that nobody may do more through a link than there.
        """
        if path is None:
            counts_as: tuple[str, ...] = (normal(name),)
        elif _lies_under(path, self.directory):
            counts_as = (str(PurePath(path).relative_to(self.directory)),)
        else:
            counts_as = (normal(name), path)
        return Located(name, path, is_registered=False, counts_as=counts_as)

    def path_of(self, name: str) -> str:
        """The resolved path of a database that is to be created under ``name``.

        Raises:
            DatabaseError: the name is no name, or the path is not allowed.
        """
        why = refusal(name)
        if why:
            raise DatabaseError(why)
        if name in self.reserved:
            raise DatabaseError(f"The name {name} is reserved; choose another one")
        path = self.lookup(name) if name.startswith("/") else self.locate(name)
        if path is None:
            raise _not_allowed(name)
        if name.startswith("/") and _lies_under(path, self.directory):
            raise DatabaseError(f"{name} lies in the data directory; databases there are created by their plain names")
        if _lies_under(self.directory, path):
            raise DatabaseError(f"{name} holds the data directory, and cannot be a database; choose a directory for it")
        if not _lies_under(path, self.directory):
            self._check_allowed(name, path)
        return path

    def locate(self, name: str) -> str:
        """The resolved path that a name stands for, without a judgement on the name."""
        return self.resolve(os.path.join(self.directory, name))  # noqa: PTH118

    def _check_allowed(self, name: str, path: str) -> None:
        if self.directories is not None and not any(_lies_under(path, directory) for directory in self.directories):
            raise _not_allowed(name)


def _not_allowed(name: str) -> DatabaseError:
    return DatabaseError(f"{name} is not under an allowed directory; start the server with --allow-path DIR")


def _lies_under(path: str, directory: str) -> bool:
    return PurePath(path).is_relative_to(directory)
