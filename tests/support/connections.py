"""The connections of a client: the one place where tests look into its session."""

from typing import Any


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
    return list(client._session._dispatcher._connections)


def shared_connection_of(client: Any) -> Any:
    """Return the connection that the calls of an async client share."""
    return client._session._dispatcher._shared


def pool_of(session: Any) -> Any:
    """Return the pool of a session, or of a sync client."""
    return getattr(session, "_session", session)._pool


def idle_connections_in(pool: Any) -> list[Any]:
    """Return the idle connections of a pool, the longest unused first."""
    return list(pool._idle)


def pretend_connected(client: Any, uid: str | None, name: str | None = "default") -> None:
    """Have a client send a uid that its server never told it."""
    client._handle.uid, client._handle.name = uid, name
