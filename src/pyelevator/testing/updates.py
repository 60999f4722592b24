"""The conformance suite of the calls that read and write in one step, over whatever lies between client and server.

Subclass :class:`UpdateConformance` beside :class:`~pyelevator.testing.sessions.SessionConformance`, whose fixtures it
uses.
"""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Final

import pytest

from pyelevator import (
    MISSING,
    PRESENT,
    CheckFailed,
    DatabaseError,
    Elevator,
    KeyNotFound,
    UsageError,
    WriteBatch,
    WrongValue,
)
from pyelevator.testing.sessions import Connect

_LARGEST: Final = 2**63 - 1
_SMALLEST: Final = -(2**63)
_NO_NUMBERS: Final = (
    *("", " ", "abc", "1.5", "1e3", " 1", "1 ", "1\n", "+1", "-", "--1", "-0", "007", "1_000", "0x10", "\u0663", "1\0"),
    *("9223372036854775808", "-9223372036854775809", "1" * 30, "nan", "None", "True", "\udcff"),
)


def _failed_keys(batch: WriteBatch[Any]) -> tuple[str | bytes, ...]:
    """Write a batch of which a check fails, and discard it; return the keys of such checks."""
    with pytest.raises(CheckFailed) as caught:
        batch.Write()
    batch.Clear()
    return caught.value.keys


class UpdateConformance:
    """Tests of a server with the features ``conditionalbatch``, ``increment`` and ``getanddelete``."""

    # Conditional batches

    def test_a_batch_whose_checks_hold_is_written(self, E: Elevator[str]) -> None:
        E.Put("a", "1")
        with E.WriteBatch() as batch:
            batch.Check("a", "1")
            batch.Check("a", PRESENT)
            batch.Check("b", MISSING)
            batch.Put("a", "2")
            batch.Put("b", "2")
        assert E.Range() == [["a", "2"], ["b", "2"]]

    def test_a_batch_of_which_a_check_fails_writes_nothing(self, E: Elevator[str]) -> None:
        E.Put("a", "1")
        batch = E.WriteBatch()
        for key, expected in (("a", "1"), ("b", PRESENT), ("a", MISSING), ("a", "2"), ("c", MISSING), ("c", "")):
            batch.Check(key, expected)
        batch.Put("new", "1")
        batch.Delete("a")
        with pytest.raises(CheckFailed) as caught:
            batch.Write()
        assert caught.value.keys == ("b", "a", "c")
        assert str(caught.value) == "check failed: 'b', 'a', 'c'; nothing was written"
        assert isinstance(caught.value, DatabaseError)
        assert E.Range() == [["a", "1"]]
        batch.Clear()

    def test_a_batch_whose_check_failed_stays_as_it_was(self, E: Elevator[str]) -> None:
        batch = E.WriteBatch()
        batch.Check("a", PRESENT)
        batch.Put("b", "1")
        with pytest.raises(CheckFailed):
            batch.Write()
        assert len(batch) == 2
        E.Put("a", "now")
        assert batch.Write() is None
        assert E.Range() == [["a", "now"], ["b", "1"]]
        assert len(batch) == 0

    def test_an_empty_value_is_present_and_a_value(self, E: Elevator[str]) -> None:
        E.Put("", "")
        with E.WriteBatch() as batch:
            batch.Check("", PRESENT)
            batch.Check("", "")
            batch.Put("", "1")
        with pytest.raises(CheckFailed) as caught, E.WriteBatch() as batch:
            batch.Check("", "")
            batch.Put("", "2")
        assert caught.value.keys == ("",)
        assert E.Get("") == "1"

    def test_checks_alone_write_nothing_and_tell(self, E: Elevator[str]) -> None:
        E.Put("a", "1")
        with E.WriteBatch() as batch:
            batch.Check("a", "1")
        with pytest.raises(CheckFailed), E.WriteBatch() as batch:
            batch.Check("a", MISSING)
        assert E.Range() == [["a", "1"]]

    def test_checks_see_what_was_there_before_the_batch(self, E: Elevator[str]) -> None:
        with E.WriteBatch() as batch:
            batch.Put("a", "1")
            batch.Check("a", MISSING)
        assert E.Get("a") == "1"

    def test_a_conditional_batch_over_connections_of_its_own(self, E: Elevator[str], connect: Connect) -> None:
        E.createdb("testdb")
        for expected, outcome in ((MISSING, None), (MISSING, CheckFailed), ("1", None)):
            batch = connect(WriteBatch, "testdb")
            batch.Check("a", expected)
            batch.Put("a", "1")
            if outcome is None:
                batch.Write(sync=True)
            else:
                with pytest.raises(outcome):
                    batch.Write()
            batch.Clear()
            batch.disconnect()
        assert E.Range() == []

    def test_keys_of_failed_checks_are_as_the_client_gives_keys(self, connect: Connect) -> None:
        for encoding, key in ((None, b"\xff\x00"), ("utf-8", "\udcff\x00")):
            with connect(Elevator, encoding=encoding) as client:
                batch = client.WriteBatch()
                batch.Check(b"\xff\x00", PRESENT)
                assert _failed_keys(batch) == (key,)

    def test_many_checks_and_writes_are_one_step(self, E: Elevator[str]) -> None:
        keys = [f"{i:05}" for i in range(5_000)]
        with E.WriteBatch() as batch:
            for key in keys:
                batch.Check(key, MISSING)
                batch.Put(key, "1")
        batch = E.WriteBatch()
        for key in keys:
            batch.Check(key, "1" if key != "01234" else "2")
            batch.Delete(key)
        assert _failed_keys(batch) == ("01234",)
        assert len(E.Range(include_value=False)) == 5_000

    def test_what_no_key_can_have_is_refused_at_once(self, E: Elevator[str]) -> None:
        batch = E.WriteBatch()
        expected: Any
        for expected in (None, 1, True, ["v"], {"v": 1}):
            with pytest.raises(TypeError, match="expected must be str, bytes, MISSING or PRESENT, not"):
                batch.Check("a", expected)
        assert len(batch) == 0

    def test_a_conditional_batch_finds_a_database_created_again(self, E: Elevator[str], connect: Connect) -> None:
        E.createdb("testdb")
        with connect(Elevator, "testdb") as e:
            batch = e.WriteBatch()
            batch.Check("a", MISSING)
            batch.Put("a", "1")
            E.dropdb("testdb")
            with pytest.raises(DatabaseError):
                batch.Write()
            E.createdb("testdb")
            batch.Write()
            assert e.Get("a") == "1"

    # Calls of one key

    def test_put_if_absent_writes_only_what_is_missing(self, E: Elevator[str]) -> None:
        assert E.PutIfAbsent("a", "1") is True
        assert E.PutIfAbsent("a", "2", sync=True) is False
        assert E.Get("a") == "1"
        E.Put("empty", "")
        assert E.PutIfAbsent("empty", "2") is False
        E.Delete("a")
        assert E.PutIfAbsent("a", "3", timeout=30) is True
        assert E.Get("a") == "3"

    def test_compare_and_set_writes_only_what_is_as_expected(self, E: Elevator[str]) -> None:
        assert E.CompareAndSet("a", "", "1") is False
        assert E.CompareAndSet("a", MISSING, "1") is True
        assert E.CompareAndSet("a", "2", "3") is False
        assert E.CompareAndSet("a", "1", "2") is True
        assert E.CompareAndSet("a", PRESENT, "3", sync=True) is True
        assert E.CompareAndSet("b", PRESENT, "3") is False
        assert E.Range() == [["a", "3"]]

    def test_increment_counts_from_nothing(self, E: Elevator[str]) -> None:
        assert [E.Increment("n"), E.Increment("n"), E.Increment("n", 10), E.Increment("n", by=-20)] == [1, 2, 12, -8]
        assert E.Get("n") == "-8"
        assert E.Increment("n", 8, sync=True, timeout=30) == 0
        assert E.Get("n") == "0"

    def test_increment_takes_a_missing_key_for_its_initial_number(self, E: Elevator[str]) -> None:
        assert E.Increment("n", initial=41) == 42
        assert E.Increment("n", initial=41) == 43
        assert E.Increment("m", 0, -5) == -5
        assert E.Get("m") == "-5"

    def test_increment_takes_every_number_of_64_bits(self, E: Elevator[str]) -> None:
        for number in ("9223372036854775807", "-9223372036854775808", "0", "-1"):
            E.Put("n", number)
            assert E.Increment("n", 0) == int(number)
            assert E.Get("n") == number

    def test_increment_of_what_is_no_number_is_an_error_and_changes_nothing(self, E: Elevator[str]) -> None:
        for value in _NO_NUMBERS:
            E.Put("n", value)
            with pytest.raises(
                ValueError, match="not a whole number of 64 bits in decimal digits; nothing was written"
            ):
                E.Increment("n")
            assert E.Get("n") == value

    def test_increment_beyond_64_bits_is_an_error_and_changes_nothing(self, E: Elevator[str]) -> None:
        for value, by in ((_LARGEST, 1), (_SMALLEST, -1), (1, _LARGEST), (-2, _SMALLEST)):
            E.Put("n", str(value))
            with pytest.raises(WrongValue, match="more than fits into 64 bits; nothing was written"):
                E.Increment("n", by)
            assert E.Get("n") == str(value)
            with pytest.raises(ValueError, match="more than fits into 64 bits"):
                E.Increment("missing", by, value)
        assert not E.Exists("missing")

    def test_increment_takes_integers_only(self, E: Elevator[str]) -> None:
        wrong: Any
        for wrong in ("1", 1.0, None, True):
            with pytest.raises(TypeError, match="by must be int, not"):
                E.Increment("n", wrong)
            with pytest.raises(TypeError, match="initial must be int, not"):
                E.Increment("n", 1, wrong)
        with pytest.raises(UsageError, match="by must fit into 64 bits"):
            E.Increment("n", 2**63)
        assert not E.Exists("n")

    def test_get_and_delete_gives_the_value_once(self, E: Elevator[str], connect: Connect) -> None:
        E.Put("a", "1")
        E.Put("empty", "")
        assert E.GetAndDelete("a") == "1"
        assert E.GetAndDelete("empty", sync=True, timeout=30) == ""
        assert E.Range() == []
        with pytest.raises(KeyNotFound, match=r"^Key not found$") as caught:
            E.GetAndDelete("a")
        assert caught.value.key == "a"
        with connect(Elevator, encoding=None) as B:
            B.Put(b"\xff", b"\xfe")
            assert B.GetAndDelete(b"\xff") == b"\xfe"
            with pytest.raises(KeyNotFound) as caught:
                B.GetAndDelete(b"\xff")
            assert caught.value.key == b"\xff"

    def test_get_gives_a_default_for_a_missing_key_as_it_is(self, E: Elevator[str]) -> None:
        E.Put("a", "")
        default = object()
        assert E.Get("a", default) == ""
        assert E.Get("b", default) is default
        assert E.Get("b", None) is None
        assert E.Get("b", default=b"\xff", timeout=30) == b"\xff"
        with pytest.raises(KeyNotFound):
            E.Get("b")

    def test_updates_in_a_pipeline_are_what_they_are_alone(self, E: Elevator[str]) -> None:
        E.Put("text", "x")
        with E.pipeline(raise_errors=False) as p:
            handles: list[Any] = [
                p.PutIfAbsent("a", "1"),
                p.PutIfAbsent("a", "2"),
                p.CompareAndSet("a", "1", "3"),
                p.CompareAndSet("a", "1", "4", sync=True),
                p.Put("b", "1"),
                p.Increment("b"),
                p.Increment("b", -5, sync=True),
                p.Increment("c", 2, 5),
                p.Increment("text"),
                p.Get("missing", None),
                p.Get("c", None),
                p.GetAndDelete("a"),
                p.GetAndDelete("a"),
                p.Exists("a"),
            ]
        assert [handle.exception() or handle.result() for handle in handles] == p.results
        assert p.results[:8] == [True, False, True, False, None, 2, -3, 7]
        assert isinstance(p.results[8], WrongValue)
        assert p.results[9:12] == [None, "7", "3"]
        assert isinstance(p.results[12], KeyNotFound)
        assert p.results[13] is False
        assert E.Range() == [["b", "-3"], ["c", "7"], ["text", "x"]]

    def test_what_is_not_as_expected_is_no_error_of_a_pipeline(self, E: Elevator[str]) -> None:
        with E.pipeline() as p:
            absent = p.CompareAndSet("a", PRESENT, "1")
            missing = p.Get("a", 7)
        assert (absent.exception(), absent.result(), missing.result()) == (None, False, 7)
        with pytest.raises(KeyNotFound) as caught, E.pipeline() as p:
            p.GetAndDelete("a")
        assert caught.value.key == "a"

    def test_a_batch_with_checks_is_one_command_of_a_pipeline(self, E: Elevator[str]) -> None:
        with E.pipeline(raise_errors=False) as p:
            p.Put("a", "1")
            with p.WriteBatch() as batch:
                batch.Check("a", "1")
                batch.Check("b", MISSING)
                batch.Put("b", "2")
                batch.Delete("a")
            again = p.WriteBatch()
            again.Check("a", "1")
            again.Put("c", "3")
            failed = again.Write(sync=True)
            empty = again.Write()
            p.Put("d", "4")
        assert isinstance(failed.exception(), CheckFailed)
        assert failed.exception().keys == ("a",)  # type: ignore[union-attr]
        assert empty.result() is None
        assert p.results[:2] == [None, None]
        assert E.Range() == [["b", "2"], ["d", "4"]]
        with pytest.raises(RuntimeError, match="mine"), E.pipeline() as p, p.WriteBatch() as batch:
            batch.Put("e", "5")
            raise RuntimeError("mine")
        assert E.Count() == 2

    def test_a_prefixed_view_updates_its_own_keys(self, E: Elevator[str]) -> None:
        view = E.prefix("user:")
        assert view.Increment("n", initial=4) == 5
        assert view.PutIfAbsent("a", "1") is True
        assert view.CompareAndSet("a", MISSING, "2") is False
        batch = view.WriteBatch()
        batch.Check("a", "2")
        batch.Check("n", "5")
        batch.Delete("n")
        assert _failed_keys(batch) == ("a",)
        assert E.Range() == [["user:a", "1"], ["user:n", "5"]]
        assert view.GetAndDelete("a") == "1"
        assert view.Get("a", "gone") == "gone"
        assert E.Range() == [["user:n", "5"]]

    def test_many_clients_count_without_losing_one(self, E: Elevator[str], connect: Connect) -> None:
        def count() -> None:
            with connect(Elevator) as client:
                for _ in range(25):
                    client.Increment("n")
                    while not client.CompareAndSet("m", (old := client.Get("m", "0")), str(int(old) + 1)):
                        pass

        E.Put("m", "0")
        with ThreadPoolExecutor(4) as threads:
            for ended in [threads.submit(count) for _ in range(4)]:
                ended.result()
        assert (E.Get("n"), E.Get("m")) == ("100", "100")


def refuses_updates(E: Elevator[str]) -> None:
    """Check that a client refuses what its old server does not know, before anything is sent: counts of ranges as well.

    Raises:
        AssertionError: it does not.
    """
    batch = E.WriteBatch()
    batch.Check("a", MISSING)
    batch.Put("a", "1")
    calls: dict[str, tuple[Callable[[], object], ...]] = {
        "CONDITIONALBATCH": (batch.Write, lambda: E.PutIfAbsent("a", "1"), lambda: E.CompareAndSet("a", "1", "2")),
        "INCREMENT": (lambda: E.Increment("a"),),
        "GETANDDELETE": (lambda: E.GetAndDelete("a"),),
        "COUNT": (E.Count,),
        "DELETERANGE": (E.DeleteRange,),
    }
    for verb, call in [(verb, call) for verb, some in calls.items() for call in some]:
        with pytest.raises(UsageError, match=f"this server does not know {verb}; nothing was sent"):
            call()
    batch.Clear()
