"""The upstream that a request goes to: by the database's name, and by its uid, which says where it came from.

With one upstream nothing is changed. With several, the uid that a DBCONNECT answers gets the upstream's name in front
(``east~6c66e7d0-...``), so that a uid still leads to its upstream after the proxy was restarted.
"""

from collections.abc import Callable, Mapping, Sequence
from fnmatch import fnmatchcase
from functools import partial
from typing import Any, Final, Self

from attrs import evolve, field, frozen

from pyelevator.arguments import positive_integer
from pyelevator.codec import DIALECTS, Codec, codec_for, name_of_unknown
from pyelevator.commands import DbConnect, DbList, Progress, Snapshot
from pyelevator.commands.features import FEATURES
from pyelevator.compat import FlatServer, adapt
from pyelevator.errors import DatabaseError, ErrorCode, UsageError
from pyelevator.flows import Flow, Forward, Send
from pyelevator.messages import Request, Response
from pyelevator.reports import TaskProgress
from pyelevator.transports import Curve, ParsedUrl, parse_url
from pyelevator.transports.url import shown

_SEPARATOR: Final = "~"
_OPTIONS: Final = frozenset({"dialect", "curve", "max_serial_connections", "max_connections"})
_TAKEN: Final = ("dialect", "max_serial_connections", "max_connections", "curve_key", "server_key")
_COUNTS: Final = ("max_serial_connections", "max_connections")
_NO_COMMON_MOMENT: Final = "databases of several servers have no common moment; take a snapshot of each server's"


@frozen
class Upstream:
    """A server behind the proxy.

    Attributes:
        url: where it is; ``?dialect=flat`` for a 0.7 server, ``?curve_key=FILE&server_key=FILE`` for one that asks for
            keys, ``?max_connections=N``, ``?max_serial_connections=N``.
        databases: patterns of the names that it serves; with several upstreams the first that fits is taken.
        name: how uids tell it apart; its address if not given.
        max_connections: to a server that echoes ids, and so takes any number of requests on each. Each client has one
            of its own, as long as there are enough; with 1 all share it. One over which an
            answer came that is not awaited is only waited for beside them, until what is in flight there is answered.
        max_serial_connections: to a server that does not echo ids, and so takes one request at a time on each.
        curve: keys for it.
        codec: of the dialect that it speaks, if that is neither of the two.
    """

    url: str = field(repr=lambda url: repr(shown(url)))
    databases: tuple[str, ...] = ("*",)
    name: str = ""
    max_serial_connections: int = 4
    curve: Curve | None = None
    codec: Codec | None = None
    max_connections: int = 1024
    target: ParsedUrl = field(init=False, repr=False)

    def __attrs_post_init__(self) -> None:
        target = parse_url(self.url, {"max_serial_connections": int})
        if target.scheme not in ("tcp", "ipc"):
            raise UsageError(
                f"{shown(self.url)!r} cannot be an upstream; it looks like tcp://host:4141 or ipc:///run/e.sock"
            )
        given = target.options
        if unused := sorted(given.keys() - _OPTIONS):
            raise UsageError(
                f"{shown(self.url)!r}: {unused[0]} says nothing to a proxy, which only takes {', '.join(_TAKEN)}"
            )
        settled = {
            "target": target,
            "name": self.name or target.address.replace(_SEPARATOR, "_"),
            "curve": given.get("curve", self.curve),
            **{name: given.get(name, getattr(self, name)) for name in _COUNTS},
        }
        for name, value in settled.items():
            object.__setattr__(self, name, value)
        self._check()

    def _check(self) -> None:
        if self.dialect not in DIALECTS:
            raise UsageError(
                f"{shown(self.url)!r}: there is no dialect {name_of_unknown(self.dialect)}; "
                f"there are {', '.join(DIALECTS)}"
            )
        for name in _COUNTS:
            positive_integer(getattr(self, name), f"{shown(self.url)!r}: {name}")
        if self.curve is not None and self.target.scheme != "tcp":
            raise UsageError(f"{shown(self.url)!r}: keys go with tcp; socket files have modes")

    @classmethod
    def from_client_url(cls, url: str) -> Self:
        """Return the server that clients with this URL connect to; what the URL says of the clients does not matter.

        Args:
            url: as ``Elevator.from_url`` takes it.

        Raises:
            UsageError: the URL is not understood, or is that of a fake.
        """
        target = parse_url(url)
        dialect = target.options.get("dialect")
        return cls(
            target.url if dialect is None else f"{target.url}?dialect={dialect}", curve=target.options.get("curve")
        )

    @property
    def dialect(self) -> str:
        """The dialect that the server speaks."""
        return str(self.target.options.get("dialect", "classic"))

    def serves(self, database: str) -> bool:
        """Return True if a database of that name lies there.

        Args:
            database: its name, as clients say it.
        """
        return any(fnmatchcase(database, pattern) for pattern in self.databases)


@frozen
class SendTo(Send[Any]):
    """The effect of sending a request to one upstream."""

    upstream: str


def send_to(upstream: str, request: Request) -> Flow[Response]:
    """Send a request to one upstream; the flow's result is the response."""
    response: Response = yield SendTo(request, upstream)
    return response


class Router:
    """The innermost step of a proxied request: to one of the upstreams, with uids mapped on the way.

    Args:
        upstreams: the servers.
        is_old: whether the one of a name is a server that echoes no ids; None before the first reply.

    Raises:
        UsageError: no upstream, or two of one name.
    """

    def __init__(self, upstreams: Sequence[Upstream], is_old: Callable[[str], bool | None]) -> None:
        self.upstreams: Mapping[str, Upstream] = {upstream.name: upstream for upstream in upstreams}
        if not upstreams or len(self.upstreams) < len(upstreams):
            raise UsageError("a proxy needs at least one upstream, and a name= of its own for each")
        self._first = upstreams[0].name
        self._ways: Mapping[str, Forward] = {
            each.name: adapt(
                each.codec or codec_for(each.dialect),
                partial(send_to, each.name),
                partial(is_old, each.name),
                FlatServer(),
            )
            for each in upstreams
        }

    def forward(self, request: Request) -> Flow[Response]:
        """Send a request where it belongs; the features that this proxy would not carry on are left out."""
        response = yield from self._forward(request)
        if response.features:
            response = evolve(response, features=tuple([one for one in response.features if one in FEATURES]))
        return response

    def _forward(self, request: Request) -> Flow[Response]:
        if len(self.upstreams) == 1:
            return (yield from self._ways[self._first](request))
        if isinstance(request.command, DbList):
            return (yield from self._list_all(request))
        if isinstance(request.command, Progress):
            return (yield from self._collect_tasks(request))
        named = request.command.named_database
        owner, _, inner = (request.uid or "").partition(_SEPARATOR)
        upstream = self._place_of(named) if named is not None else owner if request.uid else self._first
        if upstream is None or upstream not in self._ways:
            code, name = (ErrorCode.RUNTIME, request.uid) if named is None else (ErrorCode.DATABASE, named)
            return Response.failure(code, f"Database {name} doesn't exist", request.id)
        uid = inner if request.uid else None
        if isinstance(request.command, Snapshot):
            others = [each.partition(_SEPARATOR) for each in request.command.uids]
            if any(name != upstream for name, _, _ in others):
                return Response.from_error(DatabaseError(_NO_COMMON_MOMENT), request.id)
            request = evolve(request, command=evolve(request.command, uids=[inner for _, _, inner in others]))
        response = yield from self._ways[upstream](evolve(request, uid=uid))
        return _map_uids(response, request, upstream, uid)

    def _place_of(self, database: str) -> str | None:
        return next((upstream.name for upstream in self.upstreams.values() if upstream.serves(database)), None)

    def _list_all(self, request: Request) -> Flow[Response]:
        """List the databases of all upstreams: of each those that it would be asked for."""
        names: list[bytes] = []
        owner, _, uid = (request.uid or "").partition(_SEPARATOR)
        for upstream in self.upstreams.values():
            own_uid = uid if owner == upstream.name else None
            response = yield from self._ways[upstream.name](evolve(request, uid=own_uid))
            if response.code is not None:
                return response
            for name in response.payload:
                if self._place_of(name.decode("utf-8", "surrogateescape")) == upstream.name:
                    names.append(name)
        return Response(names, id=request.id)

    def _collect_tasks(self, request: Request) -> Flow[Response]:
        """Return the tasks of all upstreams that tell of theirs."""
        tasks: list[TaskProgress] = []
        responses = []
        for way in self._ways.values():
            responses.append((yield from way(request)))
            if responses[-1].code is None:
                tasks += Progress().result(responses[-1].payload)
        failed = all(response.code is not None for response in responses)
        return responses[0] if failed else Response(TaskProgress.encode_list(tasks), id=request.id)


def _map_uids(response: Response, request: Request, upstream: str, uid: str | None) -> Response:
    """Return the response as the client must see it: the uid that it knows, in a DBCONNECT and in "doesn't exist"."""
    if isinstance(request.command, DbConnect) and isinstance(response.payload, bytes):
        return evolve(response, payload=f"{upstream}{_SEPARATOR}".encode() + response.payload)
    if response.code is ErrorCode.RUNTIME and uid is not None:
        return evolve(response, message=response.message.replace(uid, str(request.uid)))
    return response
