"""The budget of responses that clients do not read."""

from types import SimpleNamespace

import pytest

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


def test_workers_start_while_there_is_space_for_what_each_makes(budget, unsent):
    budget.admits([bytes(10 * MB)])
    assert [running for running in range(8) if budget.can_start(running)] == [0, 1, 2]
