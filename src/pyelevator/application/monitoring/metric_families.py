"""Metrics of a server or a proxy, as Prometheus names them: base units, and counters that end in ``_total``."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, Final

from attrs import frozen

from pyelevator.application.monitoring.latencies import Histogram
from pyelevator.monitoring import DatabaseStats, EngineStats, ServerStats

BUCKETS: Final = (0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
"""Upper bounds of the buckets of durations, in seconds."""


@frozen
class Family:
    """One metric.

    Attributes:
        kind: ``counter``, ``gauge`` or ``histogram``.
        name: without the ``_total`` of counters.
        help: a sentence.
        labels: names of the labels.
        samples: values of the labels and the value; that of a histogram is its buckets, cumulative, and the sum.
    """

    kind: str
    name: str
    help: str
    labels: Sequence[str]
    samples: Sequence[tuple[Sequence[str], Any]]


def _counter(name: str, help: str, value: float) -> Family:
    return Family("counter", name, help, (), [((), value)])


def _gauge(name: str, help: str, value: float | None) -> Family:
    return Family("gauge", name, help, (), [] if value is None else [((), value)])


def server_metrics(stats: ServerStats, histograms: Mapping[str, Histogram]) -> list[Family]:
    """Return the metrics of a server."""
    return [*_common(stats, histograms), *_queues(stats), *_databases(stats.databases)]


def proxy_metrics(stats: ServerStats, upstream_connections: Mapping[str, int]) -> list[Family]:
    """Return the metrics of a proxy."""
    samples = [((name,), count) for name, count in upstream_connections.items()]
    return [
        *_common(stats, {}),
        _gauge("elevator_queued_requests", "Requests that were taken and are not answered.", stats.queues.requests),
        _gauge("elevator_unsent_bytes", "Bytes of answers that clients have not read.", stats.queues.unsent_bytes),
        Family("gauge", "elevator_proxy_upstream_connections", "Connections to servers, now.", ("upstream",), samples),
    ]


def _common(stats: ServerStats, histograms: Mapping[str, Histogram]) -> list[Family]:
    connections, traffic = stats.connections, stats.traffic
    return [
        Family("gauge", "elevator_build_info", "Version of pyelevator.", ("version",), [((stats.version,), 1)]),
        _gauge("elevator_start_time_seconds", "Start of the program in seconds of Unix time.", stats.started_at),
        Family(
            "counter",
            "elevator_requests",
            "Requests that were answered, by verb and outcome: success, or the name of a failure code.",
            ("verb", "outcome"),
            list(_outcome_samples(stats)),
        ),
        *_durations(histograms),
        _counter("elevator_refused_messages", "Messages that were no requests.", stats.refused),
        _gauge("elevator_connections", "Connections of clients, now.", connections.open),
        _gauge("elevator_connections_max", "Limit of connections.", connections.max),
        _counter("elevator_accepted_connections", "Connections that were accepted.", connections.accepted),
        _counter("elevator_received_bytes", "Bytes that were read from clients.", traffic.bytes_received),
        _counter("elevator_sent_bytes", "Bytes that were sent to clients.", traffic.bytes_sent),
    ]


def _outcome_samples(stats: ServerStats) -> Iterator[tuple[tuple[str, str], int]]:
    for verb, one in stats.requests.items():
        yield (verb, "success"), one.count - sum(one.failures.values())
        for outcome, count in one.failures.items():
            yield (verb, outcome), count


def _durations(histograms: Mapping[str, Histogram]) -> list[Family]:
    if not histograms:
        return []
    samples = []
    for verb, histogram in histograms.items():
        counts = histogram.cumulative(BUCKETS)
        buckets = [(str(bound), float(counts[bound])) for bound in BUCKETS]
        samples.append(((verb,), ([*buckets, ("+Inf", float(histogram.total))], histogram.seconds)))
    name = "elevator_request_duration_seconds"
    return [Family("histogram", name, "Durations of requests; quick ones are sampled.", ("verb",), samples)]


def _queues(stats: ServerStats) -> list[Family]:
    queues, cursors = stats.queues, stats.cursors
    return [
        _gauge("elevator_queued_requests", "Requests that were read and are not answered.", queues.requests),
        _gauge("elevator_queued_request_bytes", "Size of those requests.", queues.request_bytes),
        _gauge("elevator_running_requests", "Requests that workers execute.", queues.running),
        _gauge("elevator_workers", "Threads that execute requests.", queues.workers),
        _gauge("elevator_unsent_bytes", "Bytes of answers that clients have not read.", queues.unsent_bytes),
        _gauge("elevator_blocked_clients", "Clients that do not read their answers.", queues.blocked_clients),
        _gauge("elevator_cursors", "Snapshots that are kept for clients, now.", cursors.open),
        _gauge("elevator_cursors_max", "Limit of such snapshots.", cursors.max),
    ]


def _databases(databases: Sequence[DatabaseStats]) -> list[Family]:
    engines = [(one.name, one.engine) for one in databases if one.engine is not None]

    def family(kind: str, name: str, help: str, value: Callable[[EngineStats], float]) -> Family:
        return Family(kind, name, help, ("database",), [((name_,), value(engine)) for name_, engine in engines])

    is_open = [sum(one.is_open is state for one in databases) for state in (True, False)]
    states = [(("open",), is_open[0]), (("closed",), is_open[1])]
    tables = [((name, str(level.level)), level.tables) for name, engine in engines for level in engine.levels]
    idle = [((one.name,), one.idle) for one in databases if one.is_open]
    return [
        Family("gauge", "elevator_databases", "Databases, by whether they are open.", ("state",), states),
        family("gauge", "elevator_database_size_bytes", "Size of an open database's files.", lambda e: e.size),
        Family(
            "gauge", "elevator_database_tables", "Tables of a LevelDB on each level.", ("database", "level"), tables
        ),
        Family("gauge", "elevator_database_idle_seconds", "Time since the last use.", ("database",), idle),
        family("counter", "elevator_row_cache_hits", "Keys that were in the row cache.", lambda e: e.cache.hits),
        family("counter", "elevator_row_cache_misses", "Keys that were not.", lambda e: e.cache.misses),
        family("gauge", "elevator_row_cache_bytes", "Size of the row cache.", lambda e: e.cache.bytes),
    ]
