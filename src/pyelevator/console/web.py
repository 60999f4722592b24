"""Common parts of the console's endpoints: their parameters, their bodies, and values as the page gets them."""

import json
from collections.abc import Awaitable, Callable, Mapping
from typing import Final, NoReturn, TypeAlias

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from pyelevator.console import formats
from pyelevator.console.backend import Backend, digest_of
from pyelevator.console.escapes import escape
from pyelevator.errors import (
    ConnectFailed,
    DatabaseError,
    ElevatorError,
    PermissionDenied,
    ProtocolError,
    RequestTimeout,
    TransportError,
    UsageError,
)

MAX_SHOWN: Final = 1 << 20
_BEGINNING: Final = 16 << 10
MAX_PAGE: Final = 1000

Endpoint: TypeAlias = Callable[[Request], Awaitable[Response]]

STATUS: Final[tuple[tuple[type[ElevatorError], int], ...]] = (
    (UsageError, 400),
    (PermissionDenied, 403),
    (ConnectFailed, 502),
    (RequestTimeout, 504),
    (TransportError, 502),
    (ProtocolError, 502),
    (ElevatorError, 422),
)
"""What the console answers for an error: the first class that it is one of."""


def backend_of(request: Request) -> Backend:
    """Return the server behind the console that is asked."""
    backend: Backend = request.app.state.backend
    return backend


async def show(key: bytes, data: bytes | None) -> dict[str, object]:
    """Return what the page shows of a pair; of a large value only the beginning.

    Formats are tried in a thread: some values take a second.
    """
    return await run_in_threadpool(_show, key, data)


def _show(key: bytes, data: bytes | None) -> dict[str, object]:
    if data is None:
        return {"key": escape(key), "digest": None, "error": "there is no such key any more"}
    is_large = len(data) > MAX_SHOWN
    texts = formats.render(data[:_BEGINNING] if is_large else data)
    return {
        "key": escape(key),
        "size": len(data),
        "digest": digest_of(data),
        "truncated": is_large,
        "format": formats.best_format(data, texts),
        "texts": texts,
    }


def required(query: Mapping[str, str], name: str) -> str:
    """Return a parameter; raise a UsageError if it is missing."""
    if name not in query:
        raise UsageError(f"the parameter {name} is missing")
    return query[name]


def page_size(text: str) -> int:
    """Return how many keys a page is to have."""
    if not text.isdecimal() or len(text) > len(str(MAX_PAGE)) or not 1 <= int(text) <= MAX_PAGE:
        raise UsageError(f"count is a number from 1 to {MAX_PAGE}")
    return int(text)


class Body(dict[str, str]):
    """The members of a JSON object; a missing one is a mistake of the request."""

    def __missing__(self, name: str) -> NoReturn:
        raise UsageError(f"the member {name} is missing")


async def json_body(request: Request) -> Body:
    """Return the JSON object of texts that a request brings."""
    if request.headers.get("content-type", "").partition(";")[0] != "application/json":
        raise UsageError("a request has a JSON object as its body (Content-Type: application/json)")
    try:
        found = json.loads(await request.body())
    except (ValueError, RecursionError) as error:
        raise UsageError("the body is no JSON") from error
    nullable = {"digest"}  # that of what is missing
    if not isinstance(found, dict) or not all(
        isinstance(each, str) or (name in nullable and each is None) for name, each in found.items()
    ):
        raise UsageError("the body is no JSON object of texts")
    return Body(found)


def only_with_write(endpoint: Endpoint) -> Endpoint:
    """Refuse what changes something in a console that only reads."""

    async def checked(request: Request) -> Response:
        if not backend_of(request).write:
            raise PermissionDenied("this console only reads; start it with --write to change something")
        return await endpoint(request)

    return checked


def on_error(_: Request, error: Exception) -> Response:
    """Answer with what an error says."""
    status = next(status for kind, status in STATUS if isinstance(error, kind))
    about = f": {error.database}" if isinstance(error, DatabaseError) and error.database else ""
    return JSONResponse({"error": f"{error}{about}"}, status)
