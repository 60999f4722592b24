"""The checker itself: on histories that are known to be linearizable or not, and against plain brute force."""

from itertools import permutations
from typing import Any

import pytest
from hypothesis import given, strategies as st

from torture.linearizability import UNKNOWN, Operation, groups, linearizable


def put(start, end, value, key="k"):
    return Operation(start, end, writes={key: value})


def get(start, end, value, key="k"):
    return Operation(start, end, reads={key: value})


def batch(start, end, **writes):
    return Operation(start, end, writes=writes)


def mget(start, end, **reads):
    return Operation(start, end, reads=reads)


def update(start, end, checks, passed=True, **writes):
    return Operation(start, end, writes=writes, checks=checks, passed=passed)


def add(start, end, before, after, key="k"):
    return Operation(start, end, reads={key: before}, writes={key: after})


LINEARIZABLE = {
    "nothing": [],
    "missing at first": [get(0, 1, None)],
    "one after the other": [put(0, 1, "a"), get(2, 3, "a"), put(4, 5, "b"), get(6, 7, "b")],
    "a read beside a write sees the old": [put(0, 1, "a"), put(2, 9, "b"), get(3, 4, "a"), get(5, 6, "b")],
    "a read beside a write sees the new": [put(0, 9, "a"), get(1, 2, "a"), get(3, 4, "a")],
    "two writes side by side, in either order": [put(0, 9, "a"), put(0, 9, "b"), get(1, 2, "b"), get(3, 4, "a")],
    "deleted": [put(0, 1, "a"), put(2, 3, None), get(4, 5, None)],
    "an unknown write that is never seen": [put(0, UNKNOWN, "a"), get(1, 2, None), get(3, 4, None)],
    "an unknown write that is seen late": [put(0, UNKNOWN, "a"), get(1, 2, None), get(3, 4, "a")],
    "an unknown write that hits after another": [put(0, UNKNOWN, "a"), put(1, 2, "b"), get(3, 4, "b"), get(5, 6, "a")],
    "an unknown delete": [put(0, 1, "a"), put(2, UNKNOWN, None), get(3, 4, "a"), get(5, 6, None)],
    "a batch is seen as a whole": [batch(0, 9, k="a", l="a"), mget(1, 2, k=None, l=None), mget(3, 4, k="a", l="a")],
    "single reads within a batch's time": [batch(0, 9, k="a", l="a"), get(1, 2, None), get(3, 4, "a", "l")],
    "an unknown batch": [batch(0, UNKNOWN, k="a", l=None), batch(1, 2, l="b"), mget(3, 4, k="a", l=None)],
}
LINEARIZABLE |= {
    "a check holds": [put(0, 1, "a"), update(2, 3, {"k": "a"}, k="b"), get(4, 5, "b")],
    "a check fails": [put(0, 1, "a"), update(2, 3, {"k": None}, False, k="b"), get(4, 5, "a")],
    "one of two that check the same": [
        *(update(0, 9, {"k": None}, k="a"), update(0, 9, {"k": None}, False, k="b"), get(10, 11, "a")),
    ],
    "an unknown update that fails its check": [update(0, UNKNOWN, {"k": "x"}, None, k="a"), get(1, 2, None)],
    "an unknown update that is seen": [update(0, UNKNOWN, {"k": None}, None, k="a"), get(1, 2, None), get(3, 4, "a")],
    "an unknown update that makes a check fail": [
        *(update(0, UNKNOWN, {"k": None}, None, k="a"), update(1, 2, {"k": None}, False, k="b")),
    ],
    "an unknown increment that is seen": [
        *(Operation(0, UNKNOWN, adds={"k": 1}), add(1, 2, None, "1"), add(3, 4, "2", "3")),
    ],
    "an unknown increment that is not": [Operation(0, UNKNOWN, adds={"k": 1}), add(1, 2, None, "1")],
}
NOT_LINEARIZABLE = {
    "both that check the same": [update(0, 9, {"k": None}, k="a"), update(0, 9, {"k": None}, k="b")],
    "a check failed that held": [put(0, 1, "a"), update(2, 3, {"k": "a"}, False, k="b")],
    "a check held that failed": [put(0, 1, "a"), update(2, 3, {"k": None}, k="b")],
    "a failed update is seen": [update(0, 1, {"k": "x"}, False, k="b"), get(2, 3, "b")],
    "an unknown update whose check never held is seen": [
        *(put(0, 1, "a"), update(2, UNKNOWN, {"k": None}, None, k="b"), get(3, 4, "b")),
    ],
    "an increment is lost": [add(0, 9, None, "1"), add(0, 9, None, "1")],
    "an unknown increment counts twice": [Operation(0, UNKNOWN, adds={"k": 1}), add(1, 2, "2", "3")],
    "never written": [get(0, 1, "a")],
    "lost": [put(0, 1, "a"), get(2, 3, None)],
    "stale": [put(0, 1, "a"), put(2, 3, "b"), get(4, 5, "a")],
    "from the future": [get(0, 1, "a"), put(2, 3, "a")],
    "new and then old": [put(0, 1, "a"), put(2, 9, "b"), get(3, 4, "b"), get(5, 6, "a")],
    "both orders at once": [put(0, 1, "a"), put(0, 1, "b"), get(2, 3, "a"), get(4, 5, "b")],
    "an unknown write comes twice": [
        *(put(0, UNKNOWN, "a"), get(1, 2, "a"), put(3, 4, "b")),
        *(get(5, 6, "b"), get(7, 8, "a")),
    ],
    "a deleted key comes back": [put(0, 1, "a"), put(2, 3, None), get(4, 5, None), get(6, 7, "a")],
    "half a batch": [batch(0, 9, k="a", l="a"), mget(1, 2, k="a", l=None)],
    "half an unknown batch": [batch(0, UNKNOWN, k="a", l="a"), get(1, 2, "a"), get(3, 4, None, "l")],
    "another key's value": [put(0, 1, "a", "k"), put(0, 1, "b", "l"), get(2, 3, "b", "k")],
}


@pytest.mark.parametrize("history", LINEARIZABLE.values(), ids=LINEARIZABLE)
def test_what_one_order_explains_is_linearizable(history):
    assert linearizable(history)
    assert linearizable(history[::-1])


@pytest.mark.parametrize("history", NOT_LINEARIZABLE.values(), ids=NOT_LINEARIZABLE)
def test_what_no_order_explains_is_not(history):
    assert not linearizable(history)
    assert not linearizable(history[::-1])


def brute_force(history):
    """The definition: some operations of unknown outcome left out, some order that keeps to the times."""
    known = [operation for operation in history if operation.end != UNKNOWN]
    unknown = [operation for operation in history if operation.end == UNKNOWN]
    subsets = [[o for i, o in enumerate(unknown) if mask >> i & 1] for mask in range(1 << len(unknown))]
    return any(explains(order) for some in subsets for order in permutations(known + some))


def explains(order):
    state: dict[Any, Any] = {}
    for i, operation in enumerate(order):
        if any(later.end < operation.start for later in order[i + 1 :]):
            return False
        state = operation.after(state)
        if state is None:
            return False
    return True


values = st.sampled_from([None, "a", "b"])
contents = st.dictionaries(st.sampled_from("kl"), values, min_size=1)
operations = st.builds(
    lambda start, length, known, reads, content: Operation(
        start,
        start + length if known or reads else UNKNOWN,
        **{"reads" if reads else "writes": content},
    ),
    st.integers(0, 8),
    st.integers(1, 6),
    st.booleans(),
    st.booleans(),
    contents,
)


updates = st.builds(
    lambda start, length, passed, checks, content: Operation(
        start, UNKNOWN if passed is None else start + length, writes=content, checks=checks, passed=passed
    ),
    st.integers(0, 8),
    st.integers(1, 6),
    st.sampled_from([True, False, None]),
    contents,
    contents,
)


@given(st.lists(operations | updates, max_size=5))
def test_it_agrees_with_brute_force(history):
    assert linearizable(history) == brute_force(history)


@given(st.lists(operations, max_size=5))
def test_groups_are_judged_like_the_whole(history):
    assert all(map(linearizable, groups(history))) == brute_force(history)
    assert sorted(map(id, history)) == sorted(id(operation) for group in groups(history) for operation in group)


def test_groups_are_told_apart_by_their_keys():
    one, two, three = put(0, 1, "a", "k"), put(0, 1, "a", "l"), batch(0, 1, m="a", n="a")
    assert [set(map(id, group)) for group in groups([one, two, three])] == [{id(one)}, {id(two)}, {id(three)}]
    both = batch(2, 3, k="b", l="b")
    assert [set(map(id, group)) for group in groups([one, two, both])] == [{id(one), id(two), id(both)}]


def test_a_long_history_of_many_clients_is_judged_quickly():
    history = [operation for i in range(2000) for operation in (put(i, i + 4, f"{i}"), get(i + 0.5, i + 4.5, f"{i}"))]
    assert linearizable([*history, get(3000, 3001, "1999")])
    assert not linearizable([*history[:200], get(3000, 3001, "1")])
