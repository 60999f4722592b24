"""Work in flight in a proxy: clients, their requests, and the connections to an upstream that carry these."""

from collections import deque
from collections.abc import Callable
from typing import Final

from attrs import define, field

from pyelevator.codec import Limits, codec_for
from pyelevator.commands import Command
from pyelevator.flows import Flow
from pyelevator.messages import Request, Response
from pyelevator.peers.client_table import ClientState, Message
from pyelevator.protocol import ClientProtocol, IncomingRequest
from pyelevator.proxy.actions import Action, PauseReading, ResetConnection, ResumeReading
from pyelevator.proxy.routing import Upstream

_MAX_FACTOR: Final = 2
"""Times ``max_connections`` that there are at most, while retired ones are being answered."""


@define(eq=False)
class ProxyClient(ClientState[Message]):
    """A client that has requests in flight or waiting.

    Attributes:
        is_disconnected: its connection has ended.
        ordered: where it sends no ids, and so is answered in order, requests that wait for the one before them.
    """

    is_disconnected: bool = False
    ordered: deque[IncomingRequest] | None = None


@define(eq=False)
class RequestTask:
    """One request of a client, on its way through the proxy.

    Attributes:
        step: grows with every step; a timer that was set at an earlier step is void.
        request: the one in hand.
        expires_at: when the upstream's time for it is over.
        cancel: takes the task out of where it waits, if it is given up there; None while it sleeps.
    """

    client: ProxyClient
    incoming: IncomingRequest
    flow: Flow[Response]
    request: Request
    step: int = 0
    expires_at: float = 0.0
    cancel: Callable[[], None] | None = None


@define(eq=False)
class ForwardedRequest:
    """One request that is passed on unread, and so is its answer.

    Attributes:
        client, id: of the sender.
        size: of its frame.
        expires_at: when the upstream's time for it is over.
        uid, cursor: that it was sent with, if it was about a cursor.
        opened_cursor: the cursor that the server keeps.
        kind: of its command.
    """

    client: ProxyClient
    id: int
    size: int
    expires_at: float
    kind: type[Command]
    uid: bytes | None = None
    cursor: bytes | bool | None = None
    opened_cursor: bytes | None = None

    @property
    def sent_cursor(self) -> bytes | None:
        """The cursor that the server keeps if the request was not executed."""
        return self.cursor if isinstance(self.cursor, bytes) else None


@define(eq=False)
class ConnectionState:
    """One connection to an upstream and what is in flight on it.

    Attributes:
        tasks: by their ids there.
        forwarded: by the headers of the answers that they will probably get, in the order in which they came.
        has_timer: a timer runs for the oldest of them.
        client_count: the clients that it is assigned to.
        blocked_clients: those of them that do not read.
        is_read_paused: nothing is read from it.
        has_expired_requests: answers may still come to requests that were given up.
        is_retired: one has come; nothing new goes over the connection, which ends when nothing is in flight.
    """

    number: int
    protocol: ClientProtocol
    tasks: dict[int, RequestTask] = field(factory=dict)
    forwarded: dict[bytes, ForwardedRequest] = field(factory=dict)
    has_timer: bool = False
    client_count: int = 0
    blocked_clients: int = 0
    is_read_paused: bool = False
    has_expired_requests: bool = False
    is_retired: bool = False

    @property
    def is_idle(self) -> bool:
        """True if nothing is in flight on it."""
        return not (self.tasks or self.forwarded)


@define(eq=False)
class UpstreamPool:
    """Connections to one upstream, and the tasks that wait for one.

    An upstream that echoes ids takes any number of requests on a connection, and each client has a connection of its
    own: so the answers of a client that does not read them never stand before those of another one. A client keeps it
    while it has nothing in flight, too: to make another one takes an upstream that is busy with large answers long.
    Where there are more clients than there may be connections, those that were idle for longest lose theirs, and then
    some share one, which is read as long as one of them reads. An upstream that does not echo ids takes one request at
    a time on each of a few connections.

    Args:
        upstream: what it is.
        act: takes what is to be done.
        limits: what is taken from it.

    Attributes:
        has_replied: an answer has come that could be read.
        echoes_ids: it had an id.
        waiting: tasks that wait for a connection; none where ids are echoed.
    """

    upstream: Upstream
    act: Callable[[Action], None]
    limits: Limits | None = None
    connections: list[ConnectionState] = field(factory=list)
    waiting: deque[RequestTask] = field(factory=deque)
    has_replied: bool = False
    echoes_ids: bool = False
    _by_client: dict[ProxyClient, ConnectionState] = field(factory=dict)
    _idle: dict[ConnectionState, None] = field(factory=dict)  # of no client
    _kept: dict[bytes, ConnectionState] = field(factory=dict)  # by the clients without requests, the longest idle first

    def is_legacy(self) -> bool | None:
        """Return True if the server echoes no ids; None before its first answer."""
        return not self.echoes_ids if self.has_replied else None

    def observe_reply(self, echoes_ids: bool) -> None:
        """Record whether the upstream echoes ids, as an answer has shown."""
        self.has_replied = True
        if echoes_ids and not self.echoes_ids:
            self._kept.clear()
            self._idle = dict.fromkeys(
                [
                    connection
                    for connection in reversed(self._multiplexed)
                    if not (connection.client_count or connection.is_retired)
                ]
            )
        self.echoes_ids = echoes_ids

    def forget_features(self) -> None:
        """Forget what is known of the upstream: it may be another server by now."""
        self.has_replied = self.echoes_ids = False

    def connection_for(self, client: ProxyClient) -> ConnectionState | None:
        """Return the connection for a request of the client; None if all are taken."""
        return self.own_connection(client) if self.echoes_ids else self._idle_connection()

    def own_connection(self, client: ProxyClient) -> ConnectionState:
        """Return the connection that is assigned to the client, where ids are echoed."""
        connection = self._by_client.get(client)
        if connection is None or connection.is_retired:
            self._detach(client)
            kept = self._kept.pop(client.identity, None)
            connection = self._by_client[client] = kept or self._unused()
            connection.client_count += 1
            connection.blocked_clients += client.is_blocked
            self.update_reading(connection)
        return connection

    def _unused(self) -> ConnectionState:
        """Return a connection of no client, or a new one, or one of a client that has been idle; or one to share."""
        if self._idle:
            return self._idle.popitem()[0]
        if self._kept and len(self.connections) >= self.upstream.max_connections:
            return self._kept.pop(next(iter(self._kept)))
        return self._new_or_shared()

    def client_disconnected(self, identity: bytes) -> None:
        """Let others have the connection of a client that has left."""
        connection = self._kept.pop(identity, None)
        if connection is not None:
            self._idle[connection] = None

    def _keep(self, connection: ConnectionState, client: ProxyClient) -> None:
        """Keep the connection of a client that has nothing in flight."""
        if client.is_disconnected:
            self._idle[connection] = None
        else:
            self._kept[client.identity] = connection

    def _detach(self, client: ProxyClient) -> ConnectionState | None:
        """Take the client's connection from it, and return it."""
        connection = self._by_client.pop(client, None)
        if connection is not None:
            connection.client_count -= 1
            connection.blocked_clients -= client.is_blocked
            if not (connection.client_count or connection.is_retired):
                self._keep(connection, client)
            self.update_reading(connection)
        return connection

    def client_changed(self, client: ProxyClient) -> None:
        """Adapt to a client that no longer reads, or reads again."""
        connection = self._by_client.get(client)
        if connection is not None:
            connection.blocked_clients += 1 if client.is_blocked else -1
            self.update_reading(connection)

    def update_reading(self, connection: ConnectionState) -> None:
        """Pause or resume reading from a connection, as its clients read or not."""
        pause = (
            self.echoes_ids
            and 0 < connection.client_count == connection.blocked_clients
            and self._has_only_own_clients(connection)
        )
        if pause != connection.is_read_paused:
            connection.is_read_paused = pause
            self.act((PauseReading if pause else ResumeReading)(self.upstream.name, connection.number))

    def _has_only_own_clients(self, connection: ConnectionState) -> bool:
        """Return True if all in flight is of its clients: until the first echo, others' requests may be on it."""
        return all(self._by_client.get(task.client) is connection for task in connection.tasks.values())

    def reset(self, connection: ConnectionState) -> None:
        """Replace a connection; answers to what was in flight there are dropped."""
        connection.protocol = self.protocol()
        connection.has_expired_requests = connection.is_read_paused = connection.is_retired = False
        self.act(ResetConnection(self.upstream.name, connection.number))

    def exclusive_connection(self, client: ProxyClient) -> ConnectionState | None:
        """Return the client's connection, if it is assigned to no other client."""
        connection = self._by_client.get(client)
        return connection if connection is not None and connection.client_count == 1 else None

    def release(self, client: ProxyClient) -> None:
        """Release the connection of a client that has nothing in flight."""
        connection = self._detach(client)
        if (
            connection is not None
            and connection.has_expired_requests
            and connection.is_idle
            and not connection.client_count
        ):
            self.reset(connection)

    def retire(self, connection: ConnectionState) -> None:
        """Use a connection for nothing new, after an answer that was not asked for."""
        connection.is_retired = True
        self.reset_if_drained(connection)

    def reset_if_drained(self, connection: ConnectionState) -> None:
        """Replace a retired connection, once nothing is in flight on it."""
        if connection.is_retired and connection.is_idle:
            self.reset(connection)
            if self.echoes_ids and not connection.client_count and connection in self._multiplexed:
                self._kept = {identity: kept for identity, kept in self._kept.items() if kept is not connection}
                self._idle[connection] = None

    @property
    def _multiplexed(self) -> list[ConnectionState]:
        """Connections that there may be where ids are echoed."""
        return self.connections[: self.upstream.max_connections]

    def _new_or_shared(self) -> ConnectionState:
        """Return a new connection, or one to share: rather not with clients that do not read."""
        limit, usable = self.upstream.max_connections, [each for each in self.connections if not each.is_retired]
        if len(usable) < limit and len(self.connections) < _MAX_FACTOR * limit:
            return self._open()
        return min(
            usable or self.connections,
            key=lambda connection: (connection.is_read_paused, connection.blocked_clients, connection.client_count),
        )

    def _idle_connection(self) -> ConnectionState | None:
        """Return one of the few connections, with nothing in flight."""
        limit = self.upstream.max_serial_connections
        limit = limit if self.has_replied else min(limit, self.upstream.max_connections)
        usable = self.connections[:limit]
        connection = next((connection for connection in usable if connection.is_idle), None)
        return self._open() if connection is None and len(usable) < limit else connection

    def _open(self) -> ConnectionState:
        connection = ConnectionState(len(self.connections), self.protocol())
        self.connections.append(connection)
        return connection

    def protocol(self) -> ClientProtocol:
        """Return a new protocol, which knows nothing of the upstream: it may be another server by now."""
        return ClientProtocol(self.upstream.codec or codec_for(self.upstream.dialect, self.limits))
