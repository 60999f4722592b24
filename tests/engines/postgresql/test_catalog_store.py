"""Several servers on one cluster: the catalog is in the cluster, and each sees what the others do."""

from concurrent.futures import Future, ThreadPoolExecutor
from threading import Barrier

import pytest

from pyelevator import DatabaseError
from pyelevator.application import Application
from pyelevator.client import Elevator
from pyelevator.commands import PUT, Get
from pyelevator.engines.base import EngineError
from pyelevator.errors import CursorExpired, ElevatorError, ServerRuntimeError
from pyelevator.messages import Request
from pyelevator.testing.servers import ServerProcess
from pyelevator.transports import FakeTransport
from support.eventually import eventually


@pytest.fixture
def new_server(url):
    """Return a function that opens an application on the test's schema."""
    opened = []

    def open_one():
        opened.append(Application.on_url(url))
        return opened[-1]

    yield open_one
    for application in opened:
        application.close()


@pytest.fixture
def servers(new_server):
    return new_server(), new_server()


def client(application, name="default"):
    return Elevator(name, transport=FakeTransport(application))


def test_created_on_one_server_is_listed_and_used_on_the_other(servers):
    one, other = map(client, servers)
    one.createdb("shared")
    assert "shared" in one.listdb()
    servers[1].run_maintenance()
    assert other.listdb() == ["default", "shared"]
    one.connect("shared")
    one.Put("k", "v")
    other.connect("shared")
    assert other.Get("k") == "v"
    other.Put("k", "w")
    assert one.Get("k") == "w"


def test_servers_that_are_asked_nothing_take_over_what_others_do(url):
    with ServerProcess(engine=url) as one, ServerProcess(engine=url) as other:
        with Elevator.from_url(one.url) as here, Elevator.from_url(other.url) as there:
            here.createdb("shared")
            eventually(lambda: there.listdb() == ["default", "shared"], "the other server lists it")
            here.dropdb("shared")
            eventually(lambda: there.listdb() == ["default"], "the other server lists it no more")


def test_servers_that_start_at_the_same_moment_share_one_catalog(url):
    barrier = Barrier(4)

    def start(_):
        barrier.wait()
        return Application.on_url(url)

    with ThreadPoolExecutor(4) as pool:
        started = list(pool.map(start, range(4)))
    assert len({application.catalog.uid_of("default") for application in started}) == 1
    for application in started:
        application.close()


def test_a_name_that_is_not_known_yet_is_looked_up_in_the_cluster(servers):
    one, other = map(client, servers)
    one.createdb("new")
    other.connect("new")
    assert other.db_name == "new"


def test_a_name_that_another_thread_has_just_looked_up_is_known(servers, monkeypatch):
    one, other = map(client, servers)
    refresh = servers[1].catalog.refresh
    monkeypatch.setattr(servers[1].catalog, "refresh", lambda: refresh() and refresh())
    one.createdb("new")
    other.connect("new")
    assert other.db_name == "new"


def test_a_database_has_the_same_uid_on_all_servers(servers):
    client(servers[0]).createdb("same")
    servers[1].run_maintenance()
    for name in ("default", "same"):
        assert servers[0].catalog.uid_of(name) == servers[1].catalog.uid_of(name)


def test_a_client_moves_to_another_server_with_its_uid(servers):
    one = client(servers[0])
    one.createdb("moving")
    one.connect("moving")
    one.Put("k", "v")
    response = servers[1](Request(Get("k"), servers[0].catalog.uid_of("moving")))
    assert response.payload == b"v"


def test_a_name_that_exists_elsewhere_is_refused_and_kept(servers):
    one, other = map(client, servers)
    one.createdb("mine")
    one.connect("mine")
    one.Put("k", "v")
    with pytest.raises(DatabaseError, match="already exists"):
        other.createdb("mine")
    assert one.Get("k") == "v"


def test_dropped_on_one_server_is_gone_on_the_other(servers):
    one, other = map(client, servers)
    one.createdb("gone")
    other.connect("gone")
    other.Put("k", "v")
    one.dropdb("gone")
    with pytest.raises(ElevatorError):
        other.Put("k", "w")
    with pytest.raises(ElevatorError):
        other.Get("k")
    servers[1].run_maintenance()
    assert other.listdb() == ["default"]


def test_a_drop_is_refused_if_another_server_was_quicker(servers, monkeypatch):
    """The other server drops it, and this one takes note of that, between the look-up and the drop of this one."""
    one, other = map(client, servers)
    one.createdb("twice")
    other.connect("twice")
    catalog = servers[1].catalog
    update = catalog._updating

    def update_delayed(change):
        one.dropdb("twice")
        refreshing.append(pool.submit(catalog.refresh))  # closes the database when the request is done
        while "twice" in catalog.names():
            pass
        return update(change)

    monkeypatch.setattr(catalog, "_updating", update_delayed)
    refreshing: list[Future[bool]] = []
    with ThreadPoolExecutor(1) as pool:
        with pytest.raises(DatabaseError, match="Database twice does not exist"):
            other.dropdb("twice")
        assert refreshing[0].result(30)


def test_a_write_through_a_stale_handle_is_refused(url, open_storage):
    one, other = open_storage(url), open_storage(url)
    outdated = one.open("db", {})
    other.destroy("db")
    for _ in range(2):
        with pytest.raises(EngineError, match="doesn't exist"):
            outdated.write([(PUT, b"k", b"v")])
    with pytest.raises(EngineError, match="doesn't exist"):
        outdated.get(b"k")


def test_a_write_to_a_dropped_database_that_is_still_read_is_refused(url, open_storage):
    one, other = open_storage(url), open_storage(url)
    outdated = one.open("db", {})
    outdated.write([(PUT, b"k", b"v")])
    with outdated.snapshot() as snapshot:
        assert snapshot.get(b"k") == b"v"  # so its table is there as long as this
        other.destroy("db")
        with pytest.raises(EngineError, match="doesn't exist"):
            outdated.write([(PUT, b"k", b"w")])
        with pytest.raises(EngineError, match="doesn't exist"):
            outdated.update(lambda view: ([(PUT, b"k", b"w")], None))
        assert snapshot.get(b"k") == b"v"


def test_created_anew_under_its_name_a_client_finds_it_empty(servers):
    one, other = map(client, servers)
    one.createdb("again")
    other.connect("again")
    other.Put("k", "v")
    one.dropdb("again")
    one.createdb("again")
    servers[1].run_maintenance()
    assert other.Range() == []
    other.Put("k", "w")
    one.connect("again")
    assert one.Get("k") == "w"


def test_the_default_database_emptied_elsewhere_is_empty_and_has_its_uid(servers):
    one, other = map(client, servers)
    uid = servers[0].catalog.uid_of("default")
    other.Put("k", "v")
    one.dropdb("default")
    assert other.Range() == []
    other.Put("k", "w")
    assert one.Get("k") == "w"
    servers[1].run_maintenance()
    assert {server.catalog.uid_of("default") for server in servers} == {uid}


def test_a_drop_elsewhere_ends_cursors(servers):
    one, other = map(client, servers)
    one.createdb("scanned")
    other.connect("scanned")
    with other.WriteBatch() as batch:
        for i in range(400):
            batch.Put(f"{i:03}", "v" * 30_000)
    iterator = iter(other.RangeIter(consistent=True))
    assert next(iterator)[0] == "000"
    one.dropdb("scanned")
    assert one.listdb() == ["default"]
    servers[1].run_maintenance()
    assert len(servers[1].cursors) == 0
    with pytest.raises((CursorExpired, ServerRuntimeError, DatabaseError)):
        list(iterator)


def test_two_servers_create_the_same_names_and_each_has_one_winner(servers, postgresql, url):
    names = [f"race{i:02}" for i in range(20)]

    refusals = []

    def create(application):
        won = set()
        with client(application) as connection:
            for name in names:
                try:
                    connection.createdb(name)
                    won.add(name)
                except DatabaseError as error:
                    refusals.append(str(error))
        return won

    with ThreadPoolExecutor(2) as pool:
        won = list(pool.map(create, servers))
    assert len(refusals) == 20
    assert all("already exists" in text for text in refusals)
    assert won[0] | won[1] == set(names)
    assert won[0] & won[1] == set()
    for application in servers:
        application.run_maintenance()
        with client(application) as connection:
            assert sorted(connection.listdb()) == ["default", *names]
            for name in names:
                connection.connect(name)
                connection.Put(name, "v")
                assert connection.Get(name) == "v"
    assert count_tables(postgresql, url) == 21


def test_two_servers_drop_the_same_names_and_nothing_is_orphaned(servers, postgresql, url):
    with client(servers[0]) as connection:
        for i in range(20):
            connection.createdb(f"race{i:02}")
    servers[1].run_maintenance()

    refusals = []

    def drop(application):
        won = 0
        with client(application) as connection:
            for i in range(20):
                try:
                    connection.dropdb(f"race{i:02}")
                    won += 1
                except DatabaseError as error:
                    refusals.append(str(error))
        return won

    with ThreadPoolExecutor(2) as pool:
        assert sum(pool.map(drop, servers)) == 20
    assert len(refusals) == 20
    assert all("exist" in text for text in refusals)
    for application in servers:
        application.run_maintenance()
        assert application.catalog.names() == ["default"]
    assert count_tables(postgresql, url) == 1


def test_a_drop_waits_for_no_snapshot_elsewhere_which_stays_whole(servers, postgresql, url):
    one = client(servers[0])
    one.createdb("read")
    one.connect("read")
    one.Put("k", "v")
    assert servers[1].catalog.refresh()
    with servers[1].catalog.get_database(servers[0].catalog.uid_of("read")) as engine:
        snapshot = engine.snapshot()
        assert snapshot.get(b"k") == b"v"
        one.dropdb("read")
        assert one.listdb() == ["default"]
        assert snapshot.get(b"k") == b"v"
        snapshot.close()
    for application in servers:
        application.catalog.refresh()
    client(servers[0]).createdb("other")
    client(servers[0]).dropdb("other")
    assert count_tables(postgresql, url) == 1


def test_the_servers_stop_and_start_and_all_is_there(new_server):
    first = new_server()
    with client(first) as connection:
        connection.createdb("kept")
        connection.connect("kept")
        connection.Put("k", "v")
    with client(new_server(), "kept") as connection:
        assert connection.Get("k") == "v"
        assert connection.listdb() == ["default", "kept"]


@pytest.mark.parametrize("name", ["ümlaut", "a b", "'; DROP TABLE x; --", "\x01", "x" * 200, "\udcff"])
def test_any_name_that_a_file_can_have_is_a_name_here(servers, name):
    one, other = map(client, servers)
    one.createdb(name)
    other.connect(name)
    other.Put("k", "v")
    assert other.listdb() == ["default", name]


def test_paths_options_and_forgetting_have_no_sense_here(servers):
    one = client(servers[0])
    with pytest.raises(DatabaseError, match="plain names"):
        one.createdb("/srv/somewhere")
    with pytest.raises(ElevatorError, match="there is no option 'block_size'"):
        one.createdb("options", {"block_size": 4096})
    one.createdb("kept")
    with pytest.raises(DatabaseError, match="only dropped"):
        one.forgetdb("kept")
    with pytest.raises(DatabaseError, match="PostgreSQL repairs its own files"):
        one.repairdb()
    assert one.listdb() == ["default", "kept"]


def count_tables(postgresql, url):
    schema = url.partition("schema=")[2]
    return int(
        postgresql.execute(f"SELECT count(*) FROM pg_tables WHERE schemaname = '{schema}' AND tablename LIKE 'pairs%'")
    )
