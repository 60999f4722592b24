"""What happens on descriptors and on sockets of libzmq, in one wait."""

import math
import socket
from contextlib import closing

import pytest
import zmq

from pyelevator.transports.poller import READ, WRITE, Watch


@pytest.fixture(params=[True, False], ids=["epoll", "none"])
def watch(request, monkeypatch):
    monkeypatch.setattr("pyelevator.transports.poller._EPOLL", request.param)
    with closing(Watch()) as watch:
        yield watch


@pytest.fixture
def pair():
    here, there = socket.socketpair()
    with here, there:
        yield here, there


def test_nothing_happens_until_the_time_is_over(watch, pair):
    watch.want(pair[0].fileno(), READ)
    assert watch.wait(0) == watch.wait(0.001) == {}


def test_what_is_wanted_is_told_and_nothing_else(watch, pair):
    here, there = pair
    at = here.fileno()
    watch.want(at, WRITE)
    assert watch.wait(math.inf) == {at: WRITE}
    there.send(b"x")
    watch.want(at, READ | WRITE)
    assert watch.wait(math.inf) == {at: READ | WRITE}
    watch.want(at, READ)
    assert watch.wait(math.inf) == {at: READ}
    watch.want(at, 0)
    assert watch.wait(0) == {}


def test_the_end_is_told(watch, pair):
    here, there = pair
    watch.want(here.fileno(), READ)
    there.close()
    assert watch.wait(math.inf)[here.fileno()] & READ


def test_a_descriptor_that_was_closed_may_be_another_s_then(watch):
    here, there = socket.socketpair()
    at = here.fileno()
    watch.want(at, READ)
    here.close()
    there.close()
    again, other = socket.socketpair()
    with again, other:
        assert at in (again.fileno(), other.fileno())
        watch.want(at, 0)
        watch.want(at, WRITE)
        assert watch.wait(math.inf) == {at: WRITE}


def test_sockets_of_libzmq_are_waited_for_together_with_descriptors(watch, pair):
    here, there = pair
    with zmq.Context() as context, context.socket(zmq.PAIR) as one, context.socket(zmq.PAIR) as other:
        one.bind("inproc://here")
        other.connect("inproc://here")
        watch.want(one, READ)
        watch.want(here.fileno(), READ)
        assert watch.wait(0) == {}
        other.send(b"x")
        assert watch.wait(math.inf) == {one: READ}
        there.send(b"x")
        assert watch.wait(math.inf) == {one: READ, here.fileno(): READ}
        watch.want(one, 0)
        assert watch.wait(math.inf) == {here.fileno(): READ}
