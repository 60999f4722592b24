"""The names that databases may have, and the paths that they stand for."""

import os
import posixpath
from collections.abc import Callable, Sequence
from pathlib import PurePath
from typing import Final, Self

from attrs import frozen

from pyelevator.errors import DatabaseError

DEFAULT: Final = "default"
"""The database that always exists."""

_RELATIVE: Final = "Canno't create database from relative path"


def _is_not_encodable(name: str) -> bool:
    try:
        os.fsencode(name)
    except UnicodeEncodeError:
        return True
    return False


_REASONS_TO_REFUSE: Final[Sequence[tuple[Callable[[str], bool], str]]] = (
    (lambda name: not name, "A database needs a name"),
    (lambda name: "\0" in name, "A database name cannot hold NUL"),
    (_is_not_encodable, "A database name must be text or bytes that a file name can hold"),
    (lambda name: name.startswith(".") or ("/" in name and not name.startswith("/")), _RELATIVE),
    (lambda name: ".." in name.split("/"), "A database path cannot hold '..'"),
)
"""Test -> the error text if it is true; the text about relative paths is the old server's."""


def reason_to_refuse(name: str) -> str | None:
    """Return why no database can have this name; None if one can."""
    return next((text for refused, text in _REASONS_TO_REFUSE if refused(name)), None)


class LocatedName(str):
    """A database's name with the path that it was found to stand for, so that it need not be looked up again.

    Args:
        name: of the database in the catalog, or the one that it would have.
        path: resolved; None if it is not a path, or not one that may be looked at.
        is_registered: True if there is such a database.
        permission_names: the names for which a request needs permissions; ``name`` if not given.
    """

    path: str | None
    is_registered: bool
    permission_names: tuple[str, ...]

    def __new__(
        cls, name: str, path: str | None, *, is_registered: bool, permission_names: tuple[str, ...] = ()
    ) -> Self:
        located_name = super().__new__(cls, name)
        located_name.path, located_name.is_registered = path, is_registered
        located_name.permission_names = permission_names or (name,)
        return located_name


def normalize_name(name: str) -> str:
    """Return the name, normalized if it is a path.

    >>> normalize_name("app-1"), normalize_name("//srv/./x/../y/")
    ('app-1', '/srv/y')
    """
    return posixpath.normpath(f"/{name.lstrip('/')}") if name.startswith("/") else name


@frozen
class NamePolicy:
    """Turns the names that clients give into paths, or refuses them.

    Attributes:
        directory: the data directory, resolved; the databases with plain names are in it.
        resolve: the storage's, so that one database has one path.
        reserved: names of the catalog's own files in the directory.
        allowed_roots: directories under which absolute paths may lie; None for everywhere.
        takes_paths: False if databases are no files, and have plain names only.
    """

    directory: str
    resolve: Callable[[str], str]
    reserved: frozenset[str] = frozenset()
    allowed_roots: tuple[str, ...] | None = None
    takes_paths: bool = True

    @property
    def directories(self) -> tuple[str, ...] | None:
        """The directories that databases are confined to; None for everywhere."""
        roots = self.allowed_roots
        return None if roots is None else (self.directory, *map(self.resolve, roots))

    def resolve_absolute(self, name: str) -> str | None:
        """Return the resolved path of an absolute path; None for everything else.

        A path that is not spelled as one into the allowed directories is not looked at, so that nothing about it shows.
        """
        if isinstance(name, LocatedName):
            return name.path
        if not name.startswith("/") or reason_to_refuse(name) or not self._may_lead_somewhere(normalize_name(name)):
            return None
        return self.path_for(name)

    def _may_lead_somewhere(self, path: str) -> bool:
        if self.allowed_roots is None:
            return True
        spelled = [os.path.abspath(root) for root in self.allowed_roots]  # noqa: PTH100 - which would follow links
        return any(_is_within(path, directory) for directory in (*spelled, *(self.directories or ())))

    def locate_unregistered(self, name: str, path: str | None) -> LocatedName:
        """Return what a name stands for that no database has.

        For a path into the data directory, permissions for the plain name of a database there are needed. For any other
        path, they are needed for itself and for the target of links in it, so that a link never permits more.
        """
        if path is None:
            permission_names: tuple[str, ...] = (normalize_name(name),)
        elif _is_within(path, self.directory):
            permission_names = (str(PurePath(path).relative_to(self.directory)),)
        else:
            permission_names = (normalize_name(name), path)
        return LocatedName(name, path, is_registered=False, permission_names=permission_names)

    def path_for_creation(self, name: str) -> str:
        """Return the resolved path of a database to create with ``name``, or raise a DatabaseError."""
        why = reason_to_refuse(name)
        if why:
            raise DatabaseError(why)
        if name.startswith("/") and not self.takes_paths:
            raise DatabaseError("The databases of a cluster have plain names, not paths")
        if name in self.reserved:
            raise DatabaseError(f"The name {name} is reserved; choose another one")
        path = self.resolve_absolute(name) if name.startswith("/") else self.path_for(name)
        if path is None:
            raise _not_allowed_error(name)
        if name.startswith("/") and _is_within(path, self.directory):
            raise DatabaseError(f"{name} is in the data directory; databases there are created by their plain names")
        if _is_within(self.directory, path):
            raise DatabaseError(f"{name} holds the data directory, and cannot be a database; choose a directory for it")
        if self.directories is not None and not any(_is_within(path, allowed) for allowed in self.directories):
            raise _not_allowed_error(name)
        return path

    def path_for_backup(self, directory: str) -> str:
        """Return the resolved path of a directory for a backup, or raise a DatabaseError."""
        if not directory.startswith("/"):
            raise DatabaseError(f"{directory} is no absolute path; a backup goes into a directory on the server")
        path = self.resolve_absolute(directory)
        if path is not None and _is_within(path, self.directory):
            raise DatabaseError(f"{directory} is in the data directory; choose a directory elsewhere for the backup")
        return self.path_for_creation(directory)

    def path_for(self, name: str) -> str:
        """Return the resolved path that a name stands for, without checking the name."""
        return self.resolve(os.path.join(self.directory, name))  # noqa: PTH118


def _not_allowed_error(name: str) -> DatabaseError:
    return DatabaseError(f"{name} is not under an allowed directory; start the server with --allow-path DIR")


def _is_within(path: str, directory: str) -> bool:
    return PurePath(path).is_relative_to(directory)
