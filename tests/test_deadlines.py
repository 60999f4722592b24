"""Deadlines: seconds become a point in time once."""

import math
from types import SimpleNamespace

import pytest

from pyelevator import deadlines
from pyelevator.deadlines import NEVER, Deadline, check_timeout
from pyelevator.errors import ArgumentTypeError, UsageError


@pytest.fixture
def clock(monkeypatch):
    """A clock that stands still at 100 s until ``clock.now`` is moved."""

    clock = SimpleNamespace(now=100.0)
    monkeypatch.setattr(deadlines, "time", SimpleNamespace(monotonic=lambda: clock.now))
    return clock


def test_seconds_become_a_point_in_time(clock):
    assert Deadline.after(1.5) == Deadline(at=101.5, seconds=1.5)


def test_what_remains_shrinks_and_is_never_negative(clock):
    deadline = Deadline.after(1.5)
    assert (deadline.remaining(), deadline.expired()) == (1.5, False)
    clock.now = 101.0
    assert (deadline.remaining(), deadline.expired()) == (0.5, False)
    clock.now = 101.5
    assert (deadline.remaining(), deadline.expired()) == (0.0, True)
    clock.now = 200.0
    assert (deadline.remaining(), deadline.expired()) == (0.0, True)


@pytest.mark.parametrize("deadline", [NEVER, Deadline.after(None)])
def test_without_a_limit_there_is_no_end(deadline):
    assert (deadline.remaining(), deadline.expired()) == (math.inf, False)


@pytest.mark.parametrize("timeout", [None, 1, 0.001, 1e9, math.inf])
def test_a_timeout_is_a_number_of_seconds_or_none(timeout):
    assert check_timeout(timeout) is timeout


@pytest.mark.parametrize("timeout", [0, -1, -0.5, math.nan, -math.inf])
def test_a_timeout_is_above_zero(timeout):
    with pytest.raises(UsageError, match=r"timeout must be above 0 seconds, not .*; None waits for ever"):
        check_timeout(timeout)


@pytest.mark.parametrize("timeout", ["1", b"1", True, False, [1], object()])
def test_a_timeout_of_another_type_is_a_type_error(timeout):
    with pytest.raises(ArgumentTypeError, match="timeout must be a number of seconds or None, not ") as refused:
        check_timeout(timeout)
    assert isinstance(refused.value, TypeError)
