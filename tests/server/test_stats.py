"""What a server says about itself: connections, bytes, queues, latencies."""

import threading

import pytest

from pyelevator import Elevator
from pyelevator.application import Application
from pyelevator.application.application import ApplicationWrapper
from pyelevator.application.monitoring.monitor import Monitor
from pyelevator.codec import ClassicCodec
from pyelevator.commands import Get, MGet, Range, Stats
from pyelevator.messages import Request
from pyelevator.monitoring import ServerStats
from pyelevator.protocol import IncomingRequest
from pyelevator.server import Server, ServerLimits
from pyelevator.server.observer import Observed, RequestObserver
from pyelevator.testing.servers import ANY_PORT, serve


@pytest.fixture
def server():
    with Server(Application.in_memory(), [ANY_PORT], server_limits=ServerLimits(max_connections=50)) as running:
        yield running


@pytest.fixture
def E(server):
    with Elevator.from_url(server.urls[0], timeout=30) as client:
        yield client


def test_connections_are_counted_open_and_accepted(server, E):
    with Elevator.from_url(server.urls[0]):
        assert E.stats().connections.open == 2
    for _ in range(3):
        Elevator.from_url(server.urls[0]).disconnect()
    found = E.stats().connections
    assert (found.accepted, found.max) == (5, 50)


def test_bytes_are_counted_in_both_directions(E):
    before = E.stats().traffic
    E.Put("k", "v" * 100_000)
    E.Get("k")
    after = E.stats().traffic
    assert 100_000 < after.bytes_received - before.bytes_received < 102_000
    assert 100_000 < after.bytes_sent - before.bytes_sent < 105_000


def test_every_quick_request_is_counted_and_classes_do_not_pile_up():
    application = Application.in_memory()
    with Server(application, [ANY_PORT]) as server, Elevator.from_url(server.urls[0], timeout=30) as E:
        E.Put("k", "v")
        for _ in range(1500):
            E.Get("k", None)
        assert len(application.monitor.answered) <= 70
        E.Get("missing", None)
        found = E.stats().requests
    assert (found["PUT"].count, found["GET"].count, found["GET"].failures) == (1, 1501, {"key": 1})


def test_latencies_are_told_of_the_last_minute_too(E):
    E.Get("missing", None)
    found = E.stats()
    assert found.recent_latency == found.latency
    assert found.requests["GET"].recent_latency == found.requests["GET"].latency
    assert found.recent_latency.p99 is not None


def test_messages_that_are_no_requests_are_counted_as_refused(server, E, raw):
    client = raw(server.urls[0])
    client.send(b"\xc1")
    client.receive()
    assert E.stats().refused == 1


def test_verbs_that_are_not_known_are_counted_together(server, E, raw):
    client = raw(server.urls[0])
    for verb in (b"\xa3FOO", b"\xa3BAR"):
        client.send(b"\x84\xa3cmd" + verb + b"\xa4meta\x80\xa3uid\xc0\xa4args\x90")
        client.receive()
    found = E.stats().requests
    assert found["OTHER"].count == 2
    assert found["OTHER"].failures == {"key": 2}
    assert not {"FOO", "BAR"} & found.keys()


def test_the_first_requests_are_all_measured(E):
    E.Put("k", "v")
    E.Get("k")
    found = E.stats()
    for verb in ("PUT", "GET", "DBCONNECT"):
        latency = found.requests[verb].latency
        assert 0 < latency.p50 <= latency.p99 <= latency.max
        assert 0 < latency.mean <= latency.max
    assert found.latency.max >= found.requests["GET"].latency.max


def test_what_runs_and_waits_is_told_of(raw, gated):
    with serve(gated) as server:
        client = raw(server.urls[0])
        client.ask(Range("slow 1"))
        client.ask(Get("a"))
        gated.entered.acquire()
        while server._describe(ServerStats()).queues.requests < 2:
            threading.Event().wait(0.01)
        queues = server._describe(ServerStats()).queues
        assert (queues.requests, queues.running, queues.workers, queues.blocked_clients) == (2, 1, 4, 0)
        assert queues.request_bytes > 2000
        gated.gate.set()
        client.receive(), client.receive()


def test_a_slow_request_counts_with_the_time_that_it_waited(raw, gated):
    with serve(gated) as server:
        client = raw(server.urls[0])
        client.ask(Range("slow"))
        gated.entered.acquire()
        threading.Event().wait(0.05)
        gated.gate.set()
        client.receive()
        assert gated.monitor.stats().requests["RANGE"].latency.max >= 0.05


REQUEST = Observed(b"1", IncomingRequest(ClassicCodec(), Request(Get("k"), "u", 1)), 10, [b""])


def observe(observer, count, seconds, countdown=1):
    """As the server's loop does."""
    for _ in range(count):
        countdown -= 1
        if seconds >= observer.threshold or not countdown:
            countdown = observer.observe_quick(REQUEST, seconds, countdown)


def test_quick_requests_are_sampled_and_stand_for_the_others():
    monitor = Monitor()
    observer = RequestObserver(None, monitor, lambda _: "")
    observe(observer, 1000 + 64 * 10, 0.0001)
    assert monitor.histograms()["GET"].total == 1000 + 64 * 10
    assert observer._measured == 1010


def test_slow_requests_are_all_measured_and_stand_for_themselves():
    monitor = Monitor()
    observer = RequestObserver(None, monitor, lambda _: "")
    observe(observer, 1000, 0.0001)
    observe(observer, 640, 0.5, countdown=64)
    histogram = monitor.histograms()["GET"]
    assert (histogram.total, histogram.max) == (1640, 0.5)


def test_what_stats_answers_is_what_the_application_says(server):
    stats = server._application.stats()
    assert [one.name for one in stats.databases] == ["default"]
    assert stats.connections.max == 50
    assert Stats().result(stats.encode()) == stats


class Stuck(ApplicationWrapper):
    """Executes an MGET only when its gate is open."""

    def __init__(self, application):
        super().__init__(application)
        self.gate, self.entered = threading.Event(), threading.Event()

    def try_handle(self, request):
        return None if isinstance(request.command, MGet) else super().try_handle(request)

    def __call__(self, request):
        if isinstance(request.command, MGet):
            self.entered.set()
            assert self.gate.wait(30)
        return super().__call__(request)


def test_figures_are_told_while_all_workers_are_busy(raw):
    application = Stuck(Application.in_memory())
    with Server(application, [ANY_PORT], workers=1) as server:
        client = raw(server.urls[0])
        client.ask(MGet(["a"]), 1, application.catalog.uid_of("default"))
        assert application.entered.wait(30)
        with Elevator.from_url(server.urls[0], timeout=30) as E:
            assert E.stats().queues.running == 2
            assert E.slowlog() == []
            assert E.progress() == []
        application.gate.set()
        client.receive()
