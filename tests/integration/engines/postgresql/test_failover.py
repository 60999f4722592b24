"""A standby that was promoted, and the old primary that came back: it is neither written to nor read from."""

import signal
import socket
import subprocess
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

import pytest

from pyelevator.commands import PUT
from pyelevator.engines.base import Bounds, EngineError, EngineUnavailable, SnapshotLost
from support.eventually import eventually
from support.ports import reserve_port
from support.postgresql import PostgreSql, unprivileged


class Pair:
    """A primary with an asynchronous standby, by hand."""

    def __init__(self, primary):
        self.primary, self.standby = primary, PostgreSql()
        self.schema = primary.new_schema()
        self.url = (
            f"postgresql://elevator@127.0.0.1:{primary.port},127.0.0.1:{self.standby.port}/postgres"
            f"?schema={self.schema}&call_timeout=3"
        )

    def start_standby(self):
        standby, primary = self.standby, self.primary
        subprocess.run(
            [standby.programs / "pg_basebackup", "-D", standby.data, "-R", "-X", "stream", "-c", "fast", "-h", "127.0.0.1",
             "-p", str(primary.port), "-U", "postgres"],
            check=True, capture_output=True, cwd="/", **unprivileged(),
        )  # fmt: skip
        with (standby.data / "postgresql.conf").open("a") as file:
            file.write(f"\nport = {standby.port}\n")
        standby.start()

    def catch_up(self):
        """Wait until the standby has what the primary has written so far."""
        written = self.primary.execute("SELECT pg_current_wal_lsn()")
        replayed = f"SELECT pg_last_wal_replay_lsn() >= '{written}'"
        eventually(lambda: self.standby.execute(replayed) == "t", "the standby follows")

    def promote(self):
        self.standby.execute("SELECT pg_promote()")


@pytest.fixture
def pair():
    with PostgreSql() as primary:
        pair = Pair(primary)
        pair.start_standby()
        try:
            yield pair
        finally:
            pair.standby.__exit__()


def test_an_old_primary_that_came_back_is_neither_read_nor_written(pair, open_storage):
    storage = open_storage(pair.url)
    engine = storage.open("db", {})
    engine.write([(PUT, b"k", b"old")])
    pair.catch_up()
    pair.primary.stop(signal.SIGQUIT)
    pair.promote()
    engine.write([(PUT, b"k", b"new")])
    pair.primary.start()  # read-write, first in the URL, and of the timeline before
    assert pair.primary.execute("SELECT pg_is_in_recovery()") == "f"
    for _ in range(20):
        storage.client.pool._drop_idle()
        storage.client.cluster.look_for_newer_timeline()
        assert engine.get(b"k") == b"new"
        engine.write([(PUT, b"x", b"y")])
    fresh = open_storage(pair.url)
    assert fresh.open("db", {}).get(b"k") == b"new"
    assert pair.primary.execute(f"SELECT count(*) FROM {pair.schema}.pairs_1") == "1"


def test_without_the_new_primary_the_old_one_is_refused(pair, open_storage):
    engine = open_storage(pair.url).open("db", {})
    pair.catch_up()
    pair.primary.stop(signal.SIGQUIT)
    pair.promote()
    engine.write([(PUT, b"k", b"new")])
    pair.standby.stop(signal.SIGQUIT)
    pair.primary.start()
    with pytest.raises(EngineUnavailable):
        engine.get(b"k")
    with pytest.raises(EngineUnavailable):
        engine.write([(PUT, b"k", b"lost")])
    pair.standby.start()
    assert engine.get(b"k") == b"new"


def test_connections_to_a_replaced_primary_that_still_runs_are_cut(pair, open_storage):
    storage = open_storage(pair.url)
    engine = storage.open("db", {})
    engine.write([(PUT, b"k", b"old")])
    assert engine.get(b"k") == b"old"
    pair.catch_up()
    pair.promote()  # and the old one goes on as if nothing had happened
    storage.client.cluster.look_for_newer_timeline()
    engine.write([(PUT, b"k", b"new")])
    assert engine.get(b"k") == b"new"
    assert pair.standby.execute(f"SELECT convert_from(value, 'utf8') FROM {pair.schema}.pairs_1") == "new"


def test_a_failover_ends_snapshots_with_an_error_of_their_own(pair, open_storage):
    engine = open_storage(pair.url).open("db", {})
    engine.write([(PUT, b"%03d" % i, b"v" * 1000) for i in range(500)])
    with engine.snapshot() as snapshot:
        scan = snapshot.scan(Bounds())
        assert next(scan) == (b"000", b"v" * 1000)
        pair.catch_up()
        pair.primary.stop(signal.SIGQUIT)
        pair.promote()
        with pytest.raises(SnapshotLost) as caught:
            list(scan)
        assert caught.value.client_message.startswith("the cursor is gone: ")
        with pytest.raises(EngineError):
            snapshot.get(b"000")
    assert engine.get(b"000") == b"v" * 1000


@contextmanager
def missing_standby(postgresql):
    """A synchronous standby is asked for and there is none. At the beginning of the block commits do wait."""
    postgresql.execute("ALTER SYSTEM SET synchronous_standby_names = 'missing'")
    postgresql.execute("SELECT pg_reload_conf()")
    try:
        with ThreadPoolExecutor(1) as pool:
            # another process of the server's takes note of the setting in its own time
            eventually(lambda: waits_for_a_standby(postgresql, pool))
        yield
    finally:
        postgresql.execute("ALTER SYSTEM RESET synchronous_standby_names")
        postgresql.execute("SELECT pg_reload_conf()")


def waits_for_a_standby(postgresql, pool):
    """Whether a commit waits, which is then cancelled."""
    commit = pool.submit(postgresql.execute, "SELECT pg_logical_emit_message(true, 'probe', '')")
    while not commit.done():
        if postgresql.execute(CANCEL_WAITS):
            commit.result(30)
            return True
    return False


CANCEL_WAITS = "SELECT pg_cancel_backend(pid) FROM pg_stat_activity WHERE wait_event = 'SyncRep'"


def test_a_write_waits_for_the_synchronous_standby_and_says_what_it_knows(postgresql, open_storage):
    """The standby is gone: a commit would wait for ever, and a cancellation would make it a success."""
    url = postgresql.new_url(call_timeout=1.5)
    engine = open_storage(url).open("db", {})
    with missing_standby(postgresql):
        with pytest.raises(EngineError) as caught:
            engine.write([(PUT, b"k", b"v")])
        assert caught.value.client_message.startswith("may have been executed: ")
        assert engine.get(b"k") is None
    engine.write([(PUT, b"k", b"w")])
    assert engine.get(b"k") == b"w"


def test_a_cancelled_wait_for_the_standby_is_no_success(postgresql, open_storage):
    engine = open_storage(postgresql.new_url(call_timeout=20)).open("db", {})
    with missing_standby(postgresql), ThreadPoolExecutor(1) as pool:
        writing = pool.submit(engine.write, [(PUT, b"k", b"v")])
        assert eventually(lambda: writing.done() or postgresql.execute(CANCEL_WAITS)) is not True
        assert "administration ended the wait" in str(writing.exception(30))


def test_a_port_without_a_server_is_unavailable(open_storage):
    storage = open_storage(f"postgresql://127.0.0.1:{reserve_port()}/none?call_timeout=0.5")
    with pytest.raises(EngineUnavailable, match="nothing was done"):
        storage.exists("db")


def test_a_host_that_accepts_and_says_nothing_is_unavailable(open_storage):
    with socket.create_server(("127.0.0.1", 0)) as silent:
        storage = open_storage(f"postgresql://127.0.0.1:{silent.getsockname()[1]}/none?call_timeout=0.5")
        with pytest.raises(EngineUnavailable, match="nothing was done"):
            storage.exists("db")


def test_a_dead_host_beside_the_primary_holds_nothing_up(postgresql, open_storage):
    url = postgresql.new_url()
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = url.replace("@127.0.0.1:", f"@127.0.0.1:{silent.getsockname()[1]},127.0.0.1:")
        storage = open_storage(url)
        engine = storage.open("db", {})
        engine.write([(PUT, b"k", b"v")])
        storage.client.cluster.look_for_newer_timeline()
        assert engine.get(b"k") == b"v"
