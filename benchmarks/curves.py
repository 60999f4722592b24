"""What the plots show: throughput by clients, latencies by percentile, and cost by the size of values and databases."""

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Any, Final

from attrs import frozen

from benchmarks import peers, plots
from benchmarks.bed import CHECKED, PAIRS, Bed, Missing
from benchmarks.rows import each, each_checked, each_pair
from pyelevator.codec import ClassicCodec
from pyelevator.commands import Get
from pyelevator.loadtest.processes import measure_steps, merge, percentile
from pyelevator.loadtest.workloads import key, mixed_workload, random_keys, value
from pyelevator.messages import Request, Response

CLIENTS: Final = (1, 2, 4, 8, 16)
PERCENTILES: Final = (50, 90, 99, 99.9)
SIZES: Final = (10, 100, 1_000, 10_000, 100_000, 1_000_000)
_BYTES_PER_RUN: Final = 20_000_000
_SCANNED: Final = 10_000


@frozen
class Curve:
    """One plot.

    Attributes:
        file: its name in docs/plots.
        title: what it shows.
        points: what stands below the horizontal axis.
        unit: of the vertical axis, which is logarithmic.
        series: name of a line -> its values.
    """

    file: str
    title: str
    points: Sequence[str]
    unit: str
    series: Mapping[str, Sequence[float]]


@contextmanager
def echo(bed: Bed) -> Iterator[tuple[str, list[bytes]]]:
    """A bare echo whose messages are as long as those of a Get: its URL, and what to send."""
    request = Request(Get(key(7)), bed.reader.db_uid, 1000)
    codec = ClassicCodec()
    reply = codec.encode_response(Response(value(7), id=1000), request)
    with peers.echo_process(reply) as url:
        yield url, codec.encode_request(request)


def with_redis(bed: Bed, sides: dict[str, Any], side: Callable[[], Any]) -> dict[str, Any]:
    """The sides, and redis-py's where there is redis-server."""
    try:
        bed.redis  # noqa: B018 - starts it
    except Missing:
        return sides
    return sides | {"redis-py": side()}


def throughput(bed: Bed) -> Curve:
    database = bed.registered(bed.copy(PAIRS))
    with echo(bed) as (url, frames):
        sides = {
            "Elevator": partial(bed.processes.measure, mixed_workload, bed.server.urls[0], database, PAIRS),
            "bare pyzmq echo": partial(bed.processes.measure, peers.echo_workload, url, frames),
        }
        sides = with_redis(
            bed, sides, lambda: partial(bed.processes.measure, peers.redis_mixed_workload, bed.redis[0], PAIRS)
        )
        series = {
            name: [merge(measure(seconds=bed.plan.seconds, size=size)).rate for size in CLIENTS]
            for name, measure in sides.items()
        }
    return Curve(
        "clients.svg", "Requests per second by client processes, 4 Gets to a Put", texts(CLIENTS), "/s", series
    )


def latencies(bed: Bed) -> Curve:
    keys = random_keys(PAIRS, 10_000)
    with echo(bed) as (url, frames), peers.echo_workload(url, frames) as steps:
        sides = {
            "Elevator Get": calls(bed.reader.Get, keys),
            "Elevator Put": calls(partial(bed.writer.Put, value=value(7)), keys),
            "bare pyzmq echo": steps,
        }
        sides = with_redis(bed, sides, lambda: calls(bed.redis_client.get, keys))
        taken = {name: one_run(steps, bed.plan.seconds * 3) for name, steps in sides.items()}
    series = {name: [percentile(times, part / 100) * 1e6 for part in PERCENTILES] for name, times in taken.items()}
    points = [f"{part} %" for part in PERCENTILES]
    return Curve("latencies.svg", "Latency of one client's calls by percentile", points, "µs", series)


def calls(call: Callable[[bytes], object], keys: Sequence[bytes]) -> Iterator[int]:
    while True:
        for some in keys:
            call(some)
            yield 1


def one_run(steps: Iterator[int], seconds: float) -> list[float]:
    next(steps)
    begin = time.perf_counter()
    return measure_steps(steps, begin=begin, end=begin + seconds).latencies


def micros_each(work: Callable[[], object], count: int) -> float:
    begin = time.perf_counter()
    work()
    return (time.perf_counter() - begin) / count * 1e6


def value_sizes(bed: Bed) -> Curve:
    sides: dict[str, tuple[Any, Any]] = {"Elevator": (bed.writer.Get, bed.writer.Put)}
    sides = with_redis(bed, sides, lambda: (bed.redis_client.get, bed.redis_client.set))
    series: dict[str, list[float]] = {f"{side} {verb}": [] for side in sides for verb in ("Get", "Put")}
    for size in SIZES:
        count = max(10, min(bed.plan.calls, _BYTES_PER_RUN // size))
        some = [(b"size" + key(number), value(number, size)) for number in range(count)]
        for side, (get, put) in sides.items():
            series[f"{side} Put"].append(micros_each(partial(each_pair, put, some), count))
            series[f"{side} Get"].append(micros_each(partial(each, get, [key for key, _ in some]), count))
            bed.settle()
    return Curve("value-sizes.svg", "Cost of a call by the bytes of the value", texts(SIZES), "µs", series)


def database_sizes(bed: Bed) -> Curve:
    sizes = [10**exponent for exponent in bed.plan.exponents]
    names = ("Elevator Get", "plyvel get", "Elevator RangeIter, a pair", "plyvel scan, a pair")
    series: dict[str, list[float]] = {name: [] for name in names}
    for size in sizes:
        name = bed.registered(bed.copy(size))
        keys = random_keys(size, bed.plan.calls)
        with closing(bed.in_process(bed.copy(size))) as peer, closing_client(bed, name) as client:
            works = (
                (partial(each, client.Get, keys), len(keys)),
                (partial(each_checked, peer.get, keys), len(keys)),
                (lambda client=client: list(client.RangeIter(None, _SCANNED)), _SCANNED),
                (lambda peer=peer: list(islice(peer.iterator(**CHECKED), _SCANNED)), _SCANNED),
            )
            for line, (work, count) in zip(names, works, strict=True):
                series[line].append(micros_each(work, count))
    return Curve("database-sizes.svg", "Cost by the number of pairs in the database", texts(sizes), "µs", series)


@contextmanager
def closing_client(bed: Bed, database: str) -> Iterator[Any]:
    client = bed.client(database)
    try:
        yield client
    finally:
        client.connect("default")
        client.dropdb(database)


def texts(numbers: Sequence[int]) -> list[str]:
    return [f"{number:,}" for number in numbers]


CURVES: Final[Sequence[Callable[[Bed], Curve]]] = (throughput, latencies, value_sizes, database_sizes)


def section(bed: Bed, folder: Path) -> str:
    """The plots, written to the folder, and the text for docs/benchmarks.md that shows them."""
    curves = [curve(bed) for curve in CURVES]
    folder.mkdir(parents=True, exist_ok=True)
    for curve in curves:
        (folder / curve.file).write_bytes(plots.drawn(curve))
    shown = "\n\n".join(f"![{curve.title}]({folder.name}/{curve.file})" for curve in curves)
    return f"## Plots\n\nAll vertical axes are logarithmic.\n\n{shown}\n"
