"""Hooks: an interceptor made of two plain functions instead of a generator."""

from collections.abc import Callable
from typing import Any, TypeAlias

from pyelevator.flows import Flow, Forward, Interceptor
from pyelevator.messages import Request, Response

OnRequest: TypeAlias = Callable[[Request], Request | Response | None]
OnResponse: TypeAlias = Callable[[Request, Response], Response | None]


def hooks(on_request: OnRequest | None = None, on_response: OnResponse | None = None) -> Interceptor:
    """Make an interceptor that calls plain functions.

    Args:
        on_request: called with the request; returns another request to forward, a response to use without forwarding,
            or None to forward the request unchanged.
        on_response: called with the request and its response; returns another response, or None to keep it.

    Returns:
        The interceptor. It raises a TypeError that names the function if one returns anything else.

    >>> from pyelevator import Elevator
    >>> seen = []
    >>> with Elevator(transport="fake", interceptors=[hooks(on_request=lambda r: seen.append(r.command.verb))]) as E:
    ...     E.Put("k", "v")
    >>> seen
    ['DBCONNECT', 'PUT']
    """

    def call_hooks(request: Request, forward: Forward) -> Flow[Response]:
        changed = _call("on_request", on_request, (request,), (Request, Response))
        if isinstance(changed, Response):
            return changed
        request = changed or request
        response = yield from forward(request)
        return _call("on_response", on_response, (request, response), (Response,)) or response

    return call_hooks


def _call(name: str, function: Any, arguments: tuple[object, ...], types: tuple[type, ...]) -> Any:
    result = function(*arguments) if function is not None else None
    if result is not None and not isinstance(result, types):
        expected = " or ".join(f"a {kind.__name__}" for kind in types)
        raise TypeError(f"{name} must return {expected} or None, not {type(result).__name__}")
    return result
