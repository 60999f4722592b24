"""The Starlette application: the page, and the JSON that its modules ask for.

Keys are texts with escapes everywhere (see ``escapes``); values are texts in one of the ``formats``.
"""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Final
from urllib.parse import quote

from attrs import asdict
from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import FileResponse, JSONResponse, Response
from starlette.routing import Mount, Route
from starlette.staticfiles import StaticFiles

from pyelevator.console import formats
from pyelevator.console.backend import Backend, digest_of
from pyelevator.console.backups import Backups, list_backups, start_backup
from pyelevator.console.escapes import escape, unescape
from pyelevator.console.prefixes import PrefixScan, PrefixScans
from pyelevator.console.web import backend_of, json_body, on_error, only_with_write, page_size, required, show
from pyelevator.errors import ElevatorError, UsageError

_MAX_SLOW: Final = 200
_STATIC: Final = Path(__file__).with_name("static")


async def session(request: Request) -> Response:
    """Say what the page has to know of this console."""
    backend = backend_of(request)
    return JSONResponse(
        {
            "csrf": request.scope["csrf_token"],
            "write": backend.write,
            "url": backend.url,
            "database": backend.default_database,
        }
    )


async def databases(request: Request) -> Response:
    """List the databases."""
    found = await backend_of(request).databases()
    return JSONResponse({"databases": [{"name": each} if isinstance(each, str) else asdict(each) for each in found]})


async def stats(request: Request) -> Response:
    """Give what the server says about itself."""
    return JSONResponse((await backend_of(request).server.stats()).to_dict())


async def slowlog(request: Request) -> Response:
    """List the latest requests that took long."""
    found = await backend_of(request).server.slowlog(_MAX_SLOW)
    return JSONResponse({"requests": [each.to_dict() for each in found]})


async def keys(request: Request) -> Response:
    """List a page of keys: from the key ``from`` on, or those before ``before`` (empty for the end)."""
    query = request.query_params
    prefix, count = unescape(query.get("prefix", "")), page_size(query.get("count", "100"))
    database = required(query, "db")
    if "before" in query:
        end = unescape(query["before"]) or None
        page = await backend_of(request).page_before(database, prefix, end, count)
    else:
        page = await backend_of(request).page(database, prefix, unescape(query.get("from", "")), count)
    return JSONResponse(
        {
            "keys": [escape(key) for key in page.keys],
            "has_previous": page.has_previous,
            "has_next": page.has_next,
        }
    )


async def value(request: Request) -> Response:
    """Show the value of a key, in the formats that fit it."""
    query = request.query_params
    key = unescape(required(query, "key"))
    found = await backend_of(request).read(required(query, "db"), key)
    return JSONResponse(await show(key, found), 404 if found is None else 200)


async def download(request: Request) -> Response:
    """Give a value as a file."""
    query = request.query_params
    key = unescape(required(query, "key"))
    found = await backend_of(request).read(required(query, "db"), key)
    if found is None:
        return JSONResponse(await show(key, None), 404)
    disposition = f"attachment; filename*=UTF-8''{quote(escape(key), safe='')}"
    return Response(found, media_type="application/octet-stream", headers={"Content-Disposition": disposition})


async def index(_: Request) -> Response:
    """Give the page."""
    return FileResponse(_STATIC / "index.html")


async def start_scan(request: Request) -> Response:
    """Start a scan."""
    body = await json_body(request)
    scan = PrefixScan(body["db"], unescape(body["prefix"]), unescape(body["separators"]))
    return JSONResponse(request.app.state.scans.start(backend_of(request).make_client(scan.database), scan).report())


async def scan_report(request: Request) -> Response:
    """Say how far a scan is, and what it has found."""
    return JSONResponse(request.app.state.scans.get(required(request.query_params, "id")).report())


async def stop_scan(request: Request) -> Response:
    """Stop a scan; what it has found stays."""
    scan_id = (await json_body(request))["id"]
    await request.app.state.scans.stop(scan_id)
    return JSONResponse(request.app.state.scans.get(scan_id).report())


async def convert(request: Request) -> Response:
    """Turn an edited text from one format into another."""
    body = await json_body(request)
    data = await run_in_threadpool(formats.parse, body["from"], body["text"])
    texts = await run_in_threadpool(formats.render, data)
    if body["to"] not in texts:
        raise UsageError(f"this value cannot be shown as {body['to']}")
    return JSONResponse({"text": texts[body["to"]], "formats": list(texts), "size": len(data)})


async def change(request: Request) -> Response:
    """Write a value (PUT) or delete a key, if the value that was shown is still there."""
    body = await json_body(request)
    backend, database, key = backend_of(request), body["db"], unescape(body["key"])
    current = await backend.read(database, key)
    data = None
    if request.method == "PUT":
        data = await run_in_threadpool(formats.parse, body["format"], body["text"], current)
    is_shown = body["digest"] == (None if current is None else digest_of(current)) and (current, data) != (None, None)
    if not is_shown or not await backend.change(database, key, current, data):
        message = "this value has changed since it was read; nothing was written"
        return JSONResponse({"error": message, "current": await show(key, await backend.read(database, key))}, 409)
    return JSONResponse({"key": body["key"]} if data is None else await show(key, data))


ROUTES: Final = (
    Route("/", index),
    Route("/api/session", session),
    Route("/api/databases", databases),
    Route("/api/stats", stats),
    Route("/api/slowlog", slowlog),
    Route("/api/keys", keys),
    Route("/api/value", value),
    Route("/api/value", only_with_write(change), methods=["PUT", "DELETE"]),
    Route("/api/download", download),
    Route("/api/convert", convert, methods=["POST"]),
    Route("/api/scans", scan_report),
    Route("/api/scans", start_scan, methods=["POST"]),
    Route("/api/scans", stop_scan, methods=["DELETE"]),
    Route("/api/backups", list_backups),
    Route("/api/backups", only_with_write(start_backup), methods=["POST"]),
    Mount("/static", StaticFiles(directory=_STATIC)),
)


def make_app(backend: Backend) -> Starlette:
    """Return the application, without what protects it (``security``); it closes the backend at its end."""

    scans, backups = PrefixScans(), Backups()

    @asynccontextmanager
    async def lifespan(_: Starlette) -> AsyncIterator[None]:
        yield
        await scans.close()
        await backups.close()
        await backend.close()

    app = Starlette(routes=ROUTES, exception_handlers={ElevatorError: on_error}, lifespan=lifespan)
    app.state.backend, app.state.scans, app.state.backups = backend, scans, backups
    return app
