"""Walks over ordered pairs, beside a dict."""

from bisect import bisect_left

from hypothesis import given
from hypothesis import strategies as st

from pyelevator.engines.walk import Walk


class Pairs:
    """Ordered pairs as an iterator that can seek, and counts."""

    def __init__(self, model):
        self.items, self.at, self.jumps, self.steps = sorted(model.items()), 0, 0, 0

    def seek(self, key):
        self.jumps += 1
        self.at = bisect_left(self.items, (key,))

    def __next__(self):
        self.steps += 1
        if self.at == len(self.items):
            raise StopIteration
        self.at += 1
        return self.items[self.at - 1]


KEYS = st.binary(max_size=2)


@given(st.dictionaries(KEYS, st.binary(max_size=1)), st.sets(KEYS))
def test_a_walk_finds_what_a_dict_finds(model, wanted):
    keys = sorted(wanted)
    assert list(Walk(Pairs(model)).values(keys)) == [model.get(key) for key in keys]


@given(st.sets(st.integers(0, 300)), st.sets(st.integers(0, 300)))
def test_long_walks_find_what_a_dict_finds(there, wanted):
    model, keys = {b"%03d" % i: b"%d" % i for i in there}, [b"%03d" % i for i in sorted(wanted)]
    assert list(Walk(Pairs(model)).values(keys)) == [model.get(key) for key in keys]


def test_neighbours_are_reached_by_steps():
    model = {b"%04d" % i: b"" for i in range(1000)}
    pairs = Pairs(model)
    list(Walk(pairs).values(sorted(model)))
    assert (pairs.jumps, pairs.steps) == (1, 1000)


def test_far_keys_are_reached_by_jumps_and_few_steps_are_tried_in_vain():
    model = {b"%06d" % i: b"" for i in range(100_000)}
    pairs = Pairs(model)
    list(Walk(pairs).values([b"%06d" % i for i in range(0, 100_000, 100)]))
    assert pairs.jumps == 1000
    assert pairs.steps < 1000 + 4 * 1000 / 15
