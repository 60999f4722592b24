"""The conformance suite of snapshots: subclass :class:`SnapshotConformance` and override the fixture ``connect``."""

from collections.abc import Iterator

import pytest

from pyelevator import CursorExpired, DatabaseError, Elevator, ElevatorError, KeyNotFound, UsageError
from pyelevator.testing.sessions.fixtures import Connect, SessionFixtures


class SnapshotConformance(SessionFixtures):
    """Tests of snapshots, for a server with the feature ``snapshots`` and a cursor of its own for each."""

    @pytest.fixture
    def orders(self, E: Elevator[str], connect: Connect) -> Iterator[Elevator[str]]:
        """Yield a client of a second database, which has one pair; so has the first."""
        E.Put("k", "before")
        with connect(Elevator, "orders", create=True) as client:
            client.Put("o", "before")
            yield client

    def test_a_snapshot_reads_one_moment_in_every_way(self, E: Elevator[str]) -> None:
        for key in ("a", "b", "c"):
            E.Put(key, "before")
        with E.snapshot() as s:
            with E.WriteBatch() as batch:
                for key in ("a", "b", "d"):
                    batch.Put(key, "after")
                batch.Delete("c")
            pairs = [["a", "before"], ["b", "before"], ["c", "before"]]
            assert (s.Get("a"), s.Get("c"), s.MGet(["b", "d"])) == ("before", "before", ["before", None])
            assert (s.Exists("c"), s.Exists("d")) == (True, False)
            assert (s.Count(), s.Count("b"), s.prefix("c").Count(), s.Get("d", "none")) == (3, 2, 1, "none")
            assert (s.Range(), s.Range("b"), s.Slice("b", 1)) == (pairs, pairs[1:], pairs[1:2])
            assert s.Range(include_value=False, reverse=True) == ["c", "b", "a"]
            assert list(s.RangeIter()) == list(s.RangeIter(consistent=True)) == pairs
            with pytest.raises(KeyNotFound):
                s.Get("d")
        assert E.Range() == [["a", "after"], ["b", "after"], ["d", "after"]]

    def test_pipelines_and_views_read_the_same_moment(self, E: Elevator[str]) -> None:
        E.Put("p:k", "before")
        with E.snapshot() as s, E.prefix("p:").snapshot() as inner:
            E.Put("p:k", "after")
            with s.pipeline() as p:
                values, there, rows = p.Get("p:k"), p.Exists("p:l"), p.Range()
            assert (values.result(), there.result(), rows.result()) == ("before", False, [["p:k", "before"]])
            assert (s.prefix("p:").Get("k"), inner.Range(), s.db_name) == ("before", [["k", "before"]], "default")

    def test_long_ranges_of_a_snapshot_come_in_pages(self, E: Elevator[str]) -> None:
        value = "x" * 100_000
        with E.WriteBatch() as batch:
            for number in range(100):
                batch.Put(f"{number:03}", value)
        with E.snapshot() as s:
            for number in range(0, 100, 2):
                E.Delete(f"{number:03}")
            assert [key for key, _ in s.Range()] == [key for key, _ in s.RangeIter()]
            assert len(s.Range()) == 100
        assert len(E.Range()) == 50

    def test_a_snapshot_is_of_several_databases(self, E: Elevator[str], orders: Elevator[str]) -> None:
        with E.snapshot("orders") as s:
            E.Put("k", "after")
            orders.Put("o", "after")
            other = s.database("orders")
            assert (s.Get("k"), other.Get("o"), other.Range()) == ("before", "before", [["o", "before"]])
            assert (other.db_name, s.database("default").Get("k")) == ("orders", "before")
        assert (E.Get("k"), orders.Get("o")) == ("after", "after")

    def test_only_its_own_databases_are_in_a_snapshot(self, E: Elevator[str], orders: Elevator[str]) -> None:
        with E.snapshot() as s, pytest.raises(UsageError, match="no database 'orders'; it has 'default'"):
            s.database("orders")
        with pytest.raises(DatabaseError, match="Database does not exist"), E.snapshot("nope"):
            raise AssertionError("there is no such database")
        with E.snapshot("orders", "orders", "default") as s:
            assert s.database("orders").Get("o") == "before"

    @pytest.mark.parametrize(
        ("write", "arguments"),
        [
            ("Put", ("k", "v")),
            ("Delete", ("k",)),
            ("Increment", ("n",)),
            ("PutIfAbsent", ("k", "v")),
            ("GetAndDelete", ("k",)),
            ("DeleteRange", ()),
            ("compact", ()),
            ("dropdb", ("default",)),
            ("createdb", ("x",)),
            ("repairdb", ()),
            ("unmount", ("default",)),
        ],
    )
    def test_what_writes_is_refused(self, E: Elevator[str], write: str, arguments: tuple[str, ...]) -> None:
        with E.snapshot() as s:
            with pytest.raises(UsageError, match=r"a snapshot is only read.*; nothing was sent"):
                getattr(s, write)(*arguments)
            batch = s.WriteBatch()
            batch.Put("k", "v")
            with pytest.raises(UsageError, match="a snapshot is only read"):
                batch.Write()
            batch.Clear()
        assert (E.Range(), E.listdb()) == ([], ["default"])

    def test_a_snapshot_stays_with_its_database(self, E: Elevator[str]) -> None:
        with E.snapshot() as s, pytest.raises(UsageError, match="a snapshot stays with its databases"):
            s.connect("default")

    def test_a_closed_snapshot_reads_no_more(self, E: Elevator[str]) -> None:
        with E.snapshot() as s:
            s.close()
            s.close()
            with pytest.raises(UsageError, match="the snapshot is closed"):
                s.Get("k")
        assert E.Range() == []

    def test_a_snapshot_of_a_database_that_was_closed_is_gone(self, E: Elevator[str], orders: Elevator[str]) -> None:
        with E.snapshot("orders") as s:
            E.unmount("orders")
            for client in (s, s.database("orders")):
                with pytest.raises(CursorExpired, match="take another snapshot"):
                    client.Get("k")
        assert (E.Get("k"), orders.Get("o")) == ("before", "before")

    def test_a_snapshot_of_a_dropped_database_is_gone(self, E: Elevator[str], connect: Connect) -> None:
        with connect(Elevator, "orders", create=True) as orders, orders.snapshot() as s:
            E.dropdb("orders")
            E.createdb("orders")
            with pytest.raises(ElevatorError):
                s.Get("k")

    def test_many_snapshots_are_of_their_own_moments(self, E: Elevator[str]) -> None:
        snapshots = []
        for number in range(5):
            E.Put("k", str(number))
            snapshots.append(E.snapshot().__enter__())
        assert [s.Get("k") for s in snapshots] == ["0", "1", "2", "3", "4"]
        for s in snapshots:
            s.close()
