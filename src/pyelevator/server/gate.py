"""Gate: an interceptor that asks the authorizer first, for a proxy before servers which do not know its clients."""

import hmac
from collections import OrderedDict
from collections.abc import Callable, Mapping
from secrets import token_bytes
from typing import Any, Final

from attrs import evolve

from pyelevator.application.names import Located, normal, refusal
from pyelevator.commands import DbConnect, DbList, Pipeline
from pyelevator.errors import CursorExpired, DatabaseError, PermissionDenied, ServerError
from pyelevator.flows import Flow, Forward, gathered
from pyelevator.messages import Request, Response
from pyelevator.server.authorizer import Authorizer, refused, shown_to
from pyelevator.server.permissions import Rights

_KNOWN: Final = 1 << 16
"""Uids whose names are remembered."""

_SEAL: Final = 32
"""Bytes of a seal."""


class Gate:
    """An interceptor that refuses what a client may not do; who asks is ``Request.peer``.

    It has no catalog: what a name stands for it asks the server. A path that leads elsewhere by a symbolic link is what
    the server must refuse (``--allow-path``).

    Args:
        rights: what each known client may do, by its user id, as of now; called for each request.
    """

    def __init__(self, rights: Callable[[], Mapping[str, Rights]]) -> None:
        self._authorizer = Authorizer(rights)
        self._names = _Names()
        self._cursors = _Cursors()

    def __call__(self, request: Request[Any], forward: Forward) -> Flow[Response]:
        try:
            rights = self._authorizer.rights_of(request)
        except PermissionDenied as error:
            return refused(error, request)
        if _has_cursors(request):
            return (yield from self._one_by_one(request, forward))
        try:
            found = yield from self._names.found(request, forward)
            checked = self._cursors.opened(self._authorizer.check(request, rights, found))
            _check_name(checked.command)
        except ServerError as error:
            is_split = isinstance(error, PermissionDenied) and isinstance(request.command, Pipeline)
            return (yield from self._one_by_one(request, forward)) if is_split else refused(error, request)
        response = yield from forward(checked)
        self._names.learn(checked, response)
        return self._cursors.sealed(request, shown_to(rights, request, response))

    def refuses(self, outline: Request[Any]) -> Response | None:
        """The answer to a request that is not allowed, of which only the outline is known; else None, and so where
        a server would have to be asked."""
        command: Any = outline.command
        if command.by_name and command.name.startswith("/"):
            return None
        try:
            self._authorizer.check(outline, self._authorizer.rights_of(outline), self._names.known(outline))
        except ServerError as error:
            return refused(error, outline)
        return None

    def _one_by_one(self, request: Request[Any], forward: Forward) -> Flow[Response]:
        """The answer to a pipeline that cannot be passed on as a whole: all but what is forbidden is executed."""
        pipeline: Any = request.command
        answers = []
        for command in pipeline.commands:
            answers.append((yield from self(evolve(request, command=command, id=None), forward)))
        return gathered(answers, request.id)


def _check_name(command: Any) -> None:
    """Refuse a name that no server of ours takes, and an old one would: it counted as what it is not."""
    why = refusal(command.name) if command.by_name and command.name.startswith("/") else None
    if why:
        raise DatabaseError(why)


def _has_cursors(request: Request[Any]) -> bool:
    """Whether it is a pipeline in which somebody reads from a cursor, or wants one."""
    commands = request.command.commands if isinstance(request.command, Pipeline) else ()
    return any(getattr(command, "cursor", False) for command in commands)


class _Names:
    """What the databases of the servers behind are called in their catalogs, as they tell when asked."""

    def __init__(self) -> None:
        self._of_uids: OrderedDict[str, str] = OrderedDict()

    def found(self, request: Request[Any], forward: Forward) -> Flow[Located | str | None]:
        """What a request is about, as ``Authorizer.check`` wants it."""
        command: Any = request.command
        if command.by_name and command.name.startswith("/") and not refusal(command.name):
            return (yield from self._at_path(command.name, forward))
        return self.known(request)

    def known(self, request: Request[Any]) -> Located | str | None:
        """The same, where no path is named."""
        command: Any = request.command
        if not command.by_name:
            return self._of_uids.get(request.uid or "")
        return Located(command.name, None, is_registered=False, counts_as=(normal(command.name),))

    def _at_path(self, path: str, forward: Forward) -> Flow[Located]:
        """What lies at a path: it may have another name, which the uids tell."""
        listed = yield from forward(Request(DbList()))
        names = [name.decode("utf-8", "surrogateescape") for name in listed.payload or ()]
        if path in names:
            return Located(path, None, is_registered=True)
        uid = yield from self._uid_of(path, forward)
        if uid is None:
            return Located(normal(path), None, is_registered=False)
        for name in names if uid not in self._of_uids else ():
            other = yield from self._uid_of(name, forward)
            if other is not None:
                self._note(other, name)
            if other == uid:
                break
        name = self._of_uids.get(uid)
        if name is None:
            raise DatabaseError(f"Database {path} does not exist")  # it has just been dropped
        return Located(name, None, is_registered=True)

    def _uid_of(self, name: str, forward: Forward) -> Flow[str | None]:
        response = yield from forward(Request(DbConnect(name)))
        payload = response.payload
        return payload.decode("utf-8", "surrogateescape") if isinstance(payload, bytes) else None

    def learn(self, request: Request[Any], response: Response) -> None:
        """Takes note of the uid that a DBCONNECT was answered with."""
        if isinstance(request.command, DbConnect) and isinstance(response.payload, bytes):
            self._note(response.payload.decode("utf-8", "surrogateescape"), str(request.command.name))

    def _note(self, uid: str, name: str) -> None:
        self._of_uids[uid] = name
        self._of_uids.move_to_end(uid)
        if len(self._of_uids) > _KNOWN:
            self._of_uids.popitem(last=False)


class _Cursors:
    """Has each client use the cursors that it opened itself: to the servers behind, all of them are the proxy's.

    Their ids have a seal behind them that only the client can use to whom they were given.
    """

    def __init__(self) -> None:
        self._key = token_bytes(32)

    def sealed(self, request: Request[Any], response: Response) -> Response:
        """The answer with its cursor as the client gets it."""
        if response.cursor is None:
            return response
        return evolve(response, cursor=response.cursor + self._seal(request, response.cursor))

    def opened(self, request: Request[Any]) -> Request[Any]:
        """The request with its cursor as the server gets it.

        Raises:
            CursorExpired: it is none, or another client's.
        """
        command: Any = request.command
        sealed = getattr(command, "cursor", None)
        if not isinstance(sealed, bytes):
            return request
        cursor, seal = sealed[:-_SEAL], sealed[-_SEAL:]
        if not hmac.compare_digest(seal, self._seal(request, cursor)):
            raise CursorExpired(
                f"{CursorExpired.MARK}it was opened by another client, or before the proxy was restarted"
            )
        return evolve(request, command=evolve(command, cursor=cursor))

    def _seal(self, request: Request[Any], cursor: bytes) -> bytes:
        whose = f"{request.peer}\n".encode() + cursor
        return hmac.digest(self._key, whose, "sha256").hex().encode()[:_SEAL]
