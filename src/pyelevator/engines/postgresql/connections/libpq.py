"""One connection to one PostgreSQL server, with a deadline for each call that a watchdog enforces from outside."""

import os
import select
import socket
import threading
from collections.abc import Callable, Sequence
from contextlib import suppress
from itertools import count
from math import inf
from time import monotonic
from typing import Any, Final
from weakref import WeakSet

from psycopg import pq
from psycopg.adapt import Transformer
from psycopg.pq.abc import PGconn, PGresult

from pyelevator.engines.postgresql.connections.errors import LostConnection, NothingSent, error_for

_OK: Final = (pq.ExecStatus.COMMAND_OK, pq.ExecStatus.TUPLES_OK)
_POLLED: Final = {pq.PollingStatus.READING: select.POLLIN, pq.PollingStatus.WRITING: select.POLLOUT}
_MAX_PREPARED: Final = 500
"""Prepared statements of a connection; at that number all are forgotten."""

_SYNC_WAIT: Final = b"SyncRepWaitForLSN"
"""The function of PostgreSQL that warns if it was told not to wait for the synchronous standby any longer."""

_INTERVAL: Final = 0.05


class Watchdog:
    """Ends the calls whose deadline has passed by shutting their sockets down.

    Nothing else ends a call on a server that is stopped or cut off: no timeout of PostgreSQL's, and none of TCP's.
    """

    def __init__(self) -> None:
        self._connections: WeakSet[Connection] = WeakSet()
        self._lock = threading.Lock()
        self._stopped = threading.Event()
        self._thread: threading.Thread | None = None

    def watch(self, connection: "Connection") -> None:
        """Watch a connection until it is closed."""
        with self._lock:
            self._connections.add(connection)
            if self._thread is None and not self._stopped.is_set():
                self._thread = threading.Thread(target=self._run, name="elevator-pg-watchdog", daemon=True)
                self._thread.start()

    def cut_if(self, condition: "Callable[[Connection], bool]") -> None:
        """Cut the connections for which a condition holds, in the middle of their calls."""
        with self._lock:
            connections = list(self._connections)
        for connection in filter(condition, connections):
            connection.cut()

    def stop(self) -> None:
        """End the thread."""
        self._stopped.set()

    def _run(self) -> None:
        while not self._stopped.wait(_INTERVAL):
            now = monotonic()
            self.cut_if(lambda connection, now=now: connection.deadline < now)  # type: ignore[misc]


class Connection:
    """One connection; one thread uses it at a time.

    Attributes:
        deadline: of the call that is running; infinity while there is none.
        timeline: of the server when it was connected; set by its owner.
        is_broken: it is not to be used any more.
        is_doubtful: a commit was answered although no standby has it.

    Raises:
        LostConnection: it could not be opened.
    """

    def __init__(self, conninfo: bytes, until: float, watchdog: Watchdog) -> None:
        self.deadline = inf
        self.timeline = 0
        self.is_broken = self.is_doubtful = False
        self._names: dict[bytes, bytes] = {}
        self._numbers = count()
        self._pending = False
        self._pg = _open(conninfo, until)
        self._pg.notice_handler = self._on_notice
        self._socket = socket.socket(fileno=os.dup(self._pg.socket))
        watchdog.watch(self)

    def query(self, sql: bytes, parameters: Sequence[bytes | None], until: float) -> PGresult:
        """Execute a statement, which is prepared at its first use; parameters and results are binary.

        Raises:
            LostConnection: it ended, or the time is up; what was sent may have been executed.
            EngineError: the server refused.
        """
        name = self._names.get(sql)
        if name is None:
            try:
                name = self._prepare(sql, until)
            except LostConnection as error:
                raise NothingSent(str(error)) from error
        ones = [1] * len(parameters)
        return self._run(lambda: self._pg.exec_prepared(name, parameters, ones, 1), until)  # type: ignore[arg-type]  # None is NULL

    def script(self, sql: bytes, until: float) -> PGresult:
        """Execute statements without parameters, in one transaction unless they say otherwise; see :meth:`query`."""
        return self._run(lambda: self._pg.exec_(sql), until)

    def send_later(self, sql: bytes) -> None:
        """Send a statement without waiting; the next call waits for it."""
        with suppress(Exception):
            self._pg.send_query(sql)
            self._pending = True
            return
        self.is_broken = True

    @property
    def is_idle(self) -> bool:
        """True if it is in no transaction, or about to leave one."""
        return self._pending or self._pg.transaction_status == pq.TransactionStatus.IDLE

    def cut(self) -> None:
        """End the running call; from any thread."""
        self.is_broken = True
        with suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)

    def close(self) -> None:
        """Close it; closing twice is fine."""
        self.is_broken = True
        self.deadline = inf
        self._socket.close()
        with suppress(Exception):
            self._pg.finish()

    def _prepare(self, sql: bytes, until: float) -> bytes:
        if len(self._names) >= _MAX_PREPARED:
            self.script(b"DEALLOCATE ALL", until)
            self._names.clear()
        name = b"e%d" % next(self._numbers)
        self._run(lambda: self._pg.prepare(name, sql), until)
        self._names[sql] = name
        return name

    def _run(self, call: Callable[[], PGresult], until: float) -> PGresult:
        if self._pending:
            self._settle(until)
        if self.is_broken or monotonic() >= until:
            self.is_broken = True
            raise NothingSent("the connection was ended")
        self.deadline = until
        try:
            result = call()
        except Exception as error:
            self.is_broken = True
            raise LostConnection(str(error)) from error
        finally:
            self.deadline = inf
        if result.status not in _OK:
            failure = error_for(result)
            self.is_broken = self.is_broken or isinstance(failure, LostConnection)
            raise failure
        return result

    def _settle(self, until: float) -> None:
        """Wait for the answer to what was sent without waiting."""
        try:
            poll = select.poll()
            poll.register(self._socket, select.POLLIN)
            self._pending = False
            while True:
                while self._pg.is_busy():
                    if not poll.poll(max(0.0, min(until - monotonic(), 3600.0)) * 1000):
                        raise NothingSent("no answer in time")
                    self._pg.consume_input()
                result = self._pg.get_result()
                if result is None:
                    return
                if result.status not in _OK:
                    raise error_for(result)
        except Exception as error:
            self.is_broken = True
            raise NothingSent(str(error)) from error

    def _on_notice(self, notice: PGresult) -> None:
        if notice.error_field(pq.DiagnosticField.SOURCE_FUNCTION) == _SYNC_WAIT:
            self.is_doubtful = True


def rows_of(result: PGresult) -> list[tuple[Any, ...]]:
    """Return the rows of a result; the columns are bytes, numbers, booleans or None."""
    transformer = Transformer()
    transformer.set_pgresult(result)
    return transformer.load_rows(0, result.ntuples, tuple)


def value_of(result: PGresult) -> Any:
    """Return the first column of the first row of a result; None without one."""
    return next(iter(rows_of(result)), (None,))[0]


def _open(conninfo: bytes, until: float) -> PGconn:
    """Connect without blocking longer than the deadline."""
    pg = pq.PGconn.connect_start(conninfo)
    status = pq.PollingStatus.FAILED if pg.status == pq.ConnStatus.BAD else pq.PollingStatus.WRITING
    while status in _POLLED:
        poll = select.poll()
        poll.register(pg.socket, _POLLED[status])
        if not poll.poll(max(0.0, until - monotonic()) * 1000):
            pg.finish()
            raise LostConnection("no connection in time")
        status = pq.PollingStatus(pg.connect_poll())
    if status != pq.PollingStatus.OK:
        text = pg.get_error_message()
        pg.finish()
        raise LostConnection(text)
    return pg
