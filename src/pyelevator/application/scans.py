"""Scans: how RANGE and SLICE are answered, whole, cut, or page by page from one snapshot."""

from contextlib import ExitStack
from typing import Any, Final

from attrs import evolve, frozen

from pyelevator.application.context import Context
from pyelevator.application.fairness import CHUNK_ROWS, CheckpointedRows
from pyelevator.commands import Slice
from pyelevator.engines.base import Bounds, Engine, ReadView
from pyelevator.engines.chunks import ChunkedScan
from pyelevator.errors import WrongValue
from pyelevator.messages import Request, Response


@frozen
class Taken:
    """The first rows of a scan.

    Attributes:
        rows: them, in what the request brings for them, or in a list.
        size: their bytes.
        more: whether there are further ones.
    """

    rows: Any
    size: int
    more: bool


_PAGE_ROWS: Final = 25_000
"""How many rows a page of a range has at the most, however small they are: the client has work with each."""


def range_(engine: Engine, request: Request[Any], context: Context) -> Response:
    """Answers a RANGE."""
    command: Any = request.command
    if command.cursor is False:
        return Response.ok(_all(engine, request, context), request.id)
    if command.reverse or not (command.include_key and command.include_value):
        raise WrongValue("a range that comes in pages goes forwards, and has keys and values")
    return (_first_page if command.cursor is True else _next_page)(engine, request, context)


def _all(reader: ReadView, request: Request[Any], context: Context) -> Any:
    bounds = _bounds_of_range(request.command)
    taken = _taken(reader.chunks(bounds), context.policy.max_range, context.policy.max_range_bytes, request, context)
    _check_all(taken.more, context)
    return taken.rows


def _bounds_of_range(command: Any) -> Bounds:
    parts = command.include_key, command.include_value
    return Bounds(command.start, command.stop, command.prefix, *parts, command.reverse)


def _first_page(engine: Engine, request: Request[Any], context: Context) -> Response:
    """As much of a range as the client wants at once, or all of it, if there is no room for a further snapshot."""
    cursor, snapshot = None, engine.snapshot()
    try:
        taken = _page(snapshot, request, context, (0, 0))
        cursor = context.cursors.add_if_room(snapshot, engine, request) if taken.more else None
        if cursor is None:
            return Response(_all(snapshot, request, context) if taken.more else taken.rows, id=request.id)
    finally:
        if cursor is None:
            snapshot.close()
    cursor.progress = {_behind(taken): (len(taken.rows), taken.size)}
    return Response(taken.rows, id=request.id, more=True, cursor=cursor.id)


def _next_page(engine: Engine, request: Request[Any], context: Context) -> Response:
    """The page that begins at the start of the range; the last one ends the cursor, and so does a failure."""
    command: Any = request.command
    with ExitStack() as ending:
        ending.callback(context.cursors.close, command.cursor, engine, request)
        with context.cursors.reading(command.cursor, engine, request) as cursor:
            before = cursor.progress.get(command.start, (0, 0))
            taken = _page(cursor.snapshot, request, context, before)
            if taken.more:
                after = before[0] + len(taken.rows), before[1] + taken.size
                cursor.progress = {command.start: before, _behind(taken): after}  # this page may be asked for again
                ending.pop_all()
    return Response(taken.rows, id=request.id, more=taken.more, cursor=cursor.id if taken.more else None)


def _page(reader: ReadView, request: Request[Any], context: Context, before: tuple[int, int]) -> Taken:
    """A page of a range of which so many rows and bytes were given before; the limits are for all of it."""
    command: Any = request.command
    most, most_bytes = context.policy.max_range - before[0], context.policy.max_range_bytes - before[1]
    wanted = most_bytes if command.max_bytes is None else min(command.max_bytes, most_bytes)
    taken = _taken(reader.chunks(_bounds_of_range(command)), min(most, _PAGE_ROWS), wanted, request, context)
    _check_all(taken.more and (len(taken.rows) >= most or taken.size >= most_bytes), context)
    return taken


def _behind(taken: Taken) -> bytes:
    """Where the next page begins."""
    key: bytes = taken.rows[-1][0]
    return key + b"\0"


def slice_(engine: Engine, request: Request[Any], context: Context) -> Response:
    """Answers a SLICE."""
    command: Any = request.command
    if command.cursor is False:
        return _sliced(engine, request, context)
    if command.cursor is True:
        return _on_new_snapshot(engine, request, context)
    if command.count < 1:
        context.cursors.close(command.cursor, engine, request)
        return Response([], id=request.id)
    with context.cursors.reading(command.cursor, engine, request) as cursor:
        return evolve(_sliced(cursor.snapshot, request, context), cursor=command.cursor)


def _on_new_snapshot(engine: Engine, request: Request[Any], context: Context) -> Response:
    """A slice of a snapshot, which is kept if there may be more to read from it."""
    command: Any = request.command
    snapshot = engine.snapshot()
    try:
        response = _sliced(snapshot, request, context)
        if response.more or len(response.payload) >= command.count > 0:
            response = evolve(response, cursor=context.cursors.add(snapshot, engine, request).id)
    except BaseException:
        snapshot.close()
        raise
    if response.cursor is None:
        snapshot.close()
    return response


def _sliced(reader: ReadView, request: Request[Any], context: Context) -> Response:
    command: Any = request.command
    if command.count < 1:
        return Response([], id=request.id)
    bounds = _bounds_of(command)
    most, most_bytes = min(command.count, context.policy.max_range), context.policy.max_range_bytes
    if command.max_bytes is not None:
        taken = _taken(reader.chunks(bounds), most, min(command.max_bytes, most_bytes), request, context)
        return Response(taken.rows, id=request.id, more=taken.more and len(taken.rows) < command.count)
    taken = _taken(reader.chunks(bounds), most, most_bytes, request, context)
    _check_all(taken.more and len(taken.rows) < command.count, context)
    return Response.ok(taken.rows, request.id)


def _bounds_of(command: Slice) -> Bounds:
    """From its start up to the end, or down to the beginning."""
    start, parts = command.start, (command.include_key, command.include_value)
    if command.reverse:
        return Bounds(None, start, None, *parts, reverse=True, include_stop=not command.exclusive)
    if command.exclusive and start is not None:
        start += b"\0"  # the next key that there can be
    return Bounds(start, None, None, *parts)


def _taken(scan: ChunkedScan, most: int, most_bytes: int, request: Request[Any], context: Context) -> Taken:
    """The first rows, at most so many, of about so many bytes but at least one."""
    cooperation = context.cooperation
    left = room = max(most_bytes, 1)
    with scan:
        rows = request.row_sink() if request.row_sink else CheckpointedRows(cooperation)
        while left > 0 and len(rows) < most:
            wanted, enough = min(CHUNK_ROWS, most - len(rows)), min(left, _PIECE_BYTES)
            some, size = scan.read(wanted, enough)
            rows.extend(some)
            left -= size
            if len(some) < wanted and size < enough:
                break
            cooperation.checkpoint()
        further, _ = scan.read(1, 1)
    return Taken(rows, room - left, bool(further))


_PIECE_BYTES: Final = 256 << 10
"""Bytes of rows that are there as objects, about, before the request's own gathering has them."""


def _check_all(more: bool, context: Context) -> None:
    if more:
        most, most_bytes = context.policy.max_range, context.policy.max_range_bytes
        raise WrongValue(
            f"the answer is over the limit of {most:,} items or {most_bytes:,} bytes; use RangeIter, or ask for less, "
            "or raise --max-range or --max-range-bytes"
        )
