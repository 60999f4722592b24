"""Changes of values: each is written only if the value is still the one that was shown."""

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from pyelevator.console import formats
from pyelevator.console.backend import Backend, digest_of
from pyelevator.console.escapes import unescape
from pyelevator.console.web import backend_of, json_body, show
from pyelevator.errors import UsageError


async def convert(request: Request) -> Response:
    """Turn an edited text from one format into another."""
    body = await json_body(request)
    data = await run_in_threadpool(formats.parse, body["from"], body["text"])
    texts = await run_in_threadpool(formats.render, data)
    if body["to"] not in texts:
        raise UsageError(f"this value cannot be shown as {body['to']}")
    return JSONResponse({"text": texts[body["to"]], "formats": list(texts), "size": len(data)})


async def put(request: Request) -> Response:
    """Write a value, if the one that was shown is still there."""
    body = await json_body(request)
    backend, key = backend_of(request), unescape(body["key"])
    current = await backend.read(body["db"], key)
    data = await run_in_threadpool(formats.parse, body["format"], body["text"], current)
    if _digest(current) != body["digest"] or not await backend.replace(body["db"], key, current, data):
        return await _conflict(backend, body["db"], key)
    return JSONResponse(await show(key, data))


async def delete(request: Request) -> Response:
    """Delete a key, if the value that was shown is still there."""
    body = await json_body(request)
    backend, key = backend_of(request), unescape(body["key"])
    current = await backend.read(body["db"], key)
    if current is None or _digest(current) != body["digest"] or not await backend.delete(body["db"], key, current):
        return await _conflict(backend, body["db"], key)
    return JSONResponse({"key": body["key"]})


async def _conflict(backend: Backend, database: str, key: bytes) -> Response:
    """Answer that the value has changed meanwhile, with the value as it is now."""
    now = await show(key, await backend.read(database, key))
    message = "this value has changed since it was read; nothing was written"
    return JSONResponse({"error": message, "current": now}, 409)


def _digest(data: bytes | None) -> str | None:
    return None if data is None else digest_of(data)
