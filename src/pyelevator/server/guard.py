"""Guard: an application that asks the authorizer first."""

from collections.abc import Callable, Mapping
from typing import Any, TypeVar

from attrs import evolve

from pyelevator.application import Application
from pyelevator.application.application import Wrapper
from pyelevator.application.names import Located
from pyelevator.commands import Pipeline
from pyelevator.errors import PermissionDenied, ServerError
from pyelevator.flows import gathered
from pyelevator.messages import Request, Response
from pyelevator.server.authorizer import Authorizer, refused, shown_to
from pyelevator.server.permissions import Rights

_R = TypeVar("_R", Response, Response | None)


class Guard(Wrapper):
    """An application that knows its clients, and refuses what they may not do.

    Who asks is ``Request.peer``; what comes from nobody known is refused.

    Args:
        application: what answers the rest.
        rights: what each known client may do, by its user id, as of now; called for each request.
    """

    def __init__(self, application: Application, rights: Callable[[], Mapping[str, Rights]]) -> None:
        super().__init__(application)
        self._authorizer = Authorizer(rights)

    def __call__(self, request: Request[Any]) -> Response:
        return self._guarded(request, self._application, self._one_by_one)

    def at_once(self, request: Request[Any]) -> Response | None:
        return self._guarded(request, self._application.at_once, lambda _: None)

    def refuses(self, outline: Request[Any]) -> Response | None:
        """The answer to a request that is not allowed, of which only the outline is known; else None."""
        return self._guarded(outline, _nothing, _nothing)

    def _guarded(
        self, request: Request[Any], answer: Callable[[Request[Any]], _R], split: Callable[[Request[Any]], _R]
    ) -> _R | Response:
        try:
            rights = self._authorizer.rights_of(request)
        except PermissionDenied as error:
            return refused(error, request)
        try:
            checked = self._authorizer.check(request, rights, self._found(request))
        except ServerError as error:
            is_split = isinstance(error, PermissionDenied) and isinstance(request.command, Pipeline)
            return split(request) if is_split else refused(error, request)
        response = answer(checked)
        return shown_to(rights, request, response) if response else response

    def _found(self, request: Request[Any]) -> Located | str | None:
        command: Any = request.command
        return self.catalog.located(command.name) if command.by_name else self.catalog.name_of(request.uid)

    def _one_by_one(self, request: Request[Any]) -> Response:
        """The answer to a pipeline that has something forbidden in it: all but that is executed."""
        pipeline: Any = request.command
        return gathered([self(evolve(request, command=command, id=None)) for command in pipeline.commands], request.id)


def _nothing(_: Request[Any]) -> Response | None:
    return None
