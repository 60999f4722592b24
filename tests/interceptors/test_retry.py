"""Retry: what is sent again, when, and what is said in the end. Outcomes are scripted, and nothing really waits."""

import inspect
import pickle
import traceback

import attrs
import pytest
from hypothesis import given, strategies as st

from pyelevator import Elevator, Retry
from pyelevator.commands import (
    DELETE,
    IS_MISSING,
    PUT,
    Backup,
    Batch,
    Compact,
    ConditionalBatch,
    Count,
    DbConnect,
    DbCreate,
    DbDrop,
    DbForget,
    DbList,
    DbMount,
    DbRepair,
    DbUmount,
    Delete,
    DeleteRange,
    Exists,
    Get,
    GetAndDelete,
    Increment,
    MGet,
    Ping,
    Progress,
    Put,
    Range,
    Sizes,
    Slice,
    SlowLog,
    Stats,
    Unknown,
)
from pyelevator.deadlines import Deadline
from pyelevator.errors import (
    ArgumentTypeError,
    ConnectFailed,
    ConnectionLost,
    ConnectTimeout,
    DatabaseUnavailable,
    ErrorCode,
    KeyNotFound,
    MalformedMessage,
    OutcomeUnknown,
    PoolTimeout,
    RequestTimeout,
    TransportError,
    UsageError,
    WriteConflict,
)
from pyelevator.flows import Sleep, drive, send
from pyelevator.messages import CallContext, Request, Response
from pyelevator.transports import FakeTransport

OK = Response(b"v")


class Wire:
    """Carries out the effects: each request gets the next outcome of the script, and sleeps are noted."""

    def __init__(self, *outcomes):
        self.outcomes = list(outcomes)
        self.sent = []
        self.slept = []

    def __call__(self, effect):
        if isinstance(effect, Sleep):
            self.slept.append(effect.seconds)
            return None
        self.sent.append(effect.request)
        outcome = self.outcomes.pop(0)
        if isinstance(outcome, BaseException):
            raise outcome
        return outcome


def attempt(retry, wire, command=None, deadline=None):
    return drive(retry(Request(command or Get("k"), "u", context=CallContext(deadline=deadline)), send), wire)


@pytest.mark.parametrize("failure", [RequestTimeout, ConnectFailed, ConnectTimeout, ConnectionLost, PoolTimeout])
def test_what_got_no_answer_is_sent_again(failure):
    wire = Wire(failure("1"), failure("2"), OK)
    assert attempt(Retry(), wire) == OK
    assert [request.command for request in wire.sent] == [Get("k")] * 3


def test_the_last_error_is_raised_and_says_how_often_it_was_tried():
    errors = RequestTimeout("one"), ConnectTimeout("two"), RequestTimeout("three")
    wire = Wire(*errors)
    with pytest.raises(RequestTimeout) as caught:
        attempt(Retry(attempts=3), wire)
    assert caught.value is errors[2]
    assert type(caught.value) is RequestTimeout
    assert str(caught.value) == "three"
    assert caught.value.attempts == 3
    assert caught.value.earlier == errors[:2]
    assert caught.value.__notes__ == ["gave up after 3 attempts; before that: RequestTimeout, ConnectTimeout"]
    assert "gave up after 3 attempts" in "".join(traceback.format_exception(caught.value))


def test_what_it_says_survives_pickling():
    with pytest.raises(RequestTimeout) as caught:
        attempt(Retry(attempts=2, backoff=0), Wire(RequestTimeout("one"), RequestTimeout("two")))
    copy = pickle.loads(pickle.dumps(caught.value))
    assert (copy.attempts, [str(error) for error in copy.earlier]) == (2, ["one"])


def test_an_error_without_a_policy_was_tried_once():
    assert (RequestTimeout("x").attempts, RequestTimeout("x").earlier) == (1, ())


@pytest.mark.parametrize(
    "failure",
    [TransportError("broken"), MalformedMessage("?"), UsageError("no"), KeyboardInterrupt(), OSError("gone")],
)
def test_nothing_else_is_sent_again(failure):
    wire = Wire(failure)
    with pytest.raises(type(failure)) as caught:
        attempt(Retry(), wire)
    assert caught.value is failure
    assert len(wire.sent) == 1


@pytest.mark.parametrize("code", list(ErrorCode))
def test_a_failure_that_the_server_answers_is_the_answer(code):
    failure = Response.failure(code, "no")
    wire = Wire(failure)
    assert attempt(Retry(), wire) == failure
    assert len(wire.sent) == 1


@pytest.mark.parametrize("failure", [DatabaseUnavailable, WriteConflict, OutcomeUnknown])
def test_a_store_that_was_not_available_is_asked_again(failure):
    refused = Response.failure(ErrorCode.DATABASE, f"{failure.MESSAGE_PREFIX}no primary")
    wire = Wire(refused, refused, OK)
    assert attempt(Retry(), wire) == OK
    assert len(wire.sent) == len(wire.slept) + 1 == 3
    assert attempt(Retry(attempts=2), Wire(refused, refused)) == refused


@pytest.mark.parametrize(("failure", "times"), [(DatabaseUnavailable, 3), (WriteConflict, 3), (OutcomeUnknown, 1)])
def test_a_write_is_repeated_only_where_nothing_was_done(failure, times):
    refused = Response.failure(ErrorCode.DATABASE, f"{failure.MESSAGE_PREFIX}why")
    wire = Wire(refused, refused, refused)
    assert attempt(Retry(), wire, Put("k", "v")) == refused
    assert len(wire.sent) == times
    wire = Wire(refused, OK)
    assert attempt(Retry(writes=True), wire, Put("k", "v")) == OK


READS = [
    Get("k"),
    Exists("k"),
    Count(),
    MGet(["k"]),
    Range(),
    Slice(None, 1),
    Ping(),
    DbConnect("d"),
    DbList(),
    Stats(),
    Sizes([]),
    Progress(),
    SlowLog(),
]
WRITES = [Put("k", "v"), Delete("k"), Batch([(PUT, b"k", b"v"), (DELETE, b"l")])]
UPDATES = [
    ConditionalBatch([(PUT, b"k", b"v")], [(IS_MISSING, b"k")]),
    Increment("k"),
    GetAndDelete("k"),
    DeleteRange(),
]
REST = [DbCreate("d"), DbDrop("d"), DbForget("d"), DbMount("d"), DbUmount("d"), DbRepair(), Unknown("FOO")]
REST += [Backup("d", "/b"), Compact()]


def by_verb(commands):
    return pytest.mark.parametrize("command", commands, ids=lambda command: command.verb)


@by_verb(READS)
def test_a_read_is_repeated(command):
    assert attempt(Retry(), Wire(RequestTimeout("lost"), OK), command) == OK


@by_verb(WRITES)
def test_a_write_whose_fate_is_unknown_is_repeated_only_if_that_is_said(command):
    wire = Wire(RequestTimeout("lost"), OK)
    with pytest.raises(RequestTimeout) as caught:
        attempt(Retry(), wire, command)
    assert (caught.value.attempts, len(wire.sent)) == (1, 1)
    assert attempt(Retry(writes=True), Wire(RequestTimeout("lost"), OK), command) == OK


@by_verb(WRITES + UPDATES)
@pytest.mark.parametrize("failure", [ConnectFailed, ConnectTimeout, PoolTimeout])
def test_a_write_of_which_nothing_was_sent_is_repeated(command, failure):
    assert attempt(Retry(), Wire(failure("nothing sent"), OK), command) == OK


@by_verb(UPDATES)
@pytest.mark.parametrize("failure", [RequestTimeout, ConnectionLost])
def test_an_update_whose_fate_is_unknown_is_never_repeated(command, failure):
    wire = Wire(failure("lost"), OK)
    with pytest.raises(failure):
        attempt(Retry(writes=True), wire, command)
    assert len(wire.sent) == 1


@by_verb(REST)
@pytest.mark.parametrize("failure", [RequestTimeout, ConnectFailed, ConnectionLost])
def test_what_is_not_idempotent_is_never_repeated(command, failure):
    wire = Wire(failure("lost"), OK)
    with pytest.raises(failure):
        attempt(Retry(writes=True), wire, command)
    assert len(wire.sent) == 1


def test_one_attempt_is_no_retry():
    with pytest.raises(RequestTimeout) as caught:
        attempt(Retry(attempts=1), Wire(RequestTimeout("lost")))
    assert caught.value.__notes__ == ["gave up after 1 attempt"]


def test_the_waits_grow():
    wire = Wire(*[RequestTimeout("lost")] * 4)
    with pytest.raises(RequestTimeout):
        attempt(Retry(attempts=4, backoff=0.1, factor=3, jitter=0), wire)
    assert wire.slept == pytest.approx([0.1, 0.3, 0.9])


@given(
    attempts=st.integers(1, 2000),
    backoff=st.floats(0, 100),
    factor=st.floats(1, 100),
    jitter=st.floats(0, 1),
    seed=st.integers(),
)
def test_chance_only_shortens_a_wait_and_by_no_more_than_its_part(attempts, backoff, factor, jitter, seed):
    pauses = list(Retry(attempts, backoff, factor, jitter, seed=seed).delays())
    longest = list(Retry(attempts, backoff, factor, 0, seed=seed).delays())
    assert len(pauses) == attempts - 1
    assert all(
        most * (1 - jitter) <= pause <= most or pause == most for pause, most in zip(pauses, longest, strict=True)
    )


def test_a_seed_fixes_the_chance_and_without_one_clients_differ():
    assert list(Retry(10, seed=1).delays()) == list(Retry(10, seed=1).delays())
    assert list(Retry(10).delays()) != list(Retry(10).delays())


def test_each_attempt_has_its_part_of_the_time_and_the_last_the_rest():
    deadline = Deadline.after(30)
    wire = Wire(RequestTimeout("lost"), RequestTimeout("lost"), OK)
    attempt(Retry(attempts=3), wire, deadline=deadline)
    first, second, last = [request.context.deadline for request in wire.sent]
    assert (round(first.seconds), round(second.seconds)) == (10, 15)
    assert last is deadline


def test_an_attempt_may_have_a_time_of_its_own():
    wire = Wire(RequestTimeout("lost"), RequestTimeout("lost"), OK)
    attempt(Retry(attempts=3, attempt_timeout=2), wire, deadline=Deadline.after(30))
    assert [request.context.deadline.seconds for request in wire.sent] == [2, 2, 2]


def test_no_attempt_goes_on_after_the_call():
    deadline = Deadline.after(5)
    wire = Wire(OK)
    attempt(Retry(attempt_timeout=60), wire, deadline=deadline)
    assert wire.sent[0].context.deadline is deadline


def test_the_policys_own_deadline_ends_it_earlier():
    wire = Wire(OK)
    attempt(Retry(attempts=2, deadline=10), wire, deadline=Deadline.after(1000))
    assert wire.sent[0].context.deadline.seconds == pytest.approx(5, abs=0.5)


def test_a_call_without_end_gives_its_attempts_none():
    wire = Wire(OK)
    attempt(Retry(), wire)
    assert wire.sent[0].context.deadline.seconds == float("inf")


def test_it_gives_up_at_once_where_the_wait_would_take_all_that_is_left():
    wire = Wire(RequestTimeout("lost"), OK)
    with pytest.raises(RequestTimeout) as caught:
        attempt(Retry(backoff=60, jitter=0), wire, deadline=Deadline.after(30))
    assert wire.slept == []
    assert caught.value.attempts == 1


def test_a_policy_is_a_value():
    assert Retry() == Retry(3, 0.05, 2, 0.5, None, None, False, None)
    assert len({Retry(), Retry(), Retry(5)}) == 2
    with pytest.raises(attrs.exceptions.FrozenInstanceError):
        Retry().attempts = 5  # type: ignore[misc]


@pytest.mark.parametrize(
    ("options", "error", "says"),
    [
        ({"attempts": 0}, UsageError, "attempts must be 1 or more"),
        ({"attempts": 1.5}, ArgumentTypeError, "attempts must be a whole number, not float"),
        ({"attempts": True}, ArgumentTypeError, "attempts must be a whole number, not bool"),
        ({"backoff": -1}, UsageError, "backoff must be from 0 to 3600"),
        ({"backoff": "1"}, ArgumentTypeError, "backoff must be a number, not str"),
        ({"factor": 0.5}, UsageError, "factor must be from 1 to 1000"),
        ({"jitter": 1.5}, UsageError, "jitter must be from 0 to 1"),
        ({"jitter": float("nan")}, UsageError, "jitter must be from 0 to 1"),
        ({"deadline": 0}, UsageError, "timeout must be above 0"),
        ({"attempt_timeout": "1"}, ArgumentTypeError, "timeout must be a number of seconds"),
    ],
)
def test_a_policy_that_makes_no_sense_is_refused(options, error, says):
    with pytest.raises(error, match=says):
        Retry(**options)


class Losing(FakeTransport):
    """A fake that loses the first answers of each verb; ``lost`` is shared with its siblings."""

    def __init__(self, application=None, lost=None):
        super().__init__(application)
        self.lost = {} if lost is None else lost

    def send(self, frames, deadline):
        super().send(frames, deadline)
        verb = next((verb for verb in self.lost if verb.encode() in frames[0]), None)
        if verb and self.lost[verb]:
            self.lost[verb] -= 1
            self._replies.pop()

    def clone(self):
        return Losing(self.application, self.lost)


def test_it_is_off_by_default():
    assert inspect.signature(Elevator).parameters["retry"].default is None
    with Elevator(transport=Losing(lost={"GET": 1})) as E:
        with pytest.raises(RequestTimeout) as caught:
            E.Get("k")
    assert not hasattr(caught.value, "__notes__")


def test_a_client_with_a_policy_gets_its_answer():
    with Elevator(transport=Losing(lost={"GET": 2}), retry=Retry(backoff=0)) as E:
        E.Put("k", "v")
        assert E.Get("k") == "v"
        assert E.WriteBatch()._forward is E._forward


def test_its_errors_say_how_often_it_tried_and_its_answers_stay_answers():
    with Elevator(transport=Losing(lost={"GET": 3}), retry=Retry(backoff=0)) as E:
        with pytest.raises(RequestTimeout) as caught:
            E.Get("k")
        assert caught.value.attempts == 3
        with pytest.raises(KeyNotFound):
            E.Get("k")


def test_a_batch_takes_one_too():
    with Elevator(transport=Losing(lost={"BATCH": 1}), retry=Retry(backoff=0, writes=True)) as E:
        with E.WriteBatch() as batch:
            batch.Put("k", "v")
        assert E.Get("k") == "v"


def test_it_stands_inside_of_the_other_interceptors():
    seen = []

    def watching(request, forward):
        seen.append(request.command.verb)
        return (yield from forward(request))

    with Elevator(transport=Losing(lost={"PING": 2}), interceptors=[watching], retry=Retry(backoff=0)) as E:
        assert E.ping() == "PONG"
    assert seen == ["DBCONNECT", "PING"]


def test_anything_else_than_a_policy_is_refused():
    with pytest.raises(ArgumentTypeError, match="retry must be a Retry, not int"):
        Elevator(transport="fake", retry=3)  # type: ignore[call-overload]
