"""Handlers of the commands about databases and about the server itself, and of those that take long."""

from contextlib import AbstractContextManager, ExitStack

from attrs import evolve

from pyelevator._json import encode_json
from pyelevator.application.catalog import Catalog
from pyelevator.application.context import Context
from pyelevator.application.snapshots import SnapshotDatabase, take_views
from pyelevator.commands import Backup, Compact, DbConnect, DbRepair, Sizes, Snapshot
from pyelevator.commands.features import FEATURES
from pyelevator.engines.base import Engine
from pyelevator.errors import WrongValue
from pyelevator.messages import Request, Response
from pyelevator.monitoring import CacheStats, CursorStats, ServerStats
from pyelevator.reports import BackupReport


def encode_name(name: str) -> bytes:
    """Return a name or uid as it travels."""
    return name.encode("utf-8", "surrogateescape")


def connect(catalog: Catalog, command: DbConnect, request: Request, _: Context) -> Response:
    """Handle a DBCONNECT."""
    return Response(encode_name(catalog.uid_of(command.name)), id=request.id, features=FEATURES)


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


def server_stats(catalog: Catalog, context: Context) -> ServerStats:
    """Return what a server says about itself."""
    cursors, databases = CursorStats(len(context.cursors), context.policy.max_cursors), catalog.stats()
    cache = sum([one.engine.cache for one in databases if one.engine is not None], CacheStats())
    return evolve(context.monitor.stats(), cursors=cursors, databases=databases, cache=cache)


def backup(catalog: Catalog, command: Backup, _: Request, context: Context) -> bytes:
    """Handle a BACKUP."""
    with context.tasks.running("backup", str(command.name)):
        report = catalog.backup(command.name, command.directory)
    return (report or BackupReport()).encode()


def compact(catalog: Catalog, command: Compact, request: Request, context: Context) -> None:
    """Handle a COMPACT."""
    database = catalog.get_database(request.uid, request.context.peer)
    with database as engine, _running("compact", catalog, request, context):
        engine.compact_range(command.start, command.stop)


def repair(catalog: Catalog, command: DbRepair, request: Request, context: Context) -> bytes | None:
    """Handle a DBREPAIR."""
    with _running("repair", catalog, request, context):
        report = catalog.repair(request.uid, force=command.force)
    return report.encode() if command.report else None


def _running(name: str, catalog: Catalog, request: Request, context: Context) -> AbstractContextManager[None]:
    return context.tasks.running(name, catalog.name_of(request.uid) or "")


def sizes(engine: Engine, command: Sizes, request: Request, context: Context) -> Response:
    """Handle a SIZES."""
    limit = context.policy.max_range
    if len(command.ranges) > limit:
        raise WrongValue(f"the sizes of {len(command.ranges):,} ranges are over the limit of {limit:,}; ask for fewer")
    return Response(encode_json([engine.range_size(start, stop) for start, stop in command.ranges]), id=request.id)
