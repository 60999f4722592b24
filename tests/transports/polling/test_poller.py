"""What happens on descriptors, in one wait, by epoll and by what other systems have instead."""

import math
import select
import selectors
import socket
from contextlib import ExitStack, closing

import pytest

from pyelevator.errors import UsageError
from pyelevator.proxy import Proxy
from pyelevator.transports.polling.poller import Poller, open_epoll
from pyelevator.transports.polling.readiness import READ, WRITE


class Apart(selectors.EpollSelector):
    """Stands for kqueue, which tells of reading and of writing apart."""

    def select(self, timeout=None):
        both = (selectors.EVENT_READ, selectors.EVENT_WRITE)
        return [(key, event & found) for key, found in super().select(timeout) for event in both if event & found]


@pytest.fixture(params=[None, Apart])
def poller(request, monkeypatch):
    if request.param is not None:
        monkeypatch.delattr(select, "epoll")
        monkeypatch.setattr(selectors, "DefaultSelector", request.param)
    with closing(Poller()) as poller:
        yield poller


@pytest.fixture
def pair():
    here, there = socket.socketpair()
    with here, there:
        yield here, there


def test_nothing_happens_until_the_time_is_over(poller, pair):
    poller.set_interest(pair[0].fileno(), READ)
    assert poller.wait(0) == poller.wait(0.001) == {}


def test_what_is_wanted_is_told_and_nothing_else(poller, pair):
    here, there = pair
    at = here.fileno()
    poller.set_interest(at, WRITE)
    assert poller.wait(math.inf) == {at: WRITE}
    there.send(b"x")
    poller.set_interest(at, READ | WRITE)
    assert poller.wait(math.inf) == {at: READ | WRITE}
    poller.set_interest(at, READ)
    assert poller.wait(math.inf) == {at: READ}
    poller.set_interest(at, 0)
    assert poller.wait(0) == {}


def test_the_end_is_told(poller, pair):
    here, there = pair
    poller.set_interest(here.fileno(), READ)
    there.close()
    assert poller.wait(math.inf)[here.fileno()] & READ


def test_a_descriptor_that_was_closed_may_be_another_s_then(poller):
    here, there = socket.socketpair()
    at = here.fileno()
    poller.set_interest(at, READ)
    here.close()
    there.close()
    again, other = socket.socketpair()
    with again, other:
        assert at in (again.fileno(), other.fileno())
        poller.set_interest(at, 0)
        poller.set_interest(at, WRITE)
        assert poller.wait(math.inf) == {at: WRITE}


@pytest.fixture
def without_epoll(monkeypatch):
    monkeypatch.delattr(select, "epoll")


def test_without_epoll_each_of_many_has_its_turn(without_epoll):
    with closing(open_epoll()) as epoll, ExitStack() as stack:
        ends = [stack.enter_context(end) for _ in range(5) for end in socket.socketpair()]
        for end in ends:
            epoll.register(end.fileno(), WRITE)
        found: set[int] = set()
        while len(found) < len(ends):
            ready = epoll.poll(10.0, 3)
            assert len(ready) == 3
            found |= {descriptor for descriptor, _ in ready}


def test_a_listener_s_descriptor_can_be_polled_without_epoll(without_epoll, pair):
    here, there = pair
    with closing(open_epoll()) as inner, closing(Poller()) as outer:
        inner.register(here.fileno(), READ)
        outer.set_interest(inner.fileno(), READ)
        assert outer.wait(0) == {}
        there.send(b"x")
        assert outer.wait(math.inf) == {inner.fileno(): READ}


def test_a_system_without_epoll_and_kqueue_is_told_what_a_proxy_needs(without_epoll, monkeypatch):
    monkeypatch.setattr(selectors, "DefaultSelector", selectors.PollSelector)
    with pytest.raises(UsageError, match="neither epoll nor kqueue, and a proxy needs one of them; a server does not"):
        Proxy(["tcp://127.0.0.1:0"], "tcp://127.0.0.1:1")
