"""Statistics, sizes and tasks, as operators of a server ask for them."""

import pytest

from pyelevator import DatabaseError, Elevator, KeyNotFound, UsageError
from pyelevator.testing.sessions.fixtures import SessionFixtures


class StatsConformance(SessionFixtures):
    """Tests of ``stats``, for whatever answers it in the end: a server, a fake, a server behind a proxy."""

    def test_requests_are_counted_by_verb_and_outcome(self, E: Elevator[str]) -> None:
        E.Put("a", "1")
        E.Put("b", "2")
        with pytest.raises(KeyNotFound):
            E.Get("missing")
        E.Get("a")
        found = E.stats().requests
        assert (found["PUT"].count, found["PUT"].failures) == (2, {})
        assert (found["GET"].count, found["GET"].failures) == (2, {"key": 1})
        assert E.stats().requests["STATS"].count == 1

    def test_the_server_tells_of_itself(self, E: Elevator[str]) -> None:
        first, second = E.stats(), E.stats()
        assert first.version
        assert first.started_at == second.started_at
        assert 0 < first.uptime < second.uptime
        assert first.process.pid > 0
        assert first.process.peak_memory > 1 << 20
        assert first.process.threads > 0
        assert first.process.cpu_seconds > 0
        assert first.cursors.max > 0

    def test_databases_are_reported_in_the_order_of_listdb(self, E: Elevator[str]) -> None:
        E.createdb("testdb")
        E.Put("k", "v" * 1000)
        found = E.stats()
        assert [one.name for one in found.databases] == ["default", "testdb"]
        engine = found.database("default").engine
        assert engine is not None
        assert engine.size >= 1000
        assert found.database("default").idle < found.uptime + 1

    def test_looking_neither_opens_a_database_nor_counts_as_a_use(self, E: Elevator[str]) -> None:
        E.createdb("testdb")
        E.unmount("testdb")
        E.stats()
        closed = E.stats().database("testdb")
        assert (closed.is_open, closed.engine) == (False, None)
        E.mount("testdb")
        opened = E.stats().database("testdb")
        assert opened.is_open
        assert E.stats().database("testdb").idle > opened.idle

    def test_open_cursors_are_counted(self, E: Elevator[str]) -> None:
        for i in range(10):
            E.Put(str(i), "v" * (1 << 20))
        rows = iter(E.RangeIter(consistent=True))
        next(rows)
        assert E.stats().cursors.open == 1
        assert len(list(rows)) == 9
        assert E.stats().cursors.open == 0

    def test_the_slow_log_is_a_list_of_what_took_long(self, E: Elevator[str]) -> None:
        assert [entry for entry in E.slowlog(limit=5) if entry.seconds < 0.1] == []  # none, unless the machine is slow
        with pytest.raises(UsageError):
            E.slowlog("5")  # type: ignore[arg-type]

    def test_stats_need_no_connected_database(self, unconnected: Elevator[str]) -> None:
        assert unconnected.stats().database("default").name == "default"

    def test_a_pipeline_takes_stats_and_slowlog_in_their_places(self, E: Elevator[str]) -> None:
        with E.pipeline() as p:
            p.Put("a", "1")
            first, slow = p.stats(), p.slowlog(5)
            p.Put("a", "2")
            second = p.stats()
        assert first.result().requests["PIPELINE"].count == 1
        assert second.result().requests["PIPELINE"].count == 2
        assert len(slow.result()) <= 5  # none, unless the machine is slow
        assert E.Get("a") == "2"


class TasksConformance(SessionFixtures):
    """Tests of compactions, sizes and the progress of long tasks, for whatever answers in the end."""

    def test_a_compaction_keeps_the_pairs(self, E: Elevator[str]) -> None:
        for key in "abcd":
            E.Put(key, key * 100)
        E.Delete("b")
        assert E.compact() is None
        E.compact("a", "b")
        E.compact(stop="c")
        assert E.Range(include_value=False) == ["a", "c", "d"]

    def test_sizes_are_those_of_prefixes_and_of_ranges(self, E: Elevator[str]) -> None:
        for number in range(200):
            E.Put(f"user:{number:03}", "v" * 1000)
        E.compact()
        users, half, none, everything = E.sizes(["user:", ("user:", "user:100"), ("x", "y"), (None, None)])
        assert none == 0
        assert 0 < half < users
        assert users <= everything
        assert E.sizes([]) == []

    def test_wrong_ranges_are_refused_before_anything_is_sent(self, E: Elevator[str]) -> None:
        with pytest.raises(UsageError, match="ranges must be a list or a tuple, not str"):
            E.sizes("user:")
        with pytest.raises(UsageError, match=r"ranges\[0\] must be a prefix, or \(start, stop\), not 3 elements"):
            E.sizes([("a", "b", "c")])  # type: ignore[list-item]

    def test_a_pipeline_takes_long_commands_in_their_places(self, E: Elevator[str]) -> None:
        with E.pipeline() as p:
            for number in range(10):
                p.Put(f"user:{number}", "v")
            before = p.Count()
            compacted, sizes, tasks = p.compact(), p.sizes(["user:", ("x", "y")]), p.progress()
            deleted = p.DeleteRange("user:3", prefix="user:", sync=True)
            after = p.Count()
            none = p.DeleteRange(prefix="user:9")
        assert (before.result(), deleted.result(), after.result(), none.result()) == (10, 7, 3, 0)
        assert (compacted.result(), len(sizes.result()), tasks.result()) == (None, 2, [])
        assert E.Range(include_value=False) == ["user:0", "user:1", "user:2"]

    def test_a_view_deletes_a_range_in_a_pipeline_inside_its_prefix(self, E: Elevator[str]) -> None:
        E.Put("order:1", "o")
        view = E.prefix("user:")
        with view.pipeline() as p:
            p.Put("ann", "1")
            deleted = p.DeleteRange()
        assert deleted.result() == 1
        assert E.Range() == [["order:1", "o"]]

    def test_a_long_command_of_a_pipeline_fails_alone(self, E: Elevator[str]) -> None:
        p = E.pipeline(raise_errors=False)
        put, copied, value = p.Put("a", "1"), p.backup("nope", "/nowhere/backup"), p.Get("a")
        p.execute()
        assert (put.result(), value.result()) == (None, "1")
        with pytest.raises(DatabaseError, match="Database nope does not exist"):
            copied.result()

    def test_wrong_arguments_in_a_pipeline_are_refused_as_they_are_queued(self, E: Elevator[str]) -> None:
        p = E.pipeline()
        with pytest.raises(UsageError, match="ranges must be a list or a tuple, not str"):
            p.sizes("user:")
        with pytest.raises(UsageError):
            p.slowlog("5")  # type: ignore[arg-type]
        assert len(p) == 0

    def test_a_pipeline_about_the_server_needs_no_database(self, unconnected: Elevator[str]) -> None:
        with unconnected.pipeline() as p:
            tasks = p.progress()
        assert tasks.result() == []
        p = unconnected.pipeline()
        p.progress()
        p.compact()
        with pytest.raises(UsageError, match="not connected to a database"):
            p.execute()
        p.Clear()

    def test_an_idle_server_has_no_tasks(self, unconnected: Elevator[str]) -> None:
        assert unconnected.progress() == []

    def test_a_compaction_takes_a_database(self, unconnected: Elevator[str]) -> None:
        with pytest.raises(UsageError, match="not connected to a database"):
            unconnected.compact()

    def test_a_backup_of_what_is_not_there_is_refused(self, E: Elevator[str]) -> None:
        with pytest.raises(DatabaseError, match="Database nope does not exist"):
            E.backup("nope", "/nowhere/backup")

    def test_a_backup_takes_an_absolute_path(self, E: Elevator[str]) -> None:
        for path in ("backup", "", "../backup", "a/b"):
            with pytest.raises(DatabaseError, match="is no absolute path; a backup goes into a directory"):
                E.backup("default", path)
