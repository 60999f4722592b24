"""Gate: what clients may do, asked on the way, for a proxy that stands before servers which do not know its clients."""

import posixpath
from collections.abc import Callable, Mapping
from typing import Any

from pyelevator.commands import Access, DbList
from pyelevator.errors import ErrorCode, PermissionDenied
from pyelevator.flows import Flow, Forward
from pyelevator.interceptors.names import Names
from pyelevator.messages import Request, Response
from pyelevator.server.permissions import STRANGER, Rights, shown_to


class Gate:
    """An interceptor that refuses what a client may not do; who asks is ``Request.peer``.

    It has no catalog, so it knows databases by the names that clients give them: their uids by the DBCONNECTs that it
    saw, which any client's reconnecting brings about, and absolute paths without ``..``; a path that leads elsewhere
    by a symbolic link is what the server behind must refuse (``--allow-path``).

    Args:
        rights: what each known client may do, by its user id, as of now; called for each request.
    """

    def __init__(self, rights: Callable[[], Mapping[str, Rights]]) -> None:
        self._rights = rights
        self._names = Names()

    def __call__(self, request: Request[Any], forward: Forward) -> Flow[Response]:
        rights = self._rights().get(request.peer or "")
        if rights is None:
            return _denied(STRANGER, request)
        refusal = self._refusal(request, rights)
        if refusal is not None:
            return refusal
        response = yield from self._names.learn(request, forward)
        return shown_to(rights, response) if isinstance(request.command, DbList) else response

    def _refusal(self, request: Request[Any], rights: Rights) -> Response | None:
        """The answer to a request that is not allowed; None if it is."""
        command: Any = request.command
        if command.access is Access.NONE:
            return None
        if not command.by_name and not command.addressed:
            granted, what = rights.everywhere, "all databases"
        else:
            name = _plain(command.name) if command.by_name else self._names.of(request.uid)
            if name is None:
                return Response.failure(ErrorCode.RUNTIME, f"Database {request.uid} doesn't exist", request.id)
            granted, what = rights.access(name), f"the database {name}"
        if granted >= command.access:
            return None
        return _denied(f"{command.verb} needs {command.access.name.lower()} access to {what}", request)


def _plain(name: str) -> str:
    """A database's name as the patterns shall see it: a path without detours."""
    return posixpath.normpath(name) if name.startswith("/") else name


def _denied(why: str, request: Request[Any]) -> Response:
    return Response.of_error(PermissionDenied(f"{PermissionDenied.MARK}{why}"), request.id)
