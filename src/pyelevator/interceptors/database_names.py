"""Names of databases by uid, learned from the DBCONNECT responses that pass through."""

from collections import OrderedDict

from pyelevator.commands import DbConnect
from pyelevator.flows import Flow, Forward
from pyelevator.messages import Request, Response, split_uid


class DatabaseNames:
    """The known names of databases by uid.

    Args:
        max_uids: the number of uids that are remembered, the newest ones; None for all.
    """

    def __init__(self, max_uids: int | None = None) -> None:
        self._names: OrderedDict[str, str] = OrderedDict()
        self._max_uids = max_uids

    def observe(self, request: Request, forward: Forward) -> Flow[Response]:
        """Forward the request, and remember the uid in the response to a DBCONNECT."""
        response = yield from forward(request)
        if isinstance(request.command, DbConnect) and isinstance(response.payload, bytes):
            self.add(response.payload.decode("utf-8", "surrogateescape"), str(request.command.name))
        return response

    def add(self, uid: str, name: str) -> None:
        """Remember the name of the database with a uid."""
        self._names[uid] = name
        self._names.move_to_end(uid)
        if self._max_uids is not None and len(self._names) > self._max_uids:
            self._names.popitem(last=False)

    def find(self, uid: str | None) -> str | None:
        """Return the name of a uid, which may be that of a snapshot, or None if it is unknown."""
        return self._names.get(split_uid(uid)[0] or "")

    def database(self, request: Request) -> str:
        """Return the name of the database that a request is about.

        It is ``unknown`` for an unknown uid, and ``-`` for a request that is about no database.
        """
        return request.command.named_database or self.find(request.uid) or ("unknown" if request.uid else "-")
