"""What an application and its engines hold: the one place where tests look into them."""

from typing import Any


def cursors_of(application: Any) -> list[Any]:
    """Return the cursors that an application keeps."""
    return list(application.cursors._cursors.values())


def storage_of(catalog: Any) -> Any:
    """Return the storage of a catalog."""
    return catalog._storage


def database_of(engine: Any) -> Any:
    """Return what the engines of one database in memory share."""
    return engine._database


def application_of(server: Any) -> Any:
    """Return the application of a server, interceptors and permissions around it."""
    return server._application


def scheduler_of(server: Any) -> Any:
    """Return the scheduler of a server."""
    return server._dispatcher.scheduler


def probes_of(server: Any) -> Any:
    """Return the requests of a server that a thread of their own is to try."""
    return server._dispatcher._probes


def table_of(engine: Any) -> Any:
    """Return the table of an engine on PostgreSQL."""
    return engine._table
