"""The databases of a PostgreSQL cluster."""

import threading
from collections.abc import Mapping
from contextlib import suppress
from functools import partial
from typing import Self
from uuid import uuid4

from pyelevator.commands import OptionValue, RepairReport
from pyelevator.engines.base import Capability, Engine, EngineError, EngineGone, Storage
from pyelevator.engines.options import CREATION_DEFAULTS
from pyelevator.engines.postgresql.catalog_store import UID_PATH, PostgreSqlCatalogStore
from pyelevator.engines.postgresql.cluster_client import ClusterClient
from pyelevator.engines.postgresql.connections.errors import AlreadyExists
from pyelevator.engines.postgresql.connections.settings import PostgreSqlSettings
from pyelevator.engines.postgresql.databases import Databases
from pyelevator.engines.postgresql.engine import PostgreSqlEngine
from pyelevator.engines.postgresql.tables.statements import PairsTable


class PostgreSqlStorage(Storage):
    """Databases in one schema of a PostgreSQL cluster; any number of servers may have them open.

    Args:
        settings: of the cluster.

    Attributes:
        client: the connections.
        databases: which there are.
    """

    capabilities = frozenset({Capability.DURABLE, Capability.SNAPSHOT, Capability.REMOTE})
    option_names = frozenset(CREATION_DEFAULTS)

    def __init__(self, settings: PostgreSqlSettings) -> None:
        self.client = ClusterClient(settings)
        self.call_timeout = settings.call_timeout
        self.databases = Databases(self.client)
        self._open: set[str] = set()
        self._lock = threading.Lock()

    @classmethod
    def from_url(cls, url: str) -> Self:
        """Return the storage that a URL describes; see ``PostgreSqlSettings``."""
        return cls(PostgreSqlSettings.from_url(url))

    def resolve(self, path: str) -> str:
        return path

    def check_options(self, options: Mapping[str, object]) -> dict[str, OptionValue]:  # noqa: ARG002 - none has an effect here
        return {}

    def open(self, path: str, options: Mapping[str, object]) -> Engine:  # noqa: ARG002
        with self._lock:
            self._check_closed(path)
            self._open.add(path)
        try:
            table = self.databases.find(path)
            if table is None:
                if path.startswith(UID_PATH):
                    raise EngineGone(f"Database {path.removeprefix(UID_PATH)} doesn't exist")
                table = self._create_unnamed(path)
            return PostgreSqlEngine(
                self.client, partial(self.databases.find, path), table, partial(self._open.discard, path)
            )
        except BaseException:
            self._open.discard(path)
            raise

    def catalog_store(self) -> PostgreSqlCatalogStore:
        return PostgreSqlCatalogStore(self.databases)

    def exists(self, path: str) -> bool:
        return self.databases.find(path) is not None

    def repair(self, path: str, options: Mapping[str, object], *, force: bool = False) -> RepairReport:  # noqa: ARG002
        self._check_closed(path)
        raise EngineError("PostgreSQL repairs its own files when it starts; there is nothing else to repair")

    def destroy(self, path: str, *, set_aside: bool = False) -> None:  # noqa: ARG002
        self._check_closed(path)
        self.databases.drop(path)
        self.databases.collect_garbage()

    def empty(self, path: str, *, set_aside: bool = False) -> None:  # noqa: ARG002
        self._check_closed(path)
        self.databases.empty(path)
        self.databases.collect_garbage()

    def close(self) -> None:
        """Close the connections."""
        self.client.close()

    def _create_unnamed(self, path: str) -> PairsTable:
        with suppress(AlreadyExists):
            self.databases.create(path, None, str(uuid4()), {})
        table = self.databases.find(path)
        if table is None:
            raise EngineError(f"{path} was dropped at this moment")
        return table

    def _check_closed(self, path: str) -> None:
        if path in self._open:
            raise EngineError(f"{path} is open already")
