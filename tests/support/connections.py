"""The connections of a client: the one place where tests look into its session."""

from typing import Any


def connections_of(client: Any) -> list[Any]:
    """Return the connections of a sync client, idle and in use."""
    return list(client._session._pool.connections())


def idle_connections_of(client: Any) -> list[Any]:
    return list(client._session._pool._idle)


def prefetching_connections_of(client: Any) -> list[Any]:
    return list(client._session._pool._prefetching)


def close_connections_of(client: Any) -> None:
    """Close all; the client opens new ones when it needs them."""
    client._session.close()


def async_connections_of(client: Any) -> list[Any]:
    """Return the connections of an async client."""
    return list(client._session._dispatcher._connections)


def shared_connection_of(client: Any) -> Any:
    """Return the connection that the calls of an async client share."""
    return client._session._dispatcher._shared
