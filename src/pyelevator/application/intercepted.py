"""An application with interceptors, as a server has them."""

import time
from collections.abc import Sequence
from typing import Any

from attrs import evolve

from pyelevator.application.application import Application, ApplicationWrapper
from pyelevator.application.errors import failure_response
from pyelevator.flows import Effect, Interceptor, Sleep, compose, drive, encode_failures
from pyelevator.messages import Request, Response


class InterceptedApplication(ApplicationWrapper):
    """Sends each request through the interceptors to another application.

    They may wait, so a server calls this in its workers, never in its own loop.

    Args:
        application: the other one.
        interceptors: the first one gets each request first.

    >>> from pyelevator.commands import Get
    >>> def closed(request, forward):
    ...     yield from ()
    ...     return Response(b"closed")
    >>> InterceptedApplication(Application.in_memory(), [closed])(Request(Get("k"), "uid")).payload
    b'closed'
    """

    def __init__(self, application: Application, interceptors: Sequence[Interceptor]) -> None:
        super().__init__(application)
        self._forward = compose(interceptors)

    def __call__(self, request: Request[Any]) -> Response:
        if request.row_sink is not None:  # interceptors read and change rows
            request = evolve(request, row_sink=None)
        try:
            response: Any = drive(self._forward(request), self._perform)
        except Exception as error:  # noqa: BLE001 - every request gets an answer
            return failure_response(error, request.id)
        if isinstance(response, Response):
            return encode_failures(request, response, failure_response)
        return failure_response(
            TypeError(f"an interceptor answered {type(response).__name__}, not a Response"), request.id
        )

    def _perform(self, effect: Effect) -> Response | None:
        if isinstance(effect, Sleep):
            time.sleep(effect.seconds)
            return None
        return self._application(effect.request)

    def try_handle(self, request: Request[Any]) -> Response | None:  # noqa: ARG002
        return None
