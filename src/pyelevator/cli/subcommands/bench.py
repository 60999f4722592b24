"""``elevator bench``: a server's throughput and latency with one client and with several."""

import secrets
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import TYPE_CHECKING, Any, Final

import click
from attrs import frozen

from pyelevator.cli.calls.encodings import dump_json
from pyelevator.cli.connection_options import json_option
from pyelevator.client import Elevator
from pyelevator.config.server_settings import DEFAULT_BIND
from pyelevator.errors import ElevatorError
from pyelevator.loadtest.processes import LoadProcesses, Measurement, Workload, measure_steps, merge, percentile
from pyelevator.loadtest.workloads import WORKLOADS, Dataset, connect, mixed_workload, pairs
from pyelevator.transports.url import shown

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table

_FILL: Final = 10_000
_MAX_WIDTH: Final = 1000
_CAPTION: Final = "one client with sequential calls, unless noted; latencies are per call"


@frozen
class BenchmarkPlan:
    """The plan of a benchmark.

    A database of so many pairs is made for it, and dropped afterwards. Each workload takes so many seconds. The last
    one has so many client processes, or is left out for 0.
    """

    url: str
    database: str
    pairs: int
    seconds: float
    clients: int


@frozen
class Result:
    """The result of one workload: its measurement, or why it failed."""

    name: str
    measurement: Measurement | None
    failure: str = ""

    def to_dict(self) -> dict[str, Any]:
        """Return it as it stands in JSON: rates per second, and latencies in seconds."""
        if self.measurement is None:
            return {"workload": self.name, "failure": self.failure}
        latencies = self.measurement.latencies
        p50, p99 = (percentile(latencies, part) for part in (0.5, 0.99))
        return {"workload": self.name, "rate": self.measurement.rate, "p50": p50, "p99": p99, "calls": len(latencies)}

    def cells(self) -> tuple[str, ...]:
        """Return the texts of its row in the table."""
        if self.measurement is None:
            return self.name, f"failed: {self.failure}", "", "", ""
        name, rate, p50, p99, calls = self.to_dict().values()
        return name, f"{rate:,.0f}", duration(p50), duration(p99), f"{calls:,}"


def duration(seconds: float) -> str:
    """Format a time in microseconds, or in milliseconds from 1 ms on.

    >>> duration(0.0000854), duration(0.0123)
    ('85 µs', '12.3 ms')
    """
    return f"{seconds * 1e6:,.0f} µs" if seconds < 0.001 else f"{seconds * 1e3:,.1f} ms"


@click.command()
@click.argument("url", envvar="ELEVATOR_URL", default=DEFAULT_BIND)
@click.option(
    "--pairs",
    "count",
    type=click.IntRange(min=10),
    default=100_000,
    show_default=True,
    metavar="N",
    help="Number of pairs in the database.",
)
@click.option(
    "--seconds",
    type=click.FloatRange(min=0),
    default=2.0,
    show_default=True,
    metavar="SECONDS",
    help="Time to run each workload.",
)
@click.option(
    "--clients",
    type=click.IntRange(min=0),
    default=8,
    show_default=True,
    metavar="N",
    help="Number of client processes of the last workload; 0 to leave it out.",
)
@json_option
def bench(url: str, count: int, seconds: float, clients: int, as_json: bool) -> None:
    """Measure the throughput and latency of the server at URL.

    URL defaults to the environment variable ELEVATOR_URL, or tcp://127.0.0.1:4141. The benchmark runs in a database of
    its own, which is dropped at the end.
    """
    plan = BenchmarkPlan(url, f"bench-{secrets.token_hex(4)}", count, seconds, clients)
    with _database(plan) as client:
        results = _with_progress(plan, client)
    if as_json:
        for result in results:
            click.echo(dump_json(result.to_dict()))
    else:
        print_full_width(results_table(plan, results), _console())
    if any(result.measurement is None for result in results):
        raise click.exceptions.Exit(1)


@contextmanager
def _database(plan: BenchmarkPlan) -> Iterator[Elevator[bytes]]:
    with connect(plan.url, "default") as client:
        client.createdb(plan.database)
        try:
            client.connect(plan.database)
            yield client
        finally:
            client.dropdb(plan.database)


def _with_progress(plan: BenchmarkPlan, client: Elevator[bytes]) -> list[Result]:
    from rich.progress import Progress

    with Progress(console=_console(stderr=True), transient=True) as progress:
        task = progress.add_task("filling the database", total=None)
        fill(client, plan.pairs)
        todo = steps(plan, client)
        results = []
        for done, (name, step) in enumerate(todo):
            progress.update(task, description=name, completed=done, total=len(todo))
            results.append(run_step(name, step))
    return results


def fill(client: Elevator[bytes], count: int) -> None:
    """Write the pairs, in several batches."""
    for first in range(0, count, _FILL):
        with client.WriteBatch(timeout=60) as batch:
            for key, value in pairs(first, min(_FILL, count - first)):
                batch.Put(key, value)


def steps(plan: BenchmarkPlan, client: Elevator[bytes]) -> list[tuple[str, Callable[[], Measurement]]]:
    """Return the titles of the workloads in order, each with the function that measures it."""
    dataset = Dataset.generate(plan.pairs)
    todo: list[tuple[str, Callable[[], Measurement]]] = [
        (
            name.format(pairs=plan.pairs, keys=len(dataset.keys)),
            partial(_measure_one, work(client, dataset), plan.seconds),
        )
        for name, work in WORKLOADS.items()
    ]
    if plan.clients:
        todo.append((f"{plan.clients} client processes, 4 Gets to a Put", partial(_measure_many, plan)))
    return todo


def _measure_one(work: Workload, seconds: float) -> Measurement:
    next(work)  # to warm up
    begin = time.perf_counter()
    return measure_steps(work, begin=begin, end=begin + seconds)


def _measure_many(plan: BenchmarkPlan) -> Measurement:
    with LoadProcesses(plan.clients) as processes:
        return merge(processes.measure(mixed_workload, plan.url, plan.database, plan.pairs, seconds=plan.seconds))


def run_step(name: str, step: Callable[[], Measurement]) -> Result:
    """Run a step and return its result; a failure does not end the benchmark."""
    try:
        return Result(name, step())
    except (ElevatorError, RuntimeError) as error:
        return Result(name, None, " ".join(str(error).split()))


def results_table(plan: BenchmarkPlan, results: list[Result]) -> "Table":
    """Return the results as a table."""
    from rich.table import Table

    title = f"{shown(plan.url)}: {plan.pairs:,} pairs of 116 bytes, {plan.seconds:g} s each"
    table = Table(title=title, title_justify="left", caption_justify="left", caption=_CAPTION, pad_edge=False)
    table.add_column("workload", no_wrap=True)
    for heading in ("keys or\npairs/s", "half\nwithin", "99 %\nwithin", "calls"):
        table.add_column(heading, justify="right", no_wrap=True)
    for result in results:
        table.add_row(*result.cells(), style="red" if result.measurement is None else None)
    return table


def print_full_width(table: "Table", console: "Console") -> None:
    """Print a table in its full width: no figure is cut off where the output is narrow, or no terminal."""
    needed = console.measure(table, options=console.options.update(max_width=_MAX_WIDTH)).maximum
    console.width = max(console.width, needed)
    console.print(table)


def _console(*, stderr: bool = False) -> "Console":
    from rich.console import Console

    return Console(stderr=stderr, highlight=False)
