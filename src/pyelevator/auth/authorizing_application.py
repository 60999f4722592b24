"""Authorization in a server: an application around the application."""

from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from typing import Any, TypeVar

from attrs import evolve

from pyelevator.application import Application
from pyelevator.application.application import ApplicationWrapper
from pyelevator.application.catalog.names import LocatedName
from pyelevator.application.handlers.kinds import names_long_path
from pyelevator.auth.authorizer import Authorizer, filter_databases
from pyelevator.auth.permissions import Permissions
from pyelevator.commands import Pipeline
from pyelevator.engines.base import EngineError
from pyelevator.errors import PermissionDenied, ServerError
from pyelevator.flows import collect_responses
from pyelevator.messages import Request, Response

_R = TypeVar("_R", Response, Response | None)


class AuthorizingApplication(ApplicationWrapper):
    """An application that executes only what the client may do.

    The client is ``CallContext.peer``; requests of unknown clients are refused.

    Args:
        application: executes what is allowed.
        permissions: returns the current permissions of each known client, by its user id; called for each request.
    """

    def __init__(self, application: Application, permissions: Callable[[], Mapping[str, Permissions]]) -> None:
        super().__init__(application)
        self._authorizer = Authorizer(permissions)
        self.catalog.confine_files()

    def __call__(self, request: Request) -> Response:
        if self._is_unknown(request):
            with suppress(EngineError):  # the request itself tells of it
                self.catalog.refresh()
        return self._authorize(request, self._application, self._execute_each)

    def try_handle(self, request: Request) -> Response | None:
        if names_long_path(request.command) or self._is_unknown(request):
            return None
        return self._authorize(request, self._application.try_handle, lambda _: None)

    def respond_together(self, requests: Sequence[Request]) -> list[Response]:
        if len(requests) == 1:
            return [self(requests[0])]
        allowed: list[Request] = []
        refusals = [self._authorize(request, allowed.append, _leave_unanswered) for request in requests]
        responses = iter(self._application.respond_together(allowed) if allowed else ())
        return [refusal or next(responses) for refusal in refusals]

    def refuses(self, outline: Request) -> Response | None:
        """Return the refusal of a request of which only the outline is decoded; None if it may be decoded further."""
        return None if self._is_unknown(outline) else self._authorize(outline, _leave_unanswered, _leave_unanswered)

    def _is_unknown(self, request: Request) -> bool:
        """Return True if another server may have created the database of a request a moment ago."""
        if not self.catalog.is_shared or (request.uid is None and not request.command.names_database):
            return False
        found = self._find(request)
        return found is None or (isinstance(found, LocatedName) and not found.is_registered)

    def _authorize(
        self, request: Request, execute: Callable[[Request], _R], split: Callable[[Request], _R]
    ) -> _R | Response:
        try:
            permissions = self._authorizer.permissions_of(request)
        except PermissionDenied as error:
            return Response.from_error(error, request.id)
        try:
            found, directories = self._find(request), self._directories(request)
            checked = self._authorizer.check(request, permissions, found, self.catalog.name_of, directories)
        except ServerError as error:
            is_split = isinstance(error, PermissionDenied) and isinstance(request.command, Pipeline)
            return split(request) if is_split else Response.from_error(error, request.id)
        response = execute(checked)
        return filter_databases(permissions, request, response) if response else response

    def _find(self, request: Request) -> LocatedName | str | None:
        name = request.command.named_database
        return self.catalog.name_of(request.uid) if name is None else self.catalog.locate(name)

    def _directories(self, request: Request) -> dict[str, LocatedName]:
        command = request.command
        return {name: self.catalog.locate_directory(getattr(command, name)) for name in command.path_fields}

    def _execute_each(self, request: Request) -> Response:
        """Execute each command of a pipeline by itself, so that only the forbidden ones fail."""
        row_sink = request.context.row_sink
        outcomes: Any = row_sink() if row_sink else []
        each = evolve(request, id=None, context=evolve(request.context, row_sink=row_sink and outcomes.row_sink))
        failures = []
        for command in request.command.commands:  # type: ignore[attr-defined]  # of a pipeline
            outcome = self(evolve(each, command=command))
            if outcome.code is not None:
                failures.append(outcome)
            outcomes.extend([outcome])
        all_failed = len(failures) == len(outcomes)
        return collect_responses(failures, request.id) if all_failed else Response(outcomes, id=request.id)


def _leave_unanswered(_: Request) -> Response | None:
    return None
