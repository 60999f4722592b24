"""The servers of a cluster: which one is the primary, and whether it still is."""

import logging
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from time import monotonic, sleep
from typing import Final

from attrs import frozen

from pyelevator.engines.base import EngineError, EngineUnavailable
from pyelevator.engines.postgresql.connections.errors import LostConnection
from pyelevator.engines.postgresql.connections.libpq import Connection, Watchdog, rows_of
from pyelevator.engines.postgresql.connections.settings import PostgreSqlSettings

_log: Final = logging.getLogger("pyelevator.engines.postgresql")

_PROBE: Final = b"""
SELECT pg_is_in_recovery(),
       CASE WHEN pg_is_in_recovery() THEN (SELECT timeline_id FROM pg_control_checkpoint())
            ELSE ('x' || substring(pg_walfile_name(pg_current_wal_lsn()) for 8))::bit(32)::int END,
       (SELECT system_identifier FROM pg_control_system())
"""

_SESSION: Final = """
SET jit = off;
SET enable_seqscan = off;
SET enable_bitmapscan = off;
SET enable_hashjoin = off;
SET enable_mergejoin = off;
SET plan_cache_mode = force_generic_plan;
SET cursor_tuple_fraction = 0.01;
SET client_connection_check_interval = '1s';
SET lock_timeout = {lock_timeout};
SELECT set_config('synchronous_commit', 'on', false)
 WHERE current_setting('synchronous_commit') IN ('off', 'local', 'remote_write');
"""
"""Settings of each session.

Every table is read by its primary key: a plan that was made while it was small must not stay a scan of all of it. An
answered write is on the disk, and on the synchronous standby if there is one.
"""

LOCK_SHARE: Final = 0.2
"""The part of the time for a call that a lock is waited for, so that its refusal can still be answered."""

_PROBE_SECONDS: Final = 1.0
_PAUSE: Final = 0.1


@frozen
class Probe:
    """A connection, and what its server said of itself."""

    endpoint: bytes
    connection: Connection
    is_standby: bool
    timeline: int
    system: int


class Cluster:
    """Connects to the primary of the newest timeline, and to no other.

    A primary that came back after others went on without it is read-write as well, and nothing in libpq tells it from
    the present one. So of all servers of the cluster that can be reached, the one with the highest timeline counts, and
    a primary with a lower one than was ever seen is refused.

    Attributes:
        timeline: the highest that was seen.
    """

    def __init__(self, settings: PostgreSqlSettings, watchdog: Watchdog) -> None:
        self.timeline = 0
        self._settings, self._watchdog = settings, watchdog
        self._session = _SESSION.format(lock_timeout=int(settings.call_timeout * LOCK_SHARE * 1000)).encode()
        self._preferred: bytes | None = None
        self._system = 0
        self._lock = threading.Lock()
        self._probes = ThreadPoolExecutor(len(settings.endpoints), "elevator-pg-probe")

    def connect(self, until: float) -> Connection:
        """Return a new connection to the primary; wait for one while there is none.

        Raises:
            EngineUnavailable: there was none in time.
        """
        reasons: dict[str, None] = {}  # each once; the last one is mostly that the time was up
        while True:
            try:
                return self._connect_once(until)
            except LostConnection as error:
                reasons[str(error).strip()] = None
                if monotonic() + _PAUSE >= until:
                    _log.warning("no connection to the primary: %s", "; then: ".join(reasons))
                    raise EngineUnavailable("the database could not be reached in time; nothing was done") from error
            sleep(_PAUSE)

    def look_for_newer_timeline(self) -> None:
        """Ask all servers, so that a primary that others have replaced is noticed without an error of its own."""
        if len(self._settings.endpoints) > 1 and self._lock.acquire(blocking=False):
            try:
                with suppress(LostConnection):
                    self._discover(monotonic() + _PROBE_SECONDS).close()
            finally:
                self._lock.release()

    def close(self) -> None:
        """End the threads."""
        self._probes.shutdown(wait=False)

    def _connect_once(self, until: float) -> Connection:
        preferred = self._preferred
        if preferred is not None:
            with suppress(LostConnection):
                return self._open_preferred(preferred, min(until, monotonic() + _PROBE_SECONDS))
        if not self._lock.acquire(timeout=max(0.0, until - monotonic())):
            raise LostConnection("another request was looking for the primary")
        try:
            if self._preferred not in (None, preferred):  # it has just been found
                return self._open_preferred(self._preferred or b"", min(until, monotonic() + _PROBE_SECONDS))
            self._preferred = None
            return self._discover(min(until, monotonic() + _PROBE_SECONDS))
        finally:
            self._lock.release()

    def _open_preferred(self, endpoint: bytes, until: float) -> Connection:
        probe = self._probe(endpoint, until)
        if self._is_primary(probe, self.timeline):
            return self._ready(probe, until)
        probe.connection.close()
        raise LostConnection("the server is not the primary any more")

    def _discover(self, until: float) -> Connection:
        """Ask all servers at once; return a connection to the primary."""
        futures = [self._probes.submit(self._probe, endpoint, until) for endpoint in self._settings.endpoints]
        probes, failures = [], []
        for future in futures:
            try:
                probes.append(future.result())
            except (LostConnection, EngineError, RuntimeError) as error:
                failures.append(str(error))
        self._observe_timeline(max([probe.timeline for probe in probes if self._is_same_system(probe)], default=0))
        chosen = next((probe for probe in probes if self._is_primary(probe, self.timeline)), None)
        for probe in probes:
            if probe is not chosen:
                probe.connection.close()
        if chosen is None:
            raise LostConnection("; ".join(failures) or "no server is the primary of the newest timeline")
        self._preferred = chosen.endpoint
        return self._ready(chosen, until)

    def _probe(self, endpoint: bytes, until: float) -> Probe:
        connection = Connection(endpoint, until, self._watchdog)
        try:
            is_standby, timeline, system = rows_of(connection.query(_PROBE, (), until))[0]
        except BaseException:
            connection.close()
            raise
        connection.timeline = timeline
        return Probe(endpoint, connection, is_standby, timeline, system)

    def _is_same_system(self, probe: Probe) -> bool:
        self._system = self._system or probe.system
        if probe.system != self._system:
            _log.error("a server of the engine's URL belongs to another cluster, and is not used")
        return probe.system == self._system

    def _is_primary(self, probe: Probe, timeline: int) -> bool:
        return not probe.is_standby and probe.timeline >= timeline and self._is_same_system(probe)

    def _ready(self, probe: Probe, until: float) -> Connection:
        self._observe_timeline(probe.timeline)
        try:
            probe.connection.script(self._session, until)
        except BaseException:
            probe.connection.close()
            raise
        return probe.connection

    def _observe_timeline(self, timeline: int) -> None:
        if timeline > self.timeline:
            if self.timeline:
                _log.warning("the cluster has a new primary (timeline %d)", timeline)
            self.timeline = timeline
            self._watchdog.cut_if(lambda connection: 0 < connection.timeline < timeline)  # on a replaced primary
