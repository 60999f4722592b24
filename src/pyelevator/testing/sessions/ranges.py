"""Ranges of keys, at once and in pages."""

from typing import Any

import pytest

from pyelevator import CursorExpired, Elevator, KeyNotFound, UsageError
from pyelevator.testing.sessions.fixtures import MANY, SessionFixtures


class RangeConformance(SessionFixtures):
    """Tests of Range, Slice and RangeIter."""

    def test_a_range_goes_from_key_to_key_or_counts(self, digits: Elevator[str]) -> None:
        found: dict[tuple[Any, ...], str] = {
            ("1", "3"): "123",
            ("1", "9"): "123456789",
            ("1", 2): "12",
            ("5", 2): "56",
            ("8", 100): "89",
            ("1", 0): "",
            ("1", -1): "",
            (): "0123456789",
            (None, "1"): "01",
            ("8",): "89",
            ("3", "1"): "",
            ("a", "z"): "",
        }
        for bounds, keys in found.items():
            pairs = [[key, key] for key in keys]
            assert digits.Range(*bounds) == list(digits.RangeIter(*bounds)) == pairs

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

    def test_rangeiter_streams_many_pages_in_order(self, many: Elevator[str]) -> None:
        assert list(many.RangeIter(include_value=False)) == MANY
        assert list(many.RangeIter("00100", "01234")) == [[key, key * 10] for key in MANY[100:1235]]

    def test_rangeiter_is_lazy(self, digits: Elevator[str]) -> None:
        it = digits.RangeIter()
        digits.Put("/", "before 0")
        assert next(it) == ["/", "before 0"]
        assert list(it) == digits.Range("0")

    def test_compressed_answers_read_the_same(self, digits: Elevator[str]) -> None:
        digits.Put("long", "x" * 10_000)
        assert digits.Get("long", compression=True) == "x" * 10_000
        assert digits.MGet(["1", "nope"], compression=True) == ["1", None]
        assert digits.Range("1", "2", compression=True) == [["1", "1"], ["2", "2"]]
        assert digits.Slice("1", 1, compression=True) == [["1", "1"]]
        assert list(digits.RangeIter("8", compression=True))[0] == ["8", "8"]
        with pytest.raises(KeyNotFound):
            digits.Get("nope", compression=True)


class ReverseConformance(SessionFixtures):
    """Tests of a server with the feature ``reverse`` in the classic dialect: ranges downwards."""

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

    def test_rangeiter_in_reverse_streams_many_pages_in_order(self, many: Elevator[str]) -> None:
        assert list(many.RangeIter(include_value=False, reverse=True)) == MANY[::-1]
        assert list(many.RangeIter("00100", "01234", reverse=True)) == [[key, key * 10] for key in MANY[1234:99:-1]]
        assert list(many.RangeIter("01234", 700, reverse=True, include_value=False)) == MANY[1234:534:-1]
        assert list(many.RangeIter(prefix="01", reverse=True, include_value=False)) == MANY[1499:999:-1]


class CursorConformance(SessionFixtures):
    """Tests of a server with the feature ``cursors``: long ranges of one snapshot."""

    def _change_everything(self, E: Elevator[str]) -> None:
        with E.WriteBatch() as batch:
            for key in MANY:
                batch.Put(key, "new") if key < "00900" else batch.Delete(key)
                batch.Put(f"{key}+", "new")

    @pytest.mark.parametrize("reverse", [False, True])
    def test_all_pages_are_of_one_moment_whatever_is_written_meanwhile(
        self, many: Elevator[str], reverse: bool
    ) -> None:
        it = many.RangeIter(reverse=reverse, consistent=True)
        first = next(it)
        self._change_everything(many)
        old = [[key, key * 10] for key in sorted(MANY, reverse=reverse)]
        assert [first, *it] == old
        assert many.Range(None, 2) == [["00000", "new"], ["00000+", "new"]]

    def test_two_iterations_keep_their_own_moments(self, many: Elevator[str]) -> None:
        before = many.RangeIter(consistent=True)
        assert next(before) == ["00000", "00000" * 10]
        self._change_everything(many)
        after = many.RangeIter(consistent=True)
        assert next(after) == ["00000", "new"]
        assert sum(1 for _ in after) + 1 == 2400
        assert sum(1 for _ in before) + 1 == 1500

    def test_bounds_counts_and_parts_are_those_of_any_range(self, many: Elevator[str]) -> None:
        assert list(many.RangeIter("00100", "01234", consistent=True, include_value=False)) == MANY[100:1235]
        assert list(many.RangeIter("00100", 700, consistent=True, include_value=False)) == MANY[100:800]
        assert list(many.RangeIter(prefix="0000", consistent=True, include_value=False)) == MANY[:10]
        assert list(many.RangeIter("2", "1", consistent=True)) == []
        assert list(many.RangeIter(None, 0, consistent=True)) == []

    def test_a_database_that_is_closed_ends_the_iteration_with_a_clear_error(self, many: Elevator[str]) -> None:
        it = many.RangeIter(consistent=True)
        next(it)
        many.unmount("default")
        with pytest.raises(CursorExpired, match="start the iteration again"):
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
