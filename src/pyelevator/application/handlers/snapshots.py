"""The handler of SNAPSHOT: keeps databases as they are at one moment."""

from contextlib import ExitStack
from typing import Any

from pyelevator.application.catalog import Catalog
from pyelevator.application.context import Context
from pyelevator.application.snapshots import SnapshotDatabase, take_views
from pyelevator.commands import Snapshot
from pyelevator.errors import WrongValue
from pyelevator.messages import Request, Response


def snapshot(catalog: Catalog, command: Snapshot, request: Request[Any], context: Context) -> Response:
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
