"""Handlers of the commands about databases and about the server itself, and of those that take long."""

from collections.abc import Callable
from contextlib import ExitStack
from typing import Any

from attrs import evolve

from pyelevator.application.catalog import Catalog
from pyelevator.application.context import Context
from pyelevator.application.handlers.kinds import AdminHandler
from pyelevator.application.snapshots import SnapshotDatabase, take_views
from pyelevator.commands import Backup, Command, Compact, DbConnect, DbRepair, Progress, Sizes, SlowLog, Snapshot, Stats
from pyelevator.engines.base import Engine
from pyelevator.errors import WrongValue
from pyelevator.features import FEATURES
from pyelevator.messages import Request, Response
from pyelevator.monitoring import CursorStats, ServerStats, SlowRequest, with_databases
from pyelevator.reports import BackupReport, TaskProgress, encode_sizes


def ping(_: Catalog, __: Command, request: Request, ___: Context) -> Response:
    """Handle a PING."""
    return Response(b"PONG", id=request.id)


def connect(catalog: Catalog, command: DbConnect, request: Request, _: Context) -> Response:
    """Handle a DBCONNECT."""
    return Response(_encode_name(catalog.uid_of(command.name)), id=request.id, features=FEATURES)


def list_databases(catalog: Catalog, _: Command, request: Request, __: Context) -> Response:
    """Handle a DBLIST."""
    return Response(list(map(_encode_name, catalog.names())), id=request.id)


def without_result(call: Callable[[Catalog, Any], object]) -> AdminHandler:
    """Return a handler with an empty response for a call with the catalog and the command."""

    def handle(catalog: Catalog, command: Any, request: Request, _: Context) -> Response:
        call(catalog, command)
        return Response(id=request.id)

    return AdminHandler(handle)


def _encode_name(name: str) -> bytes:
    return name.encode("utf-8", "surrogateescape")


def snapshot(catalog: Catalog, command: Snapshot, request: Request, context: Context) -> Response:
    """Handle a SNAPSHOT."""
    uids = sorted({str(request.uid), *command.uids})  # in the same order in every call, as leases may wait
    databases = [catalog.get_database(uid) for uid in uids]
    if any(isinstance(database, SnapshotDatabase) for database in databases):
        raise WrongValue("a snapshot is of databases, and not of another snapshot")
    with ExitStack() as leases:
        views = take_views([leases.enter_context(database) for database in databases])
        try:
            cursor = context.cursors.add(views, request)
        except BaseException:
            for view in views.values():
                view.close()
            raise
    return Response(None, id=request.id, cursor=cursor.id)


def stats(catalog: Catalog, _: Stats, request: Request, context: Context) -> Response:
    """Handle a STATS."""
    return Response(server_stats(catalog, context).encode(), id=request.id)


def slow_log(_: Catalog, command: SlowLog, request: Request, context: Context) -> Response:
    """Handle a SLOWLOG."""
    return Response(SlowRequest.encode_list(context.slow_log.latest(command.limit)), id=request.id)


def server_stats(catalog: Catalog, context: Context) -> ServerStats:
    """Return what a server says about itself."""
    cursors = CursorStats(len(context.cursors), context.policy.max_cursors)
    return with_databases(evolve(context.monitor.stats(), cursors=cursors), catalog.stats())


def backup(catalog: Catalog, command: Backup, request: Request, context: Context) -> Response:
    """Handle a BACKUP."""
    with context.tasks.running("backup", str(command.name)):
        report = catalog.backup(command.name, command.directory)
    return Response((report or BackupReport()).encode(), id=request.id)


def compact(catalog: Catalog, command: Compact, request: Request, context: Context) -> Response:
    """Handle a COMPACT."""
    with catalog.get_database(request.uid, request.peer) as engine, _running("compact", catalog, request, context):
        engine.compact_range(command.start, command.stop)
    return Response(id=request.id)


def repair(catalog: Catalog, command: DbRepair, request: Request, context: Context) -> Response:
    """Handle a DBREPAIR."""
    with _running("repair", catalog, request, context):
        report = catalog.repair(request.uid, force=command.force)
    return Response(report.encode() if command.report else None, id=request.id)


def _running(name: str, catalog: Catalog, request: Request, context: Context) -> Any:
    return context.tasks.running(name, catalog.name_of(request.uid) or "")


def progress(_: Catalog, __: Progress, request: Request, context: Context) -> Response:
    """Handle a PROGRESS."""
    return Response(TaskProgress.encode_list(context.tasks.progress()), id=request.id)


def sizes(engine: Engine, command: Sizes, request: Request, context: Context) -> Response:
    """Handle a SIZES."""
    limit = context.policy.max_range
    if len(command.ranges) > limit:
        raise WrongValue(f"the sizes of {len(command.ranges):,} ranges are over the limit of {limit:,}; ask for fewer")
    return Response(encode_sizes([engine.range_size(start, stop) for start, stop in command.ranges]), id=request.id)
