"""Route: sends what is about databases of some names to other servers."""

from collections.abc import Mapping
from concurrent.futures import Future
from fnmatch import fnmatchcase
from functools import partial
from time import monotonic
from typing import Any, Final

from attrs import evolve

from pyelevator._closing import Closing
from pyelevator.client import operations
from pyelevator.client.handles import DatabaseHandle
from pyelevator.client.interceptors.workers import Workers
from pyelevator.client.sync.session import Session
from pyelevator.codec import Codec, codec_for
from pyelevator.commands import DbConnect, DbList
from pyelevator.deadlines import Deadline
from pyelevator.errors import RequestTimeout, ServerError
from pyelevator.flows import Flow, Forward, drive, send, sleep
from pyelevator.messages import NO_CONTEXT, Request, Response, split_uid
from pyelevator.transports import Transport
from pyelevator.transports.base import request_timeout_message

_FIRST_LOOK: Final = 0.0005
_MAX_LOOK_SECONDS: Final = 0.02
"""Seconds between two looks whether the other server has answered; each is half as long again as the one before."""
_GRACE: Final = 1.0
"""Seconds after which a thread that should have told of a failure will not: it is in another process, say."""


class _Place:
    """One of the other servers: threads that send requests to it, each over a connection of its own."""

    def __init__(self, transport: Transport, codec: Codec, timeout: float, max_connections: int) -> None:
        self._codec, self._timeout = codec, timeout
        self._session = Session(transport, codec, max_connections)
        self._workers = Workers(max_connections, "elevator-route")

    def ask(self, request: Request) -> Flow[Response]:
        """Send a request, and poll for its response."""
        deadline = Deadline.after(self._timeout)
        own = request.context.deadline
        deadline = deadline if own is None else deadline.earlier(own)
        asking = self._workers.submit(partial(drive, self._answer(request), self._session.effect_handler(deadline)))
        return _awaited(asking, deadline, self._session.transport.url)

    def _answer(self, request: Request) -> Flow[Response]:
        """Send one request; old servers want one about databases in general over a connection to the default one."""
        try:
            if request.command.needs_uid and request.uid is None:
                handle = DatabaseHandle(self._codec)
                yield from operations.connect(handle, operations.DEFAULT_DATABASE)
                request = evolve(request, uid=handle.uid)
            response = yield from send(evolve(request, id=None, context=NO_CONTEXT))
        except ServerError as error:
            return Response.from_error(error, request.id)
        return evolve(response, id=request.id)

    def close(self) -> None:
        self._workers.close()
        self._session.close()


class Route(Closing):
    """An interceptor that sends what is about databases of some names to other servers, and the rest on.

    Where a DBCONNECT was answered is where its uid leads from then on; a uid that this instance has not seen (after a
    restart) is unknown to the server behind, and the client connects again by name. The list of databases is that of
    all servers together.

    A thread asks the other server, and the request looks for its answer every few milliseconds, so that this may stand
    on an event loop and in a proxy. A proxy with several upstreams of its own (:class:`pyelevator.proxy.Upstream`) does
    the same without threads. A server's permissions do not know databases that lie elsewhere: where clients have rights
    of their own, route in a proxy.

    Args:
        routes: pattern of database names (as in a shell) -> the way to their server; the first that fits is taken.
        dialect: of the other servers, or a codec.
        timeout: seconds for each request there.
        max_connections: requests under way at each of them.

    >>> from pyelevator import Elevator
    >>> from pyelevator.transports import FakeTransport
    >>> west = FakeTransport()
    >>> with Route({"west-*": west}) as route, Elevator(transport="fake", interceptors=[route]) as E:
    ...     E.createdb("west-1")
    ...     E.connect("west-1")
    ...     E.Put("k", "v")
    ...     E.listdb()
    ['default', 'west-1']
    >>> with Elevator("west-1", transport=west) as W:
    ...     W.Get("k")
    'v'
    """

    def __init__(
        self,
        routes: Mapping[str, Transport],
        *,
        dialect: str | Codec = "classic",
        timeout: float = 5.0,
        max_connections: int = 4,
    ) -> None:
        self._places = {
            pattern: _Place(transport, codec_for(dialect), timeout, max_connections)
            for pattern, transport in routes.items()
        }
        self._homes: dict[str, _Place] = {}

    def __call__(self, request: Request, forward: Forward) -> Flow[Response]:
        command: Any = request.command
        if isinstance(command, DbList):
            return (yield from self._list(request, forward))
        uid = split_uid(request.uid)[0] or ""
        place = self._place_of(command.name) if command.names_database else self._homes.get(uid)
        if place is None:
            return (yield from forward(request))
        response = yield from place.ask(request)
        if isinstance(command, DbConnect) and isinstance(response.payload, bytes):
            self._homes[response.payload.decode("utf-8", "surrogateescape")] = place
        return response

    def _place_of(self, name: str) -> "_Place | None":
        return next((place for pattern, place in self._places.items() if fnmatchcase(name, pattern)), None)

    def _list(self, request: Request, forward: Forward) -> Flow[Response]:
        """List the databases of all servers: of each those that it would be asked for."""
        main = request if request.uid not in self._homes else evolve(request, uid=None)
        response = yield from forward(main)
        names = self._own(response, None)
        for place in self._places.values():
            if response.code is None:
                response = yield from place.ask(evolve(request, uid=None))
                names += self._own(response, place)
        return response if response.code is not None else evolve(response, payload=names, id=request.id)

    def _own(self, response: Response, place: "_Place | None") -> list[bytes]:
        names = response.payload or []
        return [name for name in names if self._place_of(name.decode("utf-8", "surrogateescape")) is place]

    def close(self) -> None:
        """End the threads and close the connections."""
        for place in self._places.values():
            place.close()


def _awaited(future: "Future[Response]", deadline: Deadline, url: str) -> Flow[Response]:
    pause = _FIRST_LOOK
    while not future.done():
        if deadline.at + _GRACE < monotonic():
            raise RequestTimeout(request_timeout_message(url, deadline))
        yield from sleep(pause)
        pause = min(1.5 * pause, _MAX_LOOK_SECONDS)
    return future.result()
