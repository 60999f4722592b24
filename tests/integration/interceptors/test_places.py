"""Every shipped interceptor in every place: the same object in a client, sync and async, in a server and in a proxy."""

import io
import json
import logging
import threading
from contextlib import ExitStack
from inspect import ismodule

import pytest

import pyelevator.interceptors as shipped
from pyelevator import Elevator, KeyNotFound, PermissionDenied, ServerRuntimeError
from pyelevator.application import Application
from pyelevator.client.interceptors.mirror import Mirror
from pyelevator.client.interceptors.route import Route
from pyelevator.errors import ElevatorError, RequestTimeout
from pyelevator.interceptors import (
    Cache,
    Fault,
    Faults,
    Metrics,
    Prefix,
    RateLimit,
    Recorder,
    Replayer,
    RequestLog,
    Retry,
    Tracing,
    hooks,
    read_only,
)
from pyelevator.proxy import Proxy
from pyelevator.server import Server
from pyelevator.testing.portals import Portal
from pyelevator.testing.servers import ANY_PORT
from pyelevator.transports import FakeTransport, TcpTransport
from support.optional import unwrap


class Place:
    """A server and a client, with interceptors somewhere between them."""

    def __init__(self, kind):
        self.kind = kind
        self.application = Application.in_memory()
        self._stack = ExitStack()

    def __enter__(self):
        return self

    def __exit__(self, *failure):
        self._stack.close()

    def connect(self, *interceptors, db_name=None):
        """A client; what it asks passes through the interceptors."""
        return getattr(self, f"_{self.kind}")(interceptors, db_name)

    def plain(self):
        """What is stored, by a way around the interceptors."""
        return self._enter(Elevator(transport=FakeTransport(self.application)))

    def _enter(self, thing):
        return self._stack.enter_context(thing)

    def _serve(self, interceptors=()):
        return self._enter(Server(self.application, [ANY_PORT], interceptors=interceptors)).urls[0]

    def _client(self, url, db_name, **options):
        transport = TcpTransport(url.removeprefix("tcp://"))
        return self._enter(Elevator(db_name, transport=transport, timeout=20, **options))

    def _sync(self, interceptors, db_name):
        return self._client(self._serve(), db_name, interceptors=interceptors)

    def _async(self, interceptors, db_name):
        transport = TcpTransport(self._serve().removeprefix("tcp://"))
        portal = self._enter(Portal())
        made = portal.connect(Elevator, db_name, transport=transport, timeout=20, interceptors=interceptors)
        return self._enter(made)

    def _server(self, interceptors, db_name):
        return self._client(self._serve(interceptors), db_name)

    def _proxy(self, interceptors, db_name):
        proxy = self._enter(Proxy([ANY_PORT], self._serve(), interceptors))
        return self._client(proxy.urls[0], db_name)


@pytest.fixture(params=["sync", "async", "server", "proxy"])
def place(request):
    with Place(request.param) as place:
        yield place


def test_retry(place):
    failures = [RequestTimeout("lost"), RequestTimeout("lost")]

    def flaky(request, forward):
        if request.command.verb == "GET" and failures:
            raise failures.pop()
        return (yield from forward(request))

    E = place.connect(Retry(backoff=0.001), flaky)
    E.Put("k", "v")
    assert E.Get("k") == "v"
    assert failures == []


def test_logged(place):
    lines = []
    logger = logging.Logger("test", logging.DEBUG)
    logger.addHandler(type("Lines", (logging.Handler,), {"emit": lambda _, record: lines.append(record)})())
    E = place.connect(RequestLog(slow=0.0, logger=logger))
    E.Put("secret", "secret")
    assert [record.getMessage().split()[0] for record in lines] == ["DBCONNECT", "PUT"]
    assert {record.levelno for record in lines} == {logging.WARNING}
    assert not any("secret" in record.getMessage() for record in lines)


def test_read_only(place):
    E = place.connect(read_only)
    with pytest.raises(PermissionDenied, match="PUT where only reading is"):
        E.Put("k", "v")
    assert E.Range() == []


def test_prefix(place):
    E = place.connect(Prefix("t:"))
    with E.WriteBatch() as batch:
        batch.Put("k", "v")
    assert (E.Get("k"), E.Range()) == ("v", [["k", "v"]])
    assert place.plain().Range() == [["t:k", "v"]]


def test_cache(place):
    cache = Cache()
    E = place.connect(cache)
    E.Put("k", "1")
    assert [E.Get("k"), E.Get("k")] == ["1", "1"]
    E.Put("k", "2")
    assert E.Get("k") == "2"
    assert cache.hits == 1


def test_mirror(place):
    second = FakeTransport()
    with Mirror(second, reads=1.0) as mirror:
        E = place.connect(mirror)
        E.Put("k", "v")
        assert E.Get("k") == "v"
        mirror.flush()
        assert (mirror.copied, mirror.failed) == (2, 0)
    assert Elevator(transport=second).Get("k") == "v"


def test_route(place):
    west = FakeTransport()
    with Route({"west-*": west}) as route:
        E = place.connect(route)
        E.Put("k", "here")
        E.createdb("west-1")
        assert E.listdb() == ["default", "west-1"]
        E.connect("west-1")
        E.Put("k", "there")
        assert E.Get("k") == "there"
        with pytest.raises(KeyNotFound):
            E.Get("missing")
        E.connect("default")
        assert E.Get("k") == "here"
        E.dropdb("west-1")
        assert E.listdb() == ["default"]


def test_rate_limit(place):
    E = place.connect(RateLimit(rate=0.001, burst=2, max_wait=0))
    E.Put("k", "v")
    with pytest.raises(ServerRuntimeError, match="over the limit"):
        E.Get("k")


@pytest.mark.parametrize("kind", ["drop_request", "drop_response", "corrupt"])
def test_faults_that_lose_the_answer(place, kind):
    E = place.connect(Faults([Fault(kind, ("PUT",))]))
    with pytest.raises(ElevatorError, match=r"by a fault|internal error"):
        E.Put("k", "v")
    assert place.plain().Range() == ([] if kind == "drop_request" else [["k", "v"]])


@pytest.mark.parametrize("kind", ["delay", "duplicate", "reorder"])
def test_faults_that_only_trouble(place, kind):
    E = place.connect(Faults([Fault(kind, seconds=0.01)]))
    E.Put("k", "v")
    assert E.Get("k") == "v"


def test_reorder_lets_the_next_request_pass(place):
    seen = []
    faults = Faults([Fault("reorder", ("PUT",), seconds=20)])
    E = place.connect(faults, hooks(lambda request: seen.append(request.command.verb)))
    held = threading.Thread(target=E.Put, args=("k", "v"), kwargs={"timeout": 30})
    held.start()
    while held.is_alive():
        E.ping()
    held.join()
    assert seen.index("PING") < seen.index("PUT")


def test_record_and_replay(place):
    journal = io.StringIO()
    E = place.connect(Recorder(journal))
    E.Put("k", "v")
    assert E.Get("k") == "v"
    assert [json.loads(line)["command"][0] for line in journal.getvalue().splitlines()] == ["DBCONNECT", "PUT", "GET"]
    journal.seek(0)
    with Place(place.kind) as again:
        R = again.connect(Replayer(journal))
        R.Put("k", "v")
        assert R.Get("k") == "v"
        assert again.plain().Range() == []


def test_replay_names_the_first_request_that_differs(place):
    line = {"command": ["DBCONNECT", {"name": "default"}], "uid": None, "answer": {"payload": "u"}}
    E = place.connect(Replayer(io.StringIO(json.dumps(line) + "\n")))
    with pytest.raises(ElevatorError, match=r"behind the last|ReplayMismatch"):
        E.Get("k")


def test_metrics(place):
    from prometheus_client import CollectorRegistry

    registry = CollectorRegistry()
    E = place.connect(Metrics(registry))
    E.Put("k", "v")
    labels = {"verb": "PUT", "database": "default", "outcome": "success"}
    assert registry.get_sample_value("elevator_requests_total", labels) == 1.0
    assert registry.get_sample_value("elevator_request_seconds_count", {"verb": "PUT", "database": "default"}) == 1.0


def test_traced(place):
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import SimpleSpanProcessor
    from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

    spans = InMemorySpanExporter()
    provider = TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(spans))
    E = place.connect(Tracing(provider.get_tracer("test")))
    E.Put("secret", "v")
    assert [span.name for span in spans.get_finished_spans()] == ["DBCONNECT", "PUT"]
    assert "secret" not in str([dict(unwrap(span.attributes)) for span in spans.get_finished_spans()])
    provider.shutdown()


def test_hooks(place):
    seen = []
    E = place.connect(hooks(lambda request: seen.append(request.command.verb), lambda _, response: None))
    E.Put("k", "v")
    assert seen == ["DBCONNECT", "PUT"]


@pytest.mark.parametrize("wrong", ["text", None, 5])
def test_one_that_returns_no_response_is_a_clear_error(place, wrong, caplog):
    def forgetful(request, forward):
        response = yield from forward(request)
        return response if request.command.verb == "DBCONNECT" else wrong

    E = place.connect(forgetful)
    with pytest.raises((TypeError, ServerRuntimeError), match=r"a Response, not|internal error|its log says more"):
        E.Put("k", "v")
    if place.kind in ("server", "proxy"):
        assert type(wrong).__name__ in caplog.text


def test_this_file_has_a_test_for_each_that_is_shipped():
    tested = {
        "Retry",
        "RequestLog",
        "read_only",
        "Prefix",
        "Cache",
        "RateLimit",
        "Faults",
        "Fault",
        "Recorder",
        "Replayer",
    }
    names = {name for name, value in vars(shipped).items() if name[0] != "_" and not ismodule(value)}
    assert names == tested | {"Metrics", "Tracing", "hooks", "ReplayMismatch"}
