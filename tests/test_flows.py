"""Flows and what stands around them, stepped by hand or driven with scripted outcomes."""

import asyncio

import pytest

from pyelevator.commands import Get, Ping
from pyelevator.deadlines import Deadline
from pyelevator.flows import Send, Sleep, compose, drive, drive_async, send, sleep, through
from pyelevator.messages import Request, Response

PING = Request(Ping())


def named(name, log):
    """An interceptor that notes when it is entered, and how it is left."""

    def interceptor(request, forward):
        log.append(f"{name} in")
        try:
            response = yield from forward(request)
        except BaseException as error:
            log.append(f"{name} {type(error).__name__}")
            raise
        log.append(f"{name} out")
        return response

    return interceptor


def pong(effect):
    return Response(b"PONG")


def test_send_and_sleep_are_effects():
    assert next(send(PING)) == Send(PING)
    assert next(sleep(1.5)) == Sleep(1.5)
    assert drive(send(PING), pong) == Response(b"PONG")
    assert drive(sleep(1.5), lambda effect: None) is None


def test_what_performing_raises_is_thrown_into_the_flow():
    def flow():
        try:
            yield from send(PING)
        except KeyboardInterrupt:
            return "interrupted"

    def interrupted(effect):
        raise KeyboardInterrupt

    assert drive(flow(), interrupted) == "interrupted"


def test_a_flow_is_closed_however_it_ends():
    closed = []

    def flow():
        try:
            yield from send(PING)
        finally:
            closed.append(True)

    def failing(effect):
        raise OSError("gone")

    with pytest.raises(OSError, match="gone"):
        drive(flow(), failing)
    assert closed == [True]


def test_no_interceptor_is_plain_sending():
    assert compose([]) is send


def test_the_first_interceptor_is_the_outermost():
    log = []
    forward = compose([named("first", log), named("second", log), named("third", log)])
    assert drive(forward(PING), pong) == Response(b"PONG")
    assert log == ["first in", "second in", "third in", "third out", "second out", "first out"]


def test_an_exception_reaches_the_innermost_first_and_then_the_outer_ones():
    log = []

    def failing(effect):
        raise TimeoutError

    with pytest.raises(TimeoutError):
        drive(compose([named("outer", log), named("inner", log)])(PING), failing)
    assert log == ["outer in", "inner in", "inner TimeoutError", "outer TimeoutError"]


def test_an_exception_that_an_inner_interceptor_handles_is_none_for_the_outer_ones():
    log = []

    def excusing(request, forward):
        try:
            return (yield from forward(request))
        except TimeoutError:
            return Response(b"excused")

    def failing(effect):
        raise TimeoutError

    forward = compose([named("outer", log), excusing, named("inner", log)])
    assert drive(forward(PING), failing) == Response(b"excused")
    assert log == ["outer in", "inner in", "inner TimeoutError", "outer out"]


def test_giving_up_a_flow_closes_all_interceptors_the_innermost_first():
    log = []
    flow = compose([named("outer", log), named("inner", log)])(PING)
    next(flow)
    flow.close()
    assert log == ["outer in", "inner in", "inner GeneratorExit", "outer GeneratorExit"]


def test_an_interceptor_may_answer_without_forwarding():
    def answering(request, forward):
        return Response(b"mine")
        yield

    log = []
    assert drive(compose([answering, named("inner", log)])(PING), pong) == Response(b"mine")
    assert log == []


def test_an_interceptor_may_forward_another_request_and_more_than_once():
    def thrice(request, forward):
        answers = []
        for key in ("a", "b", "c"):
            answers.append((yield from forward(Request(Get(key)))).payload)
        return Response(b" ".join(answers))

    answer = drive(compose([thrice])(PING), lambda effect: Response(effect.request.command.key))
    assert answer == Response(b"a b c")


def test_interceptors_end_at_the_given_exchange():
    def elsewhere(request):
        return (yield Sleep(3))

    log = []
    assert drive(compose([named("one", log)], elsewhere)(PING), lambda effect: effect) == Sleep(3)
    assert log == ["one in", "one out"]


def test_every_request_of_a_flow_goes_through_and_knows_the_deadline():
    deadline = Deadline.after(7)
    seen = []

    def watching(request, forward):
        seen.append((request.command, request.deadline))
        return (yield from forward(request))

    def flow():
        yield from send(Request(Get("a")))
        yield from sleep(0)
        return (yield from send(Request(Get("b"))))

    performed = []

    def perform(effect):
        performed.append(effect)
        return None if isinstance(effect, Sleep) else Response(b"v")

    assert drive(through(compose([watching]), flow(), deadline), perform) == Response(b"v")
    assert seen == [(Get("a"), deadline), (Get("b"), deadline)]
    assert performed == [Send(Request(Get("a"))), Sleep(0), Send(Request(Get("b")))]


def test_what_an_interceptor_raises_is_thrown_into_the_flow():
    def refusing(request, forward):
        raise PermissionError("no")
        yield

    def flow():
        try:
            yield from send(PING)
        except PermissionError:
            return "refused"

    assert drive(through(compose([refusing]), flow(), Deadline.after(1)), pong) == "refused"


def test_the_async_loop_does_the_same():
    log = []

    async def perform(effect):
        await asyncio.sleep(0)
        return Response(b"PONG")

    answer = asyncio.run(drive_async(compose([named("one", log)])(PING), perform))
    assert answer == Response(b"PONG")
    assert log == ["one in", "one out"]
