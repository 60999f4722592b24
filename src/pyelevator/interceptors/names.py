"""Names: which database a uid stands for, learned from the DBCONNECTs that pass through."""

from collections import OrderedDict
from typing import Any

from pyelevator.commands import DbConnect
from pyelevator.flows import Flow, Forward
from pyelevator.messages import Request, Response


class Names:
    """Uid -> database name, as far as it is known.

    Args:
        most: uids that are remembered; then those that were learned first are forgotten. None for all.
    """

    def __init__(self, most: int | None = None) -> None:
        self._names: OrderedDict[str, str] = OrderedDict()
        self._most = most

    def learn(self, request: Request[Any], forward: Forward) -> Flow[Response]:
        """Forwards the request; if it is a DBCONNECT, its answer says a name's uid."""
        response = yield from forward(request)
        if isinstance(request.command, DbConnect) and isinstance(response.payload, bytes):
            self._names[response.payload.decode("utf-8", "surrogateescape")] = request.command.name
            if self._most is not None and len(self._names) > self._most:
                self._names.popitem(last=False)
        return response

    def of(self, uid: str | None) -> str | None:
        """The name, if it is known."""
        return self._names.get(uid or "")

    def database(self, request: Request[Any]) -> str:
        """The database that a request is about: its name, or as much as is known."""
        named = getattr(request.command, "name", None) if request.command.by_name else None
        return named or self.of(request.uid) or ("unknown" if request.uid else "-")
