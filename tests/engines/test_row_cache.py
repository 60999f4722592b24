"""The row cache: it is never older than the database, whatever happens at the same time."""

import threading
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, strategies as st

from pyelevator.application import Application, Policy
from pyelevator.commands import DELETE, PUT
from pyelevator.engines.base import EngineError
from pyelevator.engines.leveldb import LevelDbEngine, LevelDbStorage
from pyelevator.engines.memory import MemoryStorage
from pyelevator.engines.row_cache import RowCache
from pyelevator.testing.engine_updates import UpdatingEngineConformance
from support.damage import flip, last_block


class TestConformance(UpdatingEngineConformance):
    """Every single read fills the cache too, and is answered from it."""

    @pytest.fixture(autouse=True)
    def cached(self, monkeypatch):
        monkeypatch.setattr(LevelDbEngine, "get", lambda self, key: self.multi_get([key], fill_cache=True)[0])

    @pytest.fixture
    def storage(self):
        return LevelDbStorage()

    def damage(self, path):
        flip(max(Path(path).glob("*.ldb")), last_block)


class World:
    """A cache before a database, and what happens during a read: each moment is a call that a test may set.

    A write goes on by steps: it begins, it is there, it ends.
    """

    def __init__(self, most=1 << 20):
        self.rows = RowCache(most)
        self.database = MemoryStorage().open("db", {})
        self.reads = []
        self.before_snapshot: Callable[[], None] = lambda: None
        self.while_reading: Callable[[], None] = lambda: None

    def snapshot(self):
        self.before_snapshot()
        return self.database.snapshot()

    def read(self, *keys, fill=True):
        self.reads = []
        engine: Any = self
        return list(self.rows.collect(engine, keys, self.seen, fill_cache=fill))

    def seen(self, values):
        self.reads += values
        self.while_reading()

    def steps(self, key, value):
        ops = [(DELETE, key) if value is None else (PUT, key, value)]
        self.rows.begin_write(ops)
        yield
        self.database.write(ops)
        yield
        self.rows.end_write()

    def write(self, key, value):
        for _ in self.steps(key, value):
            pass


@pytest.fixture
def world():
    world = World()
    world.write(b"a", b"1")
    world.write(b"b", b"1")
    return world


def test_what_was_read_is_not_read_again(world):
    assert world.read(b"b", b"a", b"b") == [b"1", b"1", b"1"]
    assert world.reads == [b"1", b"1"]
    assert world.read(b"a", b"b", b"a") == [b"1", b"1", b"1"]
    assert world.reads == []


def test_only_what_is_missing_is_read(world):
    world.read(b"a")
    assert world.read(b"b", b"a", b"x") == [b"1", b"1", None]
    assert world.reads == [b"1", None]


def test_a_read_without_fill_cache_uses_the_cache_and_adds_nothing(world):
    world.read(b"a", fill=False)
    assert world.rows.size == 0
    world.read(b"a")
    assert world.read(b"a", fill=False) == [b"1"]
    assert world.reads == []


@pytest.mark.parametrize("value", [b"2", b"", None])
def test_a_written_key_is_read_again_and_no_other(world, value):
    world.read(b"a", b"b")
    world.write(b"a", value)
    assert world.read(b"a", b"b") == [value, b"1"]
    assert world.reads == [value]


@pytest.mark.parametrize("done", [1, 2])
def test_a_key_that_is_being_written_is_not_kept(world, done):
    steps = world.steps(b"a", b"2")
    for _ in range(done):
        next(steps)
    assert world.read(b"a", b"b") == [[b"1", b"2"][done - 1], b"1"]
    list(steps)
    assert world.read(b"a", b"b") == [b"2", b"1"]
    assert world.reads == [b"2"]


def test_a_key_written_before_the_snapshot_is_read_from_it(world):
    world.read(b"a")
    world.before_snapshot = lambda: world.write(b"a", b"2")
    assert world.read(b"a", b"b") == [b"2", b"1"]


def test_a_key_written_during_a_read_is_of_its_moment_and_not_cached(world):
    world.while_reading = lambda: (world.write(b"a", b"2"), world.write(b"b", b"2"))
    assert world.read(b"a", b"b") == [b"1", b"1"]
    world.while_reading = lambda: None
    assert world.read(b"a", b"b") == [b"2", b"2"]


def test_a_write_during_a_read_does_not_keep_other_keys_uncached(world):
    world.while_reading = lambda: world.write(b"a", b"2")
    world.read(b"a", b"b")
    assert world.read(b"b") == [b"1"]
    assert world.reads == []


def test_two_reads_at_a_time_both_track_a_write(world):
    def inner():
        world.while_reading = lambda: world.write(b"a", b"2")
        world.rows.collect(world, [b"a", b"b"], world.seen, fill_cache=True)
        world.while_reading = lambda: None

    world.while_reading = inner
    assert world.read(b"a", b"b") == [b"1", b"1"]
    assert world.read(b"a", b"b") == [b"2", b"1"]


def test_a_read_that_fails_half_way_caches_nothing(world):
    def fail():
        raise EngineError("no")

    world.while_reading = fail
    with pytest.raises(EngineError):
        world.read(b"a")
    assert world.rows.size == 0
    world.while_reading = lambda: None
    assert world.read(b"a") == [b"1"]


def test_keys_written_and_cached_between_two_lookups_are_of_one_moment(world):
    class Keys(list):
        """Between its two keys others write both and read the second."""

        meanwhile = [lambda: world.write(b"a", b"2"), lambda: world.write(b"b", b"2"), lambda: world.read(b"b")]

        def __iter__(self):
            yield self[0]
            while self.meanwhile:
                self.meanwhile.pop(0)()
            yield self[1]

    world.read(b"a", b"b")
    assert world.rows.collect(world, Keys([b"a", b"b"]), world.seen, fill_cache=True) == [b"2", b"2"]


KEYS = st.sampled_from([b"a", b"b", b"c"])
WRITES = st.tuples(KEYS, st.none() | st.just(b"") | st.binary(min_size=1, max_size=200))
READS = st.tuples(st.lists(KEYS, max_size=4), st.booleans(), st.integers(0, 7), st.integers(0, 7), st.integers(0, 7))


@given(st.lists(WRITES, max_size=60), st.lists(READS, max_size=25), st.sampled_from([0, 800, 1 << 20]))
def test_every_read_is_of_one_moment_between_its_start_and_end(writes, reads, most):
    world, history = World(most), [dict[bytes, bytes | None]()]

    def all_steps():
        for key, value in writes:
            steps = world.steps(key, value)
            next(steps)
            yield
            next(steps)
            history.append({**history[-1], key: value})
            yield
            list(steps)
            yield

    def go_on(count):
        for _ in range(count):
            next(steps, None)

    steps = all_steps()
    for keys, fill, before, at_snapshot, while_reading in reads:
        go_on(before)
        world.before_snapshot = partial(go_on, at_snapshot)
        world.while_reading = partial(go_on, while_reading)
        begin = len(history) - 1
        values = world.read(*keys, fill=fill)
        assert values in [[state.get(key) for key in keys] for state in history[begin:]]
        assert world.rows.size <= most


# Its bounds


def fill(world, first, last, size=100):
    keys = [b"%05d" % i for i in range(first, last)]
    for key in keys:
        world.database.write([(PUT, key, b"v" * size)])
    world.read(*keys)
    return keys


def test_it_never_holds_more_than_it_may():
    world = World(100_000)
    for first in range(0, 5000, 50):
        fill(world, first, first + 50)
        assert 0 < world.rows.size <= 100_000
    assert world.rows.size > 40_000


def test_what_is_used_stays_and_what_is_not_goes():
    world = World(100_000)
    used, unused = fill(world, 0, 50), fill(world, 50, 100)
    for first in range(100, 2000, 50):
        fill(world, first, first + 50)
        world.read(*used)
        assert world.reads == []
    world.read(*unused)
    assert len(world.reads) == 50


@pytest.mark.parametrize("others", [(), (b"00050",)], ids=["with young ones", "alone"])
def test_what_is_about_to_go_is_removed_by_writes_too(others):
    world = World(1000)
    fill(world, 0, 1)
    fill(world, 50, 51, size=300)
    for key in (*others, b"00000"):
        world.write(key, b"new")
    assert world.read(b"00000") == [b"new"]


def test_a_read_larger_than_half_of_the_cache_changes_nothing():
    world = World(100_000)
    used = fill(world, 0, 50)
    fill(world, 50, 60, size=10_000)
    world.read(*used)
    assert world.reads == []


def test_a_cache_of_no_bytes_keeps_nothing():
    world = World(0)
    fill(world, 0, 1, size=0)
    assert world.rows.size == 0


# In the engine


@pytest.fixture
def engine(tmp_path):
    with LevelDbStorage().open(str(tmp_path / "db"), {}) as engine:
        engine.write([(PUT, b"%04d" % i, b"%d" % i) for i in range(1000)])
        yield engine


def test_by_default_nothing_is_kept(engine):
    engine.multi_get([b"0001", b"0002"])
    engine.get(b"0003")
    assert engine.rows.size == 0


def test_a_batch_takes_its_keys_out_of_the_cache(engine):
    keys = [b"%04d" % i for i in range(1000)]
    engine.multi_get(keys, fill_cache=True)
    engine.write([(PUT, b"0001", b"new"), (DELETE, b"0002"), (PUT, b"0001", b"newer")])
    assert engine.multi_get(keys[:4]) == [b"0", b"newer", None, b"3"]


def test_a_closed_engine_has_forgotten_everything(engine):
    engine.multi_get([b"0001"], fill_cache=True)
    engine.close()
    assert engine.rows.size == 0
    with pytest.raises(EngineError, match="is closed"):
        engine.multi_get([b"0001"], fill_cache=True)


def test_a_failed_write_leaves_no_key_that_it_may_have_written(engine, monkeypatch):
    class Failing:
        put = delete = staticmethod(lambda *_: None)

        def write(self):
            raise OSError(28, "No space left on device")

    class Source:
        closed = False
        write_batch = staticmethod(lambda **_: Failing())

    engine.multi_get([b"0001", b"0002"], fill_cache=True)
    with monkeypatch.context() as patch:
        patch.setattr(engine, "_source", Source())
        with pytest.raises(EngineError):
            engine.write([(PUT, b"0001", b"new")])
    both, one = engine.rows.size, engine.multi_get([b"0001", b"0002"])
    assert one == [b"1", b"2"]
    engine.multi_get([b"0001"], fill_cache=True)
    assert engine.rows.size > both


def test_readers_never_go_back_and_never_miss_what_was_acknowledged(engine):
    """Of two keys that are always written together."""
    keys, acknowledged, wrong = [b"0001", b"0999"], [0], []
    engine.write([(PUT, key, b"%d" % 0) for key in keys])
    done = threading.Event()

    def write():
        for i in range(1, 2000):
            engine.write([(PUT, key, b"%d" % i) for key in keys])
            acknowledged[0] = i
        done.set()

    def read(fill):
        last = 0
        while not done.is_set():
            least = max(last, acknowledged[0])
            one, other = map(int, engine.multi_get(keys, fill_cache=fill))
            if one != other or one < least:
                wrong.append((least, one, other))
            last = one

    threads = [threading.Thread(target=write), *(threading.Thread(target=read, args=(fill,)) for fill in (True, False))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []
    assert engine.multi_get(keys) == [b"1999", b"1999"]


@pytest.mark.parametrize(("most", "kept"), [(0, False), (1000, True)])
def test_the_policy_says_how_much_is_kept(tmp_path, most, kept):
    application = Application.on_leveldb(str(tmp_path), policy=Policy(row_cache=most))
    with application.catalog.get_database(application.catalog.uid_of("default")) as engine:
        engine.write([(PUT, b"k", b"v")])
        engine.multi_get([b"k"], fill_cache=True)
        leveldb: Any = engine
        assert (leveldb.rows.size > 0) == kept
    application.close()
