"""The connections of a client: the one place where tests look into its session."""

import select
import threading
from typing import Any

import pytest

from pyelevator.transports.sockets.socket import start_connect


def first_attempt(monkeypatch: pytest.MonkeyPatch) -> threading.Event:
    """Return an event that is set as soon as a client has tried to connect."""
    attempted = threading.Event()

    def observed(*args: Any) -> Any:
        try:
            return start_connect(*args)
        finally:
            attempted.set()

    for module in ("blocking", "nonblocking"):
        monkeypatch.setattr(f"pyelevator.transports.sockets.{module}.start_connect", observed)
    return attempted


def connections_of(client: Any) -> list[Any]:
    """Return the connections of a sync client, idle and in use."""
    return list(pool_of(client).connections())


def idle_connections_of(client: Any) -> list[Any]:
    return idle_connections_in(pool_of(client))


def prefetching_connections_of(client: Any) -> list[Any]:
    return list(pool_of(client)._prefetching)


def close_connections_of(client: Any) -> None:
    """Close all; the client opens new ones when it needs them."""
    client._session.close()


def async_connections_of(client: Any) -> list[Any]:
    """Return the connections of an async client."""
    return list(dispatcher_of(client)._connections)


def shared_connection_of(client: Any) -> Any:
    """Return the connection that the calls of an async client share."""
    return dispatcher_of(client)._shared


def dispatcher_of(client: Any) -> Any:
    """Return what shares the connections of an async client among its calls."""
    return client._session._dispatcher


def pool_of(session: Any) -> Any:
    """Return the pool of a session, or of a sync client."""
    return getattr(session, "_session", session)._pool


def idle_connections_in(pool: Any) -> list[Any]:
    """Return the idle connections of a pool, the longest unused first."""
    return list(pool._idle)


def pretend_connected(client: Any, uid: str | None, name: str | None = "default") -> None:
    """Have a client send a uid that its server never told it."""
    handle = handle_of(client)
    handle.uid, handle.name = uid, name


def handle_of(client: Any) -> Any:
    """Return what a client knows of the database that it is connected to."""
    return client._handle


def transport_of(holder: Any) -> Any:
    """Return the transport of a client or of one of its pooled connections."""
    return holder._transport


def connection_of(transport: Any) -> Any:
    """Return the connection of a transport over sockets."""
    return transport._connection


def socket_of(connection: Any) -> Any:
    """Return the socket of a connection, None before there is one."""
    return connection._socket


def has_input(connection: Any, seconds: float) -> bool:
    """Wait until something may be read from a connection; tell whether it may."""
    return bool(select.select([socket_of(connection)], [], [], seconds)[0])


def connection_count(program: Any) -> int:
    """Return how many connections a server or a proxy has, by its metrics."""
    (family,) = [family for family in program.metrics() if family.name == "elevator_connections"]
    ((_, count),) = family.samples
    return int(count)
