"""A proxy of one's own: two servers look like one, clients of either dialect reach both, and a rule holds for all."""

from contextlib import ExitStack
from typing import Any

from pyelevator import Elevator, PermissionDenied
from pyelevator.application import Application
from pyelevator.commands import Access
from pyelevator.flows import Flow, Forward
from pyelevator.interceptors import Cache, RequestLog
from pyelevator.messages import Request, Response
from pyelevator.proxy import Proxy, Upstream
from pyelevator.server import Server


def no_admin(request: Request[Any], forward: Forward) -> Flow[Response]:
    """An interceptor: what creates, drops or repairs databases is answered here, and no server ever sees it."""
    if request.command.access is Access.ADMIN:
        return Response.from_error(
            PermissionDenied(f"{PermissionDenied.MESSAGE_PREFIX}{request.command.verb} through this proxy")
        )
    return (yield from forward(request))


def main() -> None:
    with ExitStack() as stack:
        east, west = (stack.enter_context(Server(Application.in_memory(), ["tcp://127.0.0.1:0"])) for _ in range(2))
        for server, database in ((east, "orders"), (west, "west-orders")):
            with Elevator.from_url(server.urls[0]) as E:
                E.createdb(database)
        proxy = stack.enter_context(
            Proxy(
                listen=["tcp://127.0.0.1:0"],
                upstream=[
                    Upstream(west.urls[0], databases=("west-*",), name="west"),
                    Upstream(east.urls[0], name="east"),  # everything else
                ],
                interceptors=[RequestLog(slow=0.5), no_admin, Cache()],
            )
        )
        visit(proxy.urls[0])


def visit(url: str) -> None:
    """What a client sees, and one of the 0.7 line, which has another dialect."""
    with Elevator.from_url(url) as E, Elevator.from_url(f"{url}/west-orders?dialect=flat") as old:
        print(E.listdb())
        old.Put("1", "a dozen eggs")
        E.connect("west-orders")
        print(E.Get("1"), str(E.db_uid).partition("~")[0])
        try:
            E.dropdb("west-orders")
        except PermissionError as error:
            print(error)


if __name__ == "__main__":
    main()
