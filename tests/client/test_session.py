"""Lanes and their pool, over a transport whose replies the test scripts."""

import os
import threading
from collections import deque

import pytest

from pyelevator.client.session import Session
from pyelevator.codec import ClassicCodec, FlatCodec
from pyelevator.commands import Get, Range
from pyelevator.deadlines import NEVER, Deadline
from pyelevator.errors import MalformedMessage, PoolTimeout, RequestTimeout
from pyelevator.messages import Request, Response
from pyelevator.transports import Transport

OK = ClassicCodec().encode_response(Response(b"v"), Request(Get("k")))


class Scripted(Transport):
    """Answers each send with the next of ``script``: frames to receive, or an exception to raise."""

    def __init__(self, *script, born=None):
        self.script = deque(script)
        self.born = [] if born is None else born
        self.inbox = deque()
        self.discards = 0
        self.closed = False

    url = "scripted://"

    def send(self, frames, deadline):
        self.inbox.extend(self.script.popleft() if self.script else [OK])

    def receive(self, deadline):
        reply = self.inbox.popleft() if self.inbox else RequestTimeout("silence")
        if isinstance(reply, BaseException):
            raise reply
        return reply

    def discard(self):
        self.inbox.clear()
        self.discards += 1

    def close(self):
        self.closed = True

    def sibling(self):
        child = Scripted(*self.script, born=self.born)
        self.born.append(child)
        return child


def session_over(*script, codec=None, max_lanes=4):
    transport = Scripted(*script)
    return Session(transport, codec or ClassicCodec(), max_lanes), transport.born


def test_the_given_transport_itself_is_never_used():
    session, lanes = session_over()
    assert session.exchange(Request(Get("k")), NEVER).payload == b"v"
    assert not session.transport.inbox
    assert len(lanes) == 1


def test_one_thread_uses_one_lane():
    session, lanes = session_over()
    for _ in range(3):
        session.exchange(Request(Get("k")), NEVER)
    assert len(lanes) == 1


@pytest.mark.parametrize("failure", [RequestTimeout("late"), KeyboardInterrupt(), OSError("gone")])
def test_a_lane_whose_exchange_failed_is_cut_off_from_its_past(failure):
    late = ClassicCodec().encode_response(Response(b"late"), Request(Get("k")))
    session, lanes = session_over([failure, late], [OK])
    with pytest.raises(type(failure)):
        session.exchange(Request(Get("k")), NEVER)
    assert lanes[0].discards == 1
    assert session.exchange(Request(Get("k")), NEVER).payload == b"v"
    assert len(lanes) == 1


def test_a_reply_that_cannot_be_read_cuts_the_lane_off():
    session, lanes = session_over([[b"\xc1", b"\xc1"]], [OK])
    with pytest.raises(MalformedMessage):
        session.exchange(Request(Get("k")), NEVER)
    assert lanes[0].discards == 1
    assert session.exchange(Request(Get("k")), NEVER).payload == b"v"


def test_the_second_reply_of_a_flat_server_is_never_read_as_the_next_answer():
    pairs = [b"\x95\x01\x00\xa0\xa1a\xa11"]
    session, lanes = session_over([pairs, pairs], [[b"\x94\x01\x00\xa0\xa1v"]], codec=FlatCodec())
    assert session.exchange(Request(Range("a", "a"), "u"), NEVER).payload == [[b"a", b"1"]]
    assert lanes[0].discards == 1
    assert session.exchange(Request(Get("k"), "u"), NEVER).payload == b"v"


def test_nothing_is_discarded_where_nothing_was_sent():
    session, lanes = session_over(codec=FlatCodec())
    with pytest.raises(ValueError, match="flat dialect"):
        session.exchange(Request(Range("a", None), "u"), NEVER)
    assert lanes[0].discards == 0


class Gate(Scripted):
    """Blocks in receive until the gate opens."""

    def __init__(self, entered, gate):
        super().__init__()
        self.entered, self.gate = entered, gate

    def receive(self, deadline):
        self.entered.release()
        assert self.gate.wait(30)
        return super().receive(deadline)

    def sibling(self):
        child = Gate(self.entered, self.gate)
        self.born.append(child)
        return child


def busy_session(max_lanes):
    entered, gate = threading.Semaphore(0), threading.Event()
    session = Session(Gate(entered, gate), ClassicCodec(), max_lanes)
    threads = [threading.Thread(target=session.exchange, args=(Request(Get("k")), NEVER)) for _ in range(max_lanes)]
    for thread in threads:
        thread.start()
    for _ in threads:
        assert entered.acquire(timeout=30)
    return session, gate, threads


def test_threads_at_work_have_lanes_of_their_own_up_to_the_limit():
    session, gate, threads = busy_session(3)
    assert len(session.transport.born) == 3
    with pytest.raises(PoolTimeout, match=r"all 3 lanes of the client were busy for 0\.05 s; raise max_lanes="):
        session.exchange(Request(Get("k")), Deadline.after(0.05))
    gate.set()
    for thread in threads:
        thread.join()
    session.exchange(Request(Get("k")), NEVER)
    assert len(session.transport.born) == 3


def test_a_waiting_thread_gets_the_lane_that_is_given_back():
    session, gate, threads = busy_session(1)
    answers = []
    waiter = threading.Thread(target=lambda: answers.append(session.exchange(Request(Get("k")), Deadline.after(30))))
    waiter.start()
    gate.set()
    waiter.join()
    threads[0].join()
    assert answers[0].payload == b"v"
    assert len(session.transport.born) == 1


def test_close_closes_idle_lanes_at_once_and_busy_ones_when_they_are_given_back():
    session, gate, threads = busy_session(2)
    session.close()
    assert [lane.closed for lane in session.transport.born] == [False, False]
    gate.set()
    for thread in threads:
        thread.join()
    assert [lane.closed for lane in session.transport.born] == [True, True]


def test_after_a_fork_the_child_leaves_the_parent_s_lanes_alone(monkeypatch):
    session, lanes = session_over()
    session.exchange(Request(Get("k")), NEVER)
    parent = os.getpid()
    monkeypatch.setattr(os, "getpid", lambda: parent + 1)
    session.exchange(Request(Get("k")), NEVER)
    session.close()
    assert len(lanes) == 2
    assert not lanes[0].closed
    assert lanes[1].closed
