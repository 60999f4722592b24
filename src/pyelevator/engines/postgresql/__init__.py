"""Databases on a PostgreSQL cluster, for servers that share them: the only owner of psycopg."""

from pyelevator.engines.postgresql.storage import PostgreSqlStorage

__all__ = ["PostgreSqlStorage"]
