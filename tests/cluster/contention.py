"""Two servers on one PostgreSQL that get into each other's way: equal keys, equal names, readers beside writers."""

import threading
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from itertools import count as numbers
from time import monotonic
from typing import Any, Final

from pyelevator import Elevator
from pyelevator.commands import DELETE, PUT
from pyelevator.engines.base import Engine
from pyelevator.engines.postgresql import PostgreSqlStorage
from pyelevator.errors import ElevatorError
from pyelevator.testing.servers import ServerProcess
from support.postgresql import PostgreSql
from torture.report import Findings, count, ms

_SETTINGS = "autovacuum = on"
_CONNECTIONS = 16
_BATCH = [b"%02d" % i for i in range(20)]
_KEYS = [f"pair/{i}" for i in range(8)]
_SPREAD = [f"spread/{i}" for i in range(8)]
_NAMES = [f"name-{i:02}" for i in range(20)]


_WAYS: Final[Mapping[str, Callable[[Elevator], list[Any]]]] = {
    "MGet": lambda client: client.MGet(_KEYS),
    "Range": lambda client: [value for _, value in client.Range(prefix="pair/")],
    "paged (RangeIter)": lambda client: [value for _, value in client.RangeIter(prefix="pair/")],
    "of a cursor, each two pages (RangeIter, consistent)": lambda client: [
        value for key, value in client.RangeIter(prefix="spread/", consistent=True) if "~" not in key
    ],
}


@contextmanager
def two_servers() -> Iterator[tuple[PostgreSql, str, list[ServerProcess]]]:
    """A PostgreSQL, the schema of the servers, and two `elevator serve` on it."""
    with PostgreSql(_SETTINGS) as postgresql, ExitStack() as stack:
        schema = postgresql.new_schema()
        url = f"{postgresql.url}?schema={schema}"
        yield postgresql, schema, [stack.enter_context(ServerProcess(engine=url, timeout=120)) for _ in range(2)]


def connect(server: ServerProcess, name: str = "default") -> Elevator:
    return Elevator(name, endpoint=server.url.removeprefix("tcp://"), timeout=30)


def write_until(stopping: threading.Event, engine: Engine, number: int) -> tuple[int, float, list[str]]:
    """Write batches in the writer's order until the event; return how many, the slowest, and the errors."""
    ordered = _BATCH if number % 4 < 2 else _BATCH[::-1]
    done, slowest, errors = 0, 0.0, []
    while not stopping.is_set():
        started = monotonic()
        try:
            engine.write(
                [(DELETE, ordered[done % 20])]
                + [(PUT, key, b"%d/%d" % (number, done)) for key in ordered if key != ordered[done % 20]]
            )
        except Exception as error:  # noqa: BLE001 - each is a finding
            errors.append(f"{type(error).__name__}: {error}")
        done += 1
        slowest = max(slowest, monotonic() - started)
    return done, slowest, errors


def opposite_batches(seconds: float) -> Findings:
    """Writers of equal keys in opposite orders, each with a deletion, on sixteen connections of two storages."""
    with PostgreSql(_SETTINGS) as postgresql:
        url = postgresql.new_url()
        storages = [PostgreSqlStorage.from_url(url) for _ in range(2)]
        engines = [storage.open("contended", {}) for storage in storages]
        stopping = threading.Event()

        with ThreadPoolExecutor(_CONNECTIONS) as pool:
            futures = [
                pool.submit(write_until, stopping, engines[number % 2], number) for number in range(_CONNECTIONS)
            ]
            stopping.wait(seconds)
            stopping.set()
            results = [future.result() for future in futures]
        values = [value for value in engines[0].multi_get(_BATCH) if value is not None]
        deadlocks = postgresql.execute("SELECT deadlocks FROM pg_stat_database WHERE datname = 'postgres'")
        for storage in storages:
            storage.close()
    errors = [text for _, _, texts in results for text in texts]
    batches = [done for done, _, _ in results]
    violations = errors[:5] + ([] if deadlocks == "0" else [f"PostgreSQL found {deadlocks} deadlocks"])
    violations += [] if len(set(values)) == 1 and len(values) == 19 else [f"the last batch is torn: {values}"]
    violations += [] if min(batches) * 4 > max(batches) else [f"a writer starved: {batches}"]
    figures = {
        "seconds": f"{seconds:,.0f}",
        "batches of 19 puts and a deletion": count(sum(batches)),
        "by one writer, least and most": f"{count(min(batches))}, {count(max(batches))}",
        "errors, deadlocks that PostgreSQL counted": f"{len(errors)}, {deadlocks}",
        "slowest batch": ms(max(slowest for _, slowest, _ in results)),
    }
    return Findings("Batches in opposite orders", f"{(opposite_batches.__doc__ or '').strip()}", figures, violations)


def torn_reads(reads: int) -> Findings:
    """Reads of 8 keys through two servers, in four ways at once, while both servers have them rewritten in batches."""
    stopping = threading.Event()
    with two_servers() as (_, _, servers):
        fill(servers[0])

        def write(number: int) -> int:
            with connect(servers[number]) as client:
                for done in numbers():
                    if stopping.is_set():
                        return done * 2
                    for keys in (_KEYS, _SPREAD):
                        with client.WriteBatch() as batch:
                            for key in keys:
                                batch.Put(key, f"{number}/{done}")
            raise AssertionError

        def look(read: Callable[[Elevator], list[Any]]) -> list[list[Any]]:
            clients = [connect(server) for server in servers]
            seen = (read(clients[i % 2]) for i in range(reads // len(_WAYS)))
            torn = [values for values in seen if len(values) != len(_KEYS) or len(set(values)) != 1]
            for client in clients:
                client.disconnect()
            return torn

        with ThreadPoolExecutor(2) as writers, ThreadPoolExecutor(len(_WAYS)) as readers:
            writing = [writers.submit(write, number) for number in range(2)]
            try:
                torn = dict(zip(_WAYS, readers.map(look, _WAYS.values()), strict=True))
            finally:
                stopping.set()
            batches = sum(future.result() for future in writing)
    figures = {f"reads {way}, torn": f"{count(reads // len(_WAYS))}, {len(seen)}" for way, seen in torn.items()}
    figures["batches of 8 keys meanwhile"] = count(batches)
    violations = [f"{way} saw {seen[0]}" for way, seen in torn.items() if seen]
    return Findings("Reads beside batches", (torn_reads.__doc__ or "").strip(), figures, violations)


def fill(server: ServerProcess) -> None:
    """Write the first values, and between those that are read with a cursor others, so that they need two pages."""
    with connect(server) as client, client.WriteBatch() as batch:
        for key in [*_KEYS, *_SPREAD]:
            batch.Put(key, "first")
        for key in _SPREAD:
            for i in range(20):
                batch.Put(f"{key}~{i:02}", "between")


def equal_names(rounds: int) -> Findings:
    """Twenty names, each created and then dropped at the same moment by a client of each of two servers."""
    violations: list[str] = []
    with two_servers() as (postgresql, schema, servers), ThreadPoolExecutor(2 * len(_NAMES)) as pool:
        clients = [[connect(server) for _ in _NAMES] for server in servers]
        for number in range(rounds):
            violations += play_names(pool, clients, number)
        orphans = (
            f"SELECT (SELECT count(*) FROM pg_tables WHERE schemaname = '{schema}' AND tablename LIKE 'pairs%'), "
            f"(SELECT count(*) FROM pg_proc WHERE pronamespace = '{schema}'::regnamespace AND proname LIKE 'write%')"
        )
        deadline = monotonic() + 30
        while (left := postgresql.execute(orphans)) != "1|1" and monotonic() < deadline:
            pool.submit(connect(servers[0]).listdb).result()
    violations += [] if left == "1|1" else [f"tables and functions left beside those of `default`: {left}"]
    figures = {
        "rounds": count(rounds),
        "creates, of which succeeded": f"{count(2 * len(_NAMES) * rounds)}, {count(len(_NAMES) * rounds)}",
        "drops, of which succeeded": f"{count(2 * len(_NAMES) * rounds)}, {count(len(_NAMES) * rounds)}",
        "tables and functions of dropped databases in the end": "0, 0" if left == "1|1" else left,
    }
    return Findings("Equal names", (equal_names.__doc__ or "").strip(), figures, violations)


def play_names(pool: ThreadPoolExecutor, clients: list[list[Elevator]], number: int) -> list[str]:
    """One round; return what was wrong."""
    wrong = []
    for verb in ("createdb", "dropdb"):
        barrier = threading.Barrier(2 * len(_NAMES))
        calls = [
            [
                pool.submit(perform, barrier, getattr(client, verb), name)
                for client, name in zip(own, _NAMES, strict=True)
            ]
            for own in clients
        ]
        outcomes = [[future.result() for future in own] for own in calls]
        for name, both in zip(_NAMES, zip(*outcomes, strict=True), strict=True):
            if sorted(outcome is None for outcome in both) != [False, True]:
                wrong.append(f"round {number}, {verb} {name}: {both}")
        if verb == "createdb":
            wrong += [text for text in pool.map(use, *clients, _NAMES) if text]
        for own in clients:
            listed = sorted(set(own[0].listdb()) - {"default"})
            if listed != (_NAMES if verb == "createdb" else []) and not is_listed_soon(own[0], verb == "createdb"):
                wrong.append(f"round {number}: after {verb} a server lists {listed}")
    return wrong


def perform(barrier: threading.Barrier, call: Callable[[str], Any], name: str) -> str | None:
    """Call when all others do; return the error's text."""
    barrier.wait(60)
    try:
        call(name)
    except ElevatorError as error:
        return f"{type(error).__name__}: {error}"
    return None


def use(one: Elevator, other: Elevator, name: str) -> str | None:
    """Write through one server and read through the other; return what was wrong."""
    try:
        for client in (one, other):
            client.connect(name)
        one.Put("k", name)
        found = other.Get("k")
        return None if found == name else f"{name} has {found!r}"
    except ElevatorError as error:
        return f"{name} is listed and cannot be used: {type(error).__name__}: {error}"


def is_listed_soon(client: Elevator, there: bool) -> bool:
    """Return True if a server lists all names, or none of them, within the second that it has for it."""
    deadline = monotonic() + 1.0
    wanted = set(_NAMES) if there else set()
    while monotonic() < deadline:
        if set(client.listdb()) - {"default"} == wanted:
            return True
    return False
