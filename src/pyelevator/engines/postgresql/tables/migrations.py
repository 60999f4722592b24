"""The tables and functions in a cluster, and their version.

One schema holds the databases of one set of servers::

    version    one row: the version of all this, and a number that each change of the catalog raises
    databases  the catalog
    pairs_N    the pairs of database N, ``write_N`` the function that writes them
    tokens     one row for each write or change of the catalog, so that one whose answer was lost can be looked up
    garbage    tables of dropped databases that are still being read

A write is one call of a function, so it takes one round trip, is one transaction, and each of its statements sees what
was committed before it had the lock.
"""

import logging
from typing import Final
from zlib import crc32

from pyelevator.engines.base import EngineError
from pyelevator.engines.postgresql.connections.libpq import Connection, value_of

_log: Final = logging.getLogger("pyelevator.engines.postgresql")

_TABLES: Final = """
CREATE TABLE {schema}.version (schema integer NOT NULL, catalog bigint NOT NULL);
INSERT INTO {schema}.version VALUES (1, 1);
CREATE TABLE {schema}.databases (
    path bytea PRIMARY KEY,
    name bytea UNIQUE,
    uid text NOT NULL UNIQUE,
    relation integer NOT NULL UNIQUE,
    number bigint NOT NULL GENERATED ALWAYS AS IDENTITY,
    options jsonb NOT NULL DEFAULT '{{}}'
);
CREATE TABLE {schema}.tokens (
    token uuid PRIMARY KEY,
    refused boolean NOT NULL DEFAULT false,
    at timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX tokens_by_age ON {schema}.tokens (at);
CREATE TABLE {schema}.garbage (relation integer PRIMARY KEY);
CREATE SEQUENCE {schema}.relations;

CREATE FUNCTION {schema}.add_relation(n integer) RETURNS void LANGUAGE plpgsql AS $add$
BEGIN
    EXECUTE format(  -- room in each page, so that a value that is replaced stays in it and its index is left alone
        'CREATE TABLE {schema}.pairs_%s (key bytea PRIMARY KEY, value bytea NOT NULL) WITH (fillfactor = 90)', n
    );
    EXECUTE format($format$
CREATE FUNCTION {schema}.write_%1$s(
    the_token uuid, exclusively boolean, deleted bytea[], keys bytea[], new_values bytea[]
) RETURNS void LANGUAGE plpgsql AS $write$
BEGIN
    IF exclusively THEN
        PERFORM pg_advisory_xact_lock({lock}, %1$s);
    ELSE
        PERFORM pg_advisory_xact_lock_shared({lock}, %1$s);
    END IF;
    IF NOT EXISTS (SELECT FROM {schema}.databases WHERE relation = %1$s) THEN
        RAISE EXCEPTION 'the database was dropped' USING ERRCODE = 'EL001';
    END IF;
    INSERT INTO {schema}.tokens (token) VALUES (the_token);
    IF deleted <> '{{}}' THEN
        DELETE FROM {schema}.pairs_%1$s WHERE key = ANY (deleted);
    END IF;
    IF keys <> '{{}}' THEN
        INSERT INTO {schema}.pairs_%1$s SELECT * FROM unnest(keys, new_values)
            ON CONFLICT (key) DO UPDATE SET value = excluded.value;
    END IF;
END $write$
    $format$, n);
END $add$;

CREATE FUNCTION {schema}.touch(the_token uuid) RETURNS void LANGUAGE sql AS $$
    INSERT INTO {schema}.tokens (token) VALUES (the_token);
    UPDATE {schema}.version SET catalog = catalog + 1
$$;

CREATE FUNCTION {schema}.create_database(
    the_token uuid, the_path bytea, the_name bytea, the_uid text, the_options jsonb
) RETURNS void LANGUAGE plpgsql AS $create$
DECLARE
    n integer;
BEGIN
    PERFORM {schema}.touch(the_token);
    n := nextval('{schema}.relations');
    INSERT INTO {schema}.databases (path, name, uid, relation, options)
        VALUES (the_path, the_name, the_uid, n, the_options);
    PERFORM {schema}.add_relation(n);
END $create$;

CREATE FUNCTION {schema}.drop_database(the_token uuid, the_path bytea) RETURNS void LANGUAGE plpgsql AS $drop$
DECLARE
    n integer;
BEGIN
    PERFORM {schema}.touch(the_token);
    SELECT relation INTO n FROM {schema}.databases WHERE path = the_path;
    PERFORM pg_advisory_xact_lock({lock}, n);
    DELETE FROM {schema}.databases WHERE path = the_path AND relation = n;
    IF NOT FOUND THEN
        RAISE EXCEPTION 'the database was dropped' USING ERRCODE = 'EL001';
    END IF;
    INSERT INTO {schema}.garbage VALUES (n);
END $drop$;

CREATE FUNCTION {schema}.empty_database(the_token uuid, the_path bytea) RETURNS void LANGUAGE plpgsql AS $empty$
DECLARE
    n integer;
    added integer := nextval('{schema}.relations');
BEGIN
    PERFORM {schema}.touch(the_token);
    SELECT relation INTO n FROM {schema}.databases WHERE path = the_path;
    PERFORM pg_advisory_xact_lock({lock}, n);
    PERFORM {schema}.add_relation(added);
    UPDATE {schema}.databases SET relation = added WHERE path = the_path AND relation = n;
    IF NOT FOUND THEN
        RAISE EXCEPTION 'the database was dropped' USING ERRCODE = 'EL001';
    END IF;
    INSERT INTO {schema}.garbage VALUES (n);
END $empty$;

CREATE FUNCTION {schema}.collect(n integer) RETURNS void LANGUAGE plpgsql AS $collect$
BEGIN
    EXECUTE format('DROP TABLE IF EXISTS {schema}.pairs_%s', n);
    EXECUTE format('DROP FUNCTION IF EXISTS {schema}.write_%s', n);
    DELETE FROM {schema}.garbage WHERE relation = n;
END $collect$;
"""

MIGRATIONS: Final[tuple[str, ...]] = (_TABLES,)
"""What makes version 1, 2, 3... of the one before it; ``{schema}`` and ``{lock}`` stand for this schema's."""


def lock_class(schema: str) -> int:
    """Return the first key of the advisory locks of a schema's databases."""
    return crc32(schema.encode()) - (1 << 31)


def migrate(connection: Connection, schema: str, until: float, migrations: tuple[str, ...] = MIGRATIONS) -> None:
    """Bring the schema to the version of this release; several servers may do so at once.

    Raises:
        EngineError: it has a version that this release does not know, or the role may not create it.
        LostConnection: the connection ended.
    """
    version = _version(connection, schema, until)
    if version == len(migrations):
        return
    lock = lock_class(schema)
    connection.script(b"BEGIN", until)
    try:
        connection.script(b"SELECT pg_advisory_xact_lock(%d, -1)" % lock, until)
        version = _version(connection, schema, until)
        if version > len(migrations):
            raise EngineError(
                f"the cluster's schema {schema} has version {version}, and this release knows {len(migrations)}; "
                "upgrade this server"
            )
        if not _is_any(connection, "pg_namespace", f"nspname = '{schema}'", until):
            connection.script(f"CREATE SCHEMA {schema}".encode(), until)
        for number, script in list(enumerate(migrations, 1))[version:]:
            connection.script(script.format(schema=schema, lock=lock).encode(), until)
            connection.script(f"UPDATE {schema}.version SET schema = {number}".encode(), until)
            _log.info("the schema %s has version %d now", schema, number)
        connection.script(b"COMMIT", until)
    except BaseException:
        connection.send_later(b"ROLLBACK")
        raise


def _version(connection: Connection, schema: str, until: float) -> int:
    """Return the version of the schema; 0 if there is nothing."""
    tables = "pg_class JOIN pg_namespace ON pg_namespace.oid = relnamespace"
    if not _is_any(connection, tables, f"nspname = '{schema}' AND relname = 'version'", until):
        return 0
    return int(value_of(connection.script(f"SELECT schema FROM {schema}.version".encode(), until)))


def _is_any(connection: Connection, tables: str, condition: str, until: float) -> bool:
    """Return True if PostgreSQL's catalog has such a row.

    Functions such as ``to_regclass`` answer from a session's cache, which need not have what another server has created
    since the transaction began.
    """
    return bool(value_of(connection.script(f"SELECT EXISTS (SELECT FROM {tables} WHERE {condition})".encode(), until)))
