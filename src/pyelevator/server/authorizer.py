"""Authorizer: whether a client may do what it asks, the same in a server (``guard``) and in a proxy (``gate``).

Both find out first which database a request is about; it is the name in the catalog that counts, whatever uid or path
leads to it. What they pass on is what was checked, so that nothing is looked up a second time. A refusal says no more
than what was asked: not how the database is called, where it lies, or whether there is one.
"""

from collections.abc import Callable, Mapping
from copy import copy
from typing import Any, Final

from attrs import evolve

from pyelevator.application.names import Located, normal
from pyelevator.commands import Access, DbConnect, DbCreate, DbList, Unknown
from pyelevator.errors import DatabaseError, PermissionDenied, ServerError, ServerRuntimeError, UnknownCommand
from pyelevator.messages import Request, Response
from pyelevator.server.permissions import Rights

STRANGER: Final = "the server does not know this client's key (any more)"
"""Why somebody without rights is refused."""


class Authorizer:
    """Knows what each client may do.

    Args:
        rights: what each known client may do, by its user id, as of now; called for each request.
    """

    def __init__(self, rights: Callable[[], Mapping[str, Rights]]) -> None:
        self._rights = rights

    def rights_of(self, request: Request[Any]) -> Rights:
        """What who asks may do.

        Raises:
            PermissionDenied: nobody knows it.
        """
        rights = self._rights().get(request.peer or "")
        if rights is None:
            raise _denied(STRANGER)
        return rights

    def check(self, request: Request[Any], rights: Rights, found: Located | str | None) -> Request[Any]:
        """The request, about what was found.

        Args:
            request: what is asked.
            rights: of who asks.
            found: of a command that names its database, what the name stands for; of others the name of the one that
                is connected, None where its uid is unknown.

        Raises:
            PermissionDenied: it is not allowed.
            ServerError: it cannot be executed, which is nobody's secret.
        """
        command: Any = request.command
        if isinstance(command, Unknown) and rights.everywhere < Access.ADMIN:
            raise UnknownCommand(f"Command {command.verb} not handled")
        if command.access is Access.NONE:
            return request
        if isinstance(found, Located):
            return _checked_name(request, rights, found)
        if not command.addressed:
            _check(rights.everywhere, command, "all databases")
        elif found is None:
            raise ServerRuntimeError(f"Database {request.uid or '(no uid)'} doesn't exist")
        else:
            _check(rights.access(found), command, f"the database {found}")
        return request


def _checked_name(request: Request[Any], rights: Rights, found: Located) -> Request[Any]:
    """The request, about the database that its name stands for."""
    command: Any = request.command
    granted = min(map(rights.access, found.counts_as))
    if (
        granted < command.access
        and _is_hidden(found, command)
        and rights.access(normal(command.name)) >= command.access
    ):
        absent = "doesn't" if isinstance(command, DbConnect) else "does not"
        raise DatabaseError(f"Database {command.name} {absent} exist")
    _check(granted, command, f"the database {command.name}")
    renamed = copy(command)
    object.__setattr__(renamed, "name", found)  # not by evolve, which would make plain text of it
    return evolve(request, command=renamed)


def _is_hidden(found: Located, command: Any) -> bool:
    """Whether what is not there is answered so, too: a proxy cannot tell what a path would stand for."""
    is_alias = found.is_registered and found != command.name
    return is_alias and found.path is None and not isinstance(command, DbCreate)


def _check(granted: Access, command: Any, what: str) -> None:
    if granted < command.access:
        raise _denied(f"{command.verb} needs {command.access.name.lower()} access to {what}")


def _denied(why: str) -> PermissionDenied:
    return PermissionDenied(f"{PermissionDenied.MARK}{why}")


def refused(error: ServerError, request: Request[Any]) -> Response:
    """The answer to a request that is refused."""
    return Response.of_error(error, request.id)


def shown_to(rights: Rights, request: Request[Any], response: Response) -> Response:
    """The answer as the client may see it: a list of databases without those that it may not read."""
    if not isinstance(request.command, DbList) or response.code is not None:
        return response
    names = response.payload or []
    readable = [name for name in names if rights.access(name.decode("utf-8", "surrogateescape")) >= Access.READ]
    return evolve(response, payload=readable)
