"""The conformance suite of a client and the server it talks to: the documented API, whatever lies in between.

Subclass :class:`SessionConformance` and override the fixture ``connect``; pytest then runs all of it.
"""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Final, TypeAlias

import pytest

from pyelevator import (
    CursorExpired,
    DatabaseError,
    Elevator,
    ElevatorError,
    KeyNotFound,
    UsageError,
    WriteBatch,
)

Connect: TypeAlias = Callable[..., Any]
"""Makes a connected client of a class (Elevator or WriteBatch), its positional arguments and options."""


class SessionConformance:
    """Tests of the documented API, and of details that its page leaves open."""

    @pytest.fixture
    def connect(self) -> Connect:
        """Return a function that connects clients to one empty server: ``connect(Elevator, "db", timeout=3)``."""
        raise NotImplementedError("override the fixture connect")

    @pytest.fixture
    def E(self, connect: Connect) -> Iterator[Elevator[str]]:
        """Yield a client of the default database."""
        with connect(Elevator) as client:
            yield client

    @pytest.fixture
    def digits(self, E: Elevator[str]) -> Elevator[str]:
        """Return the same client, with the keys '0' to '9' in the database, each its own value."""
        for i in range(10):
            E.Put(str(i), str(i))
        return E

    # Databases

    def test_connects_to_default_when_no_database_is_named(self, E: Elevator[str]) -> None:
        assert E.db_name == "default"
        assert E.listdb() == ["default"]

    def test_a_created_database_is_listed_after_default(self, E: Elevator[str]) -> None:
        assert E.createdb("testdb") is None
        assert E.listdb() == ["default", "testdb"]

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

    def test_create_is_for_the_constructor_s_database_or_a_connect_that_says_so(self, connect: Connect) -> None:
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

    def test_a_dropped_database_is_gone(self, E: Elevator[str]) -> None:
        E.createdb("testdb")
        assert E.dropdb("testdb") is None
        assert E.listdb() == ["default"]
        with pytest.raises(DatabaseError, match="Database does not exist"):
            E.connect("testdb")

    def test_databases_can_be_listed_and_created_without_a_connected_one(self, connect: Connect) -> None:
        E = connect(Elevator, auto_connect=False)
        E.createdb("testdb")
        assert E.listdb() == ["default", "testdb"]
        E.connect("testdb")
        E.dropdb("testdb")
        assert E.listdb() == ["default"]
        E.disconnect()
        assert E.listdb() == ["default"]
        E.disconnect()

    def test_dropping_a_missing_database_is_an_error(self, E: Elevator[str]) -> None:
        with pytest.raises(DatabaseError):
            E.dropdb("nope")

    def test_creating_a_database_twice_is_an_error(self, E: Elevator[str]) -> None:
        E.createdb("testdb")
        with pytest.raises(DatabaseError, match="already exists"):
            E.createdb("testdb")

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

    # Keys and values

    def test_put_returns_nothing_and_get_gives_it_back(self, E: Elevator[str]) -> None:
        assert E.Put("abc", "123") is None
        assert E.Get("abc") == "123"

    def test_put_replaces(self, E: Elevator[str]) -> None:
        E.Put("abc", "123")
        E.Put("abc", "456")
        assert E.Get("abc") == "456"

    def test_get_of_a_missing_key_is_a_key_error_with_the_documented_text(self, E: Elevator[str]) -> None:
        with pytest.raises(KeyError) as caught:
            E.Get("c")
        assert isinstance(caught.value, KeyNotFound)
        assert str(caught.value) == "Key not found"

    def test_delete_removes_and_a_missing_key_is_no_error(self, E: Elevator[str]) -> None:
        E.Put("abc", "123")
        assert E.Delete("abc") is None
        assert E.Delete("abc") is None
        assert not E.Exists("abc")

    def test_exists_tells_present_from_missing(self, E: Elevator[str]) -> None:
        E.Put("abc", "123")
        assert E.Exists("abc") is True
        assert E.Exists("abd") is False

    def test_mget_gives_values_in_order_and_none_for_missing(self, E: Elevator[str]) -> None:
        E.Put("abc", "123")
        E.Put("easy as", "do re mi")
        assert E.MGet(["abc", "easy as", "you and me"]) == ["123", "do re mi", None]
        assert E.MGet(("easy as", "abc"), fill_cache=True) == ["do re mi", "123"]

    def test_mget_is_right_for_duplicates_any_order_and_nothing(self, digits: Elevator[str]) -> None:
        assert digits.MGet(["9", "1", "x", "9", "0", "x"]) == ["9", "1", None, "9", "0", None]
        assert digits.MGet([]) == []

    def test_empty_values_and_keys_are_values_and_keys(self, E: Elevator[str]) -> None:
        E.Put("k", "")
        E.Put("", "v")
        assert E.Get("k") == ""
        assert E.Get("") == "v"
        assert E.Exists("k")
        assert E.Exists("")
        assert E.MGet(["k", "", "x"]) == ["", "v", None]
        assert E.Range() == [["", "v"], ["k", ""]]
        E.Delete("")
        assert not E.Exists("")

    def test_any_bytes_survive_the_round_trip_through_str(self, E: Elevator[str]) -> None:
        every_byte = bytes(range(256))
        E.Put("k", every_byte)
        text = E.Get("k")
        E.Put(text, text)
        assert E.Get(every_byte).encode("utf-8", "surrogateescape") == every_byte

    def test_encoding_none_gives_bytes(self, connect: Connect) -> None:
        with connect(Elevator, encoding=None) as B:
            B.Put("é", b"\xff")
            B.Put(bytearray(b"b"), memoryview(b"2"))
            assert B.Get("é") == b"\xff"
            assert B.MGet([b"b", b"x"]) == [b"2", None]
            assert B.Range() == [[b"b", b"2"], ["é".encode(), b"\xff"]]
            assert B.Slice(b"b", 1, include_value=False) == [b"b"]
            assert list(B.RangeIter(include_key=False)) == [b"2", b"\xff"]

    @pytest.mark.parametrize("size", [31, 32, 255, 256, 65_535, 65_536, 1_000_000])
    def test_values_of_every_length_class_come_back(self, E: Elevator[str], size: int) -> None:
        E.Put("k", "x" * size)
        assert E.Get("k") == "x" * size

    # Ranges

    def test_range_from_key_to_key_includes_both(self, digits: Elevator[str]) -> None:
        assert digits.Range("1", "3") == [["1", "1"], ["2", "2"], ["3", "3"]]
        assert digits.Range("1", "9") == [[d, d] for d in "123456789"]

    def test_range_with_an_int_counts(self, digits: Elevator[str]) -> None:
        assert digits.Range("1", 2) == [["1", "1"], ["2", "2"]]
        assert digits.Range("8", 100) == [["8", "8"], ["9", "9"]]
        assert digits.Range("1", 0) == []
        assert digits.Range("1", -1) == []

    def test_range_without_bounds_is_everything(self, digits: Elevator[str]) -> None:
        assert digits.Range() == [[d, d] for d in "0123456789"]
        assert digits.Range(None, "1") == [["0", "0"], ["1", "1"]]
        assert digits.Range("8") == [["8", "8"], ["9", "9"]]

    def test_range_of_nothing_is_empty(self, digits: Elevator[str]) -> None:
        assert digits.Range("3", "1") == []
        assert digits.Range("a", "z") == []

    def test_parts_of_a_range_come_as_a_flat_list(self, digits: Elevator[str]) -> None:
        assert digits.Range("1", "2", include_value=False) == ["1", "2"]
        digits.Put("2", "two")
        assert digits.Range("1", "2", include_key=False) == ["1", "two"]
        with pytest.raises(UsageError, match="include_key and include_value are both False"):
            digits.Range("1", "2", include_key=False, include_value=False)
        assert digits.Slice("1", 2, include_key=False) == ["1", "two"]

    def test_prefix_keeps_to_keys_that_start_with_it(self, digits: Elevator[str]) -> None:
        for key in ("user:1", "user:2", "users"):
            digits.Put(key, "u")
        assert digits.Range(prefix="user:") == [["user:1", "u"], ["user:2", "u"]]
        assert digits.Range("user:2", prefix="user:") == [["user:2", "u"]]
        assert digits.Range(None, 1, prefix="user:") == [["user:1", "u"]]
        assert digits.Slice(None, 5, prefix="user:", include_value=False) == ["user:1", "user:2"]
        assert list(digits.RangeIter(prefix="user:", include_value=False)) == ["user:1", "user:2"]
        assert digits.Range(prefix="none") == []

    def test_slice_counts_from_a_key(self, digits: Elevator[str]) -> None:
        assert digits.Slice("1", 2) == [["1", "1"], ["2", "2"]]
        assert digits.Slice(None, 1) == [["0", "0"]]
        assert digits.Slice("1", 0) == []

    def test_a_range_in_reverse_gives_the_same_pairs_in_the_opposite_order(self, digits: Elevator[str]) -> None:
        digits.Put("user:1", "u")
        digits.Put("user:2", "u")
        for bounds in ((), ("2", "5"), ("2", "55"), ("5", "2"), ("3", "3"), (None, "4"), ("7",), ("a", "b")):
            assert digits.Range(*bounds, reverse=True) == digits.Range(*bounds)[::-1]
        assert digits.Range(prefix="user:", reverse=True) == [["user:2", "u"], ["user:1", "u"]]
        assert digits.Range("user:2", prefix="user:", reverse=True) == [["user:2", "u"]]
        assert digits.Range(None, "user:1", prefix="user:", reverse=True) == [["user:1", "u"]]
        assert digits.Range("1", "3", reverse=True, include_value=False) == ["3", "2", "1"]
        assert digits.Range("1", "3", reverse=True, include_key=False) == ["3", "2", "1"]

    def test_rangeiter_gives_what_range_gives(self, digits: Elevator[str]) -> None:
        it = digits.RangeIter("1", "2")
        assert next(it) == ["1", "1"]
        assert list(it) == [["2", "2"]]
        assert list(digits.RangeIter()) == digits.Range()
        assert list(digits.RangeIter("2", "1")) == []
        assert list(digits.RangeIter("5", 2)) == [["5", "5"], ["6", "6"]]

    def test_rangeiter_streams_many_pages_in_order(self, E: Elevator[str]) -> None:
        keys = [f"{i:05}" for i in range(1500)]
        with E.WriteBatch() as batch:
            for key in keys:
                batch.Put(key, key * 10)
        assert list(E.RangeIter(include_value=False)) == keys
        assert list(E.RangeIter("00100", "01234")) == [[key, key * 10] for key in keys[100:1235]]

    def test_rangeiter_is_lazy(self, digits: Elevator[str]) -> None:
        it = digits.RangeIter()
        digits.Put("/", "before 0")
        assert next(it) == ["/", "before 0"]

    def test_compressed_answers_read_the_same(self, digits: Elevator[str]) -> None:
        digits.Put("long", "x" * 10_000)
        assert digits.Get("long", compression=True) == "x" * 10_000
        assert digits.MGet(["1", "nope"], compression=True) == ["1", None]
        assert digits.Range("1", "2", compression=True) == [["1", "1"], ["2", "2"]]
        assert digits.Slice("1", 1, compression=True) == [["1", "1"]]
        assert list(digits.RangeIter("8", compression=True))[0] == ["8", "8"]
        with pytest.raises(KeyNotFound):
            digits.Get("nope", compression=True)

    # Batches

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

    def test_wrong_types_fail_before_anything_is_sent(self, E: Elevator[str]) -> None:
        batch: Any = E.WriteBatch()
        anything: Any = E
        with pytest.raises(TypeError, match="value must be str or bytes, not int"):
            anything.Put("abc", 123)
        with pytest.raises(TypeError, match="key must be"):
            anything.Get(None)
        with pytest.raises(TypeError, match="keys must be a list or a tuple"):
            anything.MGet("abc")
        with pytest.raises(TypeError, match="value must be"):
            batch.Put("a", None)
        assert len(batch) == 0
        assert E.Range() == []

    # Pipelines

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

    def test_wrong_types_are_refused_when_they_are_queued(self, E: Elevator[str]) -> None:
        p: Any = E.pipeline()
        with pytest.raises(TypeError, match="value must be str or bytes, not int"):
            p.Put("abc", 123)
        with pytest.raises(TypeError, match="keys must be a list or a tuple"):
            p.MGet("abc")
        assert len(p) == 0

    def test_a_pipeline_finds_a_database_that_was_created_again(self, E: Elevator[str], connect: Connect) -> None:
        E.createdb("testdb")
        with connect(Elevator, "testdb") as e:
            E.dropdb("testdb")
            E.createdb("testdb")
            with e.pipeline() as p:
                p.Put("k", "v")
                got = p.Get("k")
            assert got.result() == "v"

    def test_a_pipeline_needs_a_connected_database(self, connect: Connect) -> None:
        E = connect(Elevator, auto_connect=False)
        E.disconnect()
        p = E.pipeline()
        there = p.Exists("k")
        with pytest.raises(UsageError, match="connect"):
            p.execute()
        E.connect()
        assert p.execute() == [False]
        assert there.result() is False
        E.disconnect()

    def test_raise_errors_is_a_bool(self, E: Elevator[str]) -> None:
        wrong: Any = "yes"
        with pytest.raises(TypeError, match="raise_errors must be bool, not str"):
            E.pipeline(raise_errors=wrong)

    # The client

    def test_disconnect_and_connect_again(self, E: Elevator[str]) -> None:
        E.Put("k", "v")
        E.disconnect()
        assert E.db_name is None
        with pytest.raises(UsageError, match="connect"):
            E.Get("k")
        E.connect()
        assert E.Get("k") == "v"

    def test_every_method_takes_a_timeout_in_seconds(self, digits: Elevator[str], connect: Connect) -> None:
        digits.Put("k", "v", timeout=5)
        digits.createdb("testdb", timeout=5)
        digits.connect("testdb", timeout=5)
        digits.connect("default", timeout=2.5)
        digits.mount("testdb", timeout=5)
        digits.unmount("testdb", timeout=5)
        digits.dropdb("testdb", timeout=5)
        digits.Delete("k", timeout=5)
        assert digits.listdb(timeout=5.0) == ["default"]
        assert digits.ping(timeout=5) == "PONG"
        assert digits.Get("1", timeout=5) == "1"
        assert digits.Exists("1", timeout=5)
        assert digits.MGet(["1"], timeout=5) == ["1"]
        assert digits.Range("1", "1", timeout=5) == [["1", "1"]]
        assert digits.Slice("1", 1, timeout=5) == [["1", "1"]]
        assert list(digits.RangeIter("9", timeout=5)) == [["9", "9"]]
        batch = digits.WriteBatch()
        batch.Put("k", "v")
        batch.Write(timeout=5)
        with pytest.raises(UsageError, match="timeout"):
            digits.Get("1", timeout="5")  # type: ignore[call-overload]

    def test_two_clients_see_each_others_writes(self, E: Elevator[str], connect: Connect) -> None:
        with connect(Elevator) as other:
            other.Put("k", "v")
            assert E.Get("k") == "v"


class ReverseConformance:
    """What a server with the feature ``reverse`` can do in the classic dialect: count downwards."""

    def test_a_slice_in_reverse_counts_down_from_a_key_or_from_the_end(self, digits: Elevator[str]) -> None:
        assert digits.Slice("3", 2, reverse=True) == [["3", "3"], ["2", "2"]]
        assert digits.Slice("35", 2, reverse=True) == [["3", "3"], ["2", "2"]]
        assert digits.Slice(None, 2, reverse=True, include_value=False) == ["9", "8"]
        assert digits.Slice("1", 5, reverse=True, include_value=False) == ["1", "0"]
        assert digits.Slice("3", 0, reverse=True) == []
        assert digits.Slice("", 3, reverse=True) == []
        assert digits.Range("3", 2, reverse=True) == [["3", "3"], ["2", "2"]]
        assert digits.Range(None, 1, reverse=True) == [["9", "9"]]

    def test_a_slice_in_reverse_keeps_to_its_prefix(self, E: Elevator[str]) -> None:
        for key in ("user", "user:", "user:1", "user:2", "user;", "\udcff\udcff"):
            E.Put(key, "u")
        assert E.Slice(None, 2, prefix="user:", reverse=True, include_value=False) == ["user:2", "user:1"]
        assert E.Slice("user:1", 9, prefix="user:", reverse=True, include_value=False) == ["user:1", "user:"]
        assert E.Slice("z", 9, prefix="user:", reverse=True, include_value=False) == ["user:2", "user:1", "user:"]
        assert E.Slice("a", 9, prefix="user:", reverse=True) == []
        assert E.Slice(None, 9, prefix="\udcff", reverse=True) == [["\udcff\udcff", "u"]]

    def test_rangeiter_in_reverse_gives_what_range_gives(self, digits: Elevator[str]) -> None:
        digits.Put("5:", "with the prefix 5")
        for bounds in ((), ("2", "5"), ("5", "2"), (None, "4"), ("7",), ("7", 3), (None, 3)):
            assert list(digits.RangeIter(*bounds, reverse=True)) == digits.Range(*bounds, reverse=True)
        for bounds in ((), ("5:",), (None, "5"), ("5", 1)):
            rows = digits.Range(*bounds, prefix="5", reverse=True)
            assert list(digits.RangeIter(*bounds, prefix="5", reverse=True)) == rows

    def test_rangeiter_in_reverse_streams_many_pages_in_order(self, E: Elevator[str]) -> None:
        keys = [f"{i:05}" for i in range(1500)]
        with E.WriteBatch() as batch:
            for key in keys:
                batch.Put(key, key * 10)
        assert list(E.RangeIter(include_value=False, reverse=True)) == keys[::-1]
        assert list(E.RangeIter("00100", "01234", reverse=True)) == [[key, key * 10] for key in keys[1234:99:-1]]
        assert list(E.RangeIter("01234", 700, reverse=True, include_value=False)) == keys[1234:534:-1]
        assert list(E.RangeIter(prefix="01", reverse=True, include_value=False)) == keys[1499:999:-1]


class CursorConformance:
    """Tests of a server with the feature ``cursors``: long ranges of one snapshot."""

    KEYS: Final = [f"{i:05}" for i in range(1500)]

    @pytest.fixture
    def many(self, E: Elevator[str]) -> Elevator[str]:
        """Return a client of a database with the keys of ``KEYS``, more than a page, each with the value ``old``."""
        with E.WriteBatch() as batch:
            for key in self.KEYS:
                batch.Put(key, "old")
        return E

    def _change_everything(self, E: Elevator[str]) -> None:
        with E.WriteBatch() as batch:
            for key in self.KEYS:
                batch.Put(key, "new") if key < "00900" else batch.Delete(key)
                batch.Put(f"{key}+", "new")

    @pytest.mark.parametrize("reverse", [False, True])
    def test_all_pages_are_of_one_moment_whatever_is_written_meanwhile(
        self, many: Elevator[str], reverse: bool
    ) -> None:
        it = many.RangeIter(reverse=reverse, consistent=True)
        first = next(it)
        self._change_everything(many)
        old = [[key, "old"] for key in sorted(self.KEYS, reverse=reverse)]
        assert [first, *it] == old
        assert many.Range(None, 2) == [["00000", "new"], ["00000+", "new"]]

    def test_two_iterations_keep_their_own_moments(self, many: Elevator[str]) -> None:
        before = many.RangeIter(consistent=True)
        assert next(before) == ["00000", "old"]
        self._change_everything(many)
        after = many.RangeIter(consistent=True)
        assert next(after) == ["00000", "new"]
        assert sum(1 for _ in after) + 1 == 2400
        assert sum(1 for _ in before) + 1 == 1500

    def test_bounds_counts_and_parts_are_those_of_any_range(self, many: Elevator[str]) -> None:
        assert list(many.RangeIter("00100", "01234", consistent=True, include_value=False)) == self.KEYS[100:1235]
        assert list(many.RangeIter("00100", 700, consistent=True, include_value=False)) == self.KEYS[100:800]
        assert list(many.RangeIter(prefix="0000", consistent=True, include_value=False)) == self.KEYS[:10]
        assert list(many.RangeIter("2", "1", consistent=True)) == []
        assert list(many.RangeIter(None, 0, consistent=True)) == []

    def test_a_database_that_is_closed_ends_the_iteration_with_a_clear_error(self, many: Elevator[str]) -> None:
        it = many.RangeIter(consistent=True)
        next(it)
        many.unmount("default")
        with pytest.raises(CursorExpired, match="begin the iteration anew"):
            list(it)
        assert len(list(many.RangeIter(consistent=True))) == 1500

    def test_an_iteration_can_be_left_in_the_middle(self, many: Elevator[str]) -> None:
        with many.RangeIter(consistent=True) as it:
            next(it)
        assert list(it) == []
        it.close()

    def test_consistent_is_a_bool(self, E: Elevator[str]) -> None:
        anything: Any = E
        with pytest.raises(TypeError, match="consistent must be bool, not int"):
            anything.RangeIter(consistent=1)


class ClassicConformance:
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

    def test_a_database_that_was_there_before_is_dropped_only_if_told(self, E: Elevator[str], connect: Connect) -> None:
        E.createdb("testdb")
        E.forgetdb("testdb")
        E.createdb("testdb")
        with pytest.raises(DatabaseError, match="forgetdb takes it off the list and leaves them"):
            E.dropdb("testdb")
        assert E.listdb() == ["default", "testdb"]
        E.dropdb("testdb", force=True)
        assert E.listdb() == ["default"]

    def test_forgetting_needs_a_database_and_no_connected_one(self, connect: Connect) -> None:
        E = connect(Elevator, auto_connect=False)
        E.createdb("testdb")
        E.forgetdb("testdb")
        for name in ("testdb", "default"):
            with pytest.raises(DatabaseError, match=r"does not exist|cannot be forgotten"):
                E.forgetdb(name)
        assert E.listdb() == ["default"]
        E.disconnect()


class StatsConformance:
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

    def test_databases_are_told_of_in_the_order_of_listdb(self, E: Elevator[str]) -> None:
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
        assert E.slowlog() == E.slowlog(limit=5) == []
        with pytest.raises(UsageError):
            E.slowlog("5")  # type: ignore[arg-type]

    def test_stats_need_no_connected_database(self, connect: Connect) -> None:
        E = connect(Elevator, auto_connect=False)
        assert E.stats().database("default").name == "default"
        E.disconnect()


class TasksConformance:
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

    def test_an_idle_server_has_no_tasks(self, connect: Connect) -> None:
        E = connect(Elevator, auto_connect=False)
        assert E.progress() == []
        E.disconnect()

    def test_a_compaction_takes_a_database(self, connect: Connect) -> None:
        E = connect(Elevator, auto_connect=False)
        with pytest.raises(UsageError, match="not connected to a database"):
            E.compact()
        E.disconnect()

    def test_a_backup_of_what_is_not_there_is_refused(self, E: Elevator[str]) -> None:
        with pytest.raises(DatabaseError, match="Database nope does not exist"):
            E.backup("nope", "/nowhere/backup")

    def test_a_backup_takes_an_absolute_path(self, E: Elevator[str]) -> None:
        for path in ("backup", "", "../backup", "a/b"):
            with pytest.raises(DatabaseError, match="is no absolute path; a backup goes into a directory"):
                E.backup("default", path)


class FilesConformance:
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
