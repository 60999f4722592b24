"""Which clients have read nothing while others waited for space; the clock is turned by hand."""

from types import SimpleNamespace
from typing import Any

import pytest

from pyelevator.peers.stalls import StallDetector


@pytest.fixture
def queues() -> Any:
    return SimpleNamespace(peers={name: SimpleNamespace(unsent_bytes=100) for name in (b"reads", b"stalls")})


@pytest.fixture
def stalls(queues: Any) -> StallDetector:
    return StallDetector(queues, 0.5, lambda identity: queues.peers[identity].unsent_bytes >= 50)


def test_clients_that_read_nothing_for_the_timeout_are_stalled(stalls: StallDetector, queues: Any) -> None:
    assert stalls.check(10.0) is None
    queues.peers[b"reads"].unsent_bytes = 99
    assert stalls.check(10.25) is None
    assert stalls.check(10.5) == [b"stalls"]
    assert stalls.check(10.75) == [b"reads"]
    assert stalls.check(11.0) == [b"stalls"]


def test_a_client_that_comes_later_has_all_of_the_timeout(stalls: StallDetector, queues: Any) -> None:
    assert stalls.check(10.0) is None
    queues.peers = {b"new": SimpleNamespace(unsent_bytes=500)}
    assert stalls.check(10.25) is None
    assert stalls.check(10.5) == []
    assert stalls.check(10.75) == [b"new"]


def test_a_client_with_little_to_read_is_no_candidate(stalls: StallDetector, queues: Any) -> None:
    queues.peers[b"stalls"].unsent_bytes = queues.peers[b"reads"].unsent_bytes = 49
    assert stalls.check(10.0) is None
    assert stalls.check(10.5) == []
    queues.peers[b"stalls"].unsent_bytes = 50
    assert stalls.check(10.75) is None
    assert stalls.check(11.0) == [b"stalls"]


def test_clients_are_looked_at_eight_times_in_a_timeout(stalls: StallDetector, queues: Any) -> None:
    assert stalls.check(10.0) is None
    queues.peers[b"reads"].unsent_bytes = 99
    assert stalls.check(10.03) is None  # not looked at
    assert stalls.check(10.0625) is None
    assert stalls.check(10.53) == [b"stalls"]
    assert stalls.check(10.6) == [b"reads"]


def test_a_stall_that_has_ended_begins_anew(stalls: StallDetector) -> None:
    assert stalls.check(10.0) is None
    stalls.end()
    assert stalls.check(20.0) is None
    assert stalls.check(20.5) == [b"reads", b"stalls"]
