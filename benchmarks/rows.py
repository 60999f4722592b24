"""The rows of the goal table, each with its peer in the same run."""

import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing
from functools import cache, partial
from tempfile import TemporaryDirectory
from typing import Any, Final, TypeAlias

from benchmarks import aio, bulk, memory, peers, proxy
from benchmarks.bed import CHECKED, PAIRS, Bed, Missing
from benchmarks.measure import Goal, Row, compare, rate
from pyelevator import Elevator
from pyelevator.application import Application
from pyelevator.codec import ClassicCodec
from pyelevator.commands import Command, Get, Put, Range
from pyelevator.loadtest.processes import measure_steps, merge, percentile
from pyelevator.loadtest.workloads import Dataset, gets, mixed_workload, pairs, random_keys
from pyelevator.messages import Request, Response
from pyelevator.transports import FakeTransport

Rows: TypeAlias = Iterator[Row]

SYNC: Final = Goal(0.85, 1.0)
WANTED_OF_REDIS: Final = Goal(1.0, 1.3)
CLIENTS: Final = 8
_CACHED: Final = 500


def beside_echo(
    bed: Bed, name: str, ours: Callable[[], object], command: Command[Any], payload: Any, goal: Goal | None = SYNC
) -> Row:
    """One sync call after the other, beside an echo whose messages are as long as ours."""
    request = Request(command, bed.reader.db_uid, 1000)
    frames = ClassicCodec().encode_request(request)
    reply = ClassicCodec().encode_response(Response(payload, id=1000), request)
    calls = bed.plan.calls
    with peers.echo_process(reply) as url, peers.dealer(url) as socket:

        def theirs() -> None:
            for _ in range(calls):
                socket.send_multipart(frames)
                socket.recv_multipart()

        measured = [partial(rate, work, calls) for work in (ours, theirs)]
        return compare(f"{name} over TCP", "bare pyzmq echo", *measured, goal, bed.plan.rounds, settle=bed.settle)


def sync_get(bed: Bed) -> Rows:
    keys = random_keys(PAIRS, bed.plan.calls)
    ours = partial(each, bed.reader.Get, keys)
    yield beside_echo(bed, "sync Get", ours, Get(keys[0]), bed.reader.Get(keys[0]))
    yield from beside_redis(
        bed, "sync Get over TCP", "redis-py GET", ours, lambda: each(bed.redis_client.get, keys), len(keys)
    )


def each(call: Callable[[bytes], object], keys: Sequence[bytes]) -> None:
    for some in keys:
        call(some)


def each_checked(get: Callable[..., object], keys: Sequence[bytes]) -> None:
    """The same with plyvel, as our server reads; through a ``partial`` each call would take a third longer."""
    for some in keys:
        get(some, verify_checksums=True)


def sync_put(bed: Bed) -> Rows:
    some = pairs(0, bed.plan.calls)
    ours = partial(each_pair, bed.writer.Put, some)
    yield beside_echo(bed, "sync Put", ours, Put(*some[0]), None)
    yield from beside_redis(
        bed, "sync Put over TCP", "redis-py SET", ours, lambda: each_pair(bed.redis_client.set, some), len(some)
    )


def each_pair(call: Callable[[bytes, bytes], object], some: Sequence[tuple[bytes, bytes]]) -> None:
    for key, value in some:
        call(key, value)


def beside_redis(
    bed: Bed,
    name: str,
    peer: str,
    ours: Callable[[], object],
    theirs: Callable[[], object],
    operations: int,
    goal: Goal | None = WANTED_OF_REDIS,
) -> Rows:
    """A comparison with redis-server; one line that says so where there is none."""
    try:
        bed.redis  # noqa: B018 - starts it
    except Missing as missing:
        yield Row(name, peer, goal=goal, failure=f"left out, {missing}")
        return
    measured = [partial(rate, work, operations) for work in (ours, theirs)]
    yield compare(name, peer, *measured, goal, bed.plan.rounds, settle=bed.settle)


def pipeline(bed: Bed) -> Rows:
    keys = random_keys(PAIRS, 20_000)

    def ours() -> list[bytes]:
        with bed.reader.pipeline(timeout=120) as pipe:
            handles = [pipe.Get(some) for some in keys]
        return [handle.result() for handle in handles]

    def theirs() -> list[bytes]:
        with bed.redis_client.pipeline(transaction=False) as pipe:
            for some in keys:
                pipe.get(some)
            return pipe.execute()

    name = "pipeline of 20,000 Gets"
    yield from beside_redis(bed, name, "redis-py pipeline", ours, theirs, len(keys), Goal(1.5, 2.0))


def batch(bed: Bed) -> Rows:
    some = pairs(0, PAIRS)

    def ours() -> None:
        with bed.writer.WriteBatch(timeout=120) as batch:
            for key, value in some:
                batch.Put(key, value)

    def theirs() -> None:
        mapping = {}
        for key, value in some:
            mapping[key] = value
        bed.redis_client.mset(mapping)

    def in_process() -> None:
        with bed.scratch.write_batch() as batch:
            for key, value in some:
                batch.put(key, value)

    name = "WriteBatch of 100,000 puts, building included"
    yield from beside_redis(bed, name, "redis-py MSET", ours, theirs, PAIRS, Goal(1.2, 2.0))
    yield compare(name, "plyvel in process", *_rates((ours, in_process), PAIRS), None, bed.plan.rounds)


def mget(bed: Bed) -> Rows:
    """First as it is by default, when no key is in the server's row cache; then again and again from there."""
    keys = random_keys(PAIRS, 10_000)
    ours, theirs = partial(bed.reader.MGet, keys), lambda: bed.redis_client.mget(keys)
    name, peer = "MGet of 10,000 random keys", "redis-py MGET"
    yield from beside_redis(bed, name, peer, ours, theirs, len(keys), Goal(0.8, 1.2))

    def in_process() -> list[bytes | None]:
        with bed.peer.snapshot() as snapshot:
            get = snapshot.get
            return [get(key, verify_checksums=True) for key in keys]

    yield compare(name, "plyvel in process", *_rates((ours, in_process), len(keys)), None, bed.plan.rounds)
    warm = partial(bed.reader.MGet, keys, fill_cache=True)
    name = f"{name}, read before with fill_cache=True"
    yield from beside_redis(bed, name, peer, warm, theirs, len(keys), Goal(0.8, 1.2))


def _rates(works: Sequence[Callable[[], object]], operations: int) -> list[partial[float]]:
    return [partial(rate, work, operations) for work in works]


def full_range(bed: Bed) -> Rows:
    yield beside_scan(bed, "Range of 100,000", bed.reader.Range, Goal(1.0, 2.0))


def range_iter(bed: Bed) -> Rows:
    yield beside_scan(bed, "RangeIter over 100,000", lambda: list(bed.reader.RangeIter()), Goal(0.8, 1.2))


def beside_scan(bed: Bed, name: str, ours: Callable[[], list[Any]], goal: Goal) -> Row:
    def theirs() -> list[Any]:
        return list(bed.peer.iterator(**CHECKED))

    assert list(map(tuple, ours())) == theirs()
    measured = [partial(rate, work, PAIRS) for work in (ours, theirs)]
    return compare(name, "plyvel in process", *measured, goal, bed.plan.rounds)


def fake_get(bed: Bed) -> Rows:
    """In one process: on LevelDB, as the peer, and on the memory engine, as the fake is by default.

    The keys of the row with the goal fit into LevelDB's cache, so that nothing but calls is measured.
    """
    keys, cached = random_keys(PAIRS, bed.plan.calls), random_keys(PAIRS, _CACHED) * (bed.plan.calls // _CACHED or 1)
    path = str(bed.copy(PAIRS))
    with (
        closing(Application.on_leveldb(str(bed.folder / "fake"))) as application,
        Elevator(transport=FakeTransport(application), encoding=None, timeout=120) as client,
    ):
        client.createdb(path)
        client.connect(path)
        yield beside_get(bed, "Get over FakeTransport, from LevelDB's cache", client, cached, Goal(0.1, 0.25))
        yield beside_get(bed, "Get over FakeTransport, from table files", client, keys, None)
    with Elevator(transport=FakeTransport(), encoding=None) as client:
        each_pair(client.Put, pairs(0, PAIRS))
        yield beside_get(bed, "Get over FakeTransport, in memory", client, cached, None)


def beside_get(bed: Bed, name: str, client: Elevator[bytes], keys: Sequence[bytes], goal: Goal | None) -> Row:
    works = [partial(each, client.Get, keys), partial(each_checked, bed.peer.get, keys)]
    return compare(name, "plyvel get", *[partial(rate, work, len(keys)) for work in works], goal, bed.plan.rounds)


def clients(bed: Bed) -> Rows:
    """Client processes over a database of their own on both servers, each pair there from the start."""
    name, peer, goal = f"{CLIENTS} client processes, 4 Gets to a Put", "the same on redis-server", Goal(1.0, 1.3)
    database, seconds = bed.registered(bed.copy(PAIRS)), bed.plan.seconds
    measure = partial(bed.processes.measure, seconds=seconds, size=CLIENTS)
    try:
        port, _ = bed.redis
    except Missing as missing:
        yield Row(name, peer, goal=goal, failure=f"left out, {missing}")
        return
    yield compare(
        name,
        peer,
        lambda: merge(measure(mixed_workload, bed.server.urls[0], database, PAIRS)).rate,
        lambda: merge(measure(peers.redis_mixed_workload, port, PAIRS)).rate,
        goal,
        bed.plan.rounds,
        settle=bed.settle,
    )


def p99(bed: Bed) -> Rows:
    """The scanning client only sends frames and throws the answers away, so that it takes little of the machine."""
    from benchmarks.fairness import keep_asking

    frames = ClassicCodec().encode_request(Request(Range(), bed.reader.db_uid, 1))

    def beside() -> float:
        process = peers.SPAWN.Process(target=keep_asking, args=(bed.server.urls[0], frames), daemon=True)
        process.start()
        try:
            get_p99(bed, bed.plan.seconds / 2)
            return get_p99(bed, bed.plan.seconds * 1.5)
        finally:
            process.kill()
            process.join()

    idle = partial(get_p99, bed, bed.plan.seconds * 1.5)
    name, goal = "p99 of GET beside endless full scans", Goal(5, 2, smaller=True, unit="x")
    yield compare(name, "idle p99", beside, idle, goal, bed.plan.rounds, settle=bed.settle, show="{:,.0f} µs")


def get_p99(bed: Bed, seconds: float) -> float:
    """Microseconds."""
    begin = time.perf_counter()
    dataset = Dataset((), random_keys(PAIRS, 10_000))
    return percentile(measure_steps(gets(bed.reader, dataset), begin=begin, end=begin + seconds).latencies, 0.99) * 1e6


def streamed(bed: Bed) -> Rows:
    goal = Goal(64, 16, smaller=True, unit=" MB")
    growth = memory.range_iter_growth(bed.copy(bed.plan.streamed))
    name = f"RangeIter over {growth.pairs:,} pairs: memory growth of"
    for side, grown in (("the client", growth.client), ("the server", growth.server)):
        yield Row(f"{name} {side}", "itself before", values=[grown / 1e6], goal=goal)


IMPORTS: Final = "import zmq, msgpack, attrs"


def imports(bed: Bed) -> Rows:
    for statement in ("import pyelevator", "from pyelevator import Elevator"):
        goal = Goal(1.3, 1.1, smaller=True, unit="x")
        ours, theirs = partial(import_ms, statement), partial(import_ms, IMPORTS)
        yield compare(f"`{statement}`", f"`{IMPORTS}`", ours, theirs, goal, 2 * bed.plan.rounds, show="{:,.1f} ms")


def import_ms(statement: str) -> float:
    """Milliseconds of the statement in a fresh process, which finds its files compiled, as an installed package's are."""
    clock = "import time; start = time.perf_counter(); {}; print((time.perf_counter() - start) * 1e3)"
    environment = {**os.environ, "PYTHONDONTWRITEBYTECODE": "", "PYTHONPYCACHEPREFIX": compiled_files().name}
    command = [sys.executable, "-c", clock.format(statement)]
    ran = subprocess.run(command, capture_output=True, check=True, text=True, env=environment)
    return float(ran.stdout)


@cache
def compiled_files() -> "TemporaryDirectory[str]":
    """Where Python keeps them; the first round, which only warms up, compiles them."""
    return TemporaryDirectory()


ROWS: Final[Mapping[str, Callable[[Bed], Rows]]] = {
    "get": sync_get,
    "put": sync_put,
    "pipeline": pipeline,
    "batch": batch,
    "mget": mget,
    "range": full_range,
    "rangeiter": range_iter,
    "fake": fake_get,
    "clients": clients,
    "p99": p99,
    "memory": streamed,
    "import": imports,
    "async": aio.measured,
    "awaited": aio.awaited,
    "proxy": proxy.rows,
    **bulk.ROWS,
}
"""Name on the command line -> what measures the row."""
