"""Permissions: what each client may do with databases whose names match a pattern.

The file is TOML, with a table for each client::

    [alice]                 # clients/alice.key
    read = ["*"]            # patterns of database names, as in a shell
    write = ["app-*"]       # includes reading
    admin = "scratch"       # create, drop, repair, mount and unmount; includes reading and writing

    [reports]
    key = "Yne@$w-vo<fVvi]a<NY6T1ed:M$fCG*[IaLV{hID"    # instead of a file, or a second key
    read = ["app-*"]

    ["*"]                   # every other client
    read = ["public"]

    [local]                 # clients on socket files; without this table they may do everything
    admin = ["*"]
"""

import re
import tomllib
from collections.abc import Iterable, Mapping, Sequence
from fnmatch import translate
from pathlib import Path
from typing import Any, Final

from attrs import field, frozen

from pyelevator.commands import Access
from pyelevator.errors import UsageError
from pyelevator.transports.authentication import LOCAL
from pyelevator.transports.curve import is_key, read_file

ANY_DATABASE: Final = "*"
"""The pattern that matches all databases; in the file also the table of all other clients."""

ROLES: Final[Mapping[str, Access]] = {"read": Access.READ, "write": Access.WRITE, "admin": Access.ADMIN}


@frozen
class Grant:
    """Access to the databases whose names match a pattern."""

    access: Access
    pattern: str
    _compiled: "re.Pattern[str]" = field(init=False, eq=False, repr=False)

    @_compiled.default
    def _compile(self) -> "re.Pattern[str]":
        return re.compile(translate(self.pattern))

    def matches(self, name: str) -> bool:
        """Return True if the grant applies to the database ``name``."""
        return self._compiled.match(name) is not None


@frozen
class Permissions:
    """The permissions of one client.

    Attributes:
        grants: the highest access among those that match counts.
        key: a public key that the file of permissions gives the client.
    """

    grants: tuple[Grant, ...] = ()
    key: str | None = None

    def access(self, name: str) -> Access:
        """Return the access to the database ``name``."""
        return max([grant.access for grant in self.grants if grant.matches(name)], default=Access.NONE)

    @property
    def on_all(self) -> Access:
        """The access to all databases, whatever their names."""
        return max([grant.access for grant in self.grants if grant.pattern == ANY_DATABASE], default=Access.NONE)


FULL_ACCESS: Final = Permissions((Grant(Access.ADMIN, ANY_DATABASE),))


def read_permissions(path: Path) -> dict[str, Permissions]:
    """Read the permissions of each client from a file.

    Args:
        path: a TOML file, see above.

    Returns:
        The permissions by the client's name in the file.

    Raises:
        FileNotFoundError: there is no such file.
        UsageError: it is malformed; the message names file, client and role.
    """
    try:
        tables = tomllib.loads(read_file(path))
        return {name: _parse_client(name, table) for name, table in tables.items()}
    except FileNotFoundError:
        raise
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else str(error).partition("\n")[0]
        raise UsageError(f"{path}: {reason}") from error


def _parse_client(name: str, table: Any) -> Permissions:
    if not isinstance(table, dict):
        raise ValueError(f"{name} is no table; a client's begins with [{name}]")  # noqa: TRY004 - a fault of the file
    key = table.pop("key", None)
    unknown = table.keys() - ROLES.keys()
    if unknown:
        raise ValueError(f"[{name}] has no {min(unknown)!r}; there are {', '.join(ROLES)} and key")
    if key is not None and (name in (ANY_DATABASE, LOCAL) or not isinstance(key, str) or not is_key(key)):
        raise ValueError(f"[{name}]: key must be the public key of one client, 40 characters of Z85")
    grants = [Grant(ROLES[role], pattern) for role, value in table.items() for pattern in _parse_patterns(name, value)]
    return Permissions(tuple(grants), key)


def _parse_patterns(name: str, value: Any) -> Sequence[str]:
    """Return the patterns of a role: a list, or a single one."""
    patterns = value if isinstance(value, list) else [value]
    if all(isinstance(pattern, str) and pattern for pattern in patterns):
        return patterns
    raise ValueError(f"[{name}]: a role is followed by patterns of database names: must be text")


def permissions_by_key(
    keys: Iterable[tuple[str, str]], table: Mapping[str, Permissions] | None
) -> dict[str, Permissions]:
    """Map the user ids of clients (names and public keys) and of ``local`` to their permissions; to all without any."""
    if table is None:
        return {key: FULL_ACCESS for _, key in keys} | {LOCAL: FULL_ACCESS}
    others = table.get(ANY_DATABASE, Permissions())
    permissions = {key: table.get(name, others) for name, key in keys}
    named = {entry.key: entry for entry in table.values() if entry.key is not None}
    return permissions | named | {LOCAL: table.get(LOCAL, FULL_ACCESS)}
