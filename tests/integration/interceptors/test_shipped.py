"""The shipped interceptors, each around the application itself."""

import io
import json
import logging
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given, strategies as st

from pyelevator.application import Application
from pyelevator.codec import ClassicCodec
from pyelevator.commands import (
    DELETE,
    PUT,
    Batch,
    DbConnect,
    DbDrop,
    Delete,
    Exists,
    Get,
    GetAndDelete,
    Increment,
    MGet,
    Ping,
    Put,
    Range,
    Slice,
    put_if,
)
from pyelevator.errors import ErrorCode, MalformedMessage, RequestTimeout, UsageError
from pyelevator.flows import Sleep, compose, drive
from pyelevator.interceptors import (
    Cache,
    Fault,
    Faults,
    Metrics,
    Prefix,
    RateLimit,
    Recorder,
    Replayer,
    ReplayMismatch,
    RequestLog,
    Tracing,
    hooks,
    read_only,
)
from pyelevator.messages import Request, Response
from support.connections import handle_of
from support.optional import unwrap


def over_the_wire(response, request):
    codec = ClassicCodec()
    return codec.decode_response(codec.encode_response(response, request), request)


class Bench:
    """An application behind interceptors; counts what reaches it and how long was slept."""

    def __init__(self, *interceptors):
        application = Application.in_memory()
        self.application = lambda request: over_the_wire(application(request), request)
        self.uid = self.application(Request(DbConnect("default"))).payload.decode()
        self.way = compose(interceptors)
        self.reached = []
        self.slept = 0.0

    def perform(self, effect):
        if isinstance(effect, Sleep):
            self.slept += effect.seconds
            return None
        self.reached.append(effect.request.command)
        return self.application(effect.request)

    def __call__(self, command):
        return drive(self.way(Request(command, self.uid)), self.perform)

    def rows(self):
        return self.application(Request(Range(), self.uid)).payload


# hooks


def test_hooks_see_the_request_and_the_response():
    seen = []
    bench = Bench(
        hooks(lambda request: seen.append(request.command), lambda _, response: seen.append(response.payload))
    )
    bench(Ping())
    assert seen == [Ping(), b"PONG"]


def test_hooks_change_answer_and_replace():
    bench = Bench(
        hooks(
            on_request=lambda r: Response(b"mine") if r.command == Get("x") else Request(Get("k"), r.uid),
            on_response=lambda r, response: Response(response.payload + b"!") if response.payload else None,
        )
    )
    bench.application(Request(Put("k", "v"), bench.uid))
    assert bench(Get("x")).payload == b"mine"
    assert bench(Get("other")).payload == b"v!"
    assert bench.reached == [Get("k")]


@pytest.mark.parametrize("options", [{"on_request": lambda r: "no"}, {"on_response": lambda q, r: "no"}])
def test_a_hook_s_wrong_return_type_is_named(options):
    with pytest.raises(TypeError, match=f"{next(iter(options))} must return a .*not str"):
        Bench(hooks(**options))(Ping())


# RequestLog


def test_a_line_has_verb_time_and_outcome_and_no_key_or_value(caplog):
    with caplog.at_level(logging.DEBUG, "pyelevator.requests"):
        bench = Bench(RequestLog(slow=1.0, clock=iter([0.0, 0.5, 1.0, 3.0]).__next__))
        bench(Put("secret key", "secret value"))
        bench(Get("secret missing"))
    texts = [(record.levelname, record.getMessage()) for record in caplog.records if "took" in record.getMessage()]
    assert texts == [
        ("DEBUG", f"PUT of {bench.uid} took 500.0 ms: success"),
        ("WARNING", f"GET of {bench.uid} took 2000.0 ms: failure KEY"),
    ]


# read_only


@pytest.mark.parametrize("command", [Put("k", "v"), Delete("k"), Batch([(PUT, b"k", b"v")]), DbDrop("default")])
def test_read_only_refuses_what_changes_anything(command):
    bench = Bench(read_only)
    assert bench(command).message == f"not allowed: {command.verb} where only reading is"
    assert bench.reached == []


@pytest.mark.parametrize("command", [Get("k"), MGet(["k"]), Exists("k"), Range(), Slice(None, 1), Ping()])
def test_read_only_forwards_reads(command):
    bench = Bench(read_only)
    bench(command)
    assert bench.reached == [command]


# Prefix


@pytest.fixture
def tenants():
    bench = Bench(Prefix("b:"))
    for key in ("a:1", "b", "b:1", "b:2", "b;", "c:1"):
        bench.application(Request(Put(key, key), bench.uid))
    return bench


def test_a_tenant_s_keys_carry_the_prefix(tenants):
    tenants(Put("3", "three"))
    tenants(Delete("1"))
    tenants(Batch([(PUT, b"4", b"four"), (DELETE, b"2")]))
    assert [row for row in tenants.rows() if row[0].startswith(b"b:")] == [[b"b:3", b"three"], [b"b:4", b"four"]]
    assert tenants(Get("3")).payload == b"three"
    assert tenants(Exists("a:1")).payload is False
    assert tenants(MGet(["4", "nope"])).payload == [b"four", None]


@pytest.mark.parametrize(
    ("command", "rows"),
    [
        (Range(), [[b"1", b"b:1"], [b"2", b"b:2"]]),
        (Range("2"), [[b"2", b"b:2"]]),
        (Range(None, "1"), [[b"1", b"b:1"]]),
        (Range(prefix="2"), [[b"2", b"b:2"]]),
        (Range(include_value=False), [b"1", b"2"]),
        (Range(include_key=False), [b"b:1", b"b:2"]),
        (Range(include_key=False, include_value=False), [None, None]),
        (Slice(None, 10), [[b"1", b"b:1"], [b"2", b"b:2"]]),
        (Slice("2", 10), [[b"2", b"b:2"]]),
        (Slice(None, 1), [[b"1", b"b:1"]]),
        (Slice(None, 10, include_value=False), [b"1", b"2"]),
        (Slice(None, 10, include_key=False), [b"b:1", b"b:2"]),
        (Slice(None, 10, include_key=False, include_value=False), [None, None]),
    ],
)
def test_a_tenant_s_ranges_see_nothing_else(tenants, command, rows):
    assert tenants(command).payload == rows


# Cache


def test_a_value_is_read_once_and_again_after_a_write():
    cache = Cache()
    bench = Bench(cache)
    bench(Put("k", "1"))
    assert [bench(Get("k")).payload for _ in range(3)] == [b"1", b"1", b"1"]
    bench(Put("k", "2"))
    assert bench(Get("k")).payload == b"2"
    bench(Batch([(PUT, b"k", b"3")]))
    assert bench(Get("k")).payload == b"3"
    bench(Delete("k"))
    assert bench(Get("k")).code is ErrorCode.KEY
    assert (cache.hits, cache.misses) == (2, 4)


def test_a_value_is_read_again_after_an_update():
    cache = Cache()
    bench = Bench(cache)
    bench(Put("other", "1"))
    bench(Get("other"))
    for update, value in ((Increment("k"), b"1"), (put_if("k", "1", "7"), b"7"), (Increment("k"), b"8")):
        bench(Get("k"))
        bench(update)
        assert bench(Get("k")).payload == value
    bench(GetAndDelete("k"))
    assert bench(Get("k")).code is ErrorCode.KEY
    hits = cache.hits
    bench(Get("other"))
    assert cache.hits == hits + 1


def test_dropping_a_database_empties_the_cache():
    bench = Bench(Cache())
    bench(Put("k", "1"))
    bench(Get("k"))
    bench(DbDrop("default"))
    assert bench(Get("k")).code is ErrorCode.KEY


def test_the_cache_evicts_the_least_recently_used_above_its_limit():
    cache = Cache(max_bytes=3 * (200 + 1 + 100))
    bench = Bench(cache)
    for key in "abcd":
        bench(Put(key, "x" * 100))
    for key in "abcad":
        bench(Get(key))
    hits = cache.hits
    bench(Get("a"))
    assert cache.hits == hits + 1
    bench(Get("b"))
    assert cache.hits == hits + 1


def test_a_value_that_was_on_its_way_while_a_write_passed_is_not_kept():
    cache = Cache()
    flow = cache(Request(Get("k"), "u"), compose([]))
    next(flow)
    drive(cache(Request(Put("k", "new"), "u"), compose([])), lambda effect: Response())
    with pytest.raises(StopIteration):
        flow.send(Response(b"old"))
    assert drive(cache(Request(Get("k"), "u"), compose([])), lambda effect: Response(b"new")).payload == b"new"


@given(
    st.lists(
        st.tuples(st.sampled_from(["get", "put", "delete", "batch"]), st.sampled_from("ab"), st.binary(max_size=2))
    )
)
def test_the_cache_never_answers_differently(steps):
    with_cache, without = Bench(Cache(max_bytes=500)), Bench()
    commands: dict[str, Callable[..., Any]] = {
        "get": lambda key, _: Get(key),
        "put": Put,
        "delete": lambda key, _: Delete(key),
        "batch": lambda key, value: Batch([(PUT, key.encode(), value)]),
    }
    for kind, key, value in steps:
        command = commands[kind](key, value)
        assert with_cache(command).payload == without(command).payload


# RateLimit


def test_requests_above_the_rate_wait_and_too_many_are_refused():
    now = [0.0]
    bench = Bench(RateLimit(rate=2, burst=2, max_wait=0.6, clock=lambda: now[0]))
    assert [bench(Ping()).code for _ in range(4)] == [None, None, None, ErrorCode.RUNTIME]
    assert bench.slept == 0.5
    now[0] = 10.0
    assert [bench(Ping()).code for _ in range(2)] == [None, None]
    assert bench.slept == 0.5


# Faults


def test_each_fault_does_what_it_says():
    bench = Bench(Faults([Fault("drop_request", ("PUT",))]))
    with pytest.raises(RequestTimeout, match="PUT was dropped"):
        bench(Put("k", "v"))
    assert bench.rows() == []
    bench = Bench(Faults([Fault("drop_response", ("PUT",))]))
    with pytest.raises(RequestTimeout, match="answer to PUT was dropped"):
        bench(Put("k", "v"))
    assert bench.rows() == [[b"k", b"v"]]
    bench = Bench(Faults([Fault("duplicate")]))
    bench(Ping())
    assert bench.reached == [Ping(), Ping()]
    with pytest.raises(MalformedMessage):
        Bench(Faults([Fault("corrupt")]))(Ping())
    bench = Bench(Faults([Fault("delay", seconds=1.5)]))
    assert bench(Ping()).payload == b"PONG"
    assert bench.slept == 1.5
    failed = Bench(Faults([Fault("fail", code=ErrorCode.DATABASE, message="gone")]))(Ping())
    assert (failed.code, failed.message) == (ErrorCode.DATABASE, "gone")


def test_equal_seeds_give_equal_faults():
    def run(seed):
        bench = Bench(Faults([Fault("fail", probability=0.5)], seed))
        return [bench(Ping()).code for _ in range(50)]

    assert run(1) == run(1)
    assert run(1) != run(2)
    assert 0 < run(1).count(None) < 50


def test_an_unknown_fault_names_the_known_ones():
    with pytest.raises(UsageError, match="there is no fault 'gremlin'; there are delay, drop_request"):
        Fault("gremlin")


# Recorder and Replayer


JOURNEY = [
    Put("k", b"\xff\x00"),
    Get("k"),
    Get("missing"),
    MGet(["k", "x"]),
    Batch([(PUT, b"a", b"1"), (DELETE, b"b")]),
    Range(),
    Slice(None, 1, include_value=False),
    Exists("a"),
    DbConnect("default"),
    Ping(),
]


def test_what_was_recorded_is_answered_again_without_a_server():
    journal = io.StringIO()
    bench = Bench(Recorder(journal))
    answers = [bench(command) for command in JOURNEY]
    journal.seek(0)
    again = Bench(Replayer(journal))
    again.uid = bench.uid
    assert [again(command) for command in JOURNEY] == answers
    assert again.reached == []


def test_a_journal_is_readable():
    journal = io.StringIO()
    bench = Bench(Recorder(journal))
    bench(Put("k", b"\xff"))
    assert json.loads(journal.getvalue()) == {
        "command": ["PUT", {"key": "k", "value": {"hex": "ff"}, "sync": False}],
        "uid": bench.uid,
        "answer": {"payload": None},
    }


def test_replay_names_the_first_request_that_differs():
    journal = io.StringIO()
    bench = Bench(Recorder(journal))
    bench(Put("k", "v"))
    bench(Get("k"))
    journal.seek(0)
    again = Bench(Replayer(journal))
    again.uid = bench.uid
    again(Put("k", "v"))
    with pytest.raises(ReplayMismatch, match=r"line 2: .*'k'.* was expected, not .*'other'"):
        again(Get("other"))


def test_replay_says_when_the_journal_is_over_or_cannot_be_read():
    with pytest.raises(ReplayMismatch, match="behind the last"):
        Bench(Replayer(io.StringIO("")))(Ping())
    with pytest.raises(UsageError, match="line 1 of the journal cannot be read"):
        Bench(Replayer(io.StringIO("garbage\n")))(Ping())


# Metrics and traces


def test_metrics_count_by_verb_database_and_outcome():
    from prometheus_client import CollectorRegistry

    registry = CollectorRegistry()
    bench = Bench(Metrics(registry))
    for command in (DbConnect("default"), Put("k", "v"), Get("k"), Get("missing"), Get("missing")):
        bench(command)

    def count(verb, outcome):
        labels = {"verb": verb, "database": "default", "outcome": outcome}
        return registry.get_sample_value("elevator_requests_total", labels)

    assert (count("PUT", "success"), count("GET", "success"), count("GET", "key")) == (1.0, 1.0, 2.0)
    labels = {"verb": "GET", "database": "default"}
    assert registry.get_sample_value("elevator_request_seconds_count", labels) == 3.0


def test_spans_have_verb_and_database_and_keys_only_on_request():
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import SimpleSpanProcessor
    from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

    spans = InMemorySpanExporter()
    provider = TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(spans))
    tracer = provider.get_tracer("test")
    bench = Bench(Tracing(tracer))
    bench(DbConnect("default"))
    bench(Get("secret"))
    Bench(Tracing(tracer, keys=True))(Get("shown"))
    connect, get, shown = spans.get_finished_spans()
    assert connect.name == "DBCONNECT"
    assert dict(unwrap(get.attributes)) == {
        "db.system.name": "elevator",
        "db.operation.name": "GET",
        "db.namespace": "default",
        "error.type": "KEY",
    }
    assert unwrap(shown.attributes)["elevator.key"] == "shown"
    provider.shutdown()


def test_metrics_have_so_many_labels_whatever_clients_make_up():
    from contextlib import suppress

    from prometheus_client import CollectorRegistry, generate_latest

    from pyelevator import DatabaseError, Elevator, ElevatorError
    from pyelevator.client import operations
    from pyelevator.commands import Unknown
    from pyelevator.transports import FakeTransport

    registry = CollectorRegistry()
    metrics = Metrics(registry, databases=3)
    with Elevator(transport=FakeTransport(), interceptors=[metrics]) as E:
        for number in range(50):
            E.createdb(f"db{number}")
            E.connect(f"db{number}")
            E.Put("k", "v")
            with suppress(DatabaseError):
                E.connect(f"none{number}")
            with suppress(ElevatorError):
                E._execute(operations.execute(handle_of(E), Unknown(f"VERB{number}", [])), None)
    found = {
        tuple(sample.labels.get(name) for name in ("verb", "database"))
        for metric in registry.collect()
        for sample in metric.samples
    }
    assert {database for _, database in found} <= {"default", "db0", "db1", "-", "other"}
    assert {verb for verb, _ in found} <= {"DBCREATE", "DBCONNECT", "PUT", "other"}
    assert len(generate_latest(registry)) < 50_000
