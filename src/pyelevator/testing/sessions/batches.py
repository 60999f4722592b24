"""Batches and pipelines: many operations in one request."""

from typing import Any

import pytest

from pyelevator import Elevator, KeyNotFound, UsageError, WriteBatch
from pyelevator.testing.sessions.fixtures import Connect, SessionFixtures


class BatchConformance(SessionFixtures):
    """Tests of write batches."""

    def test_a_batch_writes_puts_and_deletes_in_order(self, connect: Connect, E: Elevator[str]) -> None:
        with_connection = connect(WriteBatch)
        with with_connection as batch:
            batch.Put("a", "a")
            batch.Put("b", "b")
            batch.Put("c", "c")
            batch.Delete("c")
            assert not E.Exists("a")
            assert batch.Write() is None
            assert E.Get("a") == "a"
            assert E.Get("b") == "b"
            assert not E.Exists("c")

    def test_a_batch_is_empty_and_usable_after_write(self, E: Elevator[str]) -> None:
        batch = E.WriteBatch()
        batch.Put("a", "1")
        batch.Write()
        E.Delete("a")
        assert len(batch) == 0
        batch.Put("b", "2")
        batch.Write()
        assert E.Range() == [["b", "2"]]

    def test_with_writes_on_exit(self, connect: Connect, E: Elevator[str]) -> None:
        E.createdb("testdb")
        with connect(WriteBatch, "testdb") as batch:
            batch.Put("abc", "123")
            batch.Put("or simple as...", "do re mi")
        with connect(Elevator, "testdb") as e:
            assert e.Range() == [["abc", "123"], ["or simple as...", "do re mi"]]
        assert E.Range() == []

    def test_with_discards_when_the_block_raised(self, E: Elevator[str]) -> None:
        with pytest.raises(RuntimeError, match="mine"), E.WriteBatch() as batch:
            batch.Put("a", "1")
            raise RuntimeError("mine")
        assert E.Range() == []

    def test_wrong_types_fail_before_anything_is_sent_or_queued(self, E: Elevator[str]) -> None:
        batch, pipeline = E.WriteBatch(), E.pipeline()
        anything: Any
        for anything in (E, pipeline):
            with pytest.raises(TypeError, match="value must be str or bytes, not int"):
                anything.Put("abc", 123)
            with pytest.raises(TypeError, match="key must be"):
                anything.Get(None)
            with pytest.raises(TypeError, match="keys must be a list or a tuple"):
                anything.MGet("abc")
        with pytest.raises(TypeError, match="value must be"):
            batch.Put("a", None)  # type: ignore[arg-type]
        assert (len(batch), len(pipeline), E.Range()) == (0, 0, [])


class PipelineConformance(SessionFixtures):
    """Tests of pipelines."""

    def test_a_pipeline_gives_results_in_order_and_by_handle(self, digits: Elevator[str]) -> None:
        with digits.pipeline() as p:
            put, got = p.Put("k", "v"), p.Get("k")
            missing, there = p.Exists("nope"), p.Exists("1")
            many, rows, first = p.MGet(["1", "nope", "1"]), p.Range("1", "2"), p.Slice("8", 1)
            deleted, gone = p.Delete("k"), p.Exists("k")
            assert not got.done()
            assert len(p) == 9
        assert [result.done() for result in (put, got, missing, there, many, rows, first, deleted, gone)] == [True] * 9
        assert got.result() == "v"
        assert got.exception() is None
        assert p.results == [
            None, "v", False, True, ["1", None, "1"], [["1", "1"], ["2", "2"]], [["8", "8"]], None, False
        ]  # fmt: skip
        assert len(p) == 0

    def test_commands_of_a_pipeline_fail_alone_and_the_first_error_is_raised(self, E: Elevator[str]) -> None:
        with pytest.raises(KeyNotFound, match="Key not found") as caught, E.pipeline() as p:
            first, put, second, got = p.Get("nope"), p.Put("k", "v"), p.Get("nor this"), p.Get("k")
        assert (put.result(), got.result()) == (None, "v")
        assert caught.value is first.exception()
        assert caught.value.other_errors == (second.exception(),)
        with pytest.raises(KeyError):
            second.result()

    def test_errors_of_a_pipeline_can_be_left_to_its_results(self, E: Elevator[str]) -> None:
        p = E.pipeline(raise_errors=False)
        p.Put("k", "v")
        p.Get("nope")
        p.Get("k")
        put, missing, got = p.execute()
        assert (put, type(missing), got) == (None, KeyNotFound, "v")

    def test_a_pipeline_may_be_filled_again_and_may_be_empty(self, E: Elevator[str]) -> None:
        p = E.pipeline()
        assert p.execute() == []
        p.Put("a", "1")
        assert p.execute() == [None]
        p.Get("a")
        assert p.execute(timeout=30) == ["1"]

    def test_a_block_that_raises_sends_nothing_of_its_pipeline(self, E: Elevator[str]) -> None:
        with pytest.raises(RuntimeError, match="mine"), E.pipeline() as p:
            put = p.Put("a", "1")
            raise RuntimeError("mine")
        assert E.Range() == []
        with pytest.raises(UsageError, match="no result yet"):
            put.result()

    def test_a_pipeline_finds_a_database_that_was_created_again(self, E: Elevator[str], connect: Connect) -> None:
        E.createdb("testdb")
        with connect(Elevator, "testdb") as e:
            E.dropdb("testdb")
            E.createdb("testdb")
            with e.pipeline() as p:
                p.Put("k", "v")
                got = p.Get("k")
            assert got.result() == "v"

    def test_a_pipeline_needs_a_connected_database(self, unconnected: Elevator[str]) -> None:
        p = unconnected.pipeline()
        there = p.Exists("k")
        with pytest.raises(UsageError, match="connect"):
            p.execute()
        unconnected.connect()
        assert p.execute() == [False]
        assert there.result() is False

    def test_raise_errors_is_a_bool(self, E: Elevator[str]) -> None:
        wrong: Any = "yes"
        with pytest.raises(TypeError, match="raise_errors must be bool, not str"):
            E.pipeline(raise_errors=wrong)
