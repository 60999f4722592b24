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
    return StallDetector(queues, 0.5)


def test_clients_that_read_nothing_for_the_timeout_are_stalled(stalls: StallDetector, queues: Any) -> None:
    assert stalls.check(10.0) is None
    queues.peers[b"reads"].unsent_bytes = 99
    queues.peers[b"new"] = SimpleNamespace(unsent_bytes=500)
    assert stalls.check(10.4) is None
    assert stalls.check(10.5) == {b"stalls": 100}
    assert stalls.check(10.9) is None
    assert stalls.check(11.0) == {b"reads": 99, b"stalls": 100, b"new": 500}


def test_a_stall_that_has_ended_begins_anew(stalls: StallDetector) -> None:
    assert stalls.check(10.0) is None
    stalls.end()
    assert stalls.check(20.0) is None
    assert stalls.check(20.5) == {b"reads": 100, b"stalls": 100}
