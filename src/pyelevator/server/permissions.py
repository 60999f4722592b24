"""What clients may do: rights per pattern of database names.

The file is TOML, a table for each client::

    [alice]                 # clients/alice.key
    read = ["*"]            # patterns of database names, as in a shell
    write = ["app-*"]       # writing includes reading
    admin = "scratch"       # to create, drop, repair, mount and unmount; includes both

    [reports]
    key = "Yne@$w-vo<fVvi]a<NY6T1ed:M$fCG*[IaLV{hID"    # instead of a file, or a second key
    read = ["app-*"]

    ["*"]                   # every other client
    read = ["public"]

    [local]                 # everybody who comes over a socket file; without this table they may do everything
    admin = ["*"]
"""

import re
import tomllib
from collections.abc import Iterable, Mapping
from fnmatch import translate
from pathlib import Path
from typing import Any, Final

from attrs import field, frozen

from pyelevator.commands import Access
from pyelevator.errors import UsageError
from pyelevator.server import values
from pyelevator.transports.authentication import LOCAL
from pyelevator.transports.curve import is_key, read_file

EVERY: Final = "*"
"""The pattern of all databases, and in the file the table of all other clients."""

ROLES: Final[Mapping[str, Access]] = {"read": Access.READ, "write": Access.WRITE, "admin": Access.ADMIN}


@frozen
class Grant:
    """What is allowed with the databases whose name fits the pattern."""

    access: Access
    pattern: str
    _fits: "re.Pattern[str]" = field(init=False, eq=False, repr=False)

    @_fits.default
    def _compiled(self) -> "re.Pattern[str]":
        return re.compile(translate(self.pattern))

    def fits(self, name: str) -> bool:
        """Whether it is about the database ``name``."""
        return self._fits.match(name) is not None


@frozen
class Rights:
    """What one client may do.

    Attributes:
        grants: what is allowed; the highest one that fits counts.
        key: a public key that the file of permissions gives the client.
    """

    grants: tuple[Grant, ...] = ()
    key: str | None = None

    def access(self, name: str) -> Access:
        """What is allowed with the database ``name``."""
        return max([grant.access for grant in self.grants if grant.fits(name)], default=Access.NONE)

    @property
    def everywhere(self) -> Access:
        """What is allowed with all databases, whatever they are called."""
        return max([grant.access for grant in self.grants if grant.pattern == EVERY], default=Access.NONE)


EVERYTHING: Final = Rights((Grant(Access.ADMIN, EVERY),))


def read_permissions(path: Path) -> dict[str, Rights]:
    """The rights of each client in the file, by its name there.

    Raises:
        FileNotFoundError: there is none.
        UsageError: it is not understood; the message names file, client and role.
    """
    try:
        tables = tomllib.loads(read_file(path))
        return {name: _rights(name, table) for name, table in tables.items()}
    except FileNotFoundError:
        raise
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else str(error).partition("\n")[0]
        raise UsageError(f"{path}: {reason}") from error


def _rights(name: str, table: Any) -> Rights:
    if not isinstance(table, dict):
        raise ValueError(f"{name} is no table; a client's begins with [{name}]")  # noqa: TRY004 - a fault of the file
    key = table.pop("key", None)
    unknown = table.keys() - ROLES.keys()
    if unknown:
        raise ValueError(f"[{name}] has no {min(unknown)!r}; there are {', '.join(ROLES)} and key")
    if key is not None and (name in (EVERY, LOCAL) or not isinstance(key, str) or not is_key(key)):
        raise ValueError(f"[{name}]: key must be the public key of one client, 40 characters of Z85")
    try:
        granted = {role: values.each(values.text)(patterns) for role, patterns in table.items()}
    except ValueError as error:
        raise ValueError(f"[{name}]: a role is followed by patterns of database names: {error}") from error
    return Rights(tuple([Grant(ROLES[role], pattern) for role, names in granted.items() for pattern in names]), key)


def rights_by_key(keys: Iterable[tuple[str, str]], table: Mapping[str, Rights] | None) -> dict[str, Rights]:
    """User id -> what it may do, for the (name, key) of each client, and for ``local``; without a table everything."""
    if table is None:
        return {key: EVERYTHING for _, key in keys} | {LOCAL: EVERYTHING}
    others = table.get(EVERY, Rights())
    rights = {key: table.get(name, others) for name, key in keys}
    named = {entry.key: entry for entry in table.values() if entry.key is not None}
    return rights | named | {LOCAL: table.get(LOCAL, EVERYTHING)}
