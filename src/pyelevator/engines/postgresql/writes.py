"""Writes and changes of the catalog, each executed once: first of all it is found out what became of a lost answer."""

import logging
import random
from collections.abc import Callable, Hashable
from time import monotonic, sleep
from typing import Final, TypeVar
from uuid import uuid4

from pyelevator.engines.base import (
    Decision,
    EngineConflict,
    EngineError,
    EngineOutcomeUnknown,
    EngineUnavailable,
    ReadView,
)
from pyelevator.engines.postgresql.cluster_client import ClusterClient, extra_seconds, first_attempt
from pyelevator.engines.postgresql.connections.cluster import LOCK_SHARE
from pyelevator.engines.postgresql.connections.errors import (
    UNAVAILABLE,
    LostConnection,
    NothingSent,
    SerializationFailure,
)
from pyelevator.engines.postgresql.connections.libpq import Connection, value_of
from pyelevator.engines.postgresql.tables.changes import Changes
from pyelevator.engines.postgresql.tables.statements import PairsTable
from pyelevator.engines.postgresql.tables.transaction_view import TransactionView

R = TypeVar("R")

_log: Final = logging.getLogger("pyelevator.engines.postgresql")

_UNKNOWN: Final = "the database did not answer, and could not be asked in time what became of the write"
_LOCK_MARGIN: Final = 1.6
"""The time that an attempt needs beyond that for a lock, so that it can be refused instead of cut off."""

_ASKING_SHARE: Final = 0.2
"""The part of the time that has to be left for a further attempt, so that what it did can still be asked."""

_REFUSE: Final = "INSERT INTO {schema}.tokens (token, refused) VALUES ($1::uuid, true) ON CONFLICT DO NOTHING"
_WAS_REFUSED: Final = "SELECT refused FROM {schema}.tokens WHERE token = $1::uuid"


class Writer:
    """Executes writes on one cluster."""

    def __init__(self, client: ClusterClient) -> None:
        self._client = client
        schema = client.settings.schema
        self._refuse = _REFUSE.format(schema=schema).encode()
        self._was_refused = _WAS_REFUSED.format(schema=schema).encode()

    def write(self, table: PairsTable, changes: Changes) -> None:
        """Write all changes, or none.

        Raises:
            EngineUnavailable, EngineConflict: nothing was written.
            EngineOutcomeUnknown: it may have been.
        """
        until = self._client.deadline(changes.count, changes.size)
        self.execute(
            table.relation,
            lambda connection, token, attempt_until: table.write(connection, changes, token, attempt_until),
            until,
        )

    def update(self, table: PairsTable, decide: Callable[[ReadView], Decision[R]]) -> R:
        """Read, decide and write in one transaction, beside which no server writes to the database.

        Raises:
            Exception: what ``decide`` raises, and what ``write`` raises.
        """
        results: list[R] = []

        def attempt(connection: Connection, token: bytes, until: float) -> None:
            table.begin_update(connection, until)
            try:
                ops, result = decide(TransactionView(table, connection, until))
                results[:] = [result]
                changes = Changes.fold(ops)
                until += extra_seconds(changes.count, changes.size)
                if changes.count:
                    table.write(connection, changes, token, until, exclusively=True)
                connection.script(b"COMMIT", until)
            finally:
                if not connection.is_idle:
                    connection.send_later(b"ROLLBACK")

        self.execute(table.relation, attempt, self._client.deadline())
        return results[0]

    def execute(self, user: Hashable, attempt: Callable[[Connection, bytes, float], object], until: float) -> None:
        """Execute a transaction once, whatever happens to the connection.

        Args:
            user: on whose behalf a connection is taken.
            attempt: gets one, a token that the transaction inserts, and when to give up.
            until: when to give up altogether.

        Raises:
            EngineUnavailable, EngineConflict: nothing was written.
            EngineOutcomeUnknown: it may have been.
        """
        self._client.prepare(until)
        last_start = until - _ASKING_SHARE * (until - monotonic())
        failure: EngineError = EngineUnavailable(UNAVAILABLE)
        while monotonic() < until:
            token = uuid4().bytes
            try:
                self._attempt(user, attempt, token, until)
            except SerializationFailure:
                failure = EngineConflict("others wrote the same keys again and again; nothing was written")
            except EngineConflict:
                if first_attempt(until) - monotonic() < _LOCK_MARGIN * LOCK_SHARE * self._client.settings.call_timeout:
                    raise
            except NothingSent:
                failure = EngineUnavailable(UNAVAILABLE)
            except LostConnection as error:
                _log.warning("a write has had no answer (%s); asking what became of it", error)
                if self._was_committed(user, token, until):
                    return
                failure = EngineUnavailable(UNAVAILABLE)
                if monotonic() >= last_start:
                    break
            else:
                return
            _pause()
        raise failure

    def _attempt(
        self, user: Hashable, attempt: Callable[[Connection, bytes, float], object], token: bytes, until: float
    ) -> None:
        with self._client.connection(user, until) as connection:
            attempt(connection, token, first_attempt(until))
            if connection.is_doubtful:
                connection.is_broken = True
                raise EngineOutcomeUnknown("the database's administration ended the wait for the standby")

    def _was_committed(self, user: Hashable, token: bytes, until: float) -> bool:
        """Find out whether a write was committed; if not, it never will be.

        The token that the write would insert is inserted as refused. That waits for a write that is still being
        executed, and makes one fail that has not begun.

        Raises:
            EngineOutcomeUnknown: there was no answer in time.
        """
        while True:
            try:
                with self._client.connection(user, until) as connection:
                    connection.query(self._refuse, (token,), until)
                    return value_of(connection.query(self._was_refused, (token,), until)) is False
            except (LostConnection, EngineUnavailable, EngineConflict) as error:
                if monotonic() >= until or isinstance(error, EngineUnavailable):
                    raise EngineOutcomeUnknown(_UNKNOWN) from error
            _pause()


def _pause() -> None:
    """Wait a moment before a further attempt."""
    sleep(random.uniform(0.001, 0.02))  # noqa: S311 - nothing secret
