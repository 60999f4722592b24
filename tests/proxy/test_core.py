"""The proxy's core, without sockets, on a clock that the test turns."""

from typing import Any

import pytest
from attrs import evolve

from pyelevator.codec import ClassicCodec, FlatCodec
from pyelevator.commands import DbConnect, DbRepair, Get, MGet, Ping, Pipeline, Put, Slice
from pyelevator.errors import ErrorCode, PermissionDenied, RequestTimeout, UsageError
from pyelevator.flows import sleep
from pyelevator.messages import Request, Response
from pyelevator.proxy.core import Core, PauseReading, ResetConnection, ResumeReading, SendToClient, SendToUpstream
from pyelevator.proxy.routing import Upstream

URL = "tcp://h:1"
CLASSIC = ClassicCodec()


def asked(command, request_id=None, uid="u"):
    return CLASSIC.encode_request(Request(command, uid, request_id))


def answer_to(forward, payload, *, echo=True, codec=CLASSIC):
    """An upstream's reply to what was forwarded."""
    request = codec.decode_request(forward.frames)
    return codec.encode_response(Response(payload, id=request.id if echo else None), request)


def reported(reply, command=Get("k"), codec=CLASSIC):  # noqa: B008
    return codec.decode_response(reply.frames, Request(command))


def core_over(*interceptors, dialect="classic", connections=1024, **options):
    options = {"timeout": 5.0, **options}
    upstream = Upstream(f"{URL}?dialect={dialect}", name="up", max_serial_connections=2, max_connections=connections)
    return Core([upstream], interceptors, **options)


def learned(core):
    """The same core, once its upstream has echoed an id to a client that has left."""
    (forward,) = core.client_sent(b"x", asked(Ping(), 1), 0.0)
    core.upstream_sent("up", forward.connection, answer_to(forward, b"PONG"), 0.0)
    core.client_disconnected(b"x", 0.0)
    return core


def watching(request, forward):
    """Looks at every request, so that none takes the short way."""
    return (yield from forward(request))


def test_a_request_goes_on_under_the_proxy_s_id_and_back_under_its_own():
    core = core_over()
    (forward,) = core.client_sent(b"a", asked(Get("k"), 77), 0.0)
    assert (forward.upstream, forward.connection) == ("up", 0)
    assert CLASSIC.decode_request(forward.frames).id != 77
    (reply,) = core.upstream_sent("up", 0, answer_to(forward, b"v"), 0.0)
    assert (reply.identity, reported(reply).payload, reported(reply).id) == (b"a", b"v", 77)
    assert core.unanswered == 0


def test_a_client_without_ids_gets_none():
    core = core_over()
    (forward,) = core.client_sent(b"a", asked(Get("k")), 0.0)
    (reply,) = core.upstream_sent("up", 0, answer_to(forward, b"v"), 0.0)
    assert reported(reply).id is None


def test_two_clients_with_the_same_ids_keep_their_own_answers_in_any_order():
    core = learned(core_over())
    (one,) = core.client_sent(b"a", asked(Get("k"), 1), 0.0)
    (two,) = core.client_sent(b"b", asked(Get("k"), 1), 0.0)
    (reply,) = core.upstream_sent("up", two.connection, answer_to(two, b"of b"), 0.0)
    assert (reply.identity, reported(reply).payload) == (b"b", b"of b")
    (reply,) = core.upstream_sent("up", 0, answer_to(one, b"of a"), 0.0)
    assert (reply.identity, reported(reply).payload) == (b"a", b"of a")


def test_an_upstream_that_echoes_ids_has_one_connection_per_client():
    core = learned(core_over())
    forwards = [core.client_sent(b"a", asked(Get("k"), i), 0.0)[0] for i in range(100)]
    assert {forward.connection for forward in forwards} == {0}


def test_an_upstream_without_ids_has_one_request_at_a_time_per_connection():
    core = core_over()
    first, second = (core.client_sent(b"a", asked(Get("k"), i), 0.0)[0] for i in (1, 2))
    assert (first.connection, second.connection) == (0, 1)
    assert core.client_sent(b"a", asked(Get("k"), 3), 0.0) == []
    reply, forward = core.upstream_sent("up", 1, answer_to(second, b"v", echo=False), 0.0)
    assert reported(reply).id == 2
    assert isinstance(forward, SendToUpstream)
    assert forward.connection == 1


def test_requests_of_a_client_without_ids_keep_their_order():
    core = learned(core_over())
    (forward,) = core.client_sent(b"old", asked(Get("1")), 0.0)
    assert core.client_sent(b"old", asked(Get("2")), 0.0) == []
    reply, follows = core.upstream_sent("up", 0, answer_to(forward, b"one"), 0.0)
    assert reported(reply).payload == b"one"
    assert CLASSIC.decode_request(follows.frames).command == Get("2")


@pytest.mark.parametrize("frames", [[b""], [b"\xc1"], [b"a", b"b"], [b"\x90"]])
def test_what_is_no_request_is_answered_here(frames):
    core = core_over()
    (reply,) = core.client_sent(b"a", frames, 0.0)
    assert isinstance(reply, SendToClient)
    assert core.unanswered == 0


def test_a_lost_reply_is_a_timeout_and_replaces_a_connection_without_ids():
    core = core_over()
    (forward,) = core.client_sent(b"a", asked(Get("k"), 1), 100.0)
    assert core.next_timeout() == 105.0
    assert core.on_timer(104.9) == []
    renew, reply = core.on_timer(105.0)
    assert renew == ResetConnection("up", 0)
    assert reported(reply).code is ErrorCode.RUNTIME
    assert "no answer from upstream within 5.0 s" in reported(reply).message
    assert core.next_timeout() is None
    (again,) = core.client_sent(b"a", asked(Get("k"), 2), 106.0)
    (reply,) = core.upstream_sent("up", 0, answer_to(again, b"v", echo=False), 106.0)
    assert (reported(reply).payload, reported(reply).id) == (b"v", 2)
    assert forward.expires_at == 105.0


def test_a_late_reply_with_an_id_is_dropped_and_delays_no_request():
    core = learned(core_over())
    (delayed,) = core.client_sent(b"a", asked(Get("k"), 1), 0.0)
    reply, renew = core.on_timer(5.0)
    assert reported(reply).code is ErrorCode.RUNTIME
    assert renew == ResetConnection("up", delayed.connection)
    (other,) = core.client_sent(b"b", asked(Get("k"), 1), 5.0)
    (reply,) = core.upstream_sent("up", other.connection, answer_to(other, b"v"), 5.0)
    assert (reply.identity, reported(reply).payload) == (b"b", b"v")


@pytest.mark.parametrize("interceptors", [[], [watching]])
def test_a_late_reply_does_not_answer_a_later_request_with_the_same_id(interceptors):
    core = learned(core_over(*interceptors))
    (delayed,) = core.client_sent(b"a", asked(Get("k"), 1), 0.0)
    core.client_sent(b"a", asked(Get("k"), 2), 3.0)
    (reply,) = core.on_timer(5.0)
    assert reported(reply).id == 1
    (again,) = core.client_sent(b"a", asked(Get("k"), 1), 5.0)
    assert again.connection == delayed.connection
    assert core.upstream_sent("up", delayed.connection, answer_to(delayed, b"late"), 5.0) == []
    (reply,) = core.upstream_sent("up", delayed.connection, answer_to(again, b"v"), 5.0)
    assert (reported(reply).id, reported(reply).payload) == (1, b"v")
    core.on_timer(8.0)
    assert core.unanswered == 0


@pytest.mark.parametrize("interceptors", [[], [watching]])
def test_an_id_that_a_client_uses_twice_at_once_is_answered_twice(interceptors):
    core = learned(core_over(*interceptors))
    one, two = gets(core, b"a", [7, 7])
    (reply,) = core.upstream_sent("up", 0, answer_to(two, b"two"), 0.0)
    assert (reported(reply).id, reported(reply).payload) == (7, b"two")
    (reply,) = core.upstream_sent("up", 0, answer_to(one, b"one"), 0.0)
    assert (reported(reply).id, reported(reply).payload) == (7, b"one")
    assert core.unanswered == 0


@pytest.mark.parametrize("number", [2**32, 2**32 + 1, 2**64 - 1])
def test_client_ids_like_those_of_the_proxy_are_not_mistaken_for_them(number):
    core = learned(core_over())
    (theirs,) = gets(core, b"a", [number])
    (connect,) = core.client_sent(b"a", asked(DbConnect("d"), 1, None), 0.0)
    assert CLASSIC.decode_request(theirs.frames).id != CLASSIC.decode_request(connect.frames).id
    (reply,) = core.upstream_sent("up", 0, answer_to(theirs, b"v"), 0.0)
    assert (reported(reply).id, reported(reply).payload) == (number, b"v")


def test_each_request_that_is_passed_on_has_its_own_time():
    core = learned(core_over())
    for number in range(5):
        core.client_sent(b"a", asked(Get("k"), number), float(number))
    for number in range(5):
        assert core.next_timeout() == 5.0 + number
        assert core.on_timer(4.9 + number) == []
        assert reported(core.on_timer(5.0 + number)[0]).id == number
    assert core.unanswered == 0


def test_a_request_that_never_got_a_connection_times_out_too():
    core = core_over()
    for i in range(3):
        core.client_sent(b"a", asked(Get("k"), i), float(i))
    core.on_timer(5.0)
    core.on_timer(6.0)
    replies = [action for action in core.on_timer(7.0) if isinstance(action, SendToClient)]
    assert [reported(reply).id for reply in replies] == [2]
    assert core.unanswered == 0


def test_an_unreadable_reply_fails_and_replaces_its_connection():
    core = core_over()
    core.client_sent(b"a", asked(Get("k"), 1), 0.0)
    renew, reply = core.upstream_sent("up", 0, [b"\xc1", b"\xc1"], 0.0)
    assert renew == ResetConnection("up", 0)
    assert reported(reply).code is ErrorCode.RUNTIME


def test_the_second_answer_of_a_flat_upstream_is_never_read():
    core = core_over(dialect="flat")
    core.client_sent(b"a", asked(DbConnect("d"), 9, None), 0.0)
    core.upstream_sent("up", 0, [b"\x94\x01\x00\xa0\xa1u"], 0.0)
    core.client_sent(b"a", asked(MGet(["k"]), 1), 0.0)
    (forward,) = core.upstream_sent("up", 0, [b"\x94\x01\x00\xa0\xa1u"], 0.0)  # the uid is still the database's
    assert FlatCodec().decode_request(forward.frames).command == MGet(["k"])
    renew, reply = core.upstream_sent("up", 0, [b"\x94\x01\x00\xa0\xa1v"], 0.0)
    assert renew == ResetConnection("up", 0)
    assert reported(reply, MGet(["k"])).payload == [b"v"]


def test_what_the_upstream_s_dialect_cannot_say_is_refused():
    core = core_over(dialect="flat")
    (reply,) = core.client_sent(b"a", asked(DbRepair(), 1), 0.0)
    assert "dialect='classic'" in reported(reply, DbRepair()).message


def test_the_proxy_is_full_at_its_capacity_by_number_and_by_bytes():
    core = core_over(capacity=2)
    core.client_sent(b"a", asked(Get("k"), 1), 0.0)
    assert not core.is_full
    core.client_sent(b"a", asked(Get("k"), 2), 0.0)
    assert core.is_full
    core.on_timer(5.0)
    assert not core.is_full
    core = core_over(capacity_bytes=1000)
    core.client_sent(b"a", asked(Put("k", "x" * 1000), 1), 0.0)
    assert core.is_full
    core.on_timer(5.0)
    assert not core.is_full


def test_interceptors_stand_around_outermost_first():
    seen = []

    def named(name):
        def interceptor(request, forward):
            seen.append(f"{name} in")
            response = yield from forward(request)
            seen.append(f"{name} out")
            return response

        return interceptor

    core = core_over(named("outer"), named("inner"))
    (forward,) = core.client_sent(b"a", asked(Get("k"), 1), 0.0)
    core.upstream_sent("up", 0, answer_to(forward, b"v"), 0.0)
    assert seen == ["outer in", "inner in", "inner out", "outer out"]


def test_an_interceptor_may_answer_wait_and_ask_again():
    def patient(request, forward):
        response = yield from forward(request)
        yield from sleep(2.0)
        again = yield from forward(request)
        return Response(response.payload + again.payload)

    core = core_over(patient)
    (forward,) = core.client_sent(b"a", asked(Get("k"), 9), 0.0)
    assert core.upstream_sent("up", 0, answer_to(forward, b"1"), 1.0) == []
    assert core.next_timeout() == 3.0
    (forward,) = core.on_timer(3.0)
    (reply,) = core.upstream_sent("up", 0, answer_to(forward, b"2"), 3.0)
    assert (reported(reply).payload, reported(reply).id) == (b"12", 9)


def test_an_interceptor_that_fails_costs_only_its_request():
    def broken(request, forward):
        if request.command == Get("raise"):
            raise ZeroDivisionError
        if request.command == Get("nonsense"):
            return "v"
        return (yield from forward(request))

    core = core_over(broken)
    (reply,) = core.client_sent(b"a", asked(Get("raise"), 1), 0.0)
    assert reported(reply).message == "internal error of the proxy: ZeroDivisionError"
    (reply,) = core.client_sent(b"a", asked(Get("nonsense"), 2), 0.0)
    assert reported(reply).code is ErrorCode.RUNTIME
    (forward,) = core.client_sent(b"a", asked(Get("k"), 3), 0.0)
    assert isinstance(forward, SendToUpstream)


def test_uids_of_several_upstreams_say_where_they_come_from():
    core = Core([Upstream(URL, ("w-*",), name="west"), Upstream(URL, name="east")])
    (forward,) = core.client_sent(b"a", asked(DbConnect("w-1"), 1, None), 0.0)
    assert isinstance(forward, SendToUpstream)
    assert forward.upstream == "west"
    (reply,) = core.upstream_sent("west", 0, answer_to(forward, b"123"), 0.0)
    assert reported(reply, DbConnect("w-1")).payload == b"west~123"
    (forward,) = core.client_sent(b"a", asked(Get("k"), 2, "west~123"), 0.0)
    assert isinstance(forward, SendToUpstream)
    assert (forward.upstream, CLASSIC.decode_request(forward.frames).uid) == ("west", "123")
    (reply,) = core.client_sent(b"a", asked(Get("k"), 3, "123"), 0.0)
    assert reported(reply).message == "Database 123 doesn't exist"


@pytest.mark.parametrize(
    "upstreams",
    [[], [Upstream(URL, name="a"), Upstream("tcp://other:1", name="a")]],
)
def test_upstreams_need_names_of_their_own(upstreams):
    with pytest.raises(UsageError, match="at least one upstream, and a name"):
        Core(upstreams)


@pytest.mark.parametrize("url", ["fake://", "http://h", f"{URL}?dialect=esperanto"])
def test_what_cannot_be_an_upstream_is_refused(url):
    with pytest.raises(UsageError):
        Upstream(url)


def no_secrets(request, forward):
    if getattr(request.command, "key", b"") == b"secret":
        raise PermissionDenied("not allowed: secret")
    return (yield from forward(request))


def test_a_pipeline_is_passed_on_as_one_and_interceptors_see_its_commands():
    core = learned(core_over(no_secrets))
    pipeline = Pipeline([Get("a"), Get("secret"), Get("b")])
    (forward,) = core.client_sent(b"a", asked(pipeline, 5), 0.0)
    assert CLASSIC.decode_request(forward.frames).command == Pipeline([Get("a"), Get("b")])
    (reply,) = core.upstream_sent("up", 0, answer_to(forward, [b"1", b"2"]), 0.0)
    answer = reported(reply, pipeline)
    one, refused, two = answer.payload
    assert (one, refused.code, two, answer.id) == (b"1", ErrorCode.OS, b"2", 5)


@pytest.mark.parametrize("interceptors", [[], [no_secrets]], ids=["bare", "intercepted"])
def test_a_pipeline_whose_upstream_is_silent_is_answered_in_time(interceptors):
    core = learned(core_over(*interceptors))
    pipeline = Pipeline([Get("a"), Get("b")])
    core.client_sent(b"a", asked(pipeline, 5), 0.0)
    replies = [action for action in core.on_timer(5.0) if isinstance(action, SendToClient)]
    answers = [reported(reply, pipeline) for reply in replies]
    outcomes = answers[0].payload or answers
    assert {(outcome.code, outcome.message) for outcome in outcomes} == {
        (ErrorCode.RUNTIME, "proxy: no answer from upstream within 5.0 s")
    }
    assert core.unanswered == 0


def gets(core, identity, numbers):
    """Requests of one client; what the core does with them."""
    return [action for n in numbers for action in core.client_sent(identity, asked(Get("k"), n), 0.0)]


def forwards(actions):
    return [action for action in actions if isinstance(action, SendToUpstream)]


@pytest.fixture
def share(monkeypatch):
    monkeypatch.setattr("pyelevator.proxy.core._MAX_IN_FLIGHT", 128)
    return 128


@pytest.mark.parametrize("interceptors", [[], [watching]])
def test_above_its_share_a_client_s_requests_wait_for_those_of_another(interceptors, share):
    core = learned(core_over(*interceptors))
    assert len(gets(core, b"pushes", range(1, 501))) == share
    (forward,) = core.client_sent(b"other", asked(Get("k"), 1), 0.0)
    assert isinstance(forward, SendToUpstream)


@pytest.mark.parametrize("interceptors", [[], [watching]])
def test_each_answer_makes_room_for_the_next_until_all_are_answered(interceptors, share):
    core = learned(core_over(*interceptors))
    under_way, answered = gets(core, b"pushes", range(1, 501)), list[Any]()
    while under_way:
        for action in core.upstream_sent("up", 0, answer_to(under_way.pop(0), b"v"), 0.0):
            (answered if isinstance(action, SendToClient) else under_way).append(action)
        assert len(under_way) <= share
    assert [reported(reply).id for reply in answered] == list(range(1, 501))
    assert core.unanswered == 0


def test_what_waits_for_its_turn_has_been_taken_and_counts(share):
    core = learned(core_over(capacity=300))
    gets(core, b"pushes", range(1, 300))
    assert not core.is_full
    gets(core, b"pushes", [300])
    assert core.is_full
    assert core.unanswered


def test_nonsense_that_waits_is_answered_without_end_to_the_stack(share):
    core = learned(core_over(capacity=10**6))
    (first, *_) = gets(core, b"pushes", range(1, share + 1))
    for _ in range(5000):
        assert core.client_sent(b"pushes", [b"\xc1"], 0.0) == []
    answers = core.upstream_sent("up", 0, answer_to(first, b"v"), 0.0)
    assert len(answers) == 5001
    assert {type(answer) for answer in answers} == {SendToClient}


def test_nonsense_behind_a_request_without_an_id_does_not_fill_the_stack():
    core = learned(core_over())
    (first,) = core.client_sent(b"old", asked(Get("k")), 0.0)
    for _ in range(999):
        assert core.client_sent(b"old", [b"\xc1"], 0.0) == []
    answers = core.upstream_sent("up", 0, answer_to(first, b"v"), 0.0)
    assert reported(answers[0]).payload == b"v"
    assert len(answers) == 1000
    assert core.unanswered == 0


@pytest.mark.parametrize("interceptors", [[], [watching]])
def test_nothing_more_goes_on_of_a_client_that_does_not_read_until_it_does(interceptors, share):
    core = learned(core_over(*interceptors))
    under_way = gets(core, b"deaf", range(1, 201))
    assert core.client_blocked(b"deaf") == [PauseReading("up", 0)]
    assert list(core.blocked) == [b"deaf"]
    assert core.blocked[b"deaf"].queued_bytes > 72 * 1024
    assert core.unanswered == 0, "those behind a client that may never read do not count"
    answers = [core.upstream_sent("up", 0, answer_to(forward, b"v"), 0.0) for forward in under_way]
    assert [reported(reply).id for reply, *_ in answers] == list(range(1, share + 1))
    assert answers[-1][1:] == [ResumeReading("up", 0)], "the connection can be another's"
    released = core.client_unblocked(b"deaf", 0.0)
    assert len(released) == 16
    assert not core.blocked
    assert core.unanswered
    under_way = released
    while under_way:
        under_way += forwards(core.upstream_sent("up", 0, answer_to(under_way.pop(), b"v"), 0.0))
    assert core.unanswered == 0


def test_a_client_that_reads_again_gets_what_was_on_its_way():
    core = learned(core_over())
    (forward,) = gets(core, b"slow", [1])
    assert core.client_blocked(b"slow") == [PauseReading("up", 0)]
    assert core.client_blocked(b"slow") == []
    assert core.client_unblocked(b"slow", 0.0) == [ResumeReading("up", 0)]
    (reply,) = core.upstream_sent("up", 0, answer_to(forward, b"v"), 0.0)
    assert reported(reply).payload == b"v"


def test_each_client_with_requests_in_flight_has_its_own_connection():
    core = learned(core_over())
    one, two = gets(core, b"a", [1]) + gets(core, b"b", [1])
    assert gets(core, b"a", [2])[0].connection == one.connection != two.connection
    core.upstream_sent("up", two.connection, answer_to(two, b"v"), 0.0)
    core.client_disconnected(b"b", 0.0)
    (three,) = gets(core, b"c", [1])
    assert three.connection == two.connection


def answered_get(core, identity):
    """A request of a client that is answered; the connection that it took."""
    *_, forward = gets(core, identity, [1])
    core.upstream_sent("up", forward.connection, answer_to(forward, b"v"), 0.0)
    return forward.connection


@pytest.mark.parametrize("interceptors", [[], [watching]])
def test_a_client_keeps_its_connection_though_many_others_come(interceptors):
    core = learned(core_over(*interceptors))
    own = answered_get(core, b"small")
    unanswered = {gets(core, b"%d" % number, [1])[0].connection for number in range(30)}
    assert len(unanswered - {own}) == 30
    assert answered_get(core, b"small") == own


def test_at_the_limit_the_client_idle_for_longest_loses_its_connection():
    core = learned(core_over(connections=2))
    assert [answered_get(core, name) for name in (b"a", b"b", b"a", b"c")] == [0, 1, 0, 1]
    assert [answered_get(core, name) for name in (b"c", b"a", b"b")] == [1, 0, 1]


@pytest.mark.parametrize("interceptors", [[], [watching]])
def test_a_client_that_leaves_amid_a_request_frees_its_connection(interceptors):
    core = learned(core_over(*interceptors))
    (last,) = gets(core, b"a", [1])
    core.client_disconnected(b"a", 0.0)
    core.upstream_sent("up", last.connection, answer_to(last, b"v"), 0.0)
    assert answered_get(core, b"b") == last.connection


@pytest.mark.parametrize("interceptors", [[], [watching]])
def test_an_idle_connection_with_an_answer_too_many_is_given_to_one_client(interceptors):
    core = learned(core_over(*interceptors))
    (forward,) = gets(core, b"a", [1])
    core.upstream_sent("up", forward.connection, answer_to(forward, b"v"), 0.0)
    renew = core.upstream_sent("up", forward.connection, answer_to(forward, b"v"), 0.0)
    assert renew == [ResetConnection("up", forward.connection)]
    connections = [gets(core, name, [1])[0].connection for name in (b"a", b"b", b"c")]
    assert len(set(connections)) == 3


def test_at_the_connection_limit_one_is_shared_and_read_for_readers():
    core = learned(core_over(connections=2))
    one, two, three = gets(core, b"a", [1]) + gets(core, b"b", [1]) + gets(core, b"c", [1])
    assert (one.connection, two.connection, three.connection) == (0, 1, 0)
    assert core.client_blocked(b"a") == []
    assert core.client_blocked(b"b") == [PauseReading("up", 1)]
    (four,) = gets(core, b"d", [1])
    assert four.connection == 0, "not the one that rests"
    core.upstream_sent("up", 0, answer_to(four, b"v"), 0.0)
    assert core.client_blocked(b"c") == [PauseReading("up", 0)], "no client is left that reads"


def test_connections_are_opened_as_they_are_needed_and_shared_evenly():
    core = core_over(connections=2)
    (first,) = gets(core, b"a", [1])
    (second,) = gets(core, b"b", [1])
    assert gets(core, b"c", [1]) == [], "while it may be an old server"
    _, third = core.upstream_sent("up", first.connection, answer_to(first, b"v"), 0.0)
    connections = [forward.connection for name in (b"d", b"e", b"f") for forward in gets(core, name, [1])]
    assert [second.connection, third.connection] == [1, 0]
    assert sorted(connections) == [0, 0, 1] or sorted(connections) == [0, 1, 1]


@pytest.mark.parametrize("interceptors", [[], [watching]])
def test_on_a_shared_connection_each_client_gets_its_answers_and_ids(interceptors):
    core = core_over(*interceptors, connections=1)
    (first,) = gets(core, b"0", [1])
    assert gets(core, b"1", [1]) == [], "while it may be an old server, which would take one at a time"
    reply, *under_way = core.upstream_sent("up", 0, answer_to(first, b"0"), 0.0)
    assert (reply.identity, reported(reply).payload) == (b"0", b"0")
    under_way += [forward for n in range(2, 10) for forward in gets(core, b"%d" % n, [1])]
    assert {forward.connection for forward in under_way} == {0}
    replies = [core.upstream_sent("up", 0, answer_to(one, b"%d" % n), 0.0)[0] for n, one in enumerate(under_way, 1)]
    assert [(reply.identity, reported(reply).payload, reported(reply).id) for reply in replies] == [
        (b"%d" % n, b"%d" % n, 1) for n in range(1, 10)
    ]
    assert core.unanswered == 0


@pytest.mark.parametrize("interceptors", [[], [watching]])
def test_a_paused_connection_is_read_while_one_of_its_clients_reads(interceptors):
    core = learned(core_over(*interceptors, connections=1))
    (unread,) = gets(core, b"deaf", [1])
    assert core.client_blocked(b"deaf") == [PauseReading("up", 0)]
    assert gets(core, b"deaf", [2]) == []
    for number in (1, 2):
        resume, forward = gets(core, b"good", [number])
        assert resume == ResumeReading("up", 0)
        reply, rest = core.upstream_sent("up", 0, answer_to(forward, b"v"), 0.0)
        assert (reply.identity, reported(reply).payload, reported(reply).id) == (b"good", b"v", number)
        assert rest == PauseReading("up", 0)
    resume, follows = core.client_unblocked(b"deaf", 0.0)
    assert resume == ResumeReading("up", 0)
    assert [core.upstream_sent("up", 0, answer_to(one, b"v"), 0.0)[0].identity for one in (unread, follows)] == [
        b"deaf",
        b"deaf",
    ]
    assert core.unanswered == 0


def test_a_client_dropped_on_a_shared_connection_costs_no_other_answers():
    core = learned(core_over(connections=1))
    lost, kept = gets(core, b"deaf", [1]) + gets(core, b"good", [1])
    assert core.client_blocked(b"deaf") == core.discard_client(b"deaf", 0.0) == []
    assert core.upstream_sent("up", 0, answer_to(lost, b"v"), 0.0)[0].identity == b"deaf"
    (reply,) = core.upstream_sent("up", 0, answer_to(kept, b"v"), 0.0)
    assert (reply.identity, reported(reply).payload) == (b"good", b"v")
    assert core.unanswered == 0


def test_an_old_server_gets_few_connections_whatever_the_limit():
    core = core_over(connections=1)
    (first,) = gets(core, b"a", range(1, 4))
    answers = core.upstream_sent("up", 0, answer_to(first, b"v", echo=False), 0.0)
    assert [forward.connection for forward in forwards(answers)] == [0, 1]


@pytest.mark.parametrize("interceptors", [[], [watching]])
def test_a_client_that_is_given_up_leaves_nothing_behind(interceptors, share):
    core = learned(core_over(*interceptors))
    under_way = gets(core, b"gone", range(1, 201))
    core.client_blocked(b"gone")
    renew, *replies = core.discard_client(b"gone", 0.0)
    assert renew == ResetConnection("up", 0)
    assert {reported(reply).message for reply in replies} == {"proxy: the client does not read"}
    assert len(replies) == len(under_way) == share
    assert core.unanswered == 0
    assert not core.blocked
    assert core.upstream_sent("up", 0, answer_to(under_way[0], b"v"), 0.0) == [ResetConnection("up", 0)]


def page(core, number, cursor):
    (forward,) = core.client_sent(b"gone", asked(Slice("0", 2, cursor=cursor), number), 0.0)
    return forward


def opened(core):
    """A client's cursor, which the upstream keeps."""
    answer = Response([[b"0", b"v"]], id=None, more=True, cursor=b"c")
    forward = page(core, 1, True)
    request = CLASSIC.decode_request(forward.frames)
    core.upstream_sent("up", 0, CLASSIC.encode_response(evolve(answer, id=request.id), request), 0.0)


def given_back(actions):
    """The cursors that are given back by what is forwarded."""
    commands: list[Any] = [CLASSIC.decode_request(forward.frames).command for forward in forwards(actions)]
    assert all(command.count == 0 for command in commands)
    return [command.cursor for command in commands]


@pytest.mark.parametrize("interceptors", [[], [watching]], ids=["passed through", "with an interceptor"])
@pytest.mark.parametrize("pages", [0, 1], ids=["idle", "with a page under way"])
def test_a_client_dropped_after_it_left_gives_its_cursor_back(interceptors, pages):
    core = learned(core_over(*interceptors))
    opened(core)
    for number in range(pages):
        page(core, number + 2, b"c")
    core.client_blocked(b"gone")
    left = core.client_disconnected(b"gone", 0.0)
    dropped = core.discard_client(b"gone", 0.0)
    assert given_back(left) == [b"c"]
    assert given_back(dropped) == [b"c"] * pages  # the page may not have been executed before, or after
    for forward in forwards(left + dropped):
        assert core.upstream_sent("up", forward.connection, answer_to(forward, []), 0.0) == []
    assert core.unanswered == 0


@pytest.mark.parametrize("interceptors", [[], [watching]], ids=["passed through", "with an interceptor"])
@pytest.mark.parametrize("fails", ["drop", "timeout", "lost", "answer"])
def test_a_page_that_failed_leaves_the_cursor_to_be_given_back(interceptors, fails):
    core = learned(core_over(*interceptors))
    opened(core)
    forward = page(core, 2, b"c")
    request = CLASSIC.decode_request(forward.frames)
    failure = CLASSIC.encode_response(Response.failure(ErrorCode.RUNTIME, "no", request.id), request)
    {
        "drop": lambda: core.discard_client(b"gone", 0.0),
        "timeout": lambda: core.on_timer(6.0),
        "lost": lambda: core.upstream_lost("up", 0, RequestTimeout("lost"), 0.0),
        "answer": lambda: core.upstream_sent("up", 0, failure, 0.0),
    }[fails]()
    assert given_back(core.client_disconnected(b"gone", 6.0)) == [b"c"]


def test_a_release_that_fails_is_not_repeated():
    core = learned(core_over())
    opened(core)
    (forward,) = forwards(core.client_disconnected(b"gone", 0.0))
    assert forwards(core.upstream_lost("up", forward.connection, RequestTimeout("lost"), 0.0)) == []
    assert core.unanswered == 0
    assert core.client_disconnected(b"gone", 0.0) == []


def test_an_upstream_that_is_replaced_by_an_old_one_is_found_out():
    core = learned(core_over())
    assert core.upstream_lost("up", 0, RequestTimeout("lost"), 0.0) == []
    under_way = gets(core, b"a", range(1, 4))
    renew, *_ = core.upstream_sent("up", 0, answer_to(under_way[0], b"v", echo=False), 0.0)
    assert renew == ResetConnection("up", 0)
    assert [forward.connection for forward in gets(core, b"a", range(4, 9))] == [0, 1]


@pytest.mark.parametrize("interceptors", [[], [watching]])
@pytest.mark.parametrize("connections", [1, 2, 1024])
def test_a_second_answer_is_dropped_whatever_ids_clients_have(interceptors, connections):
    """The clients all use the same small ids, and the upstream answers everything twice."""
    core = learned(core_over(*interceptors, connections=connections))
    taken, flying = list[Any](), list[SendToUpstream]()

    def act(actions):
        for action in actions:
            (flying if isinstance(action, SendToUpstream) else taken).append(action)

    for number in range(1, 60):
        client = b"ab"[number % 2 : number % 2 + 1]
        act(core.client_sent(client, asked(Get(b"of %b" % client), number // 4 + 1), 0.0))
        while flying:
            forward = flying.pop(0)
            command: Any = CLASSIC.decode_request(forward.frames).command
            answer = answer_to(forward, command.key)
            for _ in range(2):
                act(core.upstream_sent("up", forward.connection, answer, 0.0))
    replies = [action for action in taken if isinstance(action, SendToClient)]
    assert [reported(reply).payload for reply in replies] == [b"of " + reply.identity for reply in replies]
    assert len(replies) == 59
    assert core.unanswered == 0


@pytest.mark.parametrize("interceptors", [[], [watching]])
def test_ids_upstream_are_the_proxy_s_and_none_comes_twice(interceptors):
    core, seen = learned(core_over(*interceptors, connections=1)), list[Any]()
    for number in (77, 1, 1 << 32, (1 << 64) - 1, 77, 1):
        (forward,) = core.client_sent(b"a", asked(Get("k"), number), 0.0)
        seen.append(CLASSIC.decode_request(forward.frames).id)
        (reply,) = core.upstream_sent("up", 0, answer_to(forward, b"v"), 0.0)
        assert reported(reply).id == number
    assert seen == sorted(set(seen))
    assert not {77, 1, 1 << 32, (1 << 64) - 1} & set(seen)


@pytest.mark.parametrize("interceptors", [[], [watching]])
def test_a_connection_with_an_answer_too_many_ends_when_all_is_answered(interceptors):
    core = learned(core_over(*interceptors))
    first, second = gets(core, b"a", [1, 2])
    core.upstream_sent("up", 0, answer_to(first, b"v"), 0.0)
    assert core.upstream_sent("up", 0, answer_to(first, b"v"), 0.0) == []
    (third,) = core.client_sent(b"a", asked(Get("k"), 3), 0.0)
    assert (first.connection, second.connection, third.connection) == (0, 0, 1)
    reply, renew = core.upstream_sent("up", 0, answer_to(second, b"w"), 0.0)
    assert (reported(reply).payload, renew) == (b"w", ResetConnection("up", 0))
    (reply,) = core.upstream_sent("up", 1, answer_to(third, b"x"), 0.0)
    assert reported(reply).payload == b"x"


@pytest.mark.parametrize("interceptors", [[], [watching]])
def test_a_connection_of_no_more_use_goes_when_the_last_in_flight_is_late(interceptors):
    core = learned(core_over(*interceptors))
    first, second = gets(core, b"a", [1, 2])
    core.upstream_sent("up", 0, answer_to(first, b"v"), 0.0)
    core.upstream_sent("up", 0, answer_to(first, b"v"), 0.0)
    actions = core.on_timer(second.expires_at)
    assert sorted(type(action).__name__ for action in actions) == ["ResetConnection", "SendToClient"]
    (again,) = core.client_sent(b"a", asked(Get("k"), 3), 10.0)
    (reply,) = core.upstream_sent("up", again.connection, answer_to(again, b"x"), 10.0)
    assert reported(reply).payload == b"x"
