"""What clients may do: rights per pattern of database names, and the guard that asks before the application does.

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
from collections.abc import Callable, Iterable, Mapping
from fnmatch import translate
from pathlib import Path
from typing import Any, Final, TypeVar

from attrs import evolve, field, frozen

from pyelevator.application import Application
from pyelevator.application.application import Wrapper
from pyelevator.commands import Access, DbList, Pipeline
from pyelevator.errors import PermissionDenied, UsageError
from pyelevator.flows import gathered
from pyelevator.messages import Request, Response
from pyelevator.server import values
from pyelevator.transports.authentication import LOCAL
from pyelevator.transports.curve import is_key

_R = TypeVar("_R", Response, Response | None)

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
        tables = tomllib.loads(path.read_text(encoding="utf-8"))
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


class Guard(Wrapper):
    """An application that knows its clients, and refuses what they may not do.

    Who asks is ``Request.peer``; what comes from nobody known is refused.

    Args:
        application: what answers the rest.
        rights: what each known client may do, by its user id, as of now; called for each request.
    """

    def __init__(self, application: Application, rights: Callable[[], Mapping[str, Rights]]) -> None:
        super().__init__(application)
        self._rights = rights

    def __call__(self, request: Request[Any]) -> Response:
        return self._guarded(request, self._application, self._one_by_one)

    def at_once(self, request: Request[Any]) -> Response | None:
        return self._guarded(request, self._application.at_once, lambda _: None)

    def _guarded(
        self, request: Request[Any], answer: Callable[[Request[Any]], _R], split: Callable[[Request[Any]], _R]
    ) -> _R | Response:
        rights = self._rights().get(request.peer or "")
        refusal = STRANGER if rights is None else self._refusal(request, rights)
        if refusal is not None and rights is not None and isinstance(request.command, Pipeline):
            return split(request)
        if rights is None or refusal is not None:
            return Response.of_error(PermissionDenied(f"{PermissionDenied.MARK}{refusal}"), request.id)
        response = answer(request)
        return shown_to(rights, response) if response and isinstance(request.command, DbList) else response

    def _one_by_one(self, request: Request[Any]) -> Response:
        """The answer to a pipeline that has something forbidden in it: all but that is executed."""
        pipeline: Any = request.command
        return gathered([self(evolve(request, command=command, id=None)) for command in pipeline.commands], request.id)

    def _refusal(self, request: Request[Any], rights: Rights) -> str | None:
        """Why the client may not ask this; None if it may."""
        needed = request.command.access
        if needed is Access.NONE:
            return None
        granted, what = self._granted(request, rights)
        return None if granted >= needed else f"{request.command.verb} needs {needed.name.lower()} access to {what}"

    def _granted(self, request: Request[Any], rights: Rights) -> tuple[Access, str]:
        """What the client may do with what the request is about, and what that is.

        It is the name in the catalog that counts, whatever uid or path leads to it.
        """
        command: Any = request.command
        if not command.by_name and not command.addressed:
            return rights.everywhere, "all databases"
        found = self.catalog.registered(command.name) if command.by_name else self.catalog.name_of(request.uid)
        name = command.name if found is None and command.by_name else found
        if name is None:
            return Access.ADMIN, ""  # there is no such uid, and the application says so
        return rights.access(name), f"the database {name}"


STRANGER: Final = "the server does not know this client's key (any more)"
"""Why somebody without rights is refused."""


def shown_to(rights: Rights, response: Response) -> Response:
    """The list of databases without those that the client may not read."""
    names = response.payload or []
    readable = [name for name in names if rights.access(name.decode("utf-8", "surrogateescape")) >= Access.READ]
    return evolve(response, payload=readable) if response.code is None else response
