"""The databases of a PostgreSQL cluster."""

import json
import threading
from collections.abc import Mapping
from contextlib import suppress
from functools import partial
from typing import Any, Final, Self
from uuid import uuid4

from pyelevator.commands import RepairReport
from pyelevator.engines.base import Capability, Engine, EngineError, EngineGone, EngineUnavailable, Storage
from pyelevator.engines.options import CREATION_DEFAULTS
from pyelevator.engines.postgresql.client import Client
from pyelevator.engines.postgresql.connection import Connection
from pyelevator.engines.postgresql.engine import PostgreSqlEngine
from pyelevator.engines.postgresql.errors import AlreadyExists, SerializationFailure
from pyelevator.engines.postgresql.settings import PostgreSqlSettings
from pyelevator.engines.postgresql.tables import Table

_USER: Final = "catalog"
_ATTEMPTS: Final = 5
UID_PATH: Final = "uid:"
"""What the paths of databases of the catalog begin with; such a one is created by ``create`` only."""


class PostgreSqlStorage(Storage):
    """Databases in one schema of a PostgreSQL cluster; any number of servers may have them open.

    Args:
        settings: of the cluster.

    Attributes:
        client: the connections.
    """

    capabilities = frozenset({Capability.DURABLE, Capability.SNAPSHOT, Capability.REMOTE})
    option_names = frozenset(CREATION_DEFAULTS)

    def __init__(self, settings: PostgreSqlSettings) -> None:
        self.client = Client(settings)
        self._open: set[str] = set()
        self._lock = threading.Lock()
        schema = settings.schema
        self._find = f"SELECT relation, uid::bytea FROM {schema}.databases WHERE path = $1".encode()
        self._create = f"SELECT {schema}.create_database($1, $2, $3::text, $4::text::jsonb)".encode()
        self._drop = f"SELECT {schema}.drop_database($1)".encode()
        self._empty = f"SELECT {schema}.empty_database($1)".encode()
        self._garbage = f"SELECT relation FROM {schema}.garbage".encode()
        self._expire = f"DELETE FROM {schema}.tokens WHERE at < now() - interval '1 hour'".encode()

    @classmethod
    def from_url(cls, url: str) -> Self:
        """Return the storage that a URL describes; see :class:`PostgreSqlSettings`."""
        return cls(PostgreSqlSettings.from_url(url))

    def resolve(self, path: str) -> str:
        return path

    def check_options(self, options: Mapping[str, Any]) -> dict[str, Any]:  # noqa: ARG002 - none has an effect here
        return {}

    def open(self, path: str, options: Mapping[str, Any]) -> Engine:  # noqa: ARG002
        with self._lock:
            self._check_closed(path)
            self._open.add(path)
        try:
            table = self._table(path)
            if table is None:
                if path.startswith(UID_PATH):
                    raise EngineGone(f"Database {path.removeprefix(UID_PATH)} doesn't exist")
                table = self._create_unnamed(path)
            return PostgreSqlEngine(self.client, partial(self._table, path), table, partial(self._release, path))
        except BaseException:
            self._release(path)
            raise

    def exists(self, path: str) -> bool:
        return self._table(path) is not None

    def repair(self, path: str, options: Mapping[str, Any], *, force: bool = False) -> RepairReport:  # noqa: ARG002
        self._check_closed(path)
        raise EngineError("PostgreSQL repairs its own files when it starts; there is nothing else to repair")

    def destroy(self, path: str, *, set_aside: bool = False) -> None:  # noqa: ARG002
        self._check_closed(path)
        self._change(self._drop, path)

    def empty(self, path: str, *, set_aside: bool = False) -> None:  # noqa: ARG002
        self._check_closed(path)
        self._change(self._empty, path)

    def create(self, path: str, name: bytes | None, uid: str, options: Mapping[str, Any]) -> None:
        """Create a database, its table and its row in the catalog in one transaction.

        Raises:
            AlreadyExists: there is one with that path or name; it is left as it is.
        """
        parameters = path_bytes(path), name, uid.encode(), json.dumps(dict(options)).encode()
        try:
            self.change(self._create, parameters)
        except AlreadyExists:
            table = self._table(path)
            if table is None or table.uid != uid:  # otherwise an earlier attempt has created it, unanswered
                raise

    def change(self, sql: bytes, parameters: tuple[bytes | None, ...]) -> Any:
        """Execute a change of the catalog that may be executed twice.

        Raises:
            EngineUnavailable: there was no answer in time.
        """
        until = self.client.deadline()
        for attempt in range(_ATTEMPTS):
            try:
                return self.client.read(
                    _USER, lambda connection, until: connection.query(sql, parameters, until), until
                )
            except SerializationFailure:
                if attempt == _ATTEMPTS - 1:
                    raise EngineUnavailable("others change the catalog all the time; try again") from None
        raise AssertionError

    def collect_garbage(self) -> None:
        """Remove the tables of dropped databases that nobody reads any more, and old tokens."""
        found = self.client.read(_USER, lambda connection, until: connection.query(self._garbage, (), until))
        for row in range(found.ntuples):
            self._collect(int.from_bytes(found.get_value(row, 0), "big"))

    def expire_tokens(self) -> None:
        """Forget writes that nobody asks about any more."""
        self.client.read(_USER, lambda connection, until: connection.query(self._expire, (), until))

    def close(self) -> None:
        """Close the connections."""
        self.client.close()

    def _change(self, sql: bytes, path: str) -> None:
        self.change(sql, (path_bytes(path),))
        self.collect_garbage()

    def _collect(self, relation: int) -> None:
        """Remove one table, unless somebody reads it at this moment: nobody may have to wait behind this."""
        sql = f"BEGIN; SET LOCAL lock_timeout = 50; SELECT {self.client.settings.schema}.collect({relation}); COMMIT"

        def collect(connection: Connection, until: float) -> None:
            try:
                connection.script(sql.encode(), until)
            except EngineError:
                connection.send_later(b"ROLLBACK")

        self.client.read(_USER, collect)

    def _create_unnamed(self, path: str) -> Table:
        with suppress(AlreadyExists):
            self.create(path, None, str(uuid4()), {})
        table = self._table(path)
        if table is None:
            raise EngineError(f"{path} was dropped at this moment")
        return table

    def _table(self, path: str) -> Table | None:
        found = self.client.read(
            _USER, lambda connection, until: connection.query(self._find, (path_bytes(path),), until)
        )
        if not found.ntuples:
            return None
        relation = int.from_bytes(found.get_value(0, 0), "big")
        return Table(self.client.settings.schema, relation, found.get_value(0, 1).decode())

    def _check_closed(self, path: str) -> None:
        if path in self._open:
            raise EngineError(f"{path} is open already")

    def _release(self, path: str) -> None:
        self._open.discard(path)


def path_bytes(path: str) -> bytes:
    """Return a path or a name as it stands in the cluster, whatever characters it has."""
    return path.encode("utf-8", "surrogateescape")
