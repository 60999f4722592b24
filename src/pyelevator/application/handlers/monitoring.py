"""Handlers of the commands about the server itself: STATS and SLOWLOG."""

from typing import Any

from attrs import evolve

from pyelevator.application.catalog import Catalog
from pyelevator.application.context import Context
from pyelevator.commands import SlowLog, Stats
from pyelevator.messages import Request, Response
from pyelevator.monitoring import CursorStats, ServerStats, encode_slow_log, with_databases


def stats(catalog: Catalog, _: Stats, request: Request[Any], context: Context) -> Response:
    """Handle a STATS."""
    return Response(server_stats(catalog, context).encode(), id=request.id)


def slow_log(_: Catalog, command: SlowLog, request: Request[Any], context: Context) -> Response:
    """Handle a SLOWLOG."""
    return Response(encode_slow_log(context.slow_log.latest(command.limit)), id=request.id)


def server_stats(catalog: Catalog, context: Context) -> ServerStats:
    """Return what a server says about itself."""
    cursors = CursorStats(len(context.cursors), context.policy.max_cursors)
    return with_databases(evolve(context.monitor.stats(), cursors=cursors), catalog.stats())
