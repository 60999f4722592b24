"""When a thread looks again and again before it sleeps, and when it does not."""

import pytest

from pyelevator.transports.polling import busy_poll
from pyelevator.transports.polling.busy_poll import ALONE, CHECKED, CREDIT, PROBE, REST, BusyEpoll, BusyPoll


class Source:
    """Stands for a descriptor: finds something at the second look, or never, and counts the looks."""

    def __init__(self):
        self.looks = 0

    def soon(self):
        self.looks += 1
        return "found" if self.looks % 2 == 0 else ""

    def at_once(self):
        self.looks += 1
        return "found"

    def never(self):
        self.looks += 1
        return ""


@pytest.fixture(autouse=True)
def clock(monkeypatch):
    """A clock by which a moment has time for three looks."""
    times = iter(range(1_000_000))
    monkeypatch.setattr(busy_poll, "monotonic", lambda: next(times) * busy_poll.MOMENT / 2.5)


def found_soon(busy, times):
    for _ in range(times):
        assert busy.wait(Source().soon) == "found"


def looks(busy, times=1):
    """How many looks so many waits take in which nothing comes."""
    source = Source()
    for _ in range(times):
        assert not busy.wait(source.never)
    return source.looks


def test_it_looks_until_the_moment_is_over():
    assert looks(BusyPoll()) == 3


def test_what_comes_within_the_moment_is_found():
    source = Source()
    assert BusyPoll().wait(source.soon) == "found"
    assert source.looks == 2


def test_without_credit_one_wait_in_256_looks():
    busy = BusyPoll()
    assert looks(busy) == 3
    assert looks(busy, PROBE - 1) == 0
    assert looks(busy) == 3
    assert PROBE == 256


def test_a_probe_that_finds_something_earns_another_look():
    busy = BusyPoll()
    looks(busy, PROBE)
    found_soon(busy, 2)
    assert [looks(busy) for _ in range(2)] == [3, 0]


def test_a_moment_in_vain_costs_what_two_have_earned():
    busy = BusyPoll()
    found_soon(busy, 4)
    assert [looks(busy) for _ in range(3)] == [3, 3, 0]


def test_no_more_than_sixteen_are_earned():
    busy = BusyPoll()
    found_soon(busy, 50)
    assert [looks(busy) for _ in range(5)] == [3, 3, 3, 3, 0]
    assert CREDIT == 16


def test_what_was_there_already_earns_nothing():
    busy, source = BusyPoll(), Source()
    assert busy.wait(source.at_once) == "found"
    assert source.looks == 1
    assert looks(busy) == 0


@pytest.mark.parametrize(("taken", "found"), [(2, 3), (3, 0)])
def test_it_rests_where_others_want_the_processor(monkeypatch, taken, found):
    counts = iter([1000, 1000 + taken])  # what was before the first check does not count
    monkeypatch.setattr(busy_poll, "preemptions", lambda: next(counts))
    busy = BusyPoll()
    found_soon(busy, 2 * CHECKED)
    assert looks(busy) == found


def test_a_rest_ends_after_8192_waits(monkeypatch):
    counts = iter([1000, 1003, 9000])
    monkeypatch.setattr(busy_poll, "preemptions", lambda: next(counts))
    busy = BusyPoll()
    found_soon(busy, 2 * CHECKED)
    assert looks(busy, REST - 1) == 0
    found_soon(busy, CHECKED + 1)  # what happened meanwhile does not count
    assert looks(busy) == 3
    assert REST == 8192


def test_the_system_tells_how_often_a_thread_was_preempted():
    assert busy_poll.preemptions() >= 0


class Epoll:
    """Stands for epoll: gives the events of one descriptor after the other, and keeps the timeouts."""

    def __init__(self, *descriptors):
        self.events = [[(descriptor, 1)] for descriptor in descriptors]
        self.timeouts = []

    def poll(self, timeout, _):
        self.timeouts.append(timeout)
        return self.events.pop(0)


def test_a_server_looks_while_one_connection_alone_is_in_use():
    epoll = Epoll(*[7] * (ALONE + 2))
    busy = BusyEpoll(epoll.poll, 16)
    assert [busy.poll(None) for _ in range(ALONE + 2)] == [[(7, 1)]] * (ALONE + 2)
    assert epoll.timeouts == [None] * (ALONE + 1) + [0]


def test_a_server_of_several_clients_sleeps_until_one_asks():
    epoll = Epoll(*[7, 8] * 20)
    busy = BusyEpoll(epoll.poll, 16)
    assert [busy.poll(5.0) for _ in range(40)] == [[(7, 1)], [(8, 1)]] * 20
    assert epoll.timeouts == [5.0] * 40


def test_another_connection_ends_the_looking():
    epoll = Epoll(*[7] * (ALONE + 2), 8, 8)
    busy = BusyEpoll(epoll.poll, 16)
    for _ in range(ALONE + 4):
        busy.poll(None)
    assert epoll.timeouts == [None] * (ALONE + 1) + [0, None, None]


def test_who_does_not_wait_does_not_look():
    epoll = Epoll(*[7] * 20)
    busy = BusyEpoll(epoll.poll, 16)
    for _ in range(20):
        busy.poll(0)
    assert epoll.timeouts == [0] * 20
