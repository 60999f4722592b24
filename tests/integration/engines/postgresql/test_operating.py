"""What operators do with a server on a cluster: figures, sizes, compaction, dumps, backups, its start and its limits."""

import os
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, suppress

import pytest

from pyelevator import DatabaseError, DatabaseUnavailable, Elevator
from pyelevator.application import Application, Policy
from pyelevator.commands import DELETE, PUT
from pyelevator.engines.base import Bounds, EngineError, EngineUnavailable
from pyelevator.errors import CursorExpired, ElevatorError
from pyelevator.testing.servers import ServerProcess
from pyelevator.transports import FakeTransport
from support.applications import storage_of
from support.clocks import Clock
from support.eventually import eventually
from support.ports import reserve_port
from support.programs import WAIT_TIMEOUT


@pytest.fixture
def application(url):
    application = Application.on_url(url)
    yield application
    application.close()


@pytest.fixture
def client(application):
    with Elevator(transport=FakeTransport(application)) as client:
        yield client


def run_serve(*args, **environment):
    command = [sys.executable, "-m", "pyelevator", "serve", *args]
    return subprocess.run(
        command, env={**os.environ, **environment}, check=False, capture_output=True, text=True, timeout=WAIT_TIMEOUT
    )


def test_a_server_process_serves_a_url_and_shows_none_of_it(url):
    with ServerProcess(engine=url) as server:
        with Elevator(endpoint=server.url.removeprefix("tcp://")) as client:
            client.Put("k", "v")
            assert client.Get("k") == "v"
        assert "(postgresql)" in server.output
        assert "127.0.0.1:5" not in server.output.replace(server.url, "")
    with ServerProcess(engine=url) as server, Elevator(endpoint=server.url.removeprefix("tcp://")) as client:
        assert client.Get("k") == "v"


def test_a_password_on_the_command_line_is_refused_and_not_repeated():
    done = run_serve("--engine", "postgresql://me:s3cret@db.example/data", "--bind", "tcp://127.0.0.1:0")
    assert done.returncode != 0
    assert "PGPASSWORD" in done.stderr
    assert "s3cret" not in done.stdout + done.stderr


def test_settings_of_files_are_refused_with_a_url(tmp_path):
    done = run_serve("--engine", "postgresql://db.example/data", "--data", str(tmp_path))
    assert done.returncode == 2
    assert "the setting data is for databases in files" in done.stderr


def test_a_cluster_that_is_not_there_ends_the_start_with_one_line():
    done = run_serve(
        "--engine", f"postgresql://127.0.0.1:{reserve_port()}/data?call_timeout=1", "--bind", "tcp://127.0.0.1:0"
    )
    assert done.returncode == 1
    assert "the database could not be reached in time" in done.stderr.splitlines()[-1]
    assert "Traceback" not in done.stderr


def test_figures_sizes_and_compaction_of_a_database(client):
    with client.WriteBatch() as batch:
        for i in range(1000):
            batch.Put(f"{i:04}", "v" * 100)
    (figures,) = client.stats().databases
    assert figures.name == "default"
    assert figures.engine.size > 100_000
    assert client.sizes([("0000", "0500"), (None, None), ("x", None)]) == [52_000, 104_000, 0]
    client.compact()
    assert len(client.Range()) == 1000
    assert (client.Count(), client.Count("0100", "0199"), client.Count(prefix="00")) == (1000, 100, 100)
    assert client.DeleteRange("0000", "0499") == 500
    assert client.Count() == 500


def test_a_database_moves_between_a_cluster_and_memory_by_dump_and_load(url, tmp_path):
    with ServerProcess(engine=url) as cluster, ServerProcess() as memory:
        with Elevator(endpoint=cluster.url.removeprefix("tcp://")) as client, client.WriteBatch() as batch:
            for i in range(500):
                batch.Put(f"{i:04}", "v")
        for words in (["dump", "--url", cluster.url, "-o"], ["load", "--url", memory.url]):
            subprocess.run(
                [sys.executable, "-m", "pyelevator", *words, tmp_path / "dump"], check=True, timeout=WAIT_TIMEOUT
            )
        with Elevator(endpoint=memory.url.removeprefix("tcp://")) as client:
            assert client.Count() == 500


def test_a_backup_of_one_database_is_refused_with_what_to_do(client, tmp_path):
    with pytest.raises(ElevatorError, match="pg_basebackup"):
        client.backup("default", str(tmp_path / "backup"))
    assert not (tmp_path / "backup").exists()


def test_256_cursors_take_few_connections(client, application, postgresql):
    with client.WriteBatch() as batch:
        for i in range(300):
            batch.Put(f"{i:04}", "v" * 10_000)
    iterators = [iter(client.RangeIter(consistent=True)) for _ in range(256)]
    assert [next(iterator)[0] for iterator in iterators] == ["0000"] * 256
    assert int(postgresql.execute("SELECT count(*) FROM pg_stat_activity WHERE application_name = 'elevator'")) < 40
    client.Put("0299", "new")
    for iterator in iterators[:5]:
        assert [key for key, _ in iterator] == [f"{i:04}" for i in range(1, 300)]


def test_too_many_moments_are_refused_and_the_database_goes_on(url, open_storage):
    storage = open_storage(f"{url}&snapshot_pool_size=3")
    engine = storage.open("db", {})
    snapshots = []
    for i in range(3):
        engine.write([(PUT, b"k", b"%d" % i)])
        snapshots.append(engine.snapshot())
    engine.write([(PUT, b"k", b"3")])
    with pytest.raises(EngineUnavailable, match="too many snapshots of different moments"):
        engine.snapshot()
    assert engine.get(b"k") == b"3"
    assert [snapshot.get(b"k") for snapshot in snapshots] == [b"0", b"1", b"2"]
    snapshots.pop().close()
    with engine.snapshot() as snapshot:
        assert snapshot.get(b"k") == b"3"


def test_snapshots_that_were_refused_keep_no_connections(url, open_storage, monkeypatch):
    engine = open_storage(f"{url}&snapshot_pool_size=2").open("db", {})
    with monkeypatch.context() as patch:
        patch.setattr("pyelevator.engines.postgresql.shared_snapshots._BEGIN", b"BEGIN; SELECT 1 / 0")
        for _ in range(5):
            with pytest.raises(EngineError, match="SQLSTATE 22012"):
                engine.snapshot()
    with engine.snapshot() as snapshot:
        assert snapshot.get(b"k") is None


def test_a_closed_snapshot_holds_nothing_up(url, open_storage, postgresql):
    engine = open_storage(url).open("db", {})
    engine.snapshot().close()
    engine.get(b"k")
    query = "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'elevator' AND backend_xmin IS NOT NULL"
    eventually(lambda: postgresql.execute(query) == "0", "nothing holds a snapshot")


def test_a_cursor_holds_up_vacuum_no_longer_than_its_age(application, postgresql):
    clock = Clock()
    aging = Application(application.catalog, Policy(cursor_idle=600, cursor_age=300), clock)
    holding = (
        "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'elevator' AND state = 'idle in transaction'"
    )
    with Elevator(transport=FakeTransport(aging)) as client, client.snapshot() as snapshot:
        client.Put("k", "v")
        assert snapshot.MGet(["k"]) == [None]
        assert postgresql.execute(holding) == "1"
        clock.now += 299
        aging.run_maintenance()
        assert snapshot.MGet(["k"]) == [None]
        clock.now += 2
        aging.run_maintenance()
        eventually(lambda: postgresql.execute(holding) == "0", "nothing holds a snapshot")
        with pytest.raises(CursorExpired):
            snapshot.MGet(["k"])


def test_opposite_batches_of_many_connections_never_deadlock(url, open_storage):
    engines = [open_storage(url).open("db", {}) for _ in range(2)]
    keys = [b"%02d" % i for i in range(20)]
    stopping = threading.Event()

    def write(number):
        ordered = keys if number % 2 else keys[::-1]
        done = 0
        while not stopping.is_set():
            engines[number % 2].write([(DELETE, ordered[0]), *[(PUT, key, b"%d" % number) for key in ordered[1:]]])
            done += 1
        return done

    with ThreadPoolExecutor(8) as pool:
        futures = [pool.submit(write, number) for number in range(8)]
        stopping.wait(3)
        stopping.set()
        assert all(future.result() > 0 for future in futures)
    assert len(set(engines[0].multi_get(keys[1:-1]))) == 1


@pytest.mark.parametrize("read", ["multi_get", "scan", "snapshot"])
def test_no_read_sees_a_part_of_a_batch(url, open_storage, read):
    writer, reader = (open_storage(url).open("db", {}) for _ in range(2))
    keys = [b"%d" % i for i in range(8)]

    def look():
        if read == "multi_get":
            return reader.multi_get(keys)
        if read == "scan":
            return [value for _, value in reader.scan(Bounds())]
        with reader.snapshot() as snapshot:
            return [snapshot.get(key) for key in keys]

    def write():
        for i in range(300):
            writer.write([(PUT, key, b"%d" % i) for key in keys])

    with ThreadPoolExecutor(1) as pool:
        writing, seen = pool.submit(write), 0
        while not writing.done():
            assert len(set(look())) <= 1
            seen += 1
        writing.result()
    assert seen > 10


def test_when_all_connections_are_taken_the_error_says_so(postgresql, url, open_storage, caplog):
    import psycopg

    storage = open_storage(f"{url}&call_timeout=1")
    engine = storage.open("db", {})
    engine.write([(PUT, b"k", b"v")])
    storage.client.pool._drop_idle()
    with ExitStack() as stack:
        with suppress(psycopg.OperationalError):  # there is no more
            while True:
                stack.enter_context(psycopg.connect(f"{postgresql.url}?application_name=taking"))
        with pytest.raises(EngineUnavailable, match="could not be reached in time; nothing was done"):
            engine.get(b"k")
    assert "reserved for" in caplog.text or "too many clients" in caplog.text
    assert engine.get(b"k") == b"v"


def test_a_newer_schema_is_refused_and_an_older_one_is_brought_up(url, open_storage, postgresql):
    from pyelevator.engines.postgresql.tables import migrations

    storage = open_storage(url)
    assert not storage.exists("db")
    name = storage.client.settings.schema
    newer = (*migrations.MIGRATIONS, "CREATE TABLE {schema}.added (x integer)")
    with storage.client.pool.connection("test", storage.client.deadline()) as connection:
        migrations.migrate(connection, name, storage.client.deadline(), newer)
    assert postgresql.execute(f"SELECT schema FROM {name}.version") == "2"
    with pytest.raises(
        EngineError, match=f"the cluster's schema {name} has version 2, and this release knows 1; upgrade"
    ):
        open_storage(url).exists("db")


def test_a_role_without_a_schema_is_told_what_to_do(postgresql, open_storage):
    with pytest.raises(EngineError, match=r"lacks a privilege; see docs/howto/distributed.md"):
        open_storage(f"{postgresql.url}?schema=nowhere").exists("db")


def test_vacuum_full_holds_up_its_own_database_only(application, postgresql):
    import psycopg

    storage = storage_of(application.catalog)
    with Elevator(transport=FakeTransport(application)) as client:
        client.createdb("other")
        client.Put("k", "v")
        table = storage.databases.find(application.catalog._index.by_name["default"].entry.path).pairs
        with psycopg.connect(f"host=127.0.0.1 port={postgresql.port} user=postgres dbname=postgres") as foreign:
            foreign.execute(f"LOCK TABLE {table} IN ACCESS EXCLUSIVE MODE")  # what VACUUM FULL holds while it works
            with pytest.raises((DatabaseError, DatabaseUnavailable)):
                client.Get("k")
            client.connect("other")
            client.Put("k", "v")
            assert client.Get("k") == "v"
            foreign.rollback()
        postgresql.execute(f"VACUUM FULL {table}")
        client.connect("default")
        assert client.Get("k") == "v"


def test_statements_are_planned_once_and_not_at_each_use(storage):
    engine = storage.open("db", {})
    engine.write([(PUT, b"k", b"v")])
    with storage.client.pool.connection("test", storage.client.deadline()) as connection:
        for _ in range(7):
            storage.databases.find("db").multi_get(connection, [b"k", b"x"], storage.client.deadline())
        counted = connection.script(
            b"SELECT sum(custom_plans), sum(generic_plans) >= 7 FROM pg_prepared_statements", storage.client.deadline()
        )
    assert (counted.get_value(0, 0), counted.get_value(0, 1)) == (b"0", b"t")


@pytest.mark.parametrize("setting", ["off", "local", "remote_write", "on", "remote_apply"])
def test_a_write_is_never_acknowledged_before_it_is_on_the_disk(url, open_storage, setting):
    storage = open_storage(f"{url}&options=-c%20synchronous_commit%3D{setting}")
    storage.open("db", {}).write([(PUT, b"k", b"v")], sync=False)
    with storage.client.pool.connection("test", storage.client.deadline()) as connection:
        found = connection.script(b"SHOW synchronous_commit", storage.client.deadline()).get_value(0, 0)
    assert found == (b"remote_apply" if setting == "remote_apply" else b"on")
