"""The conformance suite of the calls that are about ranges and fetch none of them: Count and DeleteRange.

Subclass :class:`BulkRangeConformance` beside :class:`~pyelevator.testing.sessions.SessionConformance`, whose fixtures
it uses.
"""

from typing import Any

import pytest

from pyelevator import DatabaseError, Elevator
from pyelevator.testing.sessions import Connect

BOUNDS: list[tuple[str | None, str | None, str | None]] = [
    (None, None, None),
    ("3", "5", None),
    ("3", None, None),
    (None, "5", None),
    ("35", "5:", None),
    ("5", "3", None),
    ("", "", None),
    (None, None, "5"),
    ("50", "6", "5"),
    ("5", "5", "5"),
    ("6", None, "5"),
    (None, None, ""),
    (None, None, "nothing"),
    (None, None, "\udcff"),
]
"""First key, last key and prefix."""


class BulkRangeConformance:
    """Tests of a server with the features ``count`` and ``deleterange``."""

    @pytest.fixture
    def keys(self, digits: Elevator[str]) -> Elevator[str]:
        """Return a client of a database with the keys '0' to '9', and some between and around them."""
        with digits.WriteBatch() as batch:
            for key in ("", "50", "5:", "55", "\udcff", "\udcff\udcff", "\udcfe"):
                batch.Put(key, "v" * 100)
        return digits

    def test_count_is_how_many_keys_range_gives(self, keys: Elevator[str]) -> None:
        for start, stop, prefix in BOUNDS:
            expected = len(keys.Range(start, stop, prefix=prefix))
            assert keys.Count(start, stop, prefix=prefix) == expected
        assert keys.Count() == 17
        assert keys.Count(prefix="5", timeout=30) == 4

    def test_count_of_an_empty_database_is_none(self, E: Elevator[str]) -> None:
        assert E.Count() == 0
        assert E.DeleteRange() == 0

    def test_delete_range_deletes_what_range_gives_and_nothing_else(self, keys: Elevator[str]) -> None:
        everything = keys.Range()
        for start, stop, prefix in BOUNDS:
            inside = keys.Range(start, stop, prefix=prefix)
            assert keys.DeleteRange(start, stop, prefix=prefix) == len(inside)
            assert keys.Range() == [pair for pair in everything if pair not in inside]
            assert keys.DeleteRange(start, stop, prefix=prefix, sync=True, timeout=30) == 0
            with keys.WriteBatch() as batch:
                for key, value in inside:
                    batch.Put(key, value)

    def test_many_keys_are_counted_and_deleted(self, E: Elevator[str]) -> None:
        with E.WriteBatch() as batch:
            batch.Put("j", "before")
            batch.Put("l", "behind")
            for i in range(10_000):
                batch.Put(f"k{i:05}", "")
        assert E.Count(prefix="k") == 10_000
        assert E.DeleteRange("k00001", "k09998") == 9_998
        assert E.Range(include_value=False) == ["j", "k00000", "k09999", "l"]
        assert E.DeleteRange() == 4
        assert E.Count() == 0

    def test_long_keys_are_deleted_in_smaller_chunks(self, E: Elevator[str]) -> None:
        with E.WriteBatch() as batch:
            for i in range(50):
                batch.Put(f"{i:02}" + "k" * 100_000, "v")
        assert E.Count() == 50
        assert E.DeleteRange("01", "48~") == 48
        assert E.Count() == 2

    def test_ends_are_keys_and_not_counts(self, E: Elevator[str]) -> None:
        wrong: Any = 5
        for call in (E.Count, E.DeleteRange):
            with pytest.raises(TypeError, match="stop must be str or bytes, not int"):
                call("a", wrong)
            with pytest.raises(TypeError, match="prefix must be str or bytes, not int"):
                call(prefix=wrong)

    def test_count_in_a_pipeline_sees_what_was_written_before(self, E: Elevator[str]) -> None:
        with E.pipeline() as p:
            p.Put("a", "1")
            one = p.Count()
            p.Put("b", "1")
            two, under_prefix = p.Count("a", "b"), p.Count(prefix="b")
        assert (one.result(), two.result(), under_prefix.result()) == (1, 2, 1)

    def test_a_prefixed_view_counts_and_deletes_its_own_keys(self, keys: Elevator[str]) -> None:
        for prefix in ("5", "\udcff"):
            view = keys.prefix(prefix)
            others = [pair for pair in keys.Range() if not pair[0].startswith(prefix)]
            inside = view.Range()
            assert view.Count() == len(inside)
            assert view.Count("5", ":") == len(view.Range("5", ":"))
            assert view.DeleteRange("5", ":") + view.DeleteRange() == len(inside)
            assert keys.Range() == others

    def test_a_prefixed_view_deletes_many_keys(self, E: Elevator[str]) -> None:
        view = E.prefix("user:")
        with E.WriteBatch() as batch:
            batch.Put("user", "v")
            batch.Put("user;", "v")
            for i in range(5000):
                batch.Put(f"user:{i}", "")
        assert view.DeleteRange(None, "4999~") == 4445
        assert view.DeleteRange() == 555
        assert E.Range(include_value=False) == ["user", "user;"]

    def test_a_range_of_a_database_created_again_is_deleted(self, E: Elevator[str], connect: Connect) -> None:
        E.createdb("testdb")
        with connect(Elevator, "testdb") as e:
            e.Put("a", "1")
            E.dropdb("testdb")
            with pytest.raises(DatabaseError):
                e.Count()
            E.createdb("testdb")
            assert e.DeleteRange() == 0
            e.Put("a", "1")
            assert (e.Count(), e.DeleteRange()) == (1, 1)
