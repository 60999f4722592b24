"""Order: who waits behind whom."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pyelevator.codec import ClassicCodec
from pyelevator.commands import Get, Range
from pyelevator.conversation import Exchange
from pyelevator.errors import ErrorCode
from pyelevator.messages import Request, Response
from pyelevator.server.scheduler import Job, Scheduler, carries_id

A, B = b"client a", b"client b"


def exchange(command, id=None):
    return Exchange(ClassicCodec(), Request(command, id=id))


def quick(name, id=None):
    return Job([name.encode()], None, exchange(Get(name), id))


def slow(name, id=None):
    return Job([name.encode()], None, exchange(Range(name), id))


class World:
    """An order whose workers are done when the test says so; a GET is answered at once, a RANGE never is."""

    def __init__(self, most=2):
        self.order = Scheduler(self.answer, self.work, most)
        self.done, self.running = [], []

    def answer(self, identity, job):
        if job.exchange is None or isinstance(job.exchange.request.command, Range):
            return False
        self.done.append((identity, self.name(job)))
        return True

    def work(self, identity, job):
        self.running.append((identity, job))

    def add(self, job, identity=A):
        self.order.add(identity, job)

    def finish(self, index=0):
        identity, job = self.running.pop(index)
        self.done.append((identity, self.name(job)))
        self.order.finished(identity, job)

    @staticmethod
    def name(job):
        return job.frames[0].decode()

    @property
    def answered(self):
        return [name for _, name in self.done]


@pytest.fixture
def world():
    return World()


def test_the_id_counts_whether_the_request_could_be_read_or_not():
    refusal = Response.failure(ErrorCode.REQUEST, "what?", 0)
    assert carries_id(exchange(Get("k"), id=0))
    assert not carries_id(exchange(Get("k")))
    assert carries_id(Exchange(ClassicCodec(), None, refusal))
    assert not carries_id(Exchange(ClassicCodec(), None, Response.failure(ErrorCode.REQUEST, "what?")))


def test_what_is_quick_is_answered_and_leaves_nothing_behind(world):
    world.add(quick("1"))
    assert world.answered == ["1"]
    assert (A in world.order, world.order.pending, world.order.load) == (False, 0, 0)


def test_behind_a_slow_request_only_requests_with_ids_are_answered(world):
    world.add(slow("slow"))
    world.add(quick("waits"))
    world.add(quick("overtakes", id=1))
    world.add(quick("of another client"), B)
    assert world.answered == ["overtakes", "of another client"]
    assert world.order.pending == 2
    world.finish()
    assert world.answered[2:] == ["slow", "waits"]
    assert world.order.pending == 0


def test_a_second_slow_request_without_an_id_waits_for_the_first(world):
    for name in ("1", "2", "3"):
        world.add(slow(name))
    assert [world.name(job) for _, job in world.running] == ["1"]
    world.finish()
    assert [world.name(job) for _, job in world.running] == ["2"]
    world.add(quick("4"))
    world.finish()
    world.finish()
    assert world.answered == ["1", "2", "3", "4"]


def test_a_message_that_is_not_read_yet_counts_as_one_without_an_id(world):
    world.add(slow("slow"))
    world.add(Job([b"unread"]))
    assert len(world.running) == 1
    world.finish()
    assert len(world.running) == 1
    world.add(quick("waits"))
    world.finish()
    assert world.answered == ["slow", "unread", "waits"]


def test_one_client_has_only_so_many_requests_at_the_workers(world):
    for i in range(5):
        world.add(slow(f"{i}", id=i))
    world.add(slow("of another client"), B)
    assert [world.name(job) for _, job in world.running] == ["0", "1", "of another client"]
    world.add(quick("quick", id=9))
    assert world.answered == ["quick"]
    for _ in range(6):
        world.finish()
    assert world.answered[1:] == ["0", "1", "of another client", "2", "3", "4"]


def test_a_request_that_was_tried_is_not_tried_again(world):
    world.order.add(A, quick("1"), tried=True)
    assert world.answered == []
    assert len(world.running) == 1


def test_for_a_client_that_does_not_read_nothing_is_executed(world):
    world.order.block(A)
    for job in (quick("1"), quick("2", id=2), slow("3", id=3)):
        world.add(job)
    assert (world.answered, world.running) == ([], [])
    assert world.order.blocked() == [A]
    assert world.order.parked(A) == 3 * 1025
    assert (world.order.pending, world.order.load) == (0, 0)
    world.order.unblock(A)
    assert (world.answered, list(world.order.resting)) == ([], [A])
    world.order.resume()
    assert world.answered == ["1", "2"]
    assert world.order.parked(A) == 0
    world.finish()
    assert A not in world.order


def test_of_much_that_waited_a_part_goes_on_at_a_time_and_the_clients_take_turns(world):
    for identity in (A, B):
        world.order.block(identity)
        for i in range(100):
            world.add(quick(f"{i}", id=i), identity)
        world.order.unblock(identity)
    for identity, done in ((B, 64), (A, 128), (B, 164), (None, 200)):
        world.order.resume()
        assert len(world.answered) == done
        assert next(iter(world.order.resting), None) == identity
    assert (world.order.pending, world.order.load) == (0, 0)
    assert A not in world.order


def test_one_whose_turn_has_not_come_sends_no_more_than_goes_on(world):
    world.order.block(A)
    for i in range(100):
        world.add(quick(f"{i}", id=i))
    world.order.unblock(A)
    for i in range(100, 200):
        world.add(quick(f"{i}", id=i))
    assert world.answered == [f"{i}" for i in range(200)]
    assert not world.order.resting


def test_a_client_may_be_blocked_by_its_own_answer(world):
    world.add(slow("slow"))
    for i in range(3):
        world.add(quick(f"{i}"))
    world.order._answer = lambda identity, job: world.answer(identity, job) and (world.order.block(A) or True)
    world.finish()
    assert world.answered == ["slow", "0"]
    assert (world.order.pending, world.order.parked(A)) == (0, 2 * 1025)


def test_a_dropped_client_is_forgotten_once_its_workers_are_done(world):
    world.add(slow("slow"))
    world.order.block(A)
    world.add(quick("1"))
    world.order.drop(A)
    assert A in world.order
    world.finish()
    assert world.answered == ["slow"]
    assert (A in world.order, world.order.pending, world.order.load) == (False, 0, 0)


_STEPS = st.one_of(
    st.tuples(st.just("add"), st.sampled_from([A, B]), st.booleans(), st.booleans()),
    st.tuples(st.just("finish"), st.integers(0, 3)),
    st.tuples(st.sampled_from(["block", "unblock"]), st.sampled_from([A, B])),
    st.tuples(st.just("resume")),
)


@settings(max_examples=300, deadline=None)
@given(steps=st.lists(_STEPS, max_size=40))
def test_whatever_happens_everything_is_answered_once_and_what_has_no_id_in_order(steps):
    world, added = World(), []
    for number, (what, *details) in enumerate(steps):
        if what == "add":
            identity, is_slow, has_id = details
            job = (slow if is_slow else quick)(f"{number:03}{'t' if has_id else 'u'}", number if has_id else None)
            added.append((identity, world.name(job)))
            world.add(job, identity)
        elif what == "finish" and world.running:
            world.finish(details[0] % len(world.running))
        elif what == "block":
            world.order.block(details[0])
        elif what == "unblock" and details[0] in world.order.blocked():
            world.order.unblock(details[0])
        elif what == "resume" and world.order.resting:
            world.order.resume()
        assert max([sum(who == client for who, _ in world.running) for client in (A, B)]) <= 2
    for identity in world.order.blocked():
        world.order.unblock(identity)
    while world.running or world.order.resting:
        if world.order.resting:
            world.order.resume()
        else:
            world.finish()
    assert sorted(world.done) == sorted(added)
    assert [entry for entry in world.done if entry[1].endswith("u") and entry[0] == A] == [
        entry for entry in added if entry[1].endswith("u") and entry[0] == A
    ]
    assert (A in world.order, B in world.order, world.order.pending, world.order.load) == (False, False, 0, 0)
