"""Flows and what stands around them, stepped by hand or driven with scripted outcomes."""

import asyncio

import pytest

from pyelevator.commands import Get, Ping, Pipeline
from pyelevator.deadlines import Deadline
from pyelevator.errors import ErrorCode, RequestTimeout
from pyelevator.flows import Send, Sleep, compose, drive, drive_async, encode_failures, intercept, send, sleep
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
    log: list[str] = []
    forward = compose([named("first", log), named("second", log), named("third", log)])
    assert drive(forward(PING), pong) == Response(b"PONG")
    assert log == ["first in", "second in", "third in", "third out", "second out", "first out"]


def test_an_exception_reaches_the_innermost_first_and_then_the_outer_ones():
    log: list[str] = []

    def failing(effect):
        raise TimeoutError

    with pytest.raises(TimeoutError):
        drive(compose([named("outer", log), named("inner", log)])(PING), failing)
    assert log == ["outer in", "inner in", "inner TimeoutError", "outer TimeoutError"]


def test_outer_interceptors_do_not_see_a_handled_exception():
    log: list[str] = []

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
    log: list[str] = []
    flow = compose([named("outer", log), named("inner", log)])(PING)
    next(flow)
    flow.close()
    assert log == ["outer in", "inner in", "inner GeneratorExit", "outer GeneratorExit"]


def test_an_interceptor_may_answer_without_forwarding():
    def answering(request, forward):
        return Response(b"mine")
        yield

    log: list[str] = []
    assert drive(compose([answering, named("inner", log)])(PING), pong) == Response(b"mine")
    assert log == []


def test_an_interceptor_may_forward_another_request_and_more_than_once():
    def thrice(request, forward):
        answers = []
        for key in ("a", "b", "c"):
            answers.append((yield from forward(Request(Get(key)))).payload)
        return Response(b" ".join(answers))

    def echo(effect):
        return Response(effect.request.command.key)

    answer = drive(compose([thrice])(PING), echo)
    assert answer == Response(b"a b c")


def test_interceptors_end_at_the_given_exchange():
    def elsewhere(request):
        return (yield Sleep(3))

    log: list[str] = []
    outcome: object = drive(compose([named("one", log)], elsewhere)(PING), lambda effect: effect)
    assert outcome == Sleep(3)
    assert log == ["one in", "one out"]


def test_every_request_of_a_flow_goes_through_and_knows_the_deadline():
    deadline = Deadline.after(7)
    seen = []

    def watching(request, forward):
        seen.append((request.command, request.context.deadline))
        return (yield from forward(request))

    def flow():
        yield from send(Request(Get("a")))
        yield from sleep(0)
        return (yield from send(Request(Get("b"))))

    performed = []

    def perform(effect):
        performed.append(effect)
        return None if isinstance(effect, Sleep) else Response(b"v")

    assert drive(intercept(compose([watching]), flow(), deadline), perform) == Response(b"v")
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

    assert drive(intercept(compose([refusing]), flow(), Deadline.after(1)), pong) == "refused"


def test_the_async_loop_does_the_same():
    log: list[str] = []

    async def perform(effect):
        await asyncio.sleep(0)
        return Response(b"PONG")

    answer = asyncio.run(drive_async(compose([named("one", log)])(PING), perform))
    assert answer == Response(b"PONG")
    assert log == ["one in", "one out"]


# Pipelines


class Script:
    """Performs effects: answers each command with its key, or as told, and notes what it was asked."""

    def __init__(self, **outcomes):
        self.outcomes = outcomes
        self.log = []

    def __call__(self, effect):
        if isinstance(effect, Sleep):
            self.log.append(effect.seconds)
            return None
        command = effect.request.command
        if isinstance(command, Pipeline):
            self.log.append([self.name(one) for one in command.commands])
            return Response([self.outcome(one) for one in command.commands], id=effect.request.id)
        self.log.append(self.name(command))
        outcome = self.outcome(command)
        return outcome if isinstance(outcome, Response) else Response(outcome)

    def name(self, command):
        return command.key.decode()

    def outcome(self, command):
        outcome = self.outcomes.get(self.name(command), command.key)
        if isinstance(outcome, BaseException):
            raise outcome
        return outcome


def piped(interceptor, script, keys="abc"):
    request = Request(Pipeline([Get(key) for key in keys]), "u", 7)
    return drive(compose([interceptor])(request), script)


def test_interceptors_see_single_commands_and_the_pipeline_goes_on():
    seen, script = [], Script()

    def watching(request, forward):
        seen.append(request)
        return (yield from forward(request))

    response = piped(watching, script)
    assert seen == [Request(Get(key), "u") for key in "abc"]
    assert script.log == [["a", "b", "c"]]
    assert response == Response([Response(b"a"), Response(b"b"), Response(b"c")], id=7)


def test_what_an_interceptor_answers_is_not_sent_and_keeps_its_place():
    def answering(request, forward):
        if request.command.key == b"b":
            return Response(b"mine")
        return (yield from forward(request))

    script = Script()
    assert [one.payload for one in piped(answering, script).payload] == [b"a", b"mine", b"c"]
    assert script.log == [["a", "c"]]


def test_what_is_left_alone_of_a_pipeline_goes_as_a_single_command():
    def answering(request, forward):
        if request.command.key != b"b":
            return Response(b"mine")
        return (yield from forward(request))

    script = Script()
    assert [one.payload for one in piped(answering, script).payload] == [b"mine", b"b", b"mine"]
    assert script.log == ["b"]


def test_an_exception_of_one_command_is_its_outcome_and_no_other_s():
    def failing(request, forward):
        response = yield from forward(request)
        if request.command.key == b"b":
            raise ValueError("not b")
        return response

    one, two, three = piped(failing, Script()).payload
    assert (one.payload, str(two), three.payload) == (b"a", "not b", b"c")


def test_what_goes_wrong_with_the_message_goes_wrong_for_each_command():
    class Lost(Script):
        def __call__(self, effect):
            raise RequestTimeout("no answer")

    outcomes = piped(named("x", log := list[str]()), Lost()).payload
    assert [str(outcome) for outcome in outcomes] == ["no answer"] * 3
    assert len(set(map(id, outcomes))) == 3
    assert log == ["x in"] * 3 + ["x RequestTimeout"] * 3


def test_a_failure_of_the_whole_is_passed_on_as_one():
    gone = Response.failure(ErrorCode.RUNTIME, "Database u doesn't exist", 7)
    assert piped(named("x", []), lambda effect: gone) == gone


def test_repetitions_go_together_again():
    def twice(request, forward):
        yield from forward(request)
        return (yield from forward(request))

    script = Script()
    piped(twice, script)
    assert script.log == [["a", "b", "c"], ["a", "b", "c"]]


def test_commands_keep_their_order_though_one_sleeps():
    def sleeping(request, forward):
        if request.command.key == b"b":
            yield from sleep(2.0)
        return (yield from forward(request))

    script = Script()
    piped(sleeping, script)
    assert script.log == ["a", 2.0, ["b", "c"]]


def test_all_sleep_at_the_same_time():
    def sleeping(request, forward):
        yield from sleep(float(request.command.key))
        return (yield from forward(request))

    script = Script()
    piped(sleeping, script, "313")
    assert script.log == [3.0, ["3", "1", "3"]]


def test_an_interrupt_closes_every_flow_of_a_pipeline():
    log: list[str] = []
    with pytest.raises(KeyboardInterrupt):
        piped(named("x", log), lambda effect: (_ for _ in ()).throw(KeyboardInterrupt))
    assert log == ["x in"] * 3 + ["x GeneratorExit"] * 3


def test_an_answer_that_is_no_response_is_that_command_s_error():
    def wrong(request, forward):
        yield from forward(request)
        return None if request.command.key == b"b" else Response()

    assert str(piped(wrong, Script()).payload[1]) == "an interceptor must return a Response, not NoneType"


def test_settled_turns_exceptions_into_failures():
    request = Request(Pipeline([Get("a"), Get("b")]))
    response = Response([Response(b"a"), ValueError("no")])
    assert encode_failures(request, response, lambda error: Response.failure(ErrorCode.VALUE, str(error))) == Response(
        [Response(b"a"), Response.failure(ErrorCode.VALUE, "no")]
    )
