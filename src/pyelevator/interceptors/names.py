"""Names: which database a uid stands for, learned from the DBCONNECTs that pass through."""

from typing import Any

from pyelevator.commands import DbConnect
from pyelevator.flows import Flow, Forward
from pyelevator.messages import Request, Response


class Names:
    """Uid -> database name, as far as it is known."""

    def __init__(self) -> None:
        self._names: dict[str, str] = {}

    def learn(self, request: Request[Any], forward: Forward) -> Flow[Response]:
        """Forwards the request; if it is a DBCONNECT, its answer says a name's uid."""
        response = yield from forward(request)
        if isinstance(request.command, DbConnect) and isinstance(response.payload, bytes):
            self._names[response.payload.decode("utf-8", "surrogateescape")] = request.command.name
        return response

    def of(self, uid: str | None) -> str | None:
        """The name, if it is known."""
        return self._names.get(uid or "")

    def database(self, request: Request[Any]) -> str:
        """The database that a request is about: its name, or as much as is known."""
        named = getattr(request.command, "name", None) if request.command.by_name else None
        return named or self.of(request.uid) or ("unknown" if request.uid else "-")
