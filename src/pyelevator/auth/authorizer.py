"""The authorizer: decides whether a client may execute a request, for a server and for a proxy.

The caller first finds the database that a request is about. Its name in the catalog counts, whichever uid or path was
used to address it. The request that is executed is the one that was checked, so that nothing is looked up twice. A
refusal reveals only what the client asked: not what the database is called, where it is, or whether it exists.
"""

from collections.abc import Callable, Mapping
from copy import copy
from typing import Final

from attrs import evolve

from pyelevator.application.catalog.names import LocatedName, normalize_name
from pyelevator.auth.permissions import Permissions
from pyelevator.commands import Access, Command, DbConnect, DbCreate, DbList, Snapshot, Unknown
from pyelevator.errors import DatabaseError, PermissionDenied, ServerRuntimeError, UnknownCommand
from pyelevator.messages import Request, Response

_NO_DIRECTORIES: Final[Mapping[str, LocatedName]] = {}

UNKNOWN_CLIENT: Final = "the server does not know this client's key (any more)"
"""The reason for refusing a client without permissions."""


class Authorizer:
    """Decides what each client may do.

    Args:
        permissions: returns the current permissions of each known client, by its user id; called for each request.
    """

    def __init__(self, permissions: Callable[[], Mapping[str, Permissions]]) -> None:
        self._permissions = permissions

    def permissions_of(self, request: Request) -> Permissions:
        """Return the permissions of the client that sent a request.

        Raises:
            PermissionDenied: the client is unknown.
        """
        permissions = self._permissions().get(request.context.peer or "")
        if permissions is None:
            raise _denied(UNKNOWN_CLIENT)
        return permissions

    def check(
        self,
        request: Request,
        permissions: Permissions,
        found: LocatedName | str | None,
        name_of: Callable[[str], str | None],
        directories: Mapping[str, LocatedName] = _NO_DIRECTORIES,
    ) -> Request:
        """Check a request and return it, addressed to the database that was found.

        Args:
            request: the request to check.
            permissions: of the client that sent it.
            found: the database it is about. For a command that names a database, what the name stands for; for the
                others the name behind the uid, or None if the uid is unknown.
            directories: what the paths stand for in which the command writes, by its fields.
            name_of: returns the name behind a further uid that the command is about, or None if it is unknown.

        Raises:
            PermissionDenied: the client may not do that.
            ServerError: the request cannot be executed, for a reason that the client may know.
        """
        command = request.command
        for uid in command.uids if isinstance(command, Snapshot) else ():
            self.check(evolve(request, uid=uid, command=Snapshot()), permissions, name_of(uid), name_of)
        if isinstance(command, Unknown) and permissions.on_all < Access.ADMIN:
            raise UnknownCommand(f"Command {command.verb} not handled")
        if command.access is Access.NONE:
            return request
        if isinstance(found, LocatedName):
            return _check_names(request, permissions, {"name": found, **directories})
        if not command.needs_uid:
            _check_access(permissions.on_all, command, "all databases")
        elif found is None:
            raise ServerRuntimeError(f"Database {request.uid or '(no uid)'} doesn't exist")
        else:
            granted = permissions.access(found)
            what = request.uid if granted is Access.NONE else found  # its name is for those who may read it
            _check_access(granted, command, f"the database {what}")
        return request


def _check_names(request: Request, permissions: Permissions, located: Mapping[str, LocatedName]) -> Request:
    """Check the database and directories that a command names; return it with each replaced by what was found."""
    command = request.command
    checked = copy(command)
    for field, found in located.items():
        spelled: str = getattr(command, field)
        granted = min(map(permissions.access, found.permission_names))
        is_other = found.is_registered and found.path is None and found != spelled  # than a proxy can tell of a path
        is_hidden = is_other and not isinstance(command, DbCreate)
        if granted < command.access <= permissions.access(normalize_name(spelled)) and is_hidden:
            absent = "doesn't" if isinstance(command, DbConnect) else "does not"
            raise DatabaseError(f"Database {spelled} {absent} exist")
        _check_access(granted, command, f"the {'database' if field == 'name' else field} {spelled}")
        object.__setattr__(checked, field, found)  # not by evolve, which would convert it to plain text
    return evolve(request, command=checked)


def _check_access(granted: Access, command: Command, what: str) -> None:
    if granted < command.access:
        raise _denied(f"{command.verb} needs {command.access.name.lower()} access to {what}")


def _denied(why: str) -> PermissionDenied:
    return PermissionDenied(f"{PermissionDenied.MESSAGE_PREFIX}{why}")


def filter_databases(permissions: Permissions, request: Request, response: Response) -> Response:
    """Return the response as the client may see it: a list of databases without those that it may not read."""
    if not isinstance(request.command, DbList) or response.code is not None:
        return response
    names = response.payload or []
    readable = [name for name in names if permissions.access(name.decode("utf-8", "surrogateescape")) >= Access.READ]
    return evolve(response, payload=readable)
