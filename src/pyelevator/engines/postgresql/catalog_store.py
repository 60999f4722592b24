"""The catalog of a cluster: rows that all servers share."""

import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from time import monotonic
from typing import Final

from attrs import evolve

from pyelevator.engines.base import EngineError
from pyelevator.engines.base.catalog_store import CatalogStore, Entry
from pyelevator.engines.postgresql.connections.errors import INCOMPLETE, AlreadyExists
from pyelevator.engines.postgresql.databases import Databases
from pyelevator.errors import DatabaseError

UID_PATH: Final = "uid:"
"""What the paths of the catalog's databases begin with."""

_LOOK_INTERVAL: Final = 1.0
_COLLECT_INTERVAL: Final = 2.0
_EXPIRE_INTERVAL: Final = 600.0


class PostgreSqlCatalogStore(CatalogStore):
    """The rows of one schema."""

    is_shared = True

    def __init__(self, databases: Databases) -> None:
        self._databases = databases
        schema = databases.client.settings.schema
        self._read_version = f"SELECT catalog FROM {schema}.version".encode()
        self._read_entries = (
            f"SELECT name, uid::bytea, path, options::text::bytea FROM {schema}.databases "
            "WHERE name IS NOT NULL ORDER BY number"
        ).encode()
        self._version = -1
        self._due = dict.fromkeys(("look", "collect", "expire"), 0.0)

    def read(self) -> Sequence[Entry]:
        self._version = -1
        return self.read_changes() or []

    def read_changes(self) -> Sequence[Entry] | None:
        rows = self._databases.query(self._read_version)
        if not rows:
            raise EngineError(INCOMPLETE)
        ((version,),) = rows[:1]
        if version == self._version:
            return None
        entries = [
            Entry(_text(name), _text(uid), _text(path), json.loads(options))
            for name, uid, path, options in self._databases.query(self._read_entries)
        ]
        self._version = version  # of before, so that what was changed since is read again
        return entries

    def locate(self, entry: Entry) -> Entry:
        return evolve(entry, path=f"{UID_PATH}{entry.uid}")

    @contextmanager
    def replacing(self, before: Sequence[Entry], after: Sequence[Entry]) -> Iterator[None]:
        old, new = ({entry.uid: entry for entry in entries} for entries in (before, after))
        for entry in [new[uid] for uid in new.keys() - old.keys()]:
            try:
                self._databases.create(entry.path, entry.name, entry.uid, entry.options)
            except AlreadyExists as error:
                raise DatabaseError(f"Database {entry.name} already exists") from error
        for entry in [old[uid] for uid in old.keys() - new.keys()]:
            if not self._databases.drop(entry.path):
                raise DatabaseError(f"Database {entry.name} does not exist")
        yield

    def maintain(self) -> None:
        tasks = {
            "look": (_LOOK_INTERVAL, self._databases.client.cluster.look_for_newer_timeline),
            "collect": (_COLLECT_INTERVAL, self._databases.collect_garbage),
            "expire": (_EXPIRE_INTERVAL, self._databases.expire_tokens),
        }
        for name, (interval, task) in tasks.items():
            if monotonic() >= self._due[name]:
                self._due[name] = monotonic() + interval
                task()


def _text(column: bytes) -> str:
    return column.decode("utf-8", "surrogateescape")
