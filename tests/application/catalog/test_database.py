"""Many threads on one catalog: leases hold up what closes a database, and nothing else."""

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from pyelevator.application import Catalog
from pyelevator.commands import PUT
from pyelevator.engines.base import Bounds, EngineError
from pyelevator.engines.leveldb import LevelDbStorage
from pyelevator.engines.memory import MemoryStorage
from pyelevator.errors import DatabaseError, ServerRuntimeError
from support.applications import storage_of
from support.eventually import eventually

WAIT = 30  # seconds, for what comes at once unless it is broken


@pytest.fixture
def pool():
    with ThreadPoolExecutor(8) as pool:
        yield pool


def until_held_up(catalog, uid):
    """Return once a thread waits for the leases of the database."""
    eventually(lambda: not catalog.get_database(uid).engine, pause=0.001)


@pytest.mark.parametrize("call", ["unmount", "drop", "repair", "close"])
def test_what_closes_a_database_waits_for_its_leases(catalog, pool, call):
    uid = catalog.uid_of("default")
    catalog.create("other")
    closing = {
        "unmount": lambda: catalog.unmount("default"),
        "drop": lambda: catalog.drop("default"),
        "repair": lambda: catalog.repair(uid),
        "close": catalog.close,
    }
    database = catalog.get_database(uid)
    with database as engine:
        engine.write([(PUT, b"k", b"v")])
        scan = engine.scan(Bounds())
        done = pool.submit(closing[call])
        while database.engine:
            threading.Event().wait(0.001)
        assert not done.done()
        assert engine.get(b"k") == b"v"
        assert list(scan) == [(b"k", b"v")]
    done.result(WAIT)


def test_new_leases_wait_until_the_database_has_been_closed(catalog, pool):
    uid = catalog.uid_of("default")

    def read():
        with catalog.get_database(uid) as engine:
            return engine.get(b"k")

    with catalog.get_database(uid) as engine:
        engine.write([(PUT, b"k", b"v")])
        dropped = pool.submit(catalog.drop, "default")
        until_held_up(catalog, uid)
        reads = [pool.submit(read) for _ in range(4)]
        assert not any(read.done() for read in reads)
    dropped.result(WAIT)
    assert [read.result(WAIT) for read in reads] == [None] * 4


def test_other_databases_go_on_while_one_waits(catalog, pool):
    uid = catalog.uid_of("default")
    catalog.create("other")
    with catalog.get_database(uid):
        dropped = pool.submit(catalog.drop, "default")
        until_held_up(catalog, uid)
        with catalog.get_database(catalog.uid_of("other")) as engine:
            assert engine.get(b"k") is None
        catalog.create("third")
        catalog.drop("other")
        assert catalog.names() == ["default", "third"]
    dropped.result(WAIT)


def test_a_slow_open_holds_up_no_other_database(pool):
    opening, go_on = threading.Event(), threading.Event()

    class SlowStorage(MemoryStorage):
        def open(self, path, options):
            if path.endswith("slow"):
                opening.set()
                assert go_on.wait(WAIT)
            return super().open(path, options)

    catalog = Catalog(SlowStorage())
    created = pool.submit(catalog.create, "slow")
    assert opening.wait(WAIT)
    with catalog.get_database(catalog.uid_of("default")) as engine:
        assert engine.get(b"k") is None
    catalog.create("quick")
    assert catalog.names() == ["default", "quick"]
    with pytest.raises(DatabaseError, match="Database slow already exists"):
        catalog.create("slow")
    go_on.set()
    created.result(WAIT)
    assert catalog.names() == ["default", "quick", "slow"]


def test_of_many_creations_of_one_name_one_succeeds(catalog, pool):
    start = threading.Barrier(8)

    def create():
        start.wait(WAIT)
        try:
            catalog.create("x")
        except DatabaseError as error:
            return str(error)
        return "created"

    answers = [future.result(WAIT) for future in [pool.submit(create) for _ in range(8)]]
    assert sorted(answers) == ["Database x already exists"] * 7 + ["created"]
    assert catalog.names() == ["default", "x"]


def test_of_two_drops_one_succeeds_and_keeps_what_is_created_later(catalog, pool):
    catalog.create("x")
    database = catalog.get_database(catalog.uid_of("x"))
    with database:
        drops = [pool.submit(catalog.drop, "x") for _ in range(2)]
        while database._exclusive < 2:
            threading.Event().wait(0.001)
    errors = [drop.exception(WAIT) for drop in drops]
    assert sorted(map(str, errors)) == ["Database x does not exist", "None"]
    assert catalog.names() == ["default"]


def test_a_database_is_opened_once_for_many_first_uses(pool):
    opened = []

    class CountingStorage(MemoryStorage):
        def open(self, path, options):
            opened.append(path)
            return super().open(path, options)

    catalog = Catalog(CountingStorage())
    catalog.unmount("default")
    start = threading.Barrier(8)

    def read():
        start.wait(WAIT)
        with catalog.get_database(catalog.uid_of("default")) as engine:
            return engine.get(b"k")

    assert [future.result(WAIT) for future in [pool.submit(read) for _ in range(8)]] == [None] * 8
    assert len(opened) == 2


def test_a_failed_open_leaves_the_database_usable(catalog, monkeypatch):
    uid = catalog.uid_of("default")
    catalog.unmount("default")
    with monkeypatch.context() as patch:
        patch.setattr(storage_of(catalog), "exists", lambda path: False)
        with pytest.raises(DatabaseError, match="its files are gone"), catalog.get_database(uid):
            pass
    with catalog.get_database(uid) as engine:
        assert engine.get(b"k") is None
    catalog.unmount("default")


def test_use_unmount_drop_and_repair_from_many_threads(tmp_path, pool):
    catalog = Catalog(LevelDbStorage(), str(tmp_path))
    start = threading.Barrier(6)

    def work(step):
        start.wait(WAIT)
        outcomes = set()
        for i in range(60):
            try:
                step(i)
            except (DatabaseError, ServerRuntimeError) as error:
                outcomes.add(str(error).split()[-1])
        return outcomes

    def write(i):
        with catalog.get_database(catalog.uid_of("x")) as engine:
            engine.write([(PUT, b"%d" % i, b"v" * 1000)])
            assert engine.get(b"%d" % i) == b"v" * 1000
            assert (b"%d" % i, b"v" * 1000) in list(engine.scan(Bounds()))

    steps = [
        write,
        write,
        write,
        lambda _: catalog.unmount("x"),
        lambda i: catalog.repair(catalog.uid_of("x")) if i % 10 == 0 else None,
        lambda i: catalog.drop("x") if i % 20 == 19 else catalog.create("x"),
    ]
    outcomes = set().union(*[future.result(WAIT) for future in [pool.submit(work, step) for step in steps]])
    assert outcomes <= {"exist", "exists"}
    names = catalog.names()
    catalog.close()
    again = Catalog(LevelDbStorage(), str(tmp_path))
    assert again.names() == names
    again.close()


def test_looking_at_a_listener_waits_for_nothing_and_opens_nothing(catalog, pool):
    """Neither for a repair, nor for a thread that waits for a lease to end."""
    uid = catalog.uid_of("default")
    database = catalog.get_database(uid)
    catalog.mount("default")
    assert database.stats().is_open
    with database:
        closing = pool.submit(catalog.unmount, "default")
        until_held_up(catalog, uid)
        found = database.stats()
        assert (found.is_open, found.engine) == (True, None)
    closing.result(WAIT)
    assert not database.stats().is_open
    with database.lock:  # as a repair holds it
        assert database.stats().engine is None


def test_looking_holds_up_what_closes_the_database_until_it_has_looked(catalog, pool, monkeypatch):
    uid = catalog.uid_of("default")
    database = catalog.get_database(uid)
    looking, go_on = threading.Event(), threading.Event()
    with database as engine:
        original = type(engine).stats

    def stats(self):
        looking.set()
        assert go_on.wait(WAIT)
        return original(self)

    monkeypatch.setattr(type(engine), "stats", stats)
    found = pool.submit(database.stats)
    assert looking.wait(WAIT)
    closing = pool.submit(catalog.unmount, "default")
    until_held_up(catalog, uid)
    assert not closing.done()
    go_on.set()
    assert found.result(WAIT).engine is not None
    closing.result(WAIT)


def test_an_engine_without_figures_is_told_of_as_open_beside_the_others(catalog, monkeypatch):
    catalog.create("other")
    with catalog.get_database(catalog.uid_of("default")) as engine:
        pass

    def broken(self):
        raise EngineError("broken")

    monkeypatch.setattr(type(engine), "stats", broken)
    assert [(one.name, one.is_open, one.engine) for one in catalog.stats()] == [
        ("default", True, None),
        ("other", True, None),
    ]
