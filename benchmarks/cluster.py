"""`python -m benchmarks.cluster`: the engine on PostgreSQL beside bare psycopg and LevelDB, in one process each.

The wire to clients is left out on all sides: what gathers in a server's queues is measured by its own queues, with as many requests under way as
there are clients.
"""

import os
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

sys.path.append(str(Path(__file__).parents[1] / "tests"))

from pyelevator.application import Application
from pyelevator.application.handlers.groups import queue_for
from pyelevator.commands import PUT, Get, Put
from pyelevator.engines.base import Bounds
from pyelevator.engines.leveldb import LevelDbStorage
from pyelevator.messages import Request
from pyelevator.server.scheduler import Job
from pyelevator.server.work_queues import WorkQueues
from support.postgresql import PROGRAMS, PostgreSql

try:
    import psycopg
except ImportError:  # make bench goes on without
    psycopg = None

Rate = Callable[[], float]
ROUNDS = 3
SECONDS = float(os.environ.get("SECONDS", "0.7"))
PAIRS = [(b"%017d" % i, os.urandom(50) * 2) for i in range(100_000)]
RELAY = """
import sys, time
from support.cutting import CuttingRelay
with CuttingRelay(int(sys.argv[1])) as relay:
    relay.delay = float(sys.argv[2])
    print(relay.port, flush=True)
    sys.stdin.read()
"""


@contextmanager
def relayed(port: int, delay: float) -> Iterator[int]:
    """A port that leads to another one, with so many seconds more for each message and each answer."""
    if not delay:
        yield port
        return
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[1] / "tests")}
    command = [sys.executable, "-c", RELAY, str(port), str(delay / 2)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment) as relay:
        yield int(relay.stdout.readline())
        relay.stdin.close()


def rate(call: Callable[[int], Any], per_call: int = 1, least: int = 3) -> float:
    """Operations per second of calls by one thread."""
    call(0)
    start, done = time.perf_counter(), 0
    while time.perf_counter() - start < SECONDS or done < least:
        done += 1
        call(done)
    return done * per_call / (time.perf_counter() - start)


def threaded(clients: int, connect: Callable[[], Any], call: Callable[[Any, int], Any]) -> float:
    """Operations per second of threads with a connection each."""
    stopping, connections = threading.Event(), [connect() for _ in range(clients)]

    def work(index: int) -> int:
        done = 0
        while not stopping.is_set():
            call(connections[index], index * 1000 + done % 1000)
            done += 1
        return done

    with ThreadPoolExecutor(clients) as pool:
        start, futures = time.perf_counter(), [pool.submit(work, index) for index in range(clients)]
        time.sleep(SECONDS)
        stopping.set()
        done = sum(future.result() for future in futures)
    for connection in connections:
        connection.close()
    return done / (time.perf_counter() - start)


class Incoming:
    """What a job holds of a message, as far as the queues look at it."""

    refusal = None

    def __init__(self, request: Request[Any]) -> None:
        self.request = request


def queued(application: Application, clients: int, make: Callable[[int], Any]) -> float:
    """Requests per second of a server's queues, with as many under way as there are clients."""
    uid, stopping, count = application.catalog.uid_of("default"), threading.Event(), [0]
    finished = threading.Semaphore(0)
    requests = [[Request(make(index * 1000 + i), uid, id=i) for i in range(1000)] for index in range(clients)]

    def send(index: int, number: int) -> None:
        request = requests[index][number % 1000]
        job = Job((b"",), None, Incoming(request))
        queues.put(queue_for(application.catalog, request), b"%d" % index, job)

    def execute(jobs: Any) -> None:
        responses = application.respond_together([job.incoming.request for _, job in jobs])
        assert all(response.code is None for response in responses), responses[0]
        count[0] += len(jobs)
        for (identity, _), response in zip(jobs, responses, strict=True):
            if stopping.is_set():
                finished.release()
            else:
                send(int(identity), response.id + 1)

    with ThreadPoolExecutor(8) as pool:
        queues = WorkQueues(pool.submit, execute)
        start = time.perf_counter()
        for index in range(clients):
            send(index, 0)
        time.sleep(SECONDS)
        stopping.set()
        for _ in range(clients):
            finished.acquire()
        elapsed = time.perf_counter() - start
    return count[0] / elapsed


def measure(port: int, schema: str, folder: str) -> Iterator[tuple[str, Rate, Rate, Rate | None]]:
    """Yield the name of a row, and what measures the rates of ours, of bare psycopg and of LevelDB."""
    host = f"host=127.0.0.1 port={port} user=elevator dbname=postgres"
    table = f"{schema}.bare"
    application = Application.on_url(f"postgresql://elevator@127.0.0.1:{port}/postgres?schema={schema}&call_timeout=60")

    def connect() -> Any:
        connection = psycopg.connect(host, autocommit=True)
        connection.prepare_threshold = 0
        return connection

    with ExitStack() as stack:
        stack.callback(application.close)
        leveldb = stack.enter_context(LevelDbStorage().open(f"{folder}/{port}", {}))
        ours = stack.enter_context(application.catalog.get_database(application.catalog.uid_of("default")))
        bare = stack.enter_context(connect())
        bare.execute(f"CREATE TABLE IF NOT EXISTS {table} (key bytea PRIMARY KEY, value bytea NOT NULL)")
        upsert = f"INSERT INTO {table} SELECT * FROM unnest(%b::bytea[], %b::bytea[]) ON CONFLICT (key) DO UPDATE SET value = excluded.value"
        for first in range(0, len(PAIRS), 10_000):
            part = PAIRS[first : first + 10_000]
            for engine in (ours, leveldb):
                engine.write([(PUT, *pair) for pair in part])
            bare.execute(upsert, [list(column) for column in zip(*part, strict=True)])
        bare.execute(f"ANALYZE {table}")
        keys = [key for key, _ in PAIRS]
        get = f"SELECT value FROM {table} WHERE key = %b"
        put = f"INSERT INTO {table} VALUES (%b, %b) ON CONFLICT (key) DO UPDATE SET value = excluded.value"

        def bare_get(connection: Any, i: int) -> Any:
            return connection.execute(get, [keys[i * 7 % 100_000]], binary=True).fetchone()

        def bare_put(connection: Any, i: int) -> Any:
            return connection.execute(put, PAIRS[i * 7 % 100_000])

        yield (
            "get, 1 client",
            lambda: rate(lambda i: ours.get(keys[i * 7 % 100_000])),
            lambda: rate(lambda i: bare_get(bare, i)),
            lambda: rate(lambda i: leveldb.get(keys[i * 7 % 100_000])),
        )
        for clients in (16, 64):
            yield (
                f"get, {clients} clients",
                lambda clients=clients: queued(application, clients, lambda i: Get(keys[i * 7 % 100_000])),
                lambda clients=clients: threaded(clients, connect, bare_get),
                None,
            )
        yield (
            "put, 1 client",
            lambda: rate(lambda i: ours.write([(PUT, *PAIRS[i])])),
            lambda: rate(lambda i: bare_put(bare, i)),
            lambda: rate(lambda i: leveldb.write([(PUT, *PAIRS[i])], sync=True)),
        )
        for clients in (16, 64):
            yield (
                f"put, {clients} clients",
                lambda clients=clients: queued(application, clients, lambda i: Put(*PAIRS[i * 7 % 100_000])),
                lambda clients=clients: threaded(clients, connect, bare_put),
                None,
            )
        batch = PAIRS[:10_000]
        columns = [list(column) for column in zip(*batch, strict=True)]
        ops = [(PUT, *pair) for pair in batch]
        yield (
            "batch of 10,000, over what is there (pairs)",
            lambda: rate(lambda _: ours.write(ops), 10_000),
            lambda: rate(lambda _: bare.execute(upsert, columns), 10_000),
            lambda: rate(lambda _: leveldb.write(ops), 10_000),
        )
        some = keys[::10]
        many = f"SELECT value FROM {table} WHERE key = ANY(%b::bytea[])"
        yield (
            "MGet of 10,000 (keys)",
            lambda: rate(lambda _: ours.collect(some), 10_000),
            lambda: rate(lambda _: bare.execute(many, [some], binary=True).fetchall(), 10_000),
            lambda: rate(lambda _: leveldb.collect(some), 10_000),
        )

        def bare_range(_: int) -> None:
            with bare.transaction(), bare.cursor("c", binary=True) as cursor:
                cursor.execute(f"SELECT key, value FROM {table} ORDER BY key")
                while cursor.fetchmany(5000):
                    pass

        yield (
            "Range of 100,000 (pairs)",
            lambda: rate(lambda _: list(ours.scan(Bounds())), 100_000),
            lambda: rate(bare_range, 100_000),
            lambda: rate(lambda _: list(leveldb.scan(Bounds())), 100_000),
        )


def rows() -> Iterator[str]:
    """Yield the rows of the table, as Markdown."""
    with (
        PostgreSql("fsync = on\nautovacuum = on\nmax_connections = 200") as server,
        tempfile.TemporaryDirectory() as folder,
    ):
        for delay in (0.0, 0.001):
            with relayed(server.port, delay) as port:
                for name, ours, bare, leveldb in measure(port, server.new_schema(), folder):
                    rounds = [(ours(), bare(), leveldb() if leveldb else 0) for _ in range(ROUNDS)]
                    rates = [f"{statistics.median(column):,.0f}/s" for column in zip(*rounds, strict=True)]
                    ratios = sorted([mine / other for mine, other, _ in rounds])
                    spread = f"**{ratios[ROUNDS // 2]:.2f}** ({ratios[0]:.2f} to {ratios[-1]:.2f})"
                    figures = f"{rates[0]} | {rates[1]} | {spread} | {rates[2] if leveldb else ''}"
                    yield f"| {name} | {delay * 1000:g} ms | {figures} |"


def section(_: Any = None, __: Any = None) -> str:
    """The part of docs/benchmarks.md; a sentence where there is no PostgreSQL."""
    if psycopg is None or not PROGRAMS:
        return f"{_HEAD}There was no PostgreSQL here.\n"
    table = "\n".join(rows())
    return f"{_HEAD}{_HEADINGS}\n{table}\n\n{os.getloadavg()[1]:.1f} processes wanted to run.\n"


_HEADINGS = (
    "| work | more latency | PostgreSQL engine | bare psycopg | ratio | LevelDB in process |\n|---|---|---|---|---|---|"
)
_HEAD = """
## Databases on PostgreSQL

The engine of `elevator serve --engine postgresql://...` beside bare psycopg on a table of its own in the same PostgreSQL (fsync on, no standby), and beside LevelDB
(puts of one client with `sync=True`), without the wire to clients; by `python -m benchmarks.cluster`. psycopg has prepared statements, binary results, and a
thread with a connection for each client; ours has a server's queues, with as many requests under way. Values are random keys' of 100,000, so that PostgreSQL writes
whole pages to its log. More latency is for each round trip, by a relay in Python. All take turns, three times; the ratio is the
median of the rounds', with the smallest and the largest.

"""


if __name__ == "__main__":
    print(section())
