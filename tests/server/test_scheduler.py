"""The scheduler: which requests wait for which."""

import pytest
from hypothesis import given, settings, strategies as st

from pyelevator.codec import ClassicCodec
from pyelevator.commands import Get, Range
from pyelevator.errors import ErrorCode
from pyelevator.messages import Request, Response
from pyelevator.protocol import IncomingRequest
from pyelevator.server.scheduler import Job, Scheduler

A, B = b"client a", b"client b"


def incoming(command, id=None):
    return IncomingRequest(ClassicCodec(), Request(command, id=id))


def quick(name, id=None):
    return Job([name.encode()], None, incoming(Get(name), id))


def slow(name, id=None):
    return Job([name.encode()], None, incoming(Range(name), id))


class World:
    """A scheduler whose workers are done when the test says so; a GET is answered without waiting, a RANGE never is."""

    def __init__(self, max_running=2):
        self.scheduler = Scheduler(max_running)
        self.done, self.running = [], []

    def respond(self, identity, job):
        if job.incoming is None or isinstance(job.incoming.request.command, Range):
            return False
        self.done.append((identity, self.name(job)))
        return True

    def execute(self, identity, job, is_tried=False):
        if (is_tried or not self.respond(identity, job)) and self.scheduler.start(identity, job):
            self.running.append((identity, job))

    def execute_waiting(self):
        while (released := self.scheduler.next_job()) is not None:
            self.execute(*released)

    def add(self, job, identity=A, is_tried=False):
        if self.scheduler.submit(identity, job):
            self.execute(identity, job, is_tried)
        else:
            self.execute_waiting()

    def resume(self):
        self.scheduler.resume()
        self.execute_waiting()

    def finish(self, index=0):
        identity, job = self.running.pop(index)
        self.done.append((identity, self.name(job)))
        self.scheduler.complete(identity, job)
        self.execute_waiting()

    @staticmethod
    def name(job):
        return job.frames[0].decode()

    @property
    def answered(self):
        return [name for _, name in self.done]


@pytest.fixture
def world():
    return World()


def test_the_id_counts_whether_the_request_could_be_decoded_or_not():
    refusal = Response.failure(ErrorCode.REQUEST, "what?", 0)
    assert incoming(Get("k"), id=0).has_id
    assert not incoming(Get("k")).has_id
    assert IncomingRequest(ClassicCodec(), None, refusal).has_id
    assert not IncomingRequest(ClassicCodec(), None, Response.failure(ErrorCode.REQUEST, "what?")).has_id


def test_a_fast_request_is_answered_and_leaves_nothing_behind(world):
    world.add(quick("1"))
    assert world.answered == ["1"]
    assert (A in world.scheduler, world.scheduler.pending_count, world.scheduler.pending_bytes) == (False, 0, 0)


def test_behind_a_slow_request_only_requests_with_ids_are_answered(world):
    world.add(slow("slow"))
    world.add(quick("waits"))
    world.add(quick("overtakes", id=1))
    world.add(quick("of another client"), B)
    assert world.answered == ["overtakes", "of another client"]
    assert world.scheduler.pending_count == 2
    world.finish()
    assert world.answered[2:] == ["slow", "waits"]
    assert world.scheduler.pending_count == 0


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


def test_a_message_that_is_not_decoded_counts_as_one_without_an_id(world):
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


def test_a_request_that_has_been_tried_is_not_tried_again(world):
    world.add(quick("1"), is_tried=True)
    assert world.answered == []
    assert len(world.running) == 1


def test_nothing_is_executed_for_a_client_that_does_not_read(world):
    world.scheduler.block(A)
    for job in (quick("1"), quick("2", id=2), slow("3", id=3)):
        world.add(job)
    assert (world.answered, world.running) == ([], [])
    assert world.scheduler.blocked_clients() == [A]
    assert world.scheduler.blocked_bytes(A) == 3 * 1025
    assert (world.scheduler.pending_count, world.scheduler.pending_bytes) == (0, 0)
    world.scheduler.unblock(A)
    assert (world.answered, list(world.scheduler.paused)) == ([], [A])
    world.resume()
    assert world.answered == ["1", "2"]
    assert world.scheduler.blocked_bytes(A) == 0
    world.finish()
    assert A not in world.scheduler


def test_clients_with_many_waiting_requests_take_turns(world):
    for identity in (A, B):
        world.scheduler.block(identity)
        for i in range(100):
            world.add(quick(f"{i}", id=i), identity)
        world.scheduler.unblock(identity)
    for expected, done in ((B, 64), (A, 128), (B, 164), (None, 200)):
        world.resume()
        assert len(world.answered) == done
        assert next(iter(world.scheduler.paused), None) == expected
    assert (world.scheduler.pending_count, world.scheduler.pending_bytes) == (0, 0)
    assert A not in world.scheduler


def test_a_paused_client_cannot_grow_its_queue(world):
    world.scheduler.block(A)
    for i in range(100):
        world.add(quick(f"{i}", id=i))
    world.scheduler.unblock(A)
    for i in range(100, 200):
        world.add(quick(f"{i}", id=i))
    assert world.answered == [f"{i}" for i in range(200)]
    assert not world.scheduler.paused


def test_a_client_may_be_blocked_by_its_own_answer(world):
    world.add(slow("slow"))
    for i in range(3):
        world.add(quick(f"{i}"))
    respond = world.respond
    world.respond = lambda identity, job: respond(identity, job) and (world.scheduler.block(A) or True)
    world.finish()
    assert world.answered == ["slow", "0"]
    assert (world.scheduler.pending_count, world.scheduler.blocked_bytes(A)) == (0, 2 * 1025)


def test_a_dropped_client_is_forgotten_once_its_workers_are_done(world):
    world.add(slow("slow"))
    world.scheduler.block(A)
    world.add(quick("1"))
    world.scheduler.discard(A)
    assert A in world.scheduler
    world.finish()
    assert world.answered == ["slow"]
    assert (A in world.scheduler, world.scheduler.pending_count, world.scheduler.pending_bytes) == (False, 0, 0)


@pytest.mark.parametrize("is_blocked", [False, True])
def test_a_client_that_is_dropped_leaves_no_count_behind(world, is_blocked):
    for number in range(3):
        world.add(slow(f"{number}"))
    if is_blocked:
        world.scheduler.block(A)
    world.scheduler.discard(A)
    world.finish()
    assert (world.answered, A in world.scheduler) == (["0"], False)
    assert (world.scheduler.pending_count, world.scheduler.pending_bytes) == (0, 0)


_STEPS = st.one_of(
    st.tuples(st.just("add"), st.sampled_from([A, B]), st.booleans(), st.booleans()),
    st.tuples(st.just("finish"), st.integers(0, 3)),
    st.tuples(st.sampled_from(["block", "unblock"]), st.sampled_from([A, B])),
    st.tuples(st.just("resume")),
)


@settings(max_examples=300, deadline=None)
@given(steps=st.lists(_STEPS, max_size=40))
def test_every_job_is_answered_once_and_those_without_ids_in_order(steps):
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
            world.scheduler.block(details[0])
        elif what == "unblock" and details[0] in world.scheduler.blocked_clients():
            world.scheduler.unblock(details[0])
        elif what == "resume" and world.scheduler.paused:
            world.resume()
        assert max([sum(one == client for one, _ in world.running) for client in (A, B)]) <= 2
    for identity in world.scheduler.blocked_clients():
        world.scheduler.unblock(identity)
    while world.running or world.scheduler.paused:
        if world.scheduler.paused:
            world.resume()
        else:
            world.finish()
    assert sorted(world.done) == sorted(added)
    assert [entry for entry in world.done if entry[1].endswith("u") and entry[0] == A] == [
        entry for entry in added if entry[1].endswith("u") and entry[0] == A
    ]
    assert (
        A in world.scheduler,
        B in world.scheduler,
        world.scheduler.pending_count,
        world.scheduler.pending_bytes,
    ) == (False, False, 0, 0)


def test_while_all_workers_are_busy_each_client_has_one_request_at_them():
    scheduler = Scheduler(3, workers=3)
    jobs = [slow(f"{number}", number) for number in range(6)]
    assert [scheduler.start(A, job) for job in jobs[:4]] == [True, True, True, False]
    assert [scheduler.start(B, job) for job in jobs[4:]] == [True, False]
    scheduler.complete(A, jobs[0])
    assert scheduler.next_job() == (A, jobs[3])
    assert not scheduler.start(A, jobs[3])
    scheduler.complete(B, jobs[4])
    assert scheduler.next_job() == (B, jobs[5])
    assert scheduler.start(B, jobs[5])


@pytest.mark.parametrize(
    ("sizes", "is_last", "has_large"),
    [
        ([1 << 20], True, True),
        ([(1 << 20) - 1], True, False),
        ([600_000, 600_000], False, True),
        ([600_000, 600_000], True, False),
    ],
)
def test_large_responses_and_many_in_a_row_leave_a_client_to_workers(sizes, is_last, has_large):
    scheduler = Scheduler(2)
    for size in sizes:
        scheduler.record_inline(A, size, is_last=is_last)
    assert (scheduler.has_large(A), scheduler.has_large(B), A in scheduler) == (has_large, False, has_large)
    scheduler.record_response(A, 100)
    assert (scheduler.has_large(A), A in scheduler) == (False, False)


def test_responses_to_others_come_between_those_in_a_row():
    scheduler = Scheduler(2)
    for identity in (A, B, A, B):
        scheduler.record_inline(identity, 600_000, is_last=False)
    assert (scheduler.has_large(A), scheduler.has_large(B)) == (False, False)


def test_how_large_the_responses_of_a_client_were_is_forgotten_with_it():
    scheduler = Scheduler(2)
    scheduler.record_inline(A, 1 << 20, is_last=True)
    scheduler.connection_ended(A)
    assert A not in scheduler
