"""Databases by name: created, connected to, listed, closed, dropped."""

from pathlib import Path

import pytest

from pyelevator import DatabaseError, Elevator, ElevatorError, KeyNotFound, UsageError, WriteBatch
from pyelevator.testing.sessions.fixtures import Connect, SessionFixtures


class DatabaseConformance(SessionFixtures):
    """Tests of databases by name, and of PING."""

    def test_connects_to_default_when_no_database_is_named(self, E: Elevator[str]) -> None:
        assert E.db_name == "default"
        assert E.listdb() == ["default"]

    def test_a_created_database_is_listed_after_default_until_it_is_dropped(self, E: Elevator[str]) -> None:
        assert E.createdb("testdb") is None
        assert E.listdb() == ["default", "testdb"]
        with pytest.raises(DatabaseError, match="already exists"):
            E.createdb("testdb")
        assert E.dropdb("testdb") is None
        assert E.listdb() == ["default"]
        with pytest.raises(DatabaseError, match="Database does not exist"):
            E.connect("testdb")
        with pytest.raises(DatabaseError):
            E.dropdb("testdb")

    def test_connect_binds_the_client_to_another_database(self, E: Elevator[str]) -> None:
        E.Put("k", "of default")
        E.createdb("testdb")
        assert E.connect("testdb") is None
        assert E.db_name == "testdb"
        with pytest.raises(KeyNotFound):
            E.Get("k")
        E.Put("k", "of testdb")
        E.connect("default")
        assert E.Get("k") == "of default"

    def test_connecting_to_a_missing_database_says_so_and_changes_nothing(self, E: Elevator[str]) -> None:
        E.Put("k", "v")
        with pytest.raises(DatabaseError) as caught:
            E.connect("dbthatdoesntexist")
        assert str(caught.value) == "Database does not exist"
        assert E.db_name == "default"
        assert E.Get("k") == "v"

    def test_constructor_connects_to_the_named_database(self, E: Elevator[str], connect: Connect) -> None:
        E.createdb("testdb")
        with connect(Elevator, "testdb") as e:
            assert e.db_name == "testdb"
            e.Put("1", "1")
            assert e.Get("1") == "1"

    @pytest.mark.parametrize("kind", [Elevator, WriteBatch])
    def test_create_makes_a_missing_database(self, E: Elevator[str], connect: Connect, kind: type) -> None:
        with connect(kind, "testdb", create=True) as client:
            assert client.db_name == "testdb"
            client.Put("k", "v")
        with connect(kind, "testdb", create=True) as client:
            assert client.db_name == "testdb"
        assert E.listdb() == ["default", "testdb"]
        E.connect("testdb")
        assert E.Get("k") == "v"

    def test_create_waits_for_connect_as_the_rest_does(self, E: Elevator[str], connect: Connect) -> None:
        client = connect(Elevator, "testdb", create=True, auto_connect=False)
        assert E.listdb() == ["default"]
        client.connect()
        assert (client.db_name, E.listdb()) == ("testdb", ["default", "testdb"])
        client.disconnect()

    def test_create_is_for_the_constructor_s_database_or_the_connect_with_it(self, connect: Connect) -> None:
        with connect(Elevator, create=True) as client:
            with pytest.raises(DatabaseError, match="Database does not exist"):
                client.connect("testdb")
            client.connect("testdb", create=True)
            assert client.listdb() == ["default", "testdb"]
            with pytest.raises(DatabaseError, match="Database does not exist"):
                client.connect("other", create=False)

    def test_create_says_why_a_database_cannot_be_created(self, E: Elevator[str], connect: Connect) -> None:
        with pytest.raises((DatabaseError, UsageError)) as caught:
            connect(Elevator, "../x", create=True)
        assert "Database does not exist" not in str(caught.value)
        assert E.listdb() == ["default"]

    def test_create_must_be_a_bool(self, connect: Connect) -> None:
        with pytest.raises(UsageError, match="create must be bool, not str"):
            connect(Elevator, create="yes")

    def test_databases_can_be_listed_and_created_without_a_connected_one(self, unconnected: Elevator[str]) -> None:
        unconnected.createdb("testdb")
        assert unconnected.listdb() == ["default", "testdb"]
        unconnected.connect("testdb")
        unconnected.dropdb("testdb")
        assert unconnected.listdb() == ["default"]
        unconnected.disconnect()
        assert unconnected.listdb() == ["default"]

    def test_dropping_default_empties_it_and_it_stays(self, E: Elevator[str]) -> None:
        E.Put("k", "v")
        E.dropdb("default")
        assert E.listdb() == ["default"]
        assert not E.Exists("k")
        E.Put("k", "again")
        assert E.Get("k") == "again"

    def test_a_connected_client_finds_a_database_that_is_created_again(
        self, E: Elevator[str], connect: Connect
    ) -> None:
        E.createdb("testdb")
        with connect(Elevator, "testdb") as e:
            e.Put("k", "old")
            E.dropdb("testdb")
            with pytest.raises(DatabaseError):
                e.Get("k")
            E.createdb("testdb")
            e.Put("k", "new")
            assert e.Get("k") == "new"

    def test_data_survives_unmount_and_mount(self, E: Elevator[str], connect: Connect) -> None:
        E.createdb("testdb")
        with connect(Elevator, "testdb") as e:
            e.Put("k", "v")
            assert E.unmount("testdb") is None
            assert e.Get("k") == "v"
            E.unmount("testdb")
            assert E.mount("testdb") is None
            assert e.Get("k") == "v"

    @pytest.mark.parametrize("name", ["", "a\0b", "..", "../x", "a/../../x", "./x", "x/y"])
    def test_names_that_climb_or_mean_nothing_are_refused(self, E: Elevator[str], name: str) -> None:
        with pytest.raises((DatabaseError, UsageError)):
            E.createdb(name)
        assert E.listdb() == ["default"]

    def test_ping_says_pong(self, E: Elevator[str]) -> None:
        assert E.ping() == "PONG"


class ClassicConformance(SessionFixtures):
    """Tests of what only the classic dialect can express."""

    def test_repair_keeps_the_data(self, E: Elevator[str]) -> None:
        E.Put("k", "v")
        report = E.repairdb(timeout=30)
        assert report is None or report.lost == ()
        assert E.Get("k") == "v"

    def test_database_options_are_taken(self, E: Elevator[str], connect: Connect) -> None:
        E.createdb("tuned", {"block_size": 8192, "lru_cache_size": 1 << 20, "write_buffer_size": 1 << 20})
        with connect(Elevator, "tuned") as e:
            e.Put("k", "v")
            assert e.Get("k") == "v"

    def test_an_option_that_does_not_exist_is_refused(self, E: Elevator[str]) -> None:
        with pytest.raises(ValueError, match="there is no option 'blok_size'; did you mean block_size"):
            E.createdb("x", {"blok_size": 3})
        assert E.listdb() == ["default"]

    def test_a_forgotten_database_is_off_the_list_and_keeps_its_data(self, E: Elevator[str], connect: Connect) -> None:
        E.createdb("testdb")
        with connect(Elevator, "testdb") as e:
            e.Put("k", "v")
            assert E.forgetdb("testdb") is None
            assert E.listdb() == ["default"]
            with pytest.raises(DatabaseError, match="Database does not exist"):
                e.Get("k")
            E.createdb("testdb")
            assert e.Get("k") == "v"

    def test_a_database_that_was_there_before_is_dropped_only_on_demand(
        self, E: Elevator[str], connect: Connect
    ) -> None:
        E.createdb("testdb")
        E.forgetdb("testdb")
        E.createdb("testdb")
        with pytest.raises(DatabaseError, match="forgetdb takes it off the list and leaves them"):
            E.dropdb("testdb")
        assert E.listdb() == ["default", "testdb"]
        E.dropdb("testdb", force=True)
        assert E.listdb() == ["default"]

    def test_forgetting_needs_a_database_and_no_connected_one(self, unconnected: Elevator[str]) -> None:
        unconnected.createdb("testdb")
        unconnected.forgetdb("testdb")
        for name in ("testdb", "default"):
            with pytest.raises(DatabaseError, match=r"does not exist|cannot be forgotten"):
                unconnected.forgetdb(name)
        assert unconnected.listdb() == ["default"]


class FilesConformance(SessionFixtures):
    """Tests of what only a server on an engine with files can do."""

    @pytest.fixture
    def outside(self, tmp_path: Path) -> Path:
        """Return a directory outside the server's data directory that the server may use."""
        return tmp_path

    def test_a_backup_is_a_database_of_that_moment(self, E: Elevator[str], connect: Connect, outside: Path) -> None:
        for number in range(1000):
            E.Put(f"{number:04}", "v" * 100)
        path = str(outside / "backup")
        report = E.backup("default", path)
        assert report.size > 0
        E.Put("later", "1")
        E.createdb(path)
        with connect(Elevator, path) as copy:
            assert copy.Range(include_value=False) == [f"{number:04}" for number in range(1000)]
            copy.Put("of the copy", "1")
        assert not E.Exists("of the copy")

    def test_a_backup_goes_only_where_nothing_is(self, E: Elevator[str], outside: Path) -> None:
        (outside / "there").mkdir()
        for name in (str(outside / "there"), str(outside)):
            with pytest.raises(DatabaseError, match=f"^{name} exists already; a backup goes into a new directory"):
                E.backup("default", name)
        assert list((outside / "there").iterdir()) == []

    def test_a_path_registers_a_database_there(self, E: Elevator[str], connect: Connect, outside: Path) -> None:
        path = str(outside / "leveldb")
        E.createdb(path)
        assert E.listdb() == ["default", path]
        with connect(Elevator, path) as e:
            e.Put("k", "v")
        E.dropdb(path)
        E.createdb(path)
        with connect(Elevator, path) as e, pytest.raises(ElevatorError):
            e.Get("k")
