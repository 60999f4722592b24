"""Lanes and their pool, over a transport whose replies the test scripts."""

import gc
import threading
import warnings
import weakref
from collections import deque
from contextlib import suppress
from typing import Any, cast

import pytest

from pyelevator import Elevator
from pyelevator.application import Application
from pyelevator.client.sync.pool import PooledConnection
from pyelevator.client.sync.session import Session
from pyelevator.codec import ClassicCodec, FlatCodec
from pyelevator.commands import Get, Ping, Range
from pyelevator.deadlines import NEVER, Deadline
from pyelevator.errors import MalformedMessage, PoolTimeout, RequestTimeout
from pyelevator.flows import Send, Sleep
from pyelevator.forks import FORKS
from pyelevator.messages import CallContext, Request, Response
from pyelevator.protocol import ClientProtocol
from pyelevator.testing.servers import serve
from pyelevator.transports import FakeTransport, Transport
from support.connections import pool_of
from support.optional import unwrap

OK = ClassicCodec().encode_response(Response(b"v"), Request(Get("k")))


class Scripted(Transport):
    """Answers each send with the next of ``script``: frames to receive, or an exception to raise."""

    def __init__(self, *script, born=None):
        self.script = deque(script)
        self.born = [] if born is None else born
        self.inbox: deque[Any] = deque()
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

    def reset(self):
        self.inbox.clear()
        self.discards += 1

    def close(self):
        self.closed = True

    def clone(self):
        child = Scripted(*self.script, born=self.born)
        self.born.append(child)
        return child


def session_over(*script, codec=None, max_connections=4):
    transport = Scripted(*script)
    return Session(transport, codec or ClassicCodec(), max_connections), transport.born


def test_the_given_transport_itself_is_never_used():
    session, links = session_over()
    assert session.send(Request(Get("k")), NEVER).payload == b"v"
    assert not session.transport.inbox
    assert len(links) == 1


def test_one_thread_uses_one_connection():
    session, links = session_over()
    for _ in range(3):
        session.send(Request(Get("k")), NEVER)
    assert len(links) == 1


@pytest.mark.parametrize("failure", [RequestTimeout("late"), KeyboardInterrupt(), OSError("gone")])
def test_a_connection_whose_exchange_failed_is_closed(failure):
    delayed = ClassicCodec().encode_response(Response(b"late"), Request(Get("k")))
    session, links = session_over([failure, delayed], [OK])
    with pytest.raises(type(failure)):
        session.send(Request(Get("k")), NEVER)
    assert links[0].discards == 1
    assert session.send(Request(Get("k")), NEVER).payload == b"v"
    assert len(links) == 1


def test_a_reply_that_cannot_be_read_closes_the_connection():
    session, links = session_over([[b"\xc1", b"\xc1"]], [OK])
    with pytest.raises(MalformedMessage):
        session.send(Request(Get("k")), NEVER)
    assert links[0].discards == 1
    assert session.send(Request(Get("k")), NEVER).payload == b"v"


def test_the_second_reply_of_a_flat_server_is_no_answer_to_the_next():
    pairs = [b"\x95\x01\x00\xa0\xa1a\xa11"]
    session, links = session_over([pairs, pairs], [[b"\x94\x01\x00\xa0\xa1v"]], codec=FlatCodec())
    assert session.send(Request(Range("a", "a"), "u"), NEVER).payload == [[b"a", b"1"]]
    assert links[0].discards == 1
    assert session.send(Request(Get("k"), "u"), NEVER).payload == b"v"


def test_nothing_is_discarded_where_nothing_was_sent():
    session, links = session_over(codec=FlatCodec())
    with pytest.raises(ValueError, match="flat dialect"):
        session.send(Request(Range("a", None), "u"), NEVER)
    assert links[0].discards == 0


class Suspended(Scripted):
    """Blocks in receive until the event ``resume``."""

    def __init__(self, entered, resume):
        super().__init__()
        self.entered, self.resume = entered, resume

    def receive(self, deadline):
        self.entered.release()
        assert self.resume.wait(30)
        return super().receive(deadline)

    def clone(self):
        child = Suspended(self.entered, self.resume)
        self.born.append(child)
        return child


def busy_session(max_connections):
    entered, resume = threading.Semaphore(0), threading.Event()
    session = Session(Suspended(entered, resume), ClassicCodec(), max_connections)
    threads = [threading.Thread(target=session.send, args=(Request(Get("k")), NEVER)) for _ in range(max_connections)]
    for thread in threads:
        thread.start()
    for _ in threads:
        assert entered.acquire(timeout=30)
    return session, resume, threads


def test_busy_threads_have_connections_of_their_own_up_to_the_limit():
    session, resume, threads = busy_session(3)
    assert len(session.transport.born) == 3
    with pytest.raises(
        PoolTimeout, match=r"all 3 connections of the client were busy for 0\.05 s; raise max_connections="
    ):
        session.send(Request(Get("k")), Deadline.after(0.05))
    resume.set()
    for thread in threads:
        thread.join()
    session.send(Request(Get("k")), NEVER)
    assert len(session.transport.born) == 3


def test_a_waiting_thread_gets_the_released_connection():
    session, resume, threads = busy_session(1)
    answers = []
    waiter = threading.Thread(target=lambda: answers.append(session.send(Request(Get("k")), Deadline.after(30))))
    waiter.start()
    resume.set()
    waiter.join()
    threads[0].join()
    assert answers[0].payload == b"v"
    assert len(session.transport.born) == 1


def test_close_closes_busy_connections_when_they_are_released():
    session, resume, threads = busy_session(2)
    session.close()
    assert [link.closed for link in session.transport.born] == [False, False]
    resume.set()
    for thread in threads:
        thread.join()
    assert [link.closed for link in session.transport.born] == [True, True]


def test_after_a_fork_the_child_leaves_the_parent_s_connections_alone():
    session, links = session_over()
    session.send(Request(Get("k")), NEVER)
    FORKS.here[0] = 0  # as the kernel does it in a child
    session.send(Request(Get("k")), NEVER)
    session.close()
    assert len(links) == 2
    assert not links[0].closed
    assert links[1].closed


@pytest.mark.parametrize("step", ["clone", "send", "receive", "reset", "close"])
def test_no_lock_is_held_over_anything_that_a_transport_does(step):
    """One thread stands in that step; another one makes its calls, and even closes the client."""
    entered, resume = threading.Event(), threading.Event()

    class Stuck(Scripted):
        def clone(self):
            child = Stuck(*self.script, born=self.born)
            self.born.append(child)
            return child

    def stand_still(self, *args):
        if threading.current_thread() is stuck and not entered.is_set():
            entered.set()
            assert resume.wait(30)
        return getattr(super(Stuck, self), step)(*args)

    def work():
        with suppress(RequestTimeout):
            session.send(Request(Get("k")), NEVER)
        session.close()

    setattr(Stuck, step, stand_still)
    transport = Stuck([RequestTimeout("late")] if step == "reset" else [OK])
    session = Session(transport, ClassicCodec(), 2)
    stuck = threading.Thread(target=work)
    stuck.start()
    assert entered.wait(30)
    transport.script.clear()
    assert session.send(Request(Get("k")), Deadline.after(30)).payload == b"v"
    session.close()
    assert session.send(Request(Get("k")), Deadline.after(30)).payload == b"v"
    resume.set()
    stuck.join()


def test_waiting_for_a_connection_may_have_a_limit_of_its_own():
    entered, resume = threading.Semaphore(0), threading.Event()
    session = Session(Suspended(entered, resume), ClassicCodec(), 1, pool_timeout=0.05)
    busy = threading.Thread(target=session.send, args=(Request(Get("k")), NEVER))
    busy.start()
    assert entered.acquire(timeout=30)
    with pytest.raises(PoolTimeout, match=r"all 1 connections of the client were busy for 0\.05 s"):
        session.send(Request(Get("k")), Deadline.after(60))
    resume.set()
    busy.join()


def test_a_connection_that_is_lost_makes_room_for_another():
    session, _ = session_over(max_connections=1)
    pool_of(session).acquire(NEVER)  # an interrupt comes before it is stored anywhere
    assert session.send(Request(Get("k")), Deadline.after(30)).payload == b"v"


MOMENTS = ["submit", "send", "receive", "match"]


@pytest.mark.parametrize(
    ("codec", "moment"),
    [(codec, moment) for codec in (ClassicCodec, FlatCodec) for moment in MOMENTS] + [(FlatCodec, "renew")],
)
def test_an_interrupt_at_any_moment_leaves_a_sound_connection(codec, moment, monkeypatch):
    def reply(payload):
        return codec().encode_response(Response(payload), Request(Range("a", "a"), "u"))

    times = 2 if codec is FlatCodec else 1
    session, links = session_over([reply([[b"a", b"1"]])] * times, [reply([[b"b", b"2"]])], codec=codec())
    where, name = {
        "submit": (ClientProtocol, "register"),
        "send": (Scripted, "send"),
        "receive": (Scripted, "receive"),
        "match": (ClientProtocol, "receive"),
        "renew": (PooledConnection, "_reset"),
    }[moment]
    done = getattr(where, name)

    def interrupted(self, *args):
        monkeypatch.setattr(where, name, done)
        if moment != "renew":
            done(self, *args)
        raise KeyboardInterrupt

    monkeypatch.setattr(where, name, interrupted)
    with pytest.raises(KeyboardInterrupt):
        session.send(Request(Range("a", "a"), "u"), NEVER)
    if moment == "submit":
        links[0].script.popleft()
    assert session.send(Request(Range("b", "b"), "u"), NEVER).payload == [[b"b", b"2"]]


def test_replies_that_answer_nothing_do_not_extend_a_deadline():
    class Flood(Scripted):
        def receive(self, deadline):
            return ClassicCodec().encode_response(Response(b"stale", id=999), Request(Get("k")))

        def clone(self):
            return Flood()

    session = Session(Flood(), ClassicCodec(), 1)
    with pytest.raises(RequestTimeout, match=r"no answer came .* within 0\.05 s"):
        session.send(Request(Get("k")), Deadline.after(0.05))


def test_a_request_may_be_wanted_sooner_than_the_call_ends():
    deadlines = []

    class Noting(Scripted):
        def send(self, frames, deadline):
            deadlines.append(deadline)
            super().send(frames, deadline)

        def clone(self):
            return Noting()

    call, sooner, later = Deadline.after(10), Deadline.after(5), Deadline.after(20)
    perform = Session(Noting(), ClassicCodec(), 1).effect_handler(call)
    for own in (None, sooner, later):
        perform(Send(Request(Get("k"), context=CallContext(deadline=own))))
    assert deadlines == [call, sooner, call]


def test_sleep_ends_with_the_call():
    perform = Session(Scripted(), ClassicCodec(), 1).effect_handler(Deadline.after(0.05))
    assert perform(Sleep(3600)) is None
    assert perform(Sleep(float("inf"))) is None


class Holding(Scripted):
    """Holds something from its first message on, as a socket does."""

    is_open = False

    def send(self, frames, deadline):
        self.is_open = True
        super().send(frames, deadline)

    def close(self):
        self.is_open = False
        super().close()

    def clone(self):
        child = Holding(born=self.born)
        self.born.append(child)
        return child


def test_a_session_that_is_dropped_open_warns_once_and_says_what_to_do():
    session, barrier = Session(Holding(), ClassicCodec(), 4), threading.Barrier(3)

    def work():
        barrier.wait(30)
        session.send(Request(Get("k")), NEVER)

    threads = [threading.Thread(target=work) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    threads = work = None  # type: ignore[assignment]
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        session = None  # type: ignore[assignment]
        gc.collect()
    assert [str(warning.message) for warning in caught] == [
        "a client of scripted:// was dropped open; call its disconnect(), or use it in a with block"
    ]


def test_a_session_that_holds_nothing_does_not_warn():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for transport, uses in ((Holding(), 0), (Holding(), 1), (Scripted(), 1), (FakeTransport(), 1)):
            session = Session(transport, ClassicCodec(), 4)
            for _ in range(uses):
                session.send(Request(Ping()), NEVER)
            if isinstance(transport, Holding):
                session.close()
            del session
        gc.collect()


def test_no_reference_circle_keeps_a_dropped_session_open():
    session = Session(Holding(), ClassicCodec(), 4)
    session.send(Request(Get("k")), NEVER)
    gone = weakref.ref(session)
    with pytest.warns(ResourceWarning):
        del session
    assert gone() is None


def test_in_a_forked_child_a_dropped_session_says_nothing():
    session = Session(Holding(), ClassicCodec(), 4)
    session.send(Request(Get("k")), NEVER)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        FORKS.here[0] = 0
        del session


def test_no_two_requests_of_a_session_have_one_id():
    asked = []

    class Noting(Scripted):
        def send(self, frames, deadline):
            asked.append(ClassicCodec().decode_request(frames).id)

        def receive(self, deadline):
            return ClassicCodec().encode_response(Response.ok(b"v", asked[-1]), Request(Get("k")))

        def clone(self):
            return Noting()

    session = Session(Noting(), ClassicCodec(), 4)
    for _ in range(3):
        session.send(Request(Get("k"), "u", 9), NEVER)
        session.send_in_place(Request.minimal(Get("k"), "u", 0), NEVER)
        started = session.send_nowait(Request(Get("k"), "u"), NEVER)
        session.send_in_place(Request.minimal(Get("k"), "u", 0), NEVER)
        unwrap(started).abandon()
    assert len(set(asked)) == len(asked) == 12


def test_each_connection_begins_its_ids_at_a_number_of_its_own():
    entered, resume = threading.Semaphore(0), threading.Event()
    asked = []

    class Noting(Suspended):
        def send(self, frames, deadline):
            asked.append(ClassicCodec().decode_request(frames).id)
            super().send(frames, deadline)

        def clone(self):
            return Noting(self.entered, self.resume)

    session = Session(Noting(entered, resume), ClassicCodec(), 3)
    threads = [threading.Thread(target=session.send, args=(Request(Get("k")), NEVER)) for _ in range(3)]
    for thread in threads:
        thread.start()
    for _ in threads:
        assert entered.acquire(timeout=30)
    resume.set()
    for thread in threads:
        thread.join()
    first, second, third = sorted(cast(list[int], asked))
    assert second - first > 1
    assert third - second > 1


@pytest.mark.parametrize("consumed", [1, 500])
def test_disconnect_closes_the_connection_of_a_page_on_its_way(consumed):
    with serve(Application.in_memory()) as server, Elevator.from_url(server.urls[0]) as E:
        with E.WriteBatch() as batch:
            for number in range(1000):
                batch.Put(f"{number:04}", "v" * 10_000)
        rows = E.RangeIter()
        for _ in range(consumed):
            next(rows)
        pool = pool_of(E)
        E.disconnect()
        assert not pool.is_open
        E.connect()
        assert len(list(rows)) == 1000 - consumed
