"""Which moment an iteration over several pages shows."""

import pytest

from pyelevator import Elevator

KEYS = [f"k{number:05}" for number in range(6000)]


@pytest.mark.parametrize(("consistent", "seen"), [(False, "new"), (True, "old" * 300)])
def test_each_page_shows_its_own_moment_or_all_of_them_that_of_the_first(consistent, seen):
    with Elevator(transport="fake") as E:
        with E.pipeline() as pipeline:
            for key in KEYS:
                pipeline.Put(key, "old" * 300)
        found = iter(E.RangeIter(consistent=consistent))
        assert next(found) == ["k00000", "old" * 300]
        E.Put(KEYS[-1], "new")
        assert list(found)[-1] == [KEYS[-1], seen]
