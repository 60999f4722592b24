"""What happens on descriptors and on sockets of libzmq, in one wait."""

import math
import socket
from contextlib import closing

import pytest
import zmq

from pyelevator.transports.polling.poller import Poller
from pyelevator.transports.polling.readiness import READ, WRITE


@pytest.fixture(params=[True, False], ids=["epoll", "none"])
def poller(request, monkeypatch):
    monkeypatch.setattr("pyelevator.transports.polling.poller._HAS_EPOLL", request.param)
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


def test_sockets_of_libzmq_are_waited_for_together_with_descriptors(poller, pair):
    here, there = pair
    with zmq.Context() as context, context.socket(zmq.PAIR) as one, context.socket(zmq.PAIR) as other:
        one.bind("inproc://here")
        other.connect("inproc://here")
        poller.set_interest(one, READ)
        poller.set_interest(here.fileno(), READ)
        assert poller.wait(0) == {}
        other.send(b"x")
        assert poller.wait(math.inf) == {one: READ}
        there.send(b"x")
        assert poller.wait(math.inf) == {one: READ, here.fileno(): READ}
        poller.set_interest(one, 0)
        assert poller.wait(math.inf) == {here.fileno(): READ}
