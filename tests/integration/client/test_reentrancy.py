"""Signal handlers and finalizers use the client wherever its thread stands, also while it opens a connection.

Each line of the client's code, of its transports and interceptors is tried in turn, in a thread that the test gives up
on after a while, so that one that hangs is a failure and not the end of the tests.
"""

import threading
from typing import Any

import pytest

from pyelevator import Elevator, TransportError
from pyelevator.application import Application
from pyelevator.client.interceptors.mirror import Mirror
from pyelevator.client.interceptors.route import Route
from pyelevator.codec.gc_pause import Pause
from pyelevator.interceptors import Cache, Faults, Metrics, RateLimit
from pyelevator.testing.servers import serve
from pyelevator.transports import FakeTransport
from support.connections import close_connections_of
from support.steps import each_step

FILES = ("client", "flows.py", "protocol.py", "transports", "interceptors", "codec/gc_pause.py", "forks.py")


def in_time(work, seconds=100):
    """Does it in another thread; fails if it has not ended by then."""
    outcome: list[Any] = []

    def noted():
        try:
            work()
            outcome.append(None)
        except BaseException as error:  # noqa: BLE001 - it is raised again in the test's own thread
            outcome.append(error)

    thread = threading.Thread(target=noted, daemon=True)
    thread.start()
    thread.join(seconds)
    assert outcome, "it hangs"
    if outcome[0] is not None:
        raise outcome[0]


@pytest.fixture(scope="module")
def server():
    with serve(Application.in_memory()) as server, Elevator.from_url(server.urls[0]) as E:
        E.Put("k", "v")
        yield server.urls[0]


def handler_of(E):
    """What a handler does: a call that ends in time, or cannot be made there; both are fine."""

    def handle():
        try:
            assert E.Get("k", timeout=20) == "v"
        except TransportError:
            refused.append(1)

    refused: list[Any] = []
    return handle, refused


@pytest.mark.parametrize("max_connections", [2, 16])
def test_while_connections_are_opened(server, max_connections):
    def work(steps):
        with Elevator.from_url(f"{server}?max_connections={max_connections}&timeout=20") as E:
            steps.action, refused = handler_of(E)
            close_connections_of(E)  # the next call opens a connection
            with steps:
                assert E.Get("k") == "v"
            assert refused == []

    in_time(lambda: each_step(FILES, work, kind="line"))


def test_with_one_connection_the_call_says_in_time_that_none_is_free(server):
    def work(steps):
        with Elevator.from_url(f"{server}?max_connections=1&timeout=20&pool_timeout=0.01") as E:
            steps.action, _ = handler_of(E)
            close_connections_of(E)
            with steps:
                assert E.Get("k") == "v"
            assert E.Get("k") == "v"

    in_time(lambda: each_step(FILES, work, kind="line"))


def test_while_a_range_comes_in_pages(server):
    with Elevator.from_url(server) as E:

        def work(steps):
            steps.action, refused = handler_of(E)
            with steps:
                assert E.Range("k", "k") == [["k", "v"]]
                assert list(E.RangeIter("k", "k", consistent=True)) == [["k", "v"]]
            assert refused == []

        in_time(lambda: each_step(FILES, work, kind="line"))


@pytest.mark.parametrize("make", [Cache, lambda: RateLimit(1e9), lambda: Faults([]), Metrics])
def test_within_interceptors(server, make):
    with _client(server, make()) as E:

        def work(steps):
            steps.action, refused = handler_of(E)
            with steps:
                assert E.Get("k") == "v"
                E.Put("l", "w")
            assert refused == []

        in_time(lambda: each_step(FILES, work, kind="line"))


def _client(url, *interceptors):
    return Elevator(endpoint=url.partition("://")[2], interceptors=interceptors, timeout=20)


def test_within_a_mirror_and_a_route(server):
    with Mirror(FakeTransport()) as mirror, Route({"west-*": FakeTransport()}) as route:
        with _client(server, mirror, route) as E, _client(server, mirror, route) as west:
            west.createdb("west-1")
            west.connect("west-1")

            def work(steps):
                steps.action, refused = handler_of(E)
                with steps:
                    west.Put("k", "v")
                    assert west.Get("k") == "v"
                assert refused == []

            in_time(lambda: each_step(FILES, work, kind="line"))


def test_a_pause_of_the_collector_ends_whatever_comes_in_between():
    import gc

    pause = Pause()

    def again():
        with pause:
            pass

    def work(steps):
        steps.action = again
        with steps, pause:
            pass
        assert gc.isenabled()

    in_time(lambda: each_step(("codec/gc_pause.py",), work))
    gc.enable()


def test_in_the_middle_of_an_application_in_process_a_call_ends_in_time():
    """What it waits for may be what its own thread holds; there it says that it cannot be made."""
    with Elevator(transport=FakeTransport()) as E:
        E.Put("k", "v")
        outcomes = set()

        def handle():
            try:
                outcomes.add(E.Get("k", timeout=0.02))
            except TransportError as error:
                outcomes.add(str(error))

        def work(steps):
            steps.action = handle
            with steps:
                E.Put("l", "w")
                assert E.Get("k") == "v"
            assert E.Get("l") == "w"

        in_time(lambda: each_step(("application", "engines"), work, kind="line"))
        assert outcomes == {
            "v",
            "fake:// executes a request that a signal handler or a finalizer has interrupted; "
            "it cannot be used from there",
        }
