"""Authorization in a proxy: an interceptor, for servers that do not know the proxy's clients."""

import hmac
from collections.abc import Callable, Mapping
from secrets import token_bytes
from typing import Any, Final

from attrs import evolve

from pyelevator.application.catalog.names import LocatedName, normalize_name, reason_to_refuse
from pyelevator.auth.authorizer import Authorizer, filter_databases
from pyelevator.auth.permissions import Permissions
from pyelevator.commands import Command, DbConnect, DbList, Pipeline
from pyelevator.errors import CursorExpired, DatabaseError, PermissionDenied, ServerError
from pyelevator.flows import Flow, Forward, collect_responses
from pyelevator.interceptors.database_names import DatabaseNames
from pyelevator.messages import Request, Response, snapshot_uid, split_uid

_MAX_UIDS: Final = 1 << 16
"""The number of uids whose database names are remembered."""

_SIGNATURE_BYTES: Final = 32


class AuthorizingInterceptor:
    """An interceptor that forwards only what the client may do; the client is ``CallContext.peer``.

    It has no catalog, so it asks the server what a name stands for. Paths that lead elsewhere through symbolic links
    must be refused by the server (``--allow-path``).

    Args:
        permissions: returns the current permissions of each known client, by its user id; called for each request.
    """

    def __init__(self, permissions: Callable[[], Mapping[str, Permissions]]) -> None:
        self._authorizer = Authorizer(permissions)
        self._names = _LocatedNames(_MAX_UIDS)
        self._cursors = _CursorSigner()

    def __call__(self, request: Request, forward: Forward) -> Flow[Response]:
        try:
            permissions = self._authorizer.permissions_of(request)
        except PermissionDenied as error:
            return Response.from_error(error, request.id)
        commands = request.command.commands if isinstance(request.command, Pipeline) else ()
        if any(getattr(command, "cursor", False) for command in commands):  # each is signed by itself
            return (yield from self._forward_each(request, forward))
        try:
            found = yield from self._names.locate(request, forward)
            directories = _directories(request.command)
            checked = self._authorizer.check(request, permissions, found, self._names.find, directories)
            checked = self._cursors.verify(checked)
            name = checked.command.named_database or ""
            why = reason_to_refuse(name) if name.startswith("/") else None
            if why:  # servers of today refuse it, and an old one would open it under another name
                raise DatabaseError(why)
        except ServerError as error:
            if isinstance(error, PermissionDenied) and isinstance(request.command, Pipeline):
                return (yield from self._forward_each(request, forward))
            return Response.from_error(error, request.id)
        response = yield from self._names.observe(checked, forward)
        return self._cursors.sign(request, filter_databases(permissions, request, response))

    def refuses(self, outline: Request) -> Response | None:
        """Return the refusal of a request of which only the outline is decoded.

        None means that it may be decoded further, or that only the server could tell.
        """
        if (outline.command.named_database or "").startswith("/"):
            return None
        try:
            found, directories = self._names.locate_known(outline), _directories(outline.command)
            permissions = self._authorizer.permissions_of(outline)
            self._authorizer.check(outline, permissions, found, self._names.find, directories)
        except ServerError as error:
            return Response.from_error(error, outline.id)
        return None

    def _forward_each(self, request: Request, forward: Forward) -> Flow[Response]:
        """Forward each command of a pipeline by itself, so that only the forbidden ones fail."""
        pipeline: Any = request.command
        responses = []
        for command in pipeline.commands:
            responses.append((yield from self(evolve(request, command=command, id=None), forward)))
        return collect_responses(responses, request.id)


def _directories(command: Command) -> dict[str, LocatedName]:
    """Return the paths in which a command writes, by its fields."""
    return {name: _as_spelled(getattr(command, name)) for name in command.path_fields}


def _as_spelled(name: str) -> LocatedName:
    """Return a name or path that was not looked up: permissions for it as it is spelled count."""
    return LocatedName(name, None, is_registered=False, permission_names=(normalize_name(name),))


class _LocatedNames(DatabaseNames):
    """Finds the database of a request; after a restart of the proxy, clients must reconnect to their databases."""

    def locate(self, request: Request, forward: Forward) -> Flow[LocatedName | str | None]:
        """Find the database that a request is about, as ``Authorizer.check`` takes it."""
        name = request.command.named_database or ""
        if name.startswith("/") and not reason_to_refuse(name):
            return (yield from self._find_path(name, forward))
        return self.locate_known(request)

    def locate_known(self, request: Request) -> LocatedName | str | None:
        """Find the same without asking the server, for a request that names no path."""
        name = request.command.named_database
        return self.find(request.uid) if name is None else _as_spelled(name)

    def _find_path(self, path: str, forward: Forward) -> Flow[LocatedName]:
        """Find the database at a path. It may be registered under another name; equal uids show that."""
        listed = yield from forward(Request(DbList()))
        names = [name.decode("utf-8", "surrogateescape") for name in listed.payload or ()]
        if path in names:
            return LocatedName(path, None, is_registered=True)
        uid = yield from self._connect(path, forward)
        if uid is None:
            return LocatedName(normalize_name(path), None, is_registered=False)
        for name in names if self.find(uid) is None else ():
            other = yield from self._connect(name, forward)
            if other is not None:
                self.add(other, name)
            if other == uid:
                break
        found = self.find(uid)
        if found is None:
            raise DatabaseError(f"Database {path} does not exist")  # it has just been dropped
        return LocatedName(found, None, is_registered=True)

    def _connect(self, name: str, forward: Forward) -> Flow[str | None]:
        response = yield from forward(Request(DbConnect(name)))
        payload = response.payload
        return payload.decode("utf-8", "surrogateescape") if isinstance(payload, bytes) else None


class _CursorSigner:
    """Binds each cursor to the client that opened it: the servers see only one client, the proxy.

    Clients get cursors with a signature, which is valid for one client only.
    """

    def __init__(self) -> None:
        self._key = token_bytes(32)

    def sign(self, request: Request, response: Response) -> Response:
        """Return the response with its cursor signed for the client."""
        if response.cursor is None:
            return response
        return evolve(response, cursor=response.cursor + self._signature(request, response.cursor))

    def verify(self, request: Request) -> Request:
        """Return the request with the cursor as the server knows it.

        Raises:
            CursorExpired: the cursor is invalid, or belongs to another client.
        """
        command: Any = request.command
        uid, of_snapshot = split_uid(request.uid)
        if uid is not None and of_snapshot is not None:
            request = evolve(request, uid=snapshot_uid(uid, self._unsigned(request, of_snapshot)))
        signed = getattr(command, "cursor", None)
        if not isinstance(signed, bytes):
            return request
        return evolve(request, command=evolve(command, cursor=self._unsigned(request, signed)))

    def _unsigned(self, request: Request, signed: bytes) -> bytes:
        cursor, signature = signed[:-_SIGNATURE_BYTES], signed[-_SIGNATURE_BYTES:]
        if not hmac.compare_digest(signature, self._signature(request, cursor)):
            raise CursorExpired(
                f"{CursorExpired.MESSAGE_PREFIX}it was opened by another client, or before the proxy was restarted"
            )
        return cursor

    def _signature(self, request: Request, cursor: bytes) -> bytes:
        signed = f"{request.context.peer}\n".encode() + cursor
        return hmac.digest(self._key, signed, "sha256").hex().encode()[:_SIGNATURE_BYTES]
