"""An interceptor that refuses everything but reading."""

from pyelevator.commands import Access
from pyelevator.errors import PermissionDenied
from pyelevator.flows import Flow, Forward
from pyelevator.messages import Request, Response


def read_only(request: Request, forward: Forward) -> Flow[Response]:
    """Refuse every command that writes or administers with PermissionDenied, and forward the others.

    Args:
        request: the request to check.
        forward: forwards it.

    >>> from pyelevator import Elevator
    >>> with Elevator(transport="fake", interceptors=[read_only]) as E:
    ...     E.Put("k", "v")
    Traceback (most recent call last):
        ...
    pyelevator.errors.PermissionDenied: not allowed: PUT where only reading is
    """
    if request.command.access > Access.READ:
        text = f"{PermissionDenied.MESSAGE_PREFIX}{request.command.verb} where only reading is"
        return Response.from_error(PermissionDenied(text), request.id)
    return (yield from forward(request))
