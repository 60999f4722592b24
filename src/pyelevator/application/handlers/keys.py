"""Handlers of the commands about keys: GET, EXISTS, MGET, PUT, DELETE and BATCH."""

from collections.abc import Sequence
from contextlib import closing
from itertools import chain
from math import inf
from typing import Any, Final, cast

from pyelevator.application.context import Context
from pyelevator.application.fairness import CheckpointedRows
from pyelevator.application.handlers.kinds import MAX_INLINE_COST
from pyelevator.application.limits import ValueCounter, check_values_size, size_of_values
from pyelevator.application.response_space import response_space
from pyelevator.commands import Batch, ConditionalBatch, Exists, Get, GetAndDelete, MGet, Put
from pyelevator.engines.base import Engine, is_complete
from pyelevator.errors import KeyNotFound, WrongValue
from pyelevator.messages import Request, Response, Status

_BYTES_PER_UNIT: Final = 1024
"""Bytes to write that cost as much as the lookup of a key."""

_MAX_KEY_SHOWN: Final = 60

_MAX_LISTED: Final = 1 << 19
"""Bytes of the values of an MGET that may be objects at once, if they are large."""

_UNTAKEN_BYTES: Final = 2 << 20
"""Bytes up to which an engine packs the values of an MGET before space is taken for them."""

_PACKED_GROWTH: Final = 8
"""The factor by which it may pack more when that was too little, as it starts again then."""

_LARGE_VALUE: Final = 16 << 10
"""Bytes of a value that takes longer to read than to look up."""


def get(engine: Engine, command: Get, request: Request, _: Context) -> Response:
    """Handle a GET."""
    value = engine.get(command.key)
    if value is None:
        value = value_or_raise(command, value)  # only here, because most keys exist
    return Response.ok(value, request.id)


def value_or_raise(command: Get | GetAndDelete, value: bytes | None) -> bytes:
    """Return the value that was read for a key, or raise KeyNotFound."""
    if value is None:
        key = command.key[:_MAX_KEY_SHOWN].decode("utf-8", "replace")
        more = "..." if len(command.key) > _MAX_KEY_SHOWN else ""
        raise KeyNotFound(f"Key '{key}{more}' does not exist")
    return value


def exists(engine: Engine, command: Exists, request: Request, _: Context) -> Response:
    """Handle an EXISTS."""
    return Response.ok(engine.get(command.key) is not None, request.id)


def multi_get(engine: Engine, command: MGet, request: Request, context: Context) -> Response:
    """Handle an MGET."""
    count, limit = len(command.keys), context.policy.max_range
    if count > limit:
        raise WrongValue(f"an MGET of {count:,} keys is over the limit of {limit:,}; split it")
    packed = _pack_values(engine, command, request, context)
    if packed is not None:
        return packed
    try:
        values = _read_values(engine, command, context, _MAX_LISTED if request.context.row_sink else inf)
    except _LargeValues as large:
        return _pack_one_by_one(engine, command, request, context, large.args[0])
    return Response(values, Status.SUCCESS if is_complete(values) else Status.WARNING, id=request.id)


def _pack_values(engine: Engine, command: MGet, request: Request, context: Context) -> Response | None:
    """Return the response with values that the engine has packed; None if it does not."""
    if request.context.row_sink is None or not engine.packs_values:
        return None
    sink, space, limit = request.context.row_sink(), response_space(), context.policy.max_range_bytes
    max_bytes, taken = max(0, min(limit, space.available, _UNTAKEN_BYTES)), 0
    packed = engine.pack_values(command.keys, sink.layout, max_bytes, fill_cache=command.fill_cache)
    while packed is not None and packed.rows is None:
        check_values_size(max_bytes + 1, context)
        max_bytes = min(
            limit, max(_PACKED_GROWTH * max_bytes, _UNTAKEN_BYTES), max(max_bytes + 1, taken + space.available)
        )
        space.add(max_bytes - taken)  # before they are packed: other threads pack at the same time
        taken = max_bytes
        packed = engine.pack_values(command.keys, sink.layout, max_bytes, fill_cache=command.fill_cache)
    if packed is None or packed.rows is None:
        return None
    sink.extend(packed.rows)
    space.add(len(packed.rows.data) - taken)
    return Response(sink, Status.WARNING if packed.missing else Status.SUCCESS, id=request.id)


class _LargeValues(Exception):
    """The values of an MGET are large, so that they should not all be objects at once; has the bytes reported."""


def _pack_one_by_one(engine: Engine, command: MGet, request: Request, context: Context, reported: int) -> Response:
    """Return the response with values that are packed as they are read, so that each is an object for a moment only."""
    sink, counter, status = cast("Any", request.context.row_sink)(), ValueCounter(context, reported), Status.SUCCESS
    with closing(engine.snapshot()) as view:
        for key in command.keys:
            values = [view.get(key)]
            counter(values)
            sink.extend(values)
            status = Status.WARNING if values[0] is None else status
            context.cooperation.checkpoint()
    return Response(sink, status, id=request.id)


def _read_values(engine: Engine, command: MGet, context: Context, max_listed: float) -> list[bytes | None]:
    counter = ValueCounter(context)

    def on_values(found: Sequence[bytes | None]) -> None:
        counter(found)
        if counter.size > max(max_listed, counter.count * _LARGE_VALUE):
            raise _LargeValues(counter.size)

    values = CheckpointedRows(context.cooperation)
    values.extend(engine.collect(command.keys, on_values, fill_cache=command.fill_cache))
    if counter.count < len(values):  # there are duplicates, or cached values
        counter.report(check_values_size(size_of_values(values), context))
    return values


def put_cost(command: Put) -> int:
    """Estimate the work of a PUT by its bytes."""
    return (len(command.key) + len(command.value)) // _BYTES_PER_UNIT


def batch_cost(batch: Batch | ConditionalBatch) -> int:
    """Estimate the work of a BATCH by its operations, and by its bytes unless the operations alone make it slow."""
    count = len(batch.ops)
    if count >= MAX_INLINE_COST:
        return count
    return count + sum(map(len, chain.from_iterable(op[1:] for op in batch.ops))) // _BYTES_PER_UNIT
