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
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

from attrs import frozen

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
ROUNDS = int(os.environ.get("ROUNDS", "9"))
SECONDS = float(os.environ.get("SECONDS", "0.25"))
PAIRS = [(b"%017d" % i, os.urandom(50) * 2) for i in range(100_000)]
DOCUMENT = Path(__file__).parents[1] / "docs" / "benchmarks.md"
MEMORY = Path("/dev/shm")  # a disk that is memory, where there is one
SETTINGS = "fsync = on\nautovacuum = on\nmax_connections = 200\nmax_wal_size = 4GB"
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


def rate(call: Callable[[int], Any], per_call: int = 1) -> float:
    """Operations per second of calls by one thread."""
    call(0)
    start, done = time.perf_counter(), 0
    while time.perf_counter() - start < SECONDS:
        done += 1
        call(done)
    return done * per_call / (time.perf_counter() - start)


def threaded(connections: Sequence[Any], call: Callable[[Any, int], Any]) -> float:
    """Operations per second of threads with a connection each."""
    stopping = threading.Event()

    def work(index: int) -> int:
        done = 0
        while not stopping.is_set():
            call(connections[index], index * 1000 + done % 1000)
            done += 1
        return done

    with ThreadPoolExecutor(len(connections)) as pool:
        start, futures = time.perf_counter(), [pool.submit(work, index) for index in range(len(connections))]
        time.sleep(SECONDS)
        stopping.set()
        done = sum(future.result() for future in futures)
    return done / (time.perf_counter() - start)


class Incoming:
    """What a job holds of a message, as far as the queues look at it."""

    refusal = None

    def __init__(self, request: Request[Any]) -> None:
        self.request = request


def requests_of(application: Application, clients: int, make: Callable[[int], Any]) -> list[list[Request[Any]]]:
    """The requests of each client, as a server has decoded them."""
    uid = application.catalog.uid_of("default")
    return [[Request(make(index * 1000 + i), uid, id=i) for i in range(1000)] for index in range(clients)]


def queued(application: Application, requests: Sequence[Sequence[Request[Any]]]) -> float:
    """Requests per second of a server's queues, with as many under way as there are clients."""
    clients, stopping, count = len(requests), threading.Event(), [0]
    finished = threading.Semaphore(0)

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


@frozen
class Case:
    """One line of the table: what measures the rates.

    Attributes:
        name: of the work.
        ours, bare, leveldb: return operations per second.
        goal: the least ratio; None if there is none.
        is_beside_leveldb: the goal is one beside LevelDB and not beside bare psycopg.
    """

    name: str
    ours: Rate
    bare: Rate
    leveldb: Rate | None = None
    goal: float | None = None
    is_beside_leveldb: bool = False

    def cells(self) -> list[str]:
        """Measure in turns, and return what stands in the table; on a busy machine only what is side by side compares."""
        rounds = [self._measure(is_reversed=bool(number % 2)) for number in range(ROUNDS)]
        ours, bare, leveldb = (statistics.median(column) for column in zip(*rounds, strict=True))
        ratios = sorted([mine / other for mine, other, _ in rounds])
        spread = f"**{statistics.median(ratios):.2f}** ({ratios[0]:.2f} to {ratios[-1]:.2f})"
        rates = [f"{value:,.0f}/s" if value else "" for value in (ours, bare, leveldb)]
        return [*rates[:2], spread, rates[2], self._verdict(rounds)]

    def _measure(self, *, is_reversed: bool) -> tuple[float, float, float]:
        if is_reversed:
            bare, ours = self.bare(), self.ours()
        else:
            ours, bare = self.ours(), self.bare()
        return ours, bare, self.leveldb() if self.leveldb else 0.0

    def _verdict(self, rounds: Sequence[tuple[float, float, float]]) -> str:
        if self.goal is None:
            return ""
        ratio = statistics.median([one[0] / one[2 if self.is_beside_leveldb else 1] for one in rounds])
        beside = f"{ratio:.2f} of LevelDB's, " if self.is_beside_leveldb else ""
        return f"{'met' if ratio >= self.goal else 'missed'} ({beside}goal {self.goal:g})"


class Databases:
    """The same pairs in our engine, in a table for bare psycopg and in LevelDB.

    Args:
        port: of PostgreSQL, or of what leads there.
        schema: for all.
        folder: for LevelDB.
    """

    def __init__(self, port: int, schema: str, folder: str) -> None:
        self.stack = ExitStack()
        self.table, self._host = f"{schema}.bare", f"host=127.0.0.1 port={port} user=elevator dbname=postgres"
        url = f"postgresql://elevator@127.0.0.1:{port}/postgres?schema={schema}&call_timeout=60"
        self.application = Application.on_url(url)
        self.stack.callback(self.application.close)
        catalog = self.application.catalog
        self.ours = self.stack.enter_context(catalog.get_database(catalog.uid_of("default")))
        self.leveldb = self.stack.enter_context(LevelDbStorage().open(f"{folder}/{port}", {}))
        self.connections = [self._connect() for _ in range(64)]
        self.bare = self.connections[0]
        self.upsert = (
            f"INSERT INTO {self.table} SELECT * FROM unnest(%b::bytea[], %b::bytea[]) "
            "ON CONFLICT (key) DO UPDATE SET value = excluded.value"
        )
        self._fill()

    def _connect(self) -> Any:
        connection = self.stack.enter_context(psycopg.connect(self._host, autocommit=True))
        connection.prepare_threshold = 0
        return connection

    def _fill(self) -> None:
        self.bare.execute(f"CREATE TABLE {self.table} (key bytea PRIMARY KEY, value bytea NOT NULL)")
        for first in range(0, len(PAIRS), 10_000):
            part = PAIRS[first : first + 10_000]
            for engine in (self.ours, self.leveldb):
                engine.write([(PUT, *pair) for pair in part])
            self.bare.execute(self.upsert, [list(column) for column in zip(*part, strict=True)])
        self.bare.execute(f"ANALYZE {self.table}")


def key_of(number: int) -> bytes:
    return PAIRS[number * 7 % 100_000][0]


def gets(databases: Databases) -> Iterator[Case]:
    sql = f"SELECT value FROM {databases.table} WHERE key = %b"

    def get(connection: Any, number: int) -> Any:
        return connection.execute(sql, [key_of(number)], binary=True).fetchone()

    yield Case(
        "get, 1 client",
        lambda: rate(lambda i: databases.ours.get(key_of(i))),
        lambda: rate(lambda i: get(databases.bare, i)),
        lambda: rate(lambda i: databases.leveldb.get(key_of(i))),
        0.8,
    )
    for clients, goal in ((16, 3.0), (64, None)):
        yield grouped("get", clients, databases, lambda i: Get(key_of(i)), get, goal)


def grouped(
    verb: str,
    clients: int,
    databases: Databases,
    make: Callable[[int], Any],
    call: Callable[[Any, int], Any],
    goal: float | None,
) -> Case:
    """Requests of many clients that a server's queues group, beside bare psycopg's."""
    requests = requests_of(databases.application, clients, make)
    return Case(
        f"{verb}, {clients} clients",
        lambda: queued(databases.application, requests),
        lambda: threaded(databases.connections[:clients], call),
        goal=goal,
    )


def puts(databases: Databases) -> Iterator[Case]:
    sql = f"INSERT INTO {databases.table} VALUES (%b, %b) ON CONFLICT (key) DO UPDATE SET value = excluded.value"

    def put(connection: Any, number: int) -> Any:
        return connection.execute(sql, PAIRS[number * 7 % 100_000])

    yield Case(
        "put, 1 client",
        lambda: rate(lambda i: databases.ours.write([(PUT, *PAIRS[i * 7 % 100_000])])),
        lambda: rate(lambda i: put(databases.bare, i)),
        lambda: rate(lambda i: databases.leveldb.write([(PUT, *PAIRS[i * 7 % 100_000])], sync=True)),
    )
    for clients, goal in ((16, None), (64, 5.0)):
        yield grouped("put", clients, databases, lambda i: Put(*PAIRS[i * 7 % 100_000]), put, goal)


def bulk(databases: Databases) -> Iterator[Case]:
    batch, some = PAIRS[:10_000], [key for key, _ in PAIRS[::10]]
    columns, ops = [list(column) for column in zip(*batch, strict=True)], [(PUT, *pair) for pair in batch]
    ours, bare, leveldb = databases.ours, databases.bare, databases.leveldb
    yield Case(
        "batch of 10,000, over what is there (pairs)",
        lambda: rate(lambda _: ours.write(ops), 10_000),
        lambda: rate(lambda _: bare.execute(databases.upsert, columns), 10_000),
        lambda: rate(lambda _: leveldb.write(ops), 10_000),
        0.8,
    )
    many = f"SELECT value FROM {databases.table} WHERE key = ANY(%b::bytea[])"
    yield Case(
        "MGet of 10,000 (keys)",
        lambda: rate(lambda _: ours.collect(some), 10_000),
        lambda: rate(lambda _: bare.execute(many, [some], binary=True).fetchall(), 10_000),
        lambda: rate(lambda _: leveldb.collect(some), 10_000),
        1.0,
        is_beside_leveldb=True,
    )

    def bare_range(_: int) -> None:
        with bare.transaction(), bare.cursor("c", binary=True) as cursor:
            cursor.execute(f"SELECT key, value FROM {databases.table} ORDER BY key")
            while cursor.fetchmany(5000):
                pass

    yield Case(
        "Range of 100,000 (pairs)",
        lambda: rate(lambda _: list(ours.scan(Bounds())), 100_000),
        lambda: rate(bare_range, 100_000),
        lambda: rate(lambda _: list(leveldb.scan(Bounds())), 100_000),
        0.6,
    )


WORKS = (gets, puts, bulk)


def rows(parent: Path | None, delays: Sequence[float], works: Sequence[Any] = WORKS) -> Iterator[str]:
    """Yield the rows of the table for a disk, as Markdown."""
    with tempfile.TemporaryDirectory(dir=parent) as folder, PostgreSql(SETTINGS, parent) as server:
        disk = f"{flush_time(folder) * 1000:.2g} ms" if parent is None else "memory"
        for delay in delays:
            with relayed(server.port, delay) as port:
                databases = Databases(port, server.new_schema(), folder)
                with databases.stack:
                    for work in works:
                        for case in work(databases):
                            yield f"| {case.name} | {disk} | {delay * 1000:g} ms | {' | '.join(case.cells())} |"


def flush_time(folder: str) -> float:
    """The seconds in which the disk has what is written to it."""
    times = []
    with (Path(folder) / "flushed").open("wb", buffering=0) as file:
        for _ in range(50):
            file.write(b"x" * 8192)
            start = time.perf_counter()
            os.fdatasync(file.fileno())
            times.append(time.perf_counter() - start)
    return statistics.median(times)


def section(_: Any = None, __: Any = None) -> str:
    """The part of docs/benchmarks.md; a sentence where there is no PostgreSQL."""
    if psycopg is None or not PROGRAMS:
        return f"{_HEAD}There was no PostgreSQL here.\n"
    start, lines = time.perf_counter(), list(rows(None, (0.0, 0.001)))
    if MEMORY.is_dir():
        lines += rows(MEMORY, (0.0,), (puts,))
    table = "\n".join([_HEADINGS, *lines])
    took = f"In {time.perf_counter() - start:,.0f} s, {ROUNDS} rounds of {SECONDS:g} s"
    return f"{_HEAD}{table}\n\n{took}; in the end {os.getloadavg()[1]:.1f} processes wanted to run on {os.cpu_count()} cores.\n"


def renewed(document: str, part: str) -> str:
    """The document with this part in place of the earlier one."""
    before, _, rest = document.partition(TITLE)
    following = rest.find("\n## ")
    return f"{before.rstrip()}\n{part.rstrip()}\n" + (f"\n{rest[following + 1 :]}" if following >= 0 else "")


TITLE = "## Databases on PostgreSQL"
_HEADINGS = """\
| work | a flush takes | more latency | PostgreSQL engine | bare psycopg | ratio | LevelDB in process | goal |
|---|---|---|---|---|---|---|---|"""
_HEAD = f"""
{TITLE}

The engine of `elevator serve --engine postgresql://...` beside bare psycopg on a table of its own in the same PostgreSQL (fsync on, no standby), and beside LevelDB
(puts of one client with `sync=True`), without the wire to clients; by `python -m benchmarks.cluster`, which writes this. psycopg has prepared statements, binary results, and
a thread with a connection for each client in one process, as a Python program that serves so many has it (its GIL then is what they share; several processes would not share that). Ours has
the queues of one server process, with as many requests under way. Values are random keys' of 100,000. More latency is for each round trip, by a relay in Python.

Ours and the peer take turns in short rounds, since only what is measured side by side compares on a machine with other work; the ratio is the median of the rounds' ratios, with the smallest and
the largest. Two things bound what grouping can gain. Where a flush of the disk is what is waited for, PostgreSQL itself flushes once for all that commit meanwhile, bare psycopg's clients as
well; so puts stand also on a disk that is memory, which shows what they cost apart from that.
64 clients that wait for their answers never have more than 64 writes in a flush: where it takes 1.3 ms, 49,000 a second are the most that there can be, grouped or not. And with latency, 16 clients have 16 requests in each round trip, grouped or not.

"""


if __name__ == "__main__":
    text = section()
    print(text)
    DOCUMENT.write_text(renewed(DOCUMENT.read_text(), text))
