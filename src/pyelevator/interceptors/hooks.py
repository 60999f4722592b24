"""Hooks: an interceptor from two plain functions, for those who do not want a generator."""

from collections.abc import Callable
from typing import Any, TypeAlias

from pyelevator.flows import Flow, Forward, Interceptor
from pyelevator.messages import Request, Response

OnRequest: TypeAlias = Callable[[Request[Any]], Request[Any] | Response | None]
OnResponse: TypeAlias = Callable[[Request[Any], Response], Response | None]


def hooks(on_request: OnRequest | None = None, on_response: OnResponse | None = None) -> Interceptor:
    """An interceptor that calls plain functions.

    Args:
        on_request: gets the request; gives another request to forward, a response to answer without forwarding, or
            None to leave it as it is.
        on_response: gets the request and its response; gives another response, or None to leave it as it is.

    Raises, when a function gives something else:
        TypeError: it names the function.

    >>> from pyelevator import Elevator
    >>> seen = []
    >>> with Elevator(transport="fake", interceptors=[hooks(on_request=lambda r: seen.append(r.command.verb))]) as E:
    ...     E.Put("k", "v")
    >>> seen
    ['DBCONNECT', 'PUT']
    """

    def hooked(request: Request[Any], forward: Forward) -> Flow[Response]:
        changed = _called("on_request", on_request, (request,), (Request, Response))
        if isinstance(changed, Response):
            return changed
        request = changed or request
        response = yield from forward(request)
        return _called("on_response", on_response, (request, response), (Response,)) or response

    return hooked


def _called(name: str, function: Any, arguments: tuple[Any, ...], kinds: tuple[type, ...]) -> Any:
    given = function(*arguments) if function is not None else None
    if given is not None and not isinstance(given, kinds):
        wanted = " or ".join(f"a {kind.__name__}" for kind in kinds)
        raise TypeError(f"{name} must return {wanted} or None, not {type(given).__name__}")
    return given
