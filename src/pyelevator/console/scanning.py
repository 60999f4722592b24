"""The endpoints of scans for the biggest prefixes."""

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from pyelevator.console.escapes import unescape
from pyelevator.console.prefixes import PrefixScan, PrefixScans
from pyelevator.console.web import backend_of, json_body, required


def _scans(request: Request) -> PrefixScans:
    scans: PrefixScans = request.app.state.scans
    return scans


async def start_scan(request: Request) -> Response:
    """Start a scan."""
    body = await json_body(request)
    scan = PrefixScan(body["db"], unescape(body["prefix"]), unescape(body["separators"]))
    return JSONResponse(_scans(request).start(backend_of(request).make_client(scan.database), scan).report())


async def scan_report(request: Request) -> Response:
    """Say how far a scan is, and what it has found."""
    return JSONResponse(_scans(request).get(required(request.query_params, "id")).report())


async def stop_scan(request: Request) -> Response:
    """Stop a scan; what it has found stays."""
    scan_id = (await json_body(request))["id"]
    await _scans(request).stop(scan_id)
    return JSONResponse(_scans(request).get(scan_id).report())
