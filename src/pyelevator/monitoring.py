"""Reports of a server about itself: the answers to STATS and SLOWLOG.

They travel as JSON, whose keys are the attributes of these classes. What a newer server adds is passed over, and what
an older one leaves out has its default.
"""

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, TypeVar

from attrs import Converter, field, fields, frozen

from pyelevator._json import Report, build, to_bool, to_int, to_mapping, to_seconds, to_text

T = TypeVar("T")


def _part(kind: type[T]) -> Any:
    """Make a field that holds an object of a class."""
    return field(factory=kind, converter=partial(build, kind))


def _optional(convert: Callable[[object], T]) -> Any:
    """Make a field that holds a value, or None if there is none."""
    return field(default=None, converter=lambda data: None if data is None else convert(data))


def _parts(kind: type[T]) -> Any:
    """Make a field that holds a tuple of objects of a class."""
    return field(default=(), converter=lambda data: tuple([build(kind, one) for one in data]))


def _mapping(convert: Callable[[object], Any]) -> Any:
    """Make a field that holds values by name."""
    return field(
        factory=dict, converter=lambda data: {str(key): convert(value) for key, value in to_mapping(data).items()}
    )


@frozen
class Latency:
    """The latencies of requests: from the message read to the answer handed over.

    Attributes:
        p50, p99: seconds that half of them, and 99 in a hundred, took at most; None if nothing was measured. They are
            within an eighth of the true values, and quick requests are sampled.
        max: seconds that the slowest one took; requests of a millisecond and more are all measured.
        mean: seconds.
    """

    p50: float | None = _optional(to_seconds)
    p99: float | None = _optional(to_seconds)
    max: float | None = _optional(to_seconds)
    mean: float | None = _optional(to_seconds)


@frozen
class VerbStats:
    """The requests with one verb.

    Attributes:
        count: how many were answered, since the server was started.
        failures: those of them that failed, by the names of the failure codes: ``key``, ``database``...
        latency: of all of them.
        recent_latency: of those of the last minute; the first ten seconds of it may be missing.
    """

    count: int = field(default=0, converter=to_int)
    failures: Mapping[str, int] = _mapping(to_int)
    latency: Latency = _part(Latency)
    recent_latency: Latency = _part(Latency)


@frozen
class ConnectionStats:
    """The connections of clients.

    Attributes:
        open: now.
        max: limit; None for none.
        accepted: since the server was started.
    """

    open: int = field(default=0, converter=to_int)
    max: int | None = _optional(to_int)
    accepted: int = field(default=0, converter=to_int)


@frozen
class QueueStats:
    """Requests and responses that wait in the server.

    Attributes:
        requests: that were read and not answered, without those of clients that do not read their answers.
        request_bytes: their size.
        running: those of them that a worker executes.
        workers: threads that execute requests.
        unsent_bytes: of answers that clients have not read.
        blocked_clients: clients that do not read, whose requests wait.
    """

    requests: int = field(default=0, converter=to_int)
    request_bytes: int = field(default=0, converter=to_int)
    running: int = field(default=0, converter=to_int)
    workers: int = field(default=0, converter=to_int)
    unsent_bytes: int = field(default=0, converter=to_int)
    blocked_clients: int = field(default=0, converter=to_int)


@frozen
class TrafficStats:
    """Bytes that were read from clients and sent to them, since the server was started."""

    bytes_received: int = field(default=0, converter=to_int)
    bytes_sent: int = field(default=0, converter=to_int)


@frozen
class CursorStats:
    """The snapshots that are kept for clients between two pages: how many, and the limit."""

    open: int = field(default=0, converter=to_int)
    max: int = field(default=0, converter=to_int)


@frozen
class CacheStats:
    """A cache of rows.

    Attributes:
        hits, misses: keys that were found in it, and those that were not.
        bytes: its size, about.
        max_bytes: its limit.
    """

    hits: int = field(default=0, converter=to_int)
    misses: int = field(default=0, converter=to_int)
    bytes: int = field(default=0, converter=to_int)
    max_bytes: int = field(default=0, converter=to_int)

    @property
    def hit_rate(self) -> float | None:
        """The share of the keys that were found, from 0 to 1; None if none was looked up."""
        total = self.hits + self.misses
        return self.hits / total if total else None

    def __add__(self, other: "CacheStats") -> "CacheStats":
        pairs = {one.name: getattr(self, one.name) + getattr(other, one.name) for one in fields(CacheStats)}
        return CacheStats(**pairs)


def _peak_memory() -> Any:
    """Make a field for the peak: the system counts both in its own ways, and may say one below what is taken now."""

    def convert(peak: Any, stats: Any) -> int:
        return max(to_int(peak), stats.memory or 0)

    return field(default=0, converter=Converter(convert, takes_self=True))


@frozen
class ProcessStats:
    """The server's process.

    Attributes:
        pid: its number.
        memory: bytes of main memory that it takes (resident set size); None where the system does not say it.
        peak_memory: the most that it has taken, which is never less than ``memory``.
        descriptors: files and sockets that it has open; None where the system does not say it.
        max_descriptors: limit; None for none.
        threads: Python's.
        cpu_seconds: processor time that it has used.
    """

    pid: int = field(default=0, converter=to_int)
    memory: int | None = _optional(to_int)
    peak_memory: int = _peak_memory()
    descriptors: int | None = _optional(to_int)
    max_descriptors: int | None = _optional(to_int)
    threads: int = field(default=0, converter=to_int)
    cpu_seconds: float = field(default=0.0, converter=to_seconds)


@frozen
class LevelStats:
    """One level of a LevelDB: its tables, and their size in bytes, to a megabyte."""

    level: int = field(default=0, converter=to_int)
    tables: int = field(default=0, converter=to_int)
    bytes: int = field(default=0, converter=to_int)


@frozen
class EngineStats:
    """An open database, as its engine knows it.

    Attributes:
        size: bytes of its files.
        approximate_size: bytes of its tables as the engine estimates them, without what is in memory and in the log;
            None if it does not.
        levels: of a LevelDB, those with tables.
        properties: of the engine, by name: ``leveldb.stats``...
        cache: its cache of rows.
        library: that reads and writes it: ``plyvel``, ``plyvel-next`` or ``native``; empty if there is none.
    """

    size: int = field(default=0, converter=to_int)
    approximate_size: int | None = _optional(to_int)
    levels: tuple[LevelStats, ...] = _parts(LevelStats)
    properties: Mapping[str, str] = _mapping(to_text)
    cache: CacheStats = _part(CacheStats)
    library: str = field(default="", converter=to_text)


@frozen
class DatabaseStats:
    """One database.

    Attributes:
        name: of the database.
        is_open: whether its engine is open. Looking does not open it.
        adopted: whether it was there before ``createdb``.
        idle: seconds since its last use, or since the server was started if it was not used.
        engine: None while it is closed, or is being opened, closed or repaired.
    """

    name: str = field(default="", converter=to_text)
    is_open: bool = field(default=False, converter=to_bool)
    adopted: bool = field(default=False, converter=to_bool)
    idle: float = field(default=0.0, converter=to_seconds)
    engine: EngineStats | None = _optional(partial(build, EngineStats))


@frozen
class ServerStats(Report):
    """The statistics that ``Elevator.stats`` returns.

    Attributes:
        version: of the server.
        started_at: when it was started, in seconds of Unix time.
        uptime: seconds since then.
        connections: of clients.
        requests: by verb, those that were used; ``OTHER`` for verbs that the server does not know.
        refused: messages that were no requests.
        latency: of all requests.
        recent_latency: of those of the last minute.
        queues: what waits.
        traffic: bytes.
        cursors: snapshots.
        cache: the row caches of all open databases together.
        process: the server's.
        databases: in the order of ``Elevator.listdb``.
    """

    wire_verb = "STATS"
    is_complete = False
    version: str = field(default="", converter=to_text)
    started_at: float = field(default=0.0, converter=to_seconds)
    uptime: float = field(default=0.0, converter=to_seconds)
    connections: ConnectionStats = _part(ConnectionStats)
    requests: Mapping[str, VerbStats] = _mapping(partial(build, VerbStats))
    refused: int = field(default=0, converter=to_int)
    latency: Latency = _part(Latency)
    recent_latency: Latency = _part(Latency)
    queues: QueueStats = _part(QueueStats)
    traffic: TrafficStats = _part(TrafficStats)
    cursors: CursorStats = _part(CursorStats)
    cache: CacheStats = _part(CacheStats)
    process: ProcessStats = _part(ProcessStats)
    databases: tuple[DatabaseStats, ...] = _parts(DatabaseStats)

    def database(self, name: str) -> DatabaseStats:
        """Return one database.

        Args:
            name: of the database.

        Raises:
            KeyError: there is none of that name.
        """
        found = {one.name: one for one in self.databases}
        return found[name]


@frozen
class SlowRequest(Report):
    """A request that took long; ``Elevator.slowlog`` returns the latest ones.

    Attributes:
        at: when the server read it, in seconds of Unix time.
        seconds: until its answer was handed over, waiting for others included.
        verb: of the command.
        database: its name; None for a command that is about none.
        client: the address that it came from; empty where the server does not know it.
        user: the client's public key, or ``local`` for a socket file; None where clients need no keys.
        request_bytes, response_bytes: of the messages.
        key: the beginning of the first key that it names, if the server shows keys (``--slow-keys``).
    """

    wire_verb = "SLOWLOG"
    is_complete = False
    at: float = field(default=0.0, converter=to_seconds)
    seconds: float = field(default=0.0, converter=to_seconds)
    verb: str = field(default="", converter=to_text)
    database: str | None = _optional(to_text)
    client: str = field(default="", converter=to_text)
    user: str | None = _optional(to_text)
    request_bytes: int = field(default=0, converter=to_int)
    response_bytes: int = field(default=0, converter=to_int)
    key: str | None = _optional(to_text)
