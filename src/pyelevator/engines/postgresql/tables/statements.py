"""The statements on the pairs of one database."""

from collections.abc import Sequence
from struct import Struct
from typing import Final

from pyelevator.engines.postgresql.connections.libpq import Connection, rows_of, value_of
from pyelevator.engines.postgresql.tables.changes import MAX_KEY, Changes
from pyelevator.engines.postgresql.tables.migrations import lock_class

_GET: Final = "SELECT value FROM {pairs} WHERE key = $1"
_MULTI_GET: Final = """
SELECT p.value FROM unnest($1::bytea[]) WITH ORDINALITY AS wanted(key, n) LEFT JOIN {pairs} AS p ON p.key = wanted.key
 ORDER BY wanted.n
"""
_WRITE: Final = "SELECT {write}($1::uuid, $2::bool, $3, $4, $5)"
_BEGIN_UPDATE: Final = "BEGIN; SELECT pg_advisory_xact_lock({lock}, {relation})"
_EXISTS: Final = "SELECT FROM {schema}.databases WHERE relation = {relation}"
_SIZE: Final = "SELECT pg_total_relation_size('{pairs}')"

_BYTEA: Final = 17
_EMPTY: Final = Struct(">iii").pack(0, 0, _BYTEA)
_HEADER: Final = Struct(">iiiii")
_LENGTH: Final = Struct(">i").pack
"""Parts of an array of byte strings in PostgreSQL's binary format."""


class PairsTable:
    """The table of one database.

    Attributes:
        pairs: the name of the table.
        gone: the error text once it was dropped; clients then connect again, to a database of the same name.
    """

    def __init__(self, schema: str, relation: int, uid: str) -> None:
        self.relation = relation
        self.pairs = f"{schema}.pairs_{relation}"
        self.gone = f"Database {uid} doesn't exist"
        write = f"{schema}.write_{relation}"
        names = {
            "pairs": self.pairs,
            "write": write,
            "schema": schema,
            "relation": relation,
            "lock": lock_class(schema),
        }
        self._get, self._multi_get, self._write, self._begin_update, self._exists, self._size = (
            sql.format(**names).encode() for sql in (_GET, _MULTI_GET, _WRITE, _BEGIN_UPDATE, _EXISTS, _SIZE)
        )

    def get(self, connection: Connection, key: bytes, until: float) -> bytes | None:
        """Return the value of a key."""
        if len(key) > MAX_KEY:
            return None
        result = connection.query(self._get, (key,), until)
        return result.get_value(0, 0) if result.ntuples else None

    def multi_get(self, connection: Connection, keys: Sequence[bytes], until: float) -> list[bytes | None]:
        """Return the values of many keys, in their order."""
        result = connection.query(self._multi_get, (encode_array(keys),), until)
        return [row[0] for row in rows_of(result)]

    def write(
        self, connection: Connection, changes: Changes, token: bytes, until: float, *, exclusively: bool = False
    ) -> None:
        """Write all changes, in the connection's transaction or in one of their own.

        By the token it is looked up whether they were written. ``exclusively`` lets no other write to
        the database happen at the same time.
        """
        flag = b"\1" if exclusively or changes.needs_exclusion else b"\0"
        arrays = [encode_array(items) for items in (changes.deleted, changes.keys, changes.values)]
        connection.query(self._write, (token, flag, *arrays), until)

    def begin_update(self, connection: Connection, until: float) -> None:
        """Begin a transaction that excludes all other writers of the database."""
        connection.script(self._begin_update, until)

    def exists(self, connection: Connection, until: float) -> bool:
        """Return True if the table is that of a database, False if it was dropped."""
        return bool(connection.query(self._exists, (), until).ntuples)

    def size(self, connection: Connection, until: float) -> int:
        """Return the bytes that the table and its index take."""
        return int(value_of(connection.query(self._size, (), until)))

    def vacuum(self, connection: Connection, until: float) -> None:
        """Let the space of what was deleted be used again."""
        connection.script(f"VACUUM (ANALYZE) {self.pairs}".encode(), until)


def encode_array(items: Sequence[bytes]) -> bytes:
    """Return a ``bytea[]``.

    >>> encode_array([b"abcd"]).hex(" ", 4)
    '00000001 00000000 00000011 00000001 00000001 00000004 61626364'
    """
    if not items:
        return _EMPTY
    parts: list[bytes] = [b""] * (2 * len(items) + 1)
    parts[0] = _HEADER.pack(1, 0, _BYTEA, len(items), 1)
    parts[1::2] = map(_LENGTH, map(len, items))
    parts[2::2] = items
    return b"".join(parts)
