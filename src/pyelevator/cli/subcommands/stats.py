"""``elevator stats`` and ``elevator slowlog``: what a server says about itself."""

import json
import sys
from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import Final

import click

from pyelevator.cli.connection_options import ConnectionOptions, connection_options, json_option
from pyelevator.cli.logs import printable
from pyelevator.cli.progress import repeat
from pyelevator.monitoring import DatabaseStats, ServerStats, SlowRequest, VerbStats

_UNITS: Final = ("B", "KiB", "MiB", "GiB", "TiB")
_CLEAR: Final = "\x1b[2J\x1b[H"


@click.command()
@json_option
@click.option(
    "--watch",
    type=click.FloatRange(min=0.1),
    metavar="SECONDS",
    help="Print again every SECONDS until Ctrl-C, with rates since the last time.",
)
@connection_options(url_argument=True, database=False)
def stats(connection: ConnectionOptions, as_json: bool, watch: float | None) -> None:
    """Show what a server says about itself.

    Requests by verb, latencies, connections, memory, and each open database. It takes admin access to all databases.
    """
    with connection.open(auto_connect=False) as client:
        before = None
        for _ in repeat(watch):
            found = client.stats()
            clear = _CLEAR if watch is not None and sys.stdout.isatty() else ""
            click.echo(json.dumps(found.to_dict()) if as_json else clear + "\n".join(report(found, before)))
            before = found


@click.command()
@click.option("--limit", type=click.IntRange(min=1), metavar="N", help="Show at most N requests. Default: all.")
@json_option
@connection_options(url_argument=True, database=False)
def slowlog(connection: ConnectionOptions, limit: int | None, as_json: bool) -> None:
    """Show the latest requests that took a server long, the latest first.

    What is long says the server's --slow MS. It takes admin access to all databases.
    """
    with connection.open(auto_connect=False) as client:
        found = client.slowlog(limit)
    if as_json:
        for one in found:
            click.echo(json.dumps(one.to_dict()))
    elif found:
        click.echo("\n".join(_table(_SLOW_COLUMNS, [_slow_row(one) for one in found])))
    else:
        click.echo("no request took long", err=True)


# Text


def report(stats: ServerStats, before: ServerStats | None = None) -> Iterator[str]:
    """Yield the lines of a report for people, with rates since earlier figures, or since the server was started."""
    if before is not None and before.started_at != stats.started_at:
        before = None  # it was started again
    yield from _head(stats)
    yield ""
    seconds = stats.uptime - (before.uptime if before else 0.0)
    rows = [_verb_row(verb, one, before, seconds) for verb, one in stats.requests.items()]
    columns = ("requests", "count", "per s", "failed", "p50", "p99", "max", "p99 of 1 min")
    yield from _table(columns, rows)
    yield ""
    yield from _table(_DATABASE_COLUMNS, [_database_row(one) for one in stats.databases])


def _head(stats: ServerStats) -> Iterator[str]:
    connections, queues, process = stats.connections, stats.queues, stats.process
    rate = stats.cache.hit_rate
    yield f"pyelevator {stats.version}, up {_duration(stats.uptime)}, process {process.pid}"
    yield (
        f"connections  {connections.open:,} of {_or_unlimited(connections.max)}, {connections.accepted:,} accepted; "
        f"received {_size(stats.traffic.bytes_received)}, sent {_size(stats.traffic.bytes_sent)}"
    )
    yield (
        f"queues       {queues.requests:,} requests, {queues.running} of {queues.workers} workers busy, "
        f"{_size(queues.unsent_bytes)} unsent, {queues.blocked_clients:,} clients do not read"
    )
    yield (
        f"cursors      {stats.cursors.open:,} of {stats.cursors.max:,}; row caches {_size(stats.cache.bytes)}, "
        + ("not used yet" if rate is None else f"{rate:.1%} hits")
    )
    yield (
        f"process      {_size(process.memory or process.peak_memory)} of memory, at most {_size(process.peak_memory)}; "
        f"{process.descriptors} of {_or_unlimited(process.max_descriptors)} descriptors, "
        f"{process.threads} threads, {process.cpu_seconds:,.1f} s of CPU"
    )


def _verb_row(verb: str, stats: VerbStats, before: ServerStats | None, seconds: float) -> Sequence[str]:
    earlier = before.requests.get(verb, VerbStats()).count if before else 0
    failed = " ".join(f"{count:,} {name}" for name, count in stats.failures.items())
    rate = (stats.count - earlier) / max(seconds, 1e-9)
    latency = [_seconds(one) for one in (stats.latency.p50, stats.latency.p99, stats.latency.max)]
    recent = _seconds(stats.recent_latency.p99)
    return verb, f"{stats.count:,}", f"{rate:,.1f}", failed or "-", *latency, recent


_DATABASE_COLUMNS: Final = ("database", "state", "size", "levels", "cache hits", "last use")


def _database_row(stats: DatabaseStats) -> Sequence[str]:
    engine, state = stats.engine, "open" if stats.is_open else "closed"
    if engine is None:
        return stats.name, state, "-", "-", "-", f"{_duration(stats.idle)} ago"
    levels = " ".join(f"{level.level}:{level.tables}" for level in engine.levels)
    rate = engine.cache.hit_rate
    hits = "-" if rate is None else f"{rate:.1%}"
    return stats.name, state, _size(engine.size), levels or "-", hits, f"{_duration(stats.idle)} ago"


_SLOW_COLUMNS: Final = ("when", "took", "verb", "database", "client", "request", "answer", "key")


def _slow_row(one: SlowRequest) -> Sequence[str]:
    when = datetime.fromtimestamp(one.at).astimezone().isoformat(" ", "milliseconds")
    client = " ".join(filter(None, (one.user, one.client))) or "-"
    sizes = _size(one.request_bytes), _size(one.response_bytes)
    return when, _seconds(one.seconds), one.verb, one.database or "-", client, *sizes, one.key or "-"


def _table(columns: Sequence[str], rows: Sequence[Sequence[str]]) -> Iterator[str]:
    """Yield the lines of a table, as wide as its cells; names of databases and keys are shown printable."""
    cells = [columns, *[[printable(cell) for cell in row] for row in rows]]
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    for row in cells:
        yield "  ".join([cell.ljust(width) for cell, width in zip(row, widths, strict=True)]).rstrip()


def _seconds(seconds: float | None) -> str:
    if seconds is None:
        return "-"
    return f"{seconds:,.2f} s" if seconds >= 1 else f"{1000 * seconds:.2f} ms"


def _size(count: float) -> str:
    for unit in _UNITS:
        if count < 1024 or unit == _UNITS[-1]:
            break
        count /= 1024
    return f"{count:.0f} {unit}" if unit == _UNITS[0] else f"{count:.1f} {unit}"


def _duration(seconds: float) -> str:
    for size, name in ((86400, "d"), (3600, "h"), (60, "min")):
        if seconds >= size:
            return f"{seconds / size:.1f} {name}"
    return f"{seconds:.1f} s"


def _or_unlimited(limit: int | None) -> str:
    return "any number" if limit is None else f"{limit:,}"
