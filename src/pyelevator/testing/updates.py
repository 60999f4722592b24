"""The conformance suite of the calls that read and write in one step, over whatever lies between client and server.

Subclass :class:`UpdateConformance` beside :class:`~pyelevator.testing.sessions.SessionConformance`, whose fixtures it
uses.
"""

from typing import Any

import pytest

from pyelevator import MISSING, PRESENT, CheckFailed, DatabaseError, Elevator, UsageError, WriteBatch
from pyelevator.testing.sessions import Connect


class UpdateConformance:
    """Tests of a server with the feature ``conditionalbatch``."""

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

    def test_a_with_block_raises_the_failed_check(self, E: Elevator[str]) -> None:
        with pytest.raises(CheckFailed), E.WriteBatch() as batch:
            batch.Check("a", PRESENT)
            batch.Put("a", "1")
        assert E.Range() == []

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

    def test_keys_of_failed_checks_are_bytes_without_an_encoding(self, connect: Connect) -> None:
        with connect(Elevator, encoding=None) as B:
            batch = B.WriteBatch()
            batch.Check(b"\xff", PRESENT)
            with pytest.raises(CheckFailed) as caught:
                batch.Write()
            assert caught.value.keys == (b"\xff",)
            batch.Clear()

    def test_keys_of_failed_checks_are_str_of_any_bytes(self, E: Elevator[str]) -> None:
        batch = E.WriteBatch()
        batch.Check(b"\xff\x00", PRESENT)
        with pytest.raises(CheckFailed) as caught:
            batch.Write()
        assert caught.value.keys == ("\udcff\x00",)
        batch.Clear()

    def test_many_checks_and_writes_are_one_step(self, E: Elevator[str]) -> None:
        keys = [f"{i:05}" for i in range(20_000)]
        with E.WriteBatch() as batch:
            for key in keys:
                batch.Check(key, MISSING)
                batch.Put(key, "1")
        batch = E.WriteBatch()
        for key in keys:
            batch.Check(key, "1" if key != "12345" else "2")
            batch.Delete(key)
        with pytest.raises(CheckFailed) as caught:
            batch.Write()
        assert caught.value.keys == ("12345",)
        assert len(E.Range(include_value=False)) == 20_000
        batch.Clear()

    @pytest.mark.parametrize("expected", [None, 1, True, ["v"], {"v": 1}])
    def test_what_no_key_can_have_is_refused_at_once(self, E: Elevator[str], expected: Any) -> None:
        batch = E.WriteBatch()
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


def refuses_updates(E: Elevator[str]) -> None:
    """Check that a client refuses what its old server does not know, before anything is sent.

    Raises:
        AssertionError: it does not.
    """
    batch = E.WriteBatch()
    batch.Check("a", MISSING)
    batch.Put("a", "1")
    with pytest.raises(UsageError, match="this server does not know CONDITIONALBATCH; nothing was sent"):
        batch.Write()
    batch.Clear()
