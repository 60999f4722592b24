"""The memory engine: the public suite, and what only memory does."""

import pytest

from pyelevator.commands import DELETE, PUT
from pyelevator.engines.base import Bounds
from pyelevator.engines.memory import MemoryStorage
from pyelevator.testing.engine_updates import UpdatingEngineConformance
from support.applications import database_of


class TestConformance(UpdatingEngineConformance):
    @pytest.fixture
    def storage(self):
        return MemoryStorage()


@pytest.fixture
def engine():
    return MemoryStorage().open("/db", {})


def test_two_storages_share_nothing():
    one, other = MemoryStorage(), MemoryStorage()
    one.open("/db", {}).write([(PUT, b"k", b"v")])
    assert other.open("/db", {}).get(b"k") is None


def test_many_keys_loaded_in_any_order_come_back_sorted(engine):
    keys = [b"%05d" % (i * 7919 % 20_000) for i in range(20_000)]
    for key in keys:
        engine.write([(PUT, key, b"")])
    assert list(engine.scan(Bounds(include_value=False))) == sorted(keys)


def test_keys_that_come_and_go_between_scans_stay_in_order(engine):
    engine.write([(PUT, b"%02d" % i, b"") for i in range(100)])
    assert len(list(engine.scan(Bounds()))) == 100
    engine.write([(DELETE, b"%02d" % i) for i in range(90)])
    engine.write([(PUT, b"05", b""), (PUT, b"04x", b""), (DELETE, b"04x")])
    expected = [b"05", *(b"%02d" % i for i in range(90, 100))]
    assert list(engine.scan(Bounds(include_value=False))) == expected
    assert list(engine.scan(Bounds(include_value=False, reverse=True))) == expected[::-1]


def test_without_readers_a_write_copies_nothing(engine):
    engine.write([(PUT, b"k", b"1")])
    list(engine.scan(Bounds()))
    table = database_of(engine).table
    engine.write([(PUT, b"k", b"2")])
    assert database_of(engine).table is table


def test_a_scan_in_progress_makes_the_next_write_copy_once(engine):
    engine.write([(PUT, b"k", b"1")])
    scan = engine.scan(Bounds())
    table = database_of(engine).table
    engine.write([(PUT, b"k", b"2")])
    copy = database_of(engine).table
    engine.write([(PUT, b"k", b"3")])
    assert copy is not table
    assert database_of(engine).table is copy
    assert list(scan) == [(b"k", b"1")]


@pytest.mark.parametrize(
    ("start", "stop", "compactions"),
    [(None, None, 1), (b"", b"", 0), (b"k", b"k", 1), (b"l", None, 0), (None, b"j", 0), (b"z", b"a", 0)],
)
def test_a_range_without_keys_takes_no_compaction(engine, monkeypatch, start, stop, compactions):
    calls: list[None] = []
    monkeypatch.setattr(type(engine), "compact", lambda _: calls.append(None))
    engine.write([(PUT, b"k", b"v")])
    engine.compact_range(start, stop)
    assert len(calls) == compactions
