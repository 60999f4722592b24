"""What a server says about itself: connections, bytes, queues, latencies."""

import threading
from collections import deque
from random import Random
from types import SimpleNamespace

import pytest

from pyelevator import Elevator
from pyelevator.application import Application
from pyelevator.application.application import ApplicationWrapper
from pyelevator.application.monitoring.monitor import Monitor
from pyelevator.application.policy import Policy
from pyelevator.codec import ClassicCodec
from pyelevator.commands import Get, MGet, Range, Stats
from pyelevator.messages import Request
from pyelevator.monitoring import ServerStats
from pyelevator.protocol import IncomingRequest
from pyelevator.server import Server, ServerLimits
from pyelevator.server.observer import Observed, RequestObserver
from pyelevator.testing.servers import ANY_PORT, serve
from support.applications import application_of


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
        assert len(application.monitor.answered) <= 1024  # 511, and those between two samples
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
        gated.resume.set()
        client.receive(), client.receive()


def test_a_slow_request_counts_with_the_time_that_it_waited(raw, gated):
    with serve(gated) as server:
        client = raw(server.urls[0])
        client.ask(Range("slow"))
        gated.entered.acquire()
        threading.Event().wait(0.05)
        gated.resume.set()
        client.receive()
        assert gated.monitor.stats().requests["RANGE"].latency.max >= 0.05


REQUEST = Observed(b"1", IncomingRequest(ClassicCodec(), Request(Get("k"), "u", 1)), 10, [b""])


class CountingMonitor(Monitor):
    """Counts how often something is measured."""

    def __init__(self):
        super().__init__()
        self.measured: list[float] = []

    def observe(self, request, seconds, weight=1):
        self.measured.append(seconds)
        super().observe(request, seconds, weight)


class ObservedLoop:
    """Answers requests one after the other as the server's loop does, on a clock of its own."""

    def __init__(self):
        self.monitor = CountingMonitor()
        self.observer = RequestObserver(None, self.monitor, lambda _: "")
        self.now = self.due_at = self.look_at = 0.0

    def answer(self, durations):
        for seconds in durations:
            started, self.now = self.now, self.now + seconds
            self.monitor.answered.append(Get)
            if self.now >= self.look_at:
                if self.now >= self.due_at or seconds >= self.observer.threshold:
                    self.observer.observe_quick(REQUEST, started, self.now)
                    self.due_at = self.observer.next_due()
                self.look_at = min(self.now + self.observer.threshold, self.due_at)


def test_quick_requests_are_sampled_and_stand_for_the_others():
    loop = ObservedLoop()
    loop.answer([0.0001] * 1000)
    assert len(loop.monitor.measured) == 1000
    loop.answer([0.0001] * 10_000)
    assert 90 <= len(loop.monitor.measured) - 1000 <= 110
    assert 10_890 <= loop.monitor.histograms()["GET"].total <= 11_000


def test_requests_that_come_seldom_are_all_measured():
    loop = ObservedLoop()
    for _ in range(1500):
        loop.answer([0.0001])
        loop.now += 0.02
    assert len(loop.monitor.measured) == loop.monitor.histograms()["GET"].total == 1500


def test_slow_requests_are_all_measured_and_stand_for_themselves():
    loop = ObservedLoop()
    loop.answer([0.0001] * 1000)
    loop.answer([0.5] * 640)
    histogram = loop.monitor.histograms()["GET"]
    assert histogram.total == 1640
    assert histogram.max == pytest.approx(0.5)


def test_a_slow_request_among_quick_ones_is_measured():
    loop = ObservedLoop()
    loop.answer([0.0001] * 2000)
    loop.answer([0.00005] * 3 + [0.001] + [0.0001] * 3)
    assert max(loop.monitor.measured) == pytest.approx(0.001)


def test_longer_requests_are_not_measured_more_often_than_others():
    loop, random = ObservedLoop(), Random(1)
    loop.answer([0.0001] * 1000)
    loop.answer([random.choice([0.0009, 0.00001]) for _ in range(100_000)])
    sampled = loop.monitor.measured[1000:]
    assert 0.4 < sum(seconds > 0.0005 for seconds in sampled) / len(sampled) < 0.6


class ScriptedLoop:
    """Runs a server's loop on messages and a clock of its own, and keeps how long what is measured took.

    Args:
        turns: for each message, at what time it was read, and at what time it is answered.
    """

    def __init__(self, monkeypatch, turns):
        self.turns, self.now = deque(turns), 0.0
        self.measured: list[float] = []
        self.server = Server(Application.in_memory(), [ANY_PORT])
        self.listener = SimpleNamespace(wait=self.wait, send_queues=SimpleNamespace(peers={}), disconnected=deque())
        monkeypatch.setattr("pyelevator.server.server.monotonic", lambda: self.now)
        monkeypatch.setattr(self.server, "_observe", lambda _, __, started, now: self.measured.append(now - started))
        monkeypatch.setattr(self.server._dispatcher, "on_message", self.on_message)
        with monkeypatch.context() as patched:
            patched.setattr(self.server, "_listener", self.listener)
            self.server._loop()
        self.server._finish()

    def wait(self):
        self.listener.read_at, self.ends_at = self.turns.popleft()
        self.server._is_stopping = not self.turns
        return b"1", [b"message"]

    def on_message(self, *_):
        self.now = self.ends_at
        return [b"answer"]


def test_the_time_between_two_requests_belongs_to_neither(monkeypatch):
    assert ScriptedLoop(monkeypatch, [(5.0, 5.25), (9.0, 9.5), (20.0, 20.125)]).measured == [0.25, 0.5, 0.125]


def test_of_requests_read_together_each_begins_when_the_last_has_ended(monkeypatch):
    assert ScriptedLoop(monkeypatch, [(5.0, 5.25), (5.0, 5.5), (5.0, 6.5)]).measured == [0.25, 0.25, 1.0]


def test_what_stats_answers_is_what_the_application_says(server):
    stats = application_of(server).stats()
    assert [one.name for one in stats.databases] == ["default"]
    assert stats.connections.max == 50
    assert Stats().result(stats.encode()) == stats


class Stuck(ApplicationWrapper):
    """Executes an MGET only when the test lets it go on."""

    def __init__(self, application):
        super().__init__(application)
        self.resume, self.entered = threading.Event(), threading.Event()

    def try_handle(self, request):
        return None if isinstance(request.command, MGet) else super().try_handle(request)

    def __call__(self, request):
        if isinstance(request.command, MGet):
            self.entered.set()
            assert self.resume.wait(30)
        return super().__call__(request)


def test_figures_are_told_while_all_workers_are_busy(raw):
    application = Stuck(Application.in_memory(Policy(slow=None)))
    with Server(application, [ANY_PORT], workers=1) as server:
        client = raw(server.urls[0])
        client.ask(MGet(["a"]), 1, application.catalog.uid_of("default"))
        assert application.entered.wait(30)
        with Elevator.from_url(server.urls[0], timeout=30) as E:
            assert E.stats().queues.running == 2
            assert E.slowlog() == []
            assert E.progress() == []
        application.resume.set()
        client.receive()
