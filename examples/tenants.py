"""A multi-tenant proxy: many customers in one database of one server, each with a key space of its own.

The customers come over TCP with CURVE keys, so the proxy knows who asks. Each gets a prefix in front of all keys and a
rate limit; no customer can administrate, nor see a database that is not the customers'.
"""

import logging
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pyelevator import AuthenticationFailed, Curve, DatabaseError, Elevator, PermissionDenied
from pyelevator.auth.keys import generate_keys, server_secret
from pyelevator.commands import Access, DbConnect, DbList
from pyelevator.flows import Flow, Forward, Interceptor, compose
from pyelevator.interceptors import Prefix, RateLimit
from pyelevator.messages import Request, Response
from pyelevator.proxy import Proxy
from pyelevator.testing.servers import ServerProcess
from pyelevator.transports.authentication import CurveServer

DATABASE = "tenants"


def data_only(request: Request[Any], forward: Forward) -> Flow[Response]:
    """Answers here what is about databases: there is one, and it stays as it is."""
    command = request.command
    if isinstance(command, DbList):
        return Response([DATABASE.encode()])
    if isinstance(command, DbConnect) and command.name != DATABASE:
        return Response.from_error(DatabaseError("Database does not exist"))
    if command.access is Access.ADMIN:
        return Response.from_error(
            PermissionDenied(f"{PermissionDenied.MESSAGE_PREFIX}{command.verb} is for the operators")
        )
    return (yield from forward(request))


class ByTenant:
    """Sends each request through the interceptors of who asks: ``Request.context.peer`` is the client's public key."""

    def __init__(self, tenants: Mapping[str, str]) -> None:
        self._ways = {key: chain_of(name) for key, name in tenants.items()}

    def __call__(self, request: Request[Any], forward: Forward) -> Flow[Response]:
        return (yield from compose(self._ways[str(request.context.peer)], forward)(request))


def chain_of(tenant: str) -> list[Interceptor]:
    return [RateLimit(rate=1000, burst=100), data_only, Prefix(f"{tenant}/")]


def main() -> None:
    logging.getLogger("pyelevator").setLevel(logging.ERROR)  # it would warn of the unknown client, below
    with tempfile.TemporaryDirectory() as folder, ServerProcess(data=Path(folder, "data")) as server:
        with Elevator.from_url(server.urls[0]) as E:
            E.createdb(DATABASE)
        keys = Path(folder, "keys")
        generate_keys(keys)  # the proxy's own; the same as `elevator keygen keys`
        tenants = {generate_keys(keys, name): name for name in ("ann", "bob")}
        unknown_client = generate_keys(keys, "unknown")
        curve = CurveServer(server_secret(keys), tenants.__contains__)
        with Proxy(["tcp://127.0.0.1:0"], server.urls[0], [ByTenant(tenants)], curve=curve) as proxy:
            assert unknown_client not in tenants
            visit(proxy.urls[0].removeprefix("tcp://"), keys)
        with Elevator.from_url(f"{server.urls[0]}/{DATABASE}") as E:
            print("in the server:", E.Range(include_value=False))


def visit(endpoint: str, keys: Path) -> None:
    def curve(name: str) -> Curve:
        return Curve.from_files(keys / f"{name}.key_secret", keys / "server.key")

    ann = Elevator(DATABASE, endpoint=endpoint, curve=curve("ann"))
    bob = Elevator(DATABASE, endpoint=endpoint, curve=curve("bob"))
    with ann, bob:
        ann.Put("color", "blue")
        bob.Put("color", "red")
        with bob.WriteBatch() as batch:
            batch.Put("size", "42")
        print("ann sees:", ann.Range(), ann.listdb())
        print("bob sees:", bob.Range())
        try:
            bob.dropdb(DATABASE)
        except PermissionError as error:
            print("bob:", error)
        try:
            bob.connect("default")
        except DatabaseError as error:
            print("bob:", error)
    try:
        Elevator(DATABASE, endpoint=endpoint, curve=curve("unknown"), timeout=1)
    except AuthenticationFailed:
        print("an unknown client gets no connection")


if __name__ == "__main__":
    main()
