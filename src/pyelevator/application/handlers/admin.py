"""Handlers of the commands about databases, and of PING."""

from collections.abc import Callable
from typing import Any

from pyelevator.application.catalog import Catalog
from pyelevator.commands import Command, DbConnect
from pyelevator.features import FEATURES
from pyelevator.messages import Request, Response


def ping(_: Catalog, __: Command[Any], request: Request[Any]) -> Response:
    """Handle a PING."""
    return Response(b"PONG", id=request.id)


def connect(catalog: Catalog, command: DbConnect, request: Request[Any]) -> Response:
    """Handle a DBCONNECT."""
    return Response(_encode_name(catalog.uid_of(command.name)), id=request.id, features=FEATURES)


def list_databases(catalog: Catalog, _: Command[Any], request: Request[Any]) -> Response:
    """Handle a DBLIST."""
    return Response(list(map(_encode_name, catalog.names())), id=request.id)


def without_result(call: Callable[[Catalog, Any], object]) -> Callable[[Catalog, Any, Request[Any]], Response]:
    """Return a handler with an empty response for a call with the catalog and the command."""

    def handle(catalog: Catalog, command: Any, request: Request[Any]) -> Response:
        call(catalog, command)
        return Response(id=request.id)

    return handle


def _encode_name(name: str) -> bytes:
    return name.encode("utf-8", "surrogateescape")
