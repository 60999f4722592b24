"""The databases of a catalog by uid, name and path."""

from collections.abc import Mapping

from attrs import field, frozen

from pyelevator.application.catalog.database import Database
from pyelevator.application.catalog.names import DEFAULT
from pyelevator.engines.base.catalog_store import Entry
from pyelevator.errors import DatabaseError


class UnknownName(DatabaseError):
    """There is no database with that name, or it was created by another server a moment ago."""


@frozen
class Index:
    """The databases in the order of their creation; replaced as one value, so that readers need no lock."""

    databases: tuple[Database, ...] = ()
    by_uid: Mapping[str | None, Database] = field(init=False)
    by_name: Mapping[str, Database] = field(init=False)
    by_path: Mapping[str, Database] = field(init=False)

    @by_uid.default
    def _index_uids(self) -> Mapping[str | None, Database]:
        return {database.entry.uid: database for database in self.databases}

    @by_name.default
    def _index_names(self) -> Mapping[str, Database]:
        return {database.entry.name: database for database in self.databases}

    @by_path.default
    def _index_paths(self) -> Mapping[str, Database]:
        return {database.entry.path: database for database in self.databases}

    def in_order(self) -> list[Database]:
        """Return the databases as clients list them: 'default' first."""
        return sorted(self.databases, key=lambda database: database.entry.name != DEFAULT)

    def entries(self) -> list[Entry]:
        """Return what the store file records of the databases."""
        return [database.entry for database in self.databases]

    def without(self, database: Database) -> tuple[Database, ...]:
        """Return the other databases.

        Raises:
            UnknownName: it is not among them any more; another server has dropped it.
        """
        if self.by_uid.get(database.entry.uid) is not database:
            raise UnknownName(f"Database {database.entry.name} does not exist")
        return tuple([other for other in self.databases if other is not database])
