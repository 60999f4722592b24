"""The databases of one schema: their rows in the catalog, and their tables."""

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from typing import Any, Final

from pyelevator.engines.base import EngineError
from pyelevator.engines.postgresql.cluster_client import ClusterClient
from pyelevator.engines.postgresql.connections.errors import INCOMPLETE, MissingDatabase, MissingRelation
from pyelevator.engines.postgresql.connections.libpq import Connection, rows_of
from pyelevator.engines.postgresql.tables.statements import PairsTable
from pyelevator.engines.postgresql.writes import Writer

_USER: Final = "catalog"


class Databases:
    """Creates, finds and drops databases; each change is one transaction."""

    def __init__(self, client: ClusterClient) -> None:
        self.client = client
        self._writer = Writer(client)
        schema = client.settings.schema
        self._find = f"SELECT relation, uid::bytea FROM {schema}.databases WHERE path = $1".encode()
        self._create = f"SELECT {schema}.create_database($1::uuid, $2, $3, $4::text, $5::text::jsonb)".encode()
        self._drop = f"SELECT {schema}.drop_database($1::uuid, $2)".encode()
        self._empty = f"SELECT {schema}.empty_database($1::uuid, $2)".encode()
        self._garbage = f"SELECT relation FROM {schema}.garbage".encode()
        self._expire = f"DELETE FROM {schema}.tokens WHERE at < now() - interval '1 hour'".encode()

    def find(self, path: str) -> PairsTable | None:
        """Return the present table of the database at a path; None if there is none."""
        found = self.query(self._find, (path_bytes(path),))
        return PairsTable(self.client.settings.schema, found[0][0], found[0][1].decode()) if found else None

    def create(self, path: str, name: str | None, uid: str, options: Mapping[str, object]) -> None:
        """Create a database, its table and its row in the catalog in one transaction.

        Raises:
            AlreadyExists: there is one with that path or name; it is left as it is.
        """
        encoded_name = None if name is None else path_bytes(name)
        parameters = path_bytes(path), encoded_name, uid.encode(), json.dumps(dict(options)).encode()
        self._change(self._create, parameters)

    def drop(self, path: str) -> bool:
        """Take a database out of the catalog; nothing can be written to it from then on.

        Returns:
            False if there was none.
        """
        try:
            self._change(self._drop, (path_bytes(path),))
        except MissingDatabase:
            return False
        return True

    def empty(self, path: str) -> None:
        """Give a database a new table, which is empty.

        Raises:
            MissingDatabase: there is none.
        """
        self._change(self._empty, (path_bytes(path),))

    def query(self, sql: bytes, parameters: tuple[bytes | None, ...] = ()) -> list[tuple[Any, ...]]:
        """Execute a statement that may be executed twice, and return its rows.

        Raises:
            EngineUnavailable: there was no answer in time.
            EngineError: the tables of the catalog are not there.
        """
        with _complete():
            return self.client.read(_USER, lambda connection, until: rows_of(connection.query(sql, parameters, until)))

    def _change(self, sql: bytes, parameters: tuple[bytes | None, ...]) -> None:
        """Execute a change of the catalog once, whatever happens to the connection.

        Raises:
            EngineUnavailable, EngineConflict: nothing was changed.
            EngineOutcomeUnknown: it may have been.
            MissingDatabase: there is no such database.
        """
        with _complete():
            self._writer.execute(
                _USER,
                lambda connection, token, until: connection.query(sql, (token, *parameters), until),
                self.client.deadline(),
            )

    def collect_garbage(self) -> None:
        """Remove the tables of dropped databases that no transaction reads any more."""
        for (relation,) in self.query(self._garbage):
            self.client.read(_USER, partial(self._collect, relation))

    def expire_tokens(self) -> None:
        """Forget writes whose outcome is no longer asked for."""
        self.query(self._expire)

    def _collect(self, relation: int, connection: Connection, until: float) -> None:
        """Remove one table, unless a transaction reads it at this moment: no reader may wait for this."""
        sql = f"BEGIN; SET LOCAL lock_timeout = 50; SELECT {self.client.settings.schema}.collect({relation}); COMMIT"
        try:
            connection.script(sql.encode(), until)
        except EngineError:
            connection.send_later(b"ROLLBACK")


@contextmanager
def _complete() -> Iterator[None]:
    """Turn it into an EngineError if a table or a function of the catalog itself is not there."""
    try:
        yield
    except MissingDatabase:
        raise
    except MissingRelation as error:
        raise EngineError(INCOMPLETE) from error


def path_bytes(path: str) -> bytes:
    """Return a path or a name as it stands in the cluster, whatever characters it has."""
    return path.encode("utf-8", "surrogateescape")
