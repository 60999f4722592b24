"""Connections to the servers of a PostgreSQL cluster, over libpq as psycopg wraps it, without psycopg's connections."""

from pyelevator.errors import MissingExtra

try:
    import psycopg.pq  # noqa: F401 - the modules of this package need it
except ImportError as error:
    raise MissingExtra(
        "databases on PostgreSQL need psycopg 3 and libpq: pip install 'pyelevator[postgres]'"
    ) from error
