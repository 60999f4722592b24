"""Handlers of the commands that take long, and of PROGRESS, which tells how far they have come."""

from typing import Any

from pyelevator.application.catalog import Catalog
from pyelevator.application.context import Context
from pyelevator.commands import Backup, Compact, DbRepair, Progress, Sizes
from pyelevator.engines.base import Engine
from pyelevator.errors import WrongValue
from pyelevator.messages import Request, Response
from pyelevator.reports import BackupReport, encode_json, encode_tasks


def backup(catalog: Catalog, command: Backup, request: Request[Any], context: Context) -> Response:
    """Handle a BACKUP."""
    with context.tasks.running("backup", str(command.name)):
        report = catalog.backup(command.name, command.directory)
    return Response((report or BackupReport()).encode(), id=request.id)


def compact(catalog: Catalog, command: Compact, request: Request[Any], context: Context) -> Response:
    """Handle a COMPACT."""
    with catalog.get_database(request.uid, request.peer) as engine, _running("compact", catalog, request, context):
        engine.compact_range(command.start, command.stop)
    return Response(id=request.id)


def repair(catalog: Catalog, command: DbRepair, request: Request[Any], context: Context) -> Response:
    """Handle a DBREPAIR."""
    with _running("repair", catalog, request, context):
        report = catalog.repair(request.uid, force=command.force)
    return Response(report.encode() if command.report else None, id=request.id)


def _running(name: str, catalog: Catalog, request: Request[Any], context: Context) -> Any:
    return context.tasks.running(name, catalog.name_of(request.uid) or "")


def progress(_: Catalog, __: Progress, request: Request[Any], context: Context) -> Response:
    """Handle a PROGRESS."""
    return Response(encode_tasks(context.tasks.progress()), id=request.id)


def sizes(engine: Engine, command: Sizes, request: Request[Any], context: Context) -> Response:
    """Handle a SIZES."""
    limit = context.policy.max_range
    if len(command.ranges) > limit:
        raise WrongValue(f"the sizes of {len(command.ranges):,} ranges are over the limit of {limit:,}; ask for fewer")
    return Response(encode_json([engine.range_size(start, stop) for start, stop in command.ranges]), id=request.id)
