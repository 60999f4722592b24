"""A server on a cluster that does not answer: PING and the other databases go on, and calls end in time with a name."""

import os
import signal
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from itertools import cycle
from time import monotonic
from typing import Any

import pytest

from pyelevator import DatabaseUnavailable, Elevator, OutcomeUnknown, WriteConflict
from pyelevator.application import Application
from pyelevator.errors import ElevatorError
from pyelevator.server import Server
from support.applications import application_of, storage_of
from support.eventually import eventually

psycopg = pytest.importorskip("psycopg")


@pytest.fixture
def server(postgresql):
    url = postgresql.new_url(call_timeout=4, pool_size=4)
    application = Application.on_url(url)
    server: Any
    with Server(application, ["tcp://127.0.0.1:0"], workers=application.min_workers) as server:
        server.schema = url.partition("schema=")[2].partition("&")[0]
        yield server


@pytest.fixture
def connect(server):
    opened = []

    def connect_to(name="default", **options):
        opened.append(Elevator(name, endpoint=server.urls[0].removeprefix("tcp://"), **options))
        return opened[-1]

    yield connect_to
    for client in opened:
        client.disconnect()


@pytest.fixture
def two(connect):
    """Two databases with a key, and clients of each that are connected."""
    admin = connect()
    for name in ("blocked", "free"):
        admin.createdb(name)
    clients = connect("blocked", timeout=20), connect("free")
    for client in clients:
        client.Put("k", "v")
        assert client.Get("k") == "v"
    return clients


@contextmanager
def locked_row(postgresql, server, database="blocked"):
    """Have a foreign transaction hold the row of 'k'."""
    with psycopg.connect(f"host=127.0.0.1 port={postgresql.port} user=postgres dbname=postgres") as foreign:
        table = table_of(foreign, server, database)
        foreign.execute(f"SELECT FROM {table} WHERE key = 'k' FOR UPDATE")
        yield foreign
        foreign.rollback()


def table_of(foreign, server, database):
    row = foreign.execute(
        f"SELECT relation FROM {server.schema}.databases WHERE name = %s", [database.encode()]
    ).fetchone()
    return f"{server.schema}.pairs_{row[0]}"


def times_until(outcome, call):
    """Call again and again until there is an outcome; return when each call began and when it was answered."""
    times = []
    while not outcome.done():
        began = monotonic()
        call()
        times.append((began, monotonic()))
    return times


def goes_on(free, connect, blocked_call):
    """Execute what blocks beside PINGs and calls to another database, which are answered meanwhile; return its outcome.

    Some have to begin and end in the second half of the time, when what blocks has long been blocked.
    """
    pinging, began, ends = connect(), monotonic(), list[float]()
    with ThreadPoolExecutor(3) as pool:
        outcome = pool.submit(blocked_call)
        outcome.add_done_callback(lambda _: ends.append(monotonic()))
        ping = pool.submit(times_until, outcome, pinging.ping)
        answers = (call() for call in cycle([lambda: free.Put("x", "y"), lambda: free.Get("k")]))
        other = pool.submit(times_until, outcome, answers.__next__)
    for times in (ping.result(), other.result()):
        assert any((began + ends[0]) / 2 < first and last < ends[0] for first, last in times)
    return outcome


def test_a_locked_row_is_a_conflict_for_who_writes_it(two, connect, postgresql, server):
    blocked, free = two
    with locked_row(postgresql, server):
        outcome = goes_on(free, connect, lambda: blocked.Put("k", "w"))
        with pytest.raises(WriteConflict, match="nothing was done"):
            outcome.result()
        assert blocked.Get("k") == "v"
    blocked.Put("k", "w")
    assert blocked.Get("k") == "w"


def test_many_writers_of_a_locked_row_leave_workers_to_others(two, connect, postgresql, server):
    _, free = two
    writers = [connect("blocked", timeout=20) for _ in range(30)]

    def write_all():
        with ThreadPoolExecutor(30) as pool:
            return [future.exception() for future in [pool.submit(writer.Put, "k", "w") for writer in writers]]

    with locked_row(postgresql, server):
        errors = goes_on(free, connect, write_all).result()
    assert {type(error) for error in errors} <= {WriteConflict, DatabaseUnavailable, OutcomeUnknown}
    assert free.Get("k") == "v"


def test_a_locked_table_holds_up_its_own_readers_only(two, connect, postgresql, server):
    blocked, free = two
    with psycopg.connect(f"host=127.0.0.1 port={postgresql.port} user=postgres dbname=postgres") as foreign:
        foreign.execute(f"LOCK TABLE {table_of(foreign, server, 'blocked')}")
        outcome = goes_on(free, connect, lambda: blocked.Get("k"))
        with pytest.raises(ElevatorError, match=r"another transaction holds|did not answer"):
            outcome.result()
        foreign.rollback()
    assert blocked.Get("k") == "v"


def test_a_frozen_backend_ends_its_calls_in_time(two, connect, postgresql, server):
    blocked, free = two
    with locked_row(postgresql, server) as foreign, ThreadPoolExecutor(1) as pool:
        writing = pool.submit(blocked.Put, "k", "w")
        pid = wait_for_blocked_backend(foreign)
        os.kill(pid, signal.SIGSTOP)
        try:
            outcome = goes_on(free, connect, writing.exception)
            assert isinstance(outcome.result(), (OutcomeUnknown, WriteConflict, DatabaseUnavailable))
        finally:
            os.kill(pid, signal.SIGCONT)
    blocked.Put("k", "x")
    assert blocked.Get("k") == "x"


def wait_for_blocked_backend(foreign):
    sql = "SELECT pid FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND application_name = 'elevator'"
    return eventually(lambda: foreign.execute(sql).fetchone(), "a session waits for a lock")[0]


def test_an_exhausted_pool_is_a_wait_of_the_blocked_database_only(two, connect, postgresql, server):
    _, free = two
    readers = [connect("blocked", timeout=20) for _ in range(8)]
    with psycopg.connect(f"host=127.0.0.1 port={postgresql.port} user=postgres dbname=postgres") as foreign:
        foreign.execute(f"LOCK TABLE {table_of(foreign, server, 'blocked')}")

        def read_all():
            with ThreadPoolExecutor(8) as pool:
                return [future.exception() for future in [pool.submit(reader.MGet, ["k"]) for reader in readers]]

        errors = goes_on(free, connect, read_all).result()
        foreign.rollback()
    assert all(isinstance(error, ElevatorError) for error in errors)


def test_gets_and_puts_of_many_clients_go_in_one_statement(two, connect, server):
    blocked, _ = two
    clients = [connect("blocked") for _ in range(16)]
    barrier = threading.Barrier(16)

    def work(number):
        client = clients[number]
        barrier.wait()
        for i in range(50):
            client.Put(f"{number}-{i}", str(i))
            assert client.Get(f"{number}-{i}") == str(i)

    with ThreadPoolExecutor(16) as pool:
        list(pool.map(work, range(16)))
    assert len(blocked.Range(prefix="1")) == 50 * 7
    tokens = count(server, "tokens")
    assert tokens < 16 * 50


def count(server, table):
    client = storage_of(application_of(server).catalog)
    return client.databases.query(f"SELECT count(*) FROM {server.schema}.{table}".encode())[0][0]


def test_one_bad_write_of_a_group_fails_alone(connect, two):
    blocked, _ = two
    clients = [connect("blocked") for _ in range(8)]
    barrier = threading.Barrier(8)

    def put(number):
        barrier.wait()
        clients[number].Put("k" * (3000 if number == 3 else 10) + str(number), "v")

    with ThreadPoolExecutor(8) as pool:
        errors = [future.exception() for future in [pool.submit(put, number) for number in range(8)]]
    assert [error is None for error in errors] == [number != 3 for number in range(8)]
    assert "a key of 3,001 bytes is over the limit of 2,600" in str(errors[3])
    assert len(blocked.Range(prefix="k" * 10)) == 7


def test_what_clients_are_told_names_no_host_port_or_sql(two, postgresql, server):
    blocked, _ = two
    with psycopg.connect(f"host=127.0.0.1 port={postgresql.port} user=postgres dbname=postgres") as foreign:
        foreign.execute(f"ALTER TABLE {table_of(foreign, server, 'blocked')} OWNER TO postgres")
    with pytest.raises(ElevatorError) as caught:
        blocked.Get("k")
    text = str(caught.value)
    assert "the server's role lacks a privilege" in text
    for secret in ("127.0.0.1", str(postgresql.port), "SELECT", "pairs_", server.schema):
        assert secret not in text
