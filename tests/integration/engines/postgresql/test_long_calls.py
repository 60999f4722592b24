"""Calls that take longer than others may: as long as they are answered they go on, and otherwise they end as soon."""

import os
import signal
from contextlib import contextmanager
from random import Random
from time import monotonic

import pytest

from pyelevator.commands import PUT
from pyelevator.engines.base import Bounds, SnapshotLost
from pyelevator.engines.call_deadline import calling_until
from support.eventually import eventually

pytest.importorskip("psycopg")

from pyelevator.engines.postgresql import cluster_client as rates, engine as engines
from pyelevator.engines.postgresql.tables import scans

KEYS = [b"%03d" % i for i in range(100)]


@pytest.fixture
def engine(postgresql, open_storage):
    engine = open_storage(postgresql.new_url(call_timeout=1)).open("db", {})
    engine.write([(PUT, key, b"v" * i) for i, key in enumerate(KEYS)])
    return engine


@pytest.fixture
def set_part(monkeypatch):
    """Return a function that sets how many rows are counted or measured with one statement."""

    def set_rows(rows):
        monkeypatch.setattr(scans, "PART_ROWS", rows)
        monkeypatch.setattr(engines, "PART_ROWS", rows)

    return set_rows


@contextmanager
def frozen_backends(postgresql):
    """Stop the processes of all connections that there are; new ones are answered."""
    found = postgresql.execute("SELECT pid FROM pg_stat_activity WHERE application_name = 'elevator'")
    pids = [int(pid) for pid in found.splitlines()]
    for pid in pids:
        os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        for pid in pids:
            os.kill(pid, signal.SIGCONT)


def test_a_range_that_is_counted_in_parts_is_counted_as_a_whole(engine, set_part):
    set_part(7)
    random = Random(1)
    for _ in range(40):
        start, stop = random.choice([None, *KEYS, b"05"]), random.choice([None, *KEYS, b"05"])
        bounds = Bounds(start, stop, random.choice([None, b"", b"0", b"03", b"x"]), include_stop=random.random() < 0.5)
        assert engine.count(bounds) == len(list(engine.scan(bounds))), bounds
        inside = list(engine.scan(Bounds(start, stop, include_stop=False)))
        assert engine.range_size(start, stop) == sum(len(key) + len(value) for key, value in inside), bounds


def test_all_parts_of_a_count_show_one_moment(engine, set_part):
    set_part(30)
    parts: list[None] = []

    def write_meanwhile():
        parts.append(None)
        engine.write([(PUT, b"new%d" % len(parts), b"v")])

    assert engine.count(Bounds(), write_meanwhile) == 100
    assert len(parts) == 3
    assert engine.count(Bounds()) == 103


@pytest.mark.parametrize(
    ("call", "expected"),
    [
        (lambda engine: engine.count(Bounds()), 100),
        (lambda engine: engine.range_size(None, None), 300 + 99 * 50),
        (lambda engine: sum(map(len, engine.collect(KEYS * 30))), 30 * 99 * 50),
    ],
    ids=["count", "sizes", "MGet of many"],
)
def test_a_large_read_on_a_frozen_backend_is_made_on_another(engine, postgresql, monkeypatch, set_part, call, expected):
    monkeypatch.setattr(rates, "_ROWS_PER_SECOND", 50)  # so that all of it may take a minute
    set_part(50)
    started = monotonic()
    with frozen_backends(postgresql):
        assert call(engine) == expected
    assert monotonic() - started < 20


def test_a_scan_that_is_answered_goes_on_after_the_time_of_its_call(engine):
    scan = engine.scan(Bounds())
    first = next(scan)
    with calling_until(monotonic() - 1):
        assert [first, *scan] == [(key, b"v" * i) for i, key in enumerate(KEYS)]


def test_a_snapshot_is_lost_to_a_timeout_of_idle_transactions(engine, postgresql):
    idle = "SELECT count(*) FROM pg_stat_activity WHERE state LIKE 'idle in transaction%'"
    with engine.snapshot() as snapshot:
        setting = b"SET idle_in_transaction_session_timeout = 50"
        snapshot._transaction.run(lambda connection, until: connection.script(setting, until), 30)
        eventually(lambda: postgresql.execute(idle) == "0", "the transaction has been ended")
        with pytest.raises(SnapshotLost):
            snapshot.get(b"001")
    assert engine.get(b"001") == b"v"


def test_all_parts_of_an_mget_show_one_moment(engine):
    first, *others, last = [b"many%04d" % i for i in range(3000)]
    engine.write([(PUT, first, b"0"), (PUT, last, b"0")])
    reads = []

    def write_meanwhile(values):
        reads.append(len(values))
        engine.write([(PUT, first, b"1"), (PUT, last, b"1")])

    values = engine.collect([first, *others, last], write_meanwhile)
    assert (values[0], values[-1]) == (b"0", b"0")
    assert len(reads) > 1
    assert engine.multi_get([first, last]) == [b"1", b"1"]
