"""PostgreSQL's failures as errors of engines: the texts for clients name neither hosts nor SQL."""

import logging
from collections.abc import Callable, Mapping
from typing import Final

from psycopg import pq
from psycopg.pq.abc import PGresult

from pyelevator.engines.base import EngineConflict, EngineError, EngineFileError, EngineTooLarge, EngineUnavailable

_log: Final = logging.getLogger("pyelevator.engines.postgresql")


class LostConnection(Exception):
    """A connection ended during a call, or could not be opened; the text is the library's, for the log."""


class NothingSent(LostConnection):
    """A connection had ended before the call sent anything."""


class MissingRelation(Exception):
    """A table or function of the database is missing."""


class MissingDatabase(MissingRelation):
    """The catalog has no such database (any more)."""


class AlreadyExists(Exception):
    """There is such a row already."""


class SerializationFailure(Exception):
    """The transaction was undone because of others, and can be executed again at once."""


_LOCKED: Final = "another transaction holds what the request needs, and did not end in time; nothing was done"
_FULL: Final = "the database's disk is full; nothing was written"
_DAMAGED: Final = (
    "the database reports that what it has on its disk is damaged; nothing was done, and its log says more"
)
UNAVAILABLE: Final = "the database did not answer in time; nothing was done"
INCOMPLETE: Final = (
    "the database's tables and functions are not all there in the cluster; see docs/howto/distributed.md"
)
_GONE: Final = "EL001"
"""The SQLSTATE of the functions of :mod:`schema` for a database that was dropped."""

_ERRORS: Final[Mapping[str, Callable[[], Exception]]] = {
    _GONE: MissingDatabase,
    "42P01": MissingRelation,
    "42883": MissingRelation,
    "3F000": MissingRelation,
    "23505": AlreadyExists,
    "42P07": AlreadyExists,
    "40001": SerializationFailure,
    "40P01": SerializationFailure,
    "55P03": lambda: EngineConflict(_LOCKED),
    "25P02": lambda: LostConnection("the transaction had failed"),
    "25006": lambda: NothingSent("the server is read-only"),
    "XX001": lambda: EngineError(_DAMAGED),
    "XX002": lambda: EngineError(_DAMAGED),
    "53100": lambda: EngineFileError(_FULL),
    "53200": lambda: EngineUnavailable("the database is out of memory; nothing was done"),
    "54000": lambda: EngineTooLarge("the database cannot store that much; nothing was written"),
    "42501": lambda: EngineError("the server's role lacks a privilege; see docs/howto/distributed.md"),
}
"""SQLSTATE -> what is raised."""

_LOST: Final = ("08", "57", "58", "XX")
"""Classes of SQLSTATE after which nothing is known of the connection.

A cancelled statement (57014) is one of them: a ``statement_timeout`` that fires when the statement is just done has its
error sent behind the answer. libpq takes it for the answer of the next statement, and each answer from then on for that
of the statement after it.
"""


def error_for(result: PGresult) -> Exception:
    """Return the exception for a failed result; what it says is logged if it is not of the usual kind."""
    state, text = (result.error_field(pq.DiagnosticField.SQLSTATE) or b"").decode(), result.get_error_message()
    if state in _ERRORS:
        return _ERRORS[state]()
    severity = result.error_field(pq.DiagnosticField.SEVERITY_NONLOCALIZED)
    if not state or state.startswith(_LOST) or severity in (b"FATAL", b"PANIC"):  # without a state, libpq itself failed
        return LostConnection(text)
    _log.error("PostgreSQL refused a statement (SQLSTATE %s): %s", state, text)
    return EngineError(f"the database refused a statement (SQLSTATE {state}); the server's log says more")
