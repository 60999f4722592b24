"""The binding to PostgreSQL: libpq as psycopg wraps it, without psycopg's connections."""

from pyelevator.errors import MissingExtra

try:
    from psycopg import pq
    from psycopg.adapt import Transformer
    from psycopg.conninfo import conninfo_to_dict, make_conninfo
    from psycopg.errors import ProgrammingError
    from psycopg.pq.abc import PGconn, PGresult
except ImportError as error:
    raise MissingExtra(
        "databases on PostgreSQL need psycopg 3 and libpq: pip install 'pyelevator[postgres]'"
    ) from error

__all__ = ["PGconn", "PGresult", "ProgrammingError", "Transformer", "conninfo_to_dict", "make_conninfo", "pq"]
