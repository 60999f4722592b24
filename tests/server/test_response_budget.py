"""The budget of responses that clients do not read."""

from types import SimpleNamespace

import pytest

from pyelevator.application.response_space import OutOfSpace
from pyelevator.commands import Get, Range
from pyelevator.server.response_budget import LARGE, ResponseBudget

MB = 1 << 20


@pytest.fixture
def unsent():
    return SimpleNamespace(unsent_bytes=0, peers={})


@pytest.fixture
def budget(unsent):
    return ResponseBudget(unsent, 64 * MB)


def admitted(budget, unsent, size, most=100):
    """How many responses of a size are admitted, one after the other, if none is read."""
    for count in range(most):
        if not budget.admits([bytes(size)]):
            return count
        unsent.unsent_bytes += size
    return most


def test_space_for_the_copy_of_the_next_response_is_kept(budget, unsent):
    assert admitted(budget, unsent, 20 * MB) == 2
    making_one_more = unsent.unsent_bytes + 2 * 20 * MB
    assert making_one_more <= 64 * MB + 20 * MB


def test_medium_responses_fill_the_limit(budget, unsent):
    assert admitted(budget, unsent, MB) == 63


def test_one_response_of_any_size_is_admitted(budget, unsent):
    assert admitted(budget, unsent, 100 * MB) == 1


def test_small_responses_pass_a_limit_that_is_used_up(budget, unsent):
    unsent.unsent_bytes = 65 * MB
    assert budget.admits([bytes(4000)])
    assert not budget.admits([bytes(LARGE - 1)])


def test_slow_readers_of_little_do_not_hold_up_a_large_response(budget, unsent):
    budget.admits([bytes(60 * MB)])
    unsent.unsent_bytes = 8 * MB
    assert budget.has_space_for(60 * MB)
    unsent.unsent_bytes = 9 * MB
    assert not budget.has_space_for(60 * MB)


def started(budget, size):
    """How many responses of a size may be made at once."""
    count = 0
    while budget.can_start(size):
        budget.start(size)
        count += 1
    return count


def test_workers_start_while_there_is_space_for_what_each_makes(budget):
    assert started(budget, 10 * MB) == 3


def test_one_worker_may_always_start(budget, unsent):
    unsent.unsent_bytes = 64 * MB
    assert budget.can_start(MB)
    assert budget.start(MB).size == 0  # so that it is given up as soon as it has any


def test_requests_with_small_responses_start_beside_large_ones(budget):
    budget.start(30 * MB)
    assert not budget.can_start(20 * MB)
    assert budget.can_start(LARGE - 1)


def test_each_kind_of_command_has_a_size_that_is_expected(budget):
    budget.admits([bytes(MB)], Range)
    budget.admits([bytes(10)], Get)
    assert (budget.expected_of(Range), budget.expected_of(Get), budget.expected_of(None)) == (MB, 10, 0)


def reservations(budget, count, can_wait=True):
    made = [budget.start(0) for _ in range(count)]
    for one in made:
        one.can_wait = can_wait
    return made


def test_responses_that_grow_together_past_the_limit_are_given_up(budget, unsent):
    unsent.unsent_bytes = 16 * MB
    first, second = reservations(budget, 2)
    for _ in range(12):
        first.add(MB)
        second.add(MB)
    with pytest.raises(OutOfSpace):
        first.add(MB)
    assert first.refused_bytes == 2 * 13 * MB  # is what has to be reserved next time
    for _ in range(11):
        second.add(MB)  # has the space of the first
    with pytest.raises(OutOfSpace):
        second.add(2 * MB)


def test_the_oldest_response_is_not_given_up_while_nearly_all_is_read(budget, unsent):
    unsent.unsent_bytes = 8 * MB
    first, second = reservations(budget, 2)
    first.add(100 * MB)
    with pytest.raises(OutOfSpace):
        second.add(MB)
    unsent.unsent_bytes = 9 * MB
    with pytest.raises(OutOfSpace):
        first.add(1)


def test_what_cannot_be_executed_again_is_counted_and_not_given_up(budget):
    (first,) = reservations(budget, 1, can_wait=False)
    first.add(100 * MB)
    assert not budget.can_start(MB)
    budget.end(first)
    assert budget.can_start(MB)


def test_what_may_certainly_be_added_is_added(budget, unsent):
    unsent.unsent_bytes = 16 * MB
    first, second = reservations(budget, 2)
    second.add(4 * MB)
    assert first.available == 20 * MB
    first.add(first.available)
    with pytest.raises(OutOfSpace):
        first.add(1)


def test_what_was_reported_too_much_is_there_for_others(budget):
    first, second = reservations(budget, 2)
    first.add(30 * MB)
    assert second.available == 2 * MB
    first.add(-20 * MB)
    assert second.available == 22 * MB
