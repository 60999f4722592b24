"""Handlers of RANGE, SLICE and COUNT: a response has all rows, or those up to a limit, or one page of a snapshot."""

from collections.abc import Callable
from contextlib import ExitStack
from typing import Any, Final, NamedTuple

from attrs import evolve

from pyelevator.application.context import Context
from pyelevator.application.fairness import CHUNK_ROWS, CheckpointedRows
from pyelevator.application.response_space import OutOfSpace, response_space
from pyelevator.commands import Count, Range, Slice
from pyelevator.engines.base import Bounds, Engine, ReadView
from pyelevator.engines.base.chunks import ChunkedScan
from pyelevator.errors import WrongValue
from pyelevator.messages import Request, Response

_MAX_PAGE_ROWS: Final = 25_000
"""Rows in a page of a range, however small they are: the client has work with each."""

_CHUNK_BYTES: Final = 256 << 10
"""About how many bytes of rows are Python objects before the request's own row sink has packed them."""

_ROW_OVERHEAD: Final = 128
"""Bytes that a row takes beside its keys and values until it is packed, about."""

_MAX_CACHED_ROWS: Final = 1024
"""Rows of a slice whose blocks the engine caches: those of long scans would take the place of all others."""

_PACKED_ROWS: Final = 1 << 15
"""Rows of a chunk that the engine packs: meanwhile other threads have Python, and each time it waits for them."""

_PACKED_BYTES: Final = 1 << 20


class ScanResult(NamedTuple):
    """The first rows of a scan in the request's own row sink or a list, their bytes, and True if more follow."""

    rows: Any
    size: int
    more: bool


# RANGE


def scan_range(engine: Engine, command: Range, request: Request, context: Context) -> Response:
    """Handle a RANGE."""
    if command.cursor is False:
        return Response.ok(_collect_all(engine, command, request, context), request.id)
    if command.reverse or not (command.include_key and command.include_value):
        raise WrongValue("a range that comes in pages goes forwards, and has keys and values")
    if command.cursor is True:
        return _first_page(engine, command, request, context)
    return _next_page(engine, command, command.cursor, request, context)


def _collect_all(view: ReadView, command: Range, request: Request, context: Context) -> Any:
    policy, bounds = context.policy, _range_bounds(command)
    if view.is_large(bounds):
        bounds = evolve(bounds, fill_cache=False)
    scan = view.chunks(bounds)
    result = _collect_rows(scan, policy.max_range, policy.max_range_bytes, request, context)
    _check_limit(result.more, context)
    return result.rows


def _range_bounds(command: Range) -> Bounds:
    parts = command.include_key, command.include_value
    is_long = type(command.cursor) is bytes
    return Bounds(command.start, command.stop, command.prefix, *parts, command.reverse, fill_cache=not is_long)


def _first_page(engine: Engine, command: Range, request: Request, context: Context) -> Response:
    """Return the first page of a range, or all of it if there is no room for a further snapshot."""
    with ExitStack() as closing:
        snapshot = closing.enter_context(engine.snapshot())
        page = _collect_page(snapshot, command, request, context, (0, 0))
        cursor = context.cursors.add_if_room({engine: snapshot}, request) if page.more else None
        if cursor is None:
            rows = _collect_all(snapshot, command, request, context) if page.more else page.rows
            return Response(rows, id=request.id)
        closing.pop_all()
    cursor.progress = {_next_start(page): (len(page.rows), page.size)}
    return Response(page.rows, id=request.id, more=True, cursor=cursor.id)


def _next_page(engine: Engine, command: Range, cursor_id: bytes, request: Request, context: Context) -> Response:
    """Return the page that begins at the start of the range; the last page or a failure closes the cursor."""
    with ExitStack() as closing_cursor:
        closing_cursor.callback(context.cursors.close, cursor_id, engine, request)
        with context.cursors.reading(cursor_id, engine, request) as cursor:
            before = cursor.progress.get(command.start, (0, 0))
            try:
                page = _collect_page(cursor.views[engine], command, request, context, before)
            except OutOfSpace:
                closing_cursor.pop_all()  # this page will be read later
                raise
            if page.more:
                after = before[0] + len(page.rows), before[1] + page.size
                cursor.progress = {command.start: before, _next_start(page): after}  # this page may be requested again
                closing_cursor.pop_all()
    return Response(page.rows, id=request.id, more=page.more, cursor=cursor.id if page.more else None)


def _collect_page(
    view: ReadView, command: Range, request: Request, context: Context, before: tuple[int, int]
) -> ScanResult:
    """Return a page of a range; ``before`` are the rows and bytes of those before it: the limits are for all pages."""
    max_rows, max_bytes = context.policy.max_range - before[0], context.policy.max_range_bytes - before[1]
    page_bytes = max_bytes if command.max_bytes is None else min(command.max_bytes, max_bytes)
    page = _collect_rows(
        view.chunks(_range_bounds(command)), min(max_rows, _MAX_PAGE_ROWS), page_bytes, request, context
    )
    _check_limit(page.more and (len(page.rows) >= max_rows or page.size >= max_bytes), context)
    return page


def _next_start(page: ScanResult) -> bytes:
    """Return the start of the page after this one."""
    key: bytes = page.rows[-1][0]
    return key + b"\0"


# SLICE


def scan_slice(engine: Engine, command: Slice, request: Request, context: Context) -> Response:
    """Handle a SLICE."""
    if command.cursor is False:
        return _read_slice(engine, command, request, context)
    if command.cursor is True:
        return _slice_new_snapshot(engine, command, request, context)
    if command.count < 1:
        context.cursors.close(command.cursor, engine, request)
        return Response([], id=request.id)
    with context.cursors.reading(command.cursor, engine, request) as cursor:
        return evolve(_read_slice(cursor.views[engine], command, request, context), cursor=command.cursor)


def _slice_new_snapshot(engine: Engine, command: Slice, request: Request, context: Context) -> Response:
    """Return a slice of a new snapshot, which is kept if there may be more to read from it."""
    with ExitStack() as closing:
        snapshot = closing.enter_context(engine.snapshot())
        response = _read_slice(snapshot, command, request, context)
        if response.more or len(response.payload) >= command.count > 0:
            response = evolve(response, cursor=context.cursors.add({engine: snapshot}, request).id)
            closing.pop_all()
    return response


def _read_slice(view: ReadView, command: Slice, request: Request, context: Context) -> Response:
    if command.count < 1:
        return Response([], id=request.id)
    bounds = _slice_bounds(command)
    max_rows, max_bytes = min(command.count, context.policy.max_range), context.policy.max_range_bytes
    if command.max_bytes is not None:
        result = _collect_rows(view.chunks(bounds), max_rows, min(command.max_bytes, max_bytes), request, context)
        return Response(result.rows, id=request.id, more=result.more and len(result.rows) < command.count)
    result = _collect_rows(view.chunks(bounds), max_rows, max_bytes, request, context)
    _check_limit(result.more and len(result.rows) < command.count, context)
    return Response.ok(result.rows, request.id)


def _slice_bounds(command: Slice) -> Bounds:
    """Return the bounds from the start up to the end, or down to the beginning."""
    start, parts = command.start, (command.include_key, command.include_value)
    fill_cache = command.count <= _MAX_CACHED_ROWS
    if command.reverse:
        include_stop = not command.exclusive
        return Bounds(None, start, None, *parts, reverse=True, include_stop=include_stop, fill_cache=fill_cache)
    if command.exclusive and start is not None:
        start += b"\0"  # the next possible key
    return Bounds(start, None, None, *parts, fill_cache=fill_cache)


# COUNT


def count_range(engine: Engine, command: Count, request: Request, context: Context) -> Response:
    """Handle a COUNT."""
    bounds = Bounds(command.start, command.stop, command.prefix, fill_cache=False)
    return Response.ok(b"%d" % engine.count(bounds, context.cooperation.checkpoint), request.id)


# Both


def _collect_rows(scan: ChunkedScan, max_rows: int, max_bytes: int, request: Request, context: Context) -> ScanResult:
    """Return the first rows of a scan, at most so many, until they have so many bytes, but at least one."""
    cooperation, space = context.cooperation, response_space()
    remaining = budget = max(max_bytes, 1)
    with scan:
        rows = request.context.row_sink() if request.context.row_sink else CheckpointedRows(cooperation)
        read, read_rows, read_bytes = _reader(scan, rows)
        overhead = _ROW_OVERHEAD if isinstance(rows, list) else 0
        while remaining > 0 and len(rows) < max_rows:
            chunk_rows, chunk_bytes = min(read_rows, max_rows - len(rows)), min(remaining, read_bytes)
            chunk, size = read(chunk_rows, chunk_bytes)
            rows.extend(chunk)
            remaining -= size
            space.add(size + overhead * len(chunk))
            if len(chunk) < chunk_rows and size < chunk_bytes:
                break
            cooperation.checkpoint()
        further, _ = scan.read(1, 1)
    return ScanResult(rows, budget - remaining, bool(further))


def _reader(scan: ChunkedScan, rows: Any) -> tuple[Callable[[int, int], Any], int, int]:
    """Return what reads chunks of a scan, and how many rows and bytes to read at once."""
    if isinstance(rows, list):
        return scan.read, CHUNK_ROWS, _CHUNK_BYTES
    pack = scan.packer(rows.layout)
    return (scan.read, CHUNK_ROWS, _CHUNK_BYTES) if pack is None else (pack, _PACKED_ROWS, _PACKED_BYTES)


def _check_limit(more: bool, context: Context) -> None:
    if more:
        max_rows, max_bytes = context.policy.max_range, context.policy.max_range_bytes
        raise WrongValue(
            f"the answer is over the limit of {max_rows:,} items or {max_bytes:,} bytes; use RangeIter, or ask for "
            "less (`elevator range` pages by itself), or raise --max-range or --max-range-bytes"
        )
