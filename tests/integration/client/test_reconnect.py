"""A server that is stopped, killed and started again under a client that stays the same object."""

import asyncio
import threading
from functools import partial
from typing import Any

import pytest

from pyelevator import (
    AsyncElevator,
    ConnectTimeout,
    DatabaseError,
    Elevator,
    ElevatorError,
    KeyNotFound,
    Retry,
    TransportError,
)
from pyelevator.testing.servers import ServerProcess
from pyelevator.transports import parse_url
from support.connections import pretend_connected
from support.eventually import eventually
from support.puppets import Puppet, losing
from torture.frozen import stopped


@pytest.fixture(params=["tcp", "ipc"])
def server(request, tmp_path):
    """On LevelDB, so that what was written is there after a restart."""
    binds = ["tcp://127.0.0.1:0"] if request.param == "tcp" else [f"ipc://{tmp_path}/socket"]
    with ServerProcess(tmp_path / "data", binds=binds) as process:
        yield process


def test_a_restarted_server_is_found_again(server):
    with Elevator.from_url(server.urls[0]) as E:
        for number in range(3):
            E.Put(str(number), "v")
            server.restart()
            assert E.Get(str(number), timeout=30) == "v"
            assert E.MGet(["0", "1", "2"]) == ["v"] * (number + 1) + [None] * (2 - number)


def test_a_server_that_was_down_for_a_while_is_found_again(server):
    with Elevator.from_url(server.urls[0]) as E:
        E.Put("k", "v")
        server.kill()
        for _ in range(20):
            with pytest.raises(TransportError):
                E.Get("k", timeout=0.05)
        server.restart()
        assert E.Get("k", timeout=30) == "v"


def test_a_connection_idle_while_the_server_was_down_finds_it_again(server):
    with Elevator.from_url(server.urls[0]) as E:
        E.Put("k", "v")
        server.restart()
        server.restart()
        assert E.Get("k", timeout=30) == "v"


def test_what_was_asked_while_the_server_was_down_is_never_executed(server):
    with Elevator.from_url(server.urls[0]) as E:
        E.Put("before", "v")
        server.kill()
        for number in range(20):
            with pytest.raises(ConnectTimeout):
                E.Put(f"down {number}", "v", timeout=0.02)
        batch = E.WriteBatch()
        batch.Put("down too", "v")
        with pytest.raises(ConnectTimeout):
            batch.Write(timeout=0.02)
        batch.Clear()
        server.restart()
        E.Put("after", "v", timeout=30)
        with Elevator.from_url(server.urls[0]) as other:
            other.Put("much later", "v")
            assert other.Range(include_value=False) == ["after", "before", "much later"]


def test_what_was_sent_over_a_frozen_connection_is_never_executed(server):
    """The system takes the connection, but no handshake comes, so nothing is sent that could wait there."""
    with Elevator.from_url(server.urls[0]) as E, Elevator.from_url(server.urls[0] + "?auto_connect=no") as frozen:
        pretend_connected(frozen, E.db_uid, E.db_name)
        with stopped(server.pid):
            for number in range(5):
                with pytest.raises(ConnectTimeout):
                    frozen.Put(f"frozen {number}", "v", timeout=0.05)
        for number in range(50):
            E.Put(f"thawed {number}", "v", timeout=30)
        frozen.Put("thawed 50", "v", timeout=30)
        assert E.Range(prefix="frozen") == []


def test_a_lost_uid_is_replaced_by_connecting_again_by_name():
    with ServerProcess() as server, Elevator.from_url(server.urls[0]) as E:
        E.createdb("testdb")
        E.connect("testdb")
        E.Put("k", "of the first life")
        uid, batch = E.db_uid, E.WriteBatch()
        server.restart()
        with pytest.raises(DatabaseError, match="Database does not exist"):
            E.Get("k", timeout=30)
        E.createdb("testdb", timeout=30)
        with pytest.raises(KeyNotFound):
            E.Get("k")
        batch.Put("k", "of the second life")
        batch.Write()
        assert E.Get("k") == "of the second life"
        assert (E.db_name, E.db_uid == uid) == ("testdb", False)


def test_threads_that_lose_the_database_together_all_go_on():
    with ServerProcess() as server, Elevator.from_url(server.urls[0]) as E:
        wrong, start = [], threading.Barrier(17)

        def work(number):
            E.Put(str(number), "v")
            for _ in range(4):
                start.wait(60)  # the server is restarted between these two
                start.wait(60)
                try:
                    E.Put(str(number), "v", timeout=30)
                    if E.Get(str(number), timeout=30) != "v":
                        wrong.append(number)
                except ElevatorError as error:
                    wrong.append(error)

        threads = [threading.Thread(target=work, args=(number,)) for number in range(16)]
        for thread in threads:
            thread.start()
        for _ in range(4):
            start.wait(60)
            server.restart()
            start.wait(60)
        for thread in threads:
            thread.join()
    assert wrong == []


def test_calls_during_restarts_give_the_right_answer_or_our_error(server):
    with Elevator.from_url(server.urls[0]) as E:
        for number in range(50):
            E.Put(str(number), f"value {number}")
        wrong, right, over = list[Any](), list[Any](), threading.Event()

        def work(number):
            while not over.is_set():
                try:
                    answer = E.Get(str(number), timeout=0.2)
                except TransportError:
                    continue
                (right if answer == f"value {number}" else wrong).append(answer)

        def has_answers(count):
            return len(right) >= count

        threads = [threading.Thread(target=work, args=(number,)) for number in range(4)]
        for thread in threads:
            thread.start()
        for _ in range(4):
            server.restart()
            eventually(partial(has_answers, len(right) + 20))
        over.set()
        for thread in threads:
            thread.join()
    assert wrong == []
    assert len(right) >= 80


def test_a_retry_bridges_a_restart(server):
    retry = Retry(attempts=100, backoff=0.05, factor=1, attempt_timeout=0.3)
    with Elevator.from_url(server.urls[0]) as plain:
        plain.Put("k", "v")
    target = parse_url(server.urls[0])
    with Elevator(transport=target.scheme, endpoint=target.address, retry=retry) as E:
        server.kill()
        restarted = threading.Thread(target=server.restart)
        restarted.start()
        assert E.Get("k", timeout=30) == "v"
        E.Put("l", "w", timeout=30)
        restarted.join()
        assert E.Get("l") == "w"


async def ask(endpoint):
    retry = Retry(attempts=20, attempt_timeout=0.3, backoff=0)
    async with AsyncElevator(endpoint=endpoint, retry=retry, timeout=30) as E:
        await E.Put("k", "v")
        return await E.Get("k")


def test_an_async_client_retries_too():
    with Puppet(losing(GET=2)) as server:
        assert asyncio.run(ask(server.endpoint)) == "v"
        assert server.verbs.count("GET") >= 3
