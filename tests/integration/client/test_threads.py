"""One client object, many threads: each call gets its own answer, whatever kind of server is at the other end."""

import threading
from contextlib import contextmanager
from typing import Any

import pytest

from pyelevator import Elevator
from pyelevator.application import Application
from pyelevator.testing.servers import serve
from support.connections import connections_of
from support.old_servers import OldServer
from torture.calls import Calls, added, fill
from torture.unruly import BEHAVIOURS, unruly

THREADS = 32


@contextmanager
def client_of_our_server(**options):
    with serve(Application.in_memory()) as server:
        with Elevator(endpoint=server.urls[0].partition("://")[2], **options) as client:
            yield client


@contextmanager
def client_over_ipc(tmp_path):
    url = f"ipc://{tmp_path}/socket"
    with serve(Application.in_memory(), url), Elevator.from_url(url) as client:
        yield client


def in_threads(client, timeouts, calls):
    """Mixed calls on one client from all threads, which start together."""
    parts, start = [Calls() for _ in range(THREADS)], threading.Barrier(THREADS)

    def work(part, seed):
        start.wait(30)
        part.some(client, seed, calls, timeouts)

    threads = [threading.Thread(target=work, args=(part, seed)) for seed, part in enumerate(parts)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return added(parts)


def connect(kind, tmp_path):
    return {
        "tcp": client_of_our_server,
        "ipc": lambda: client_over_ipc(tmp_path),
        "fake": lambda: Elevator(transport="fake"),
        "old classic": lambda: Elevator(transport=OldServer("0.5")),
        "old flat": lambda: Elevator(transport=OldServer("0.7"), dialect="flat"),
    }[kind]()


@pytest.mark.parametrize("kind", ["tcp", "ipc", "fake", "old classic", "old flat"])
def test_every_one_of_32_threads_gets_its_own_answers(kind, tmp_path):
    with connect(kind, tmp_path) as client:
        fill(client)
        calls = in_threads(client, (60, 60), 20)
    assert calls.wrong == []
    assert (calls.right, calls.timeouts) == (THREADS * 20, 0)


@pytest.mark.parametrize("name", BEHAVIOURS)
def test_no_thread_gets_the_answer_of_another_whatever_the_order(name):
    behaviour = BEHAVIOURS[name]
    with unruly(behaviour, seed=7) as server:
        with Elevator(endpoint=server.url.partition("://")[2], dialect=behaviour.dialect, timeout=30) as client:
            fill(client)
            calls = in_threads(client, (0.01, 0.3), 12)
    assert calls.violations(name) == []
    assert min(calls.right, server.delayed, server.reordered, server.doubled + (name == "classic without ids")) > 0


def test_32_threads_share_the_connections_of_the_pool():
    with client_of_our_server(max_connections=3) as client:
        fill(client)
        calls = in_threads(client, (60, 60), 10)
        assert len(connections_of(client)) <= 3
    assert (calls.wrong, calls.right) == ([], THREADS * 10)


def test_threads_may_come_and_go_connect_and_disconnect():
    """Calls that the closing of others comes upon end well or with the error that says what to do."""
    with client_of_our_server() as client:
        client.createdb("other")
        fill(client)
        wrong, over, rounds = list[Any](), threading.Event(), list[int]()

        def restless():
            while not (over.is_set() and rounds):
                client.disconnect()
                client.connect("default")
                rounds.append(1)

        def work():
            for _ in range(100):
                try:
                    if client.Get("key 0007", timeout=30) != "value of 0007":
                        wrong.append("another's answer")
                except ValueError as error:
                    if "call connect() first" not in str(error):
                        wrong.append(error)

        threads = [threading.Thread(target=work) for _ in range(8)]
        disturber = threading.Thread(target=restless)
        disturber.start()
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        over.set()
        disturber.join()
    assert wrong == []
