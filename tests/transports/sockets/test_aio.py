"""Connections on an event loop that it speaks itself, to real servers that come, go, stop and are large."""

import asyncio
import gc
import os
import signal
import socket

import pytest
import uvloop

from pyelevator import AsyncElevator, ConnectionLost, MalformedMessage, RequestTimeout
from pyelevator.application import Application
from pyelevator.testing.servers import ServerProcess, serve
from support.connections import first_attempt, shared_connection_of
from support.eventually import FOREVER, SECONDS, eventually_async
from support.old_peers import OldPeer
from support.routers import GREETING, READY, played
from torture.frozen import stopped

LOOPS = [pytest.param(asyncio.new_event_loop, id="asyncio"), pytest.param(uvloop.new_event_loop, id="uvloop")]


@pytest.fixture(params=LOOPS)
def run(request):
    def run(main):
        with asyncio.Runner(loop_factory=request.param) as runner:
            return runner.run(main)

    return run


def client(server, **options):
    return AsyncElevator(endpoint=server.urls[0].removeprefix("tcp://"), **{"timeout": FOREVER, **options})


async def there_and_back(endpoint):
    async with AsyncElevator(endpoint=endpoint, timeout=60) as E:
        await asyncio.gather(*[E.Put(str(number), str(number)) for number in range(100)])
        values = await asyncio.gather(*[E.Get(str(number)) for number in range(100)])
        assert values == [str(number) for number in range(100)]


def test_our_server_is_spoken_with(run):
    with serve(Application.in_memory()) as server:
        run(there_and_back(server.urls[0].removeprefix("tcp://")))


@pytest.mark.parametrize("revision", [0, 1], ids=["ZMTP 1.0", "ZMTP 2.0"])
def test_an_old_peer_is_spoken_with(run, revision):
    with OldPeer(revision) as server:
        run(there_and_back(server.endpoint))
    assert server.garbage == []


def test_a_server_that_dies_is_noticed_at_once_by_all_waiting_calls(run):
    async def main(server):
        async with client(server) as E:
            os.kill(server.pid, signal.SIGSTOP)
            calls = [asyncio.ensure_future(E.Get(str(number))) for number in range(100)]
            await asyncio.sleep(0)  # all calls are begun
            connection = shared_connection_of(E)
            await eventually_async(lambda: len(list(connection.calls())) == 100 and not connection.has_unsent)
            os.kill(server.pid, signal.SIGKILL)
            outcomes = await asyncio.gather(*calls, return_exceptions=True)
            return {type(outcome) for outcome in outcomes}, len({id(outcome) for outcome in outcomes})

    with ServerProcess() as server:
        kinds, count = run(main(server))
    assert (kinds, count) == ({ConnectionLost}, 100)


def test_a_server_that_was_restarted_meanwhile_is_found_again(run, tmp_path):
    async def main(server):
        async with client(server) as E:
            await E.Put("k", "v")
            server.restart()
            return await asyncio.gather(*[E.Get("k") for _ in range(100)])

    with ServerProcess(tmp_path / "data") as server:
        assert run(main(server)) == ["v"] * 100


def test_a_server_that_comes_later_is_found(run, monkeypatch):
    attempted = first_attempt(monkeypatch)
    with socket.socket() as reserved:
        reserved.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        reserved.bind(("127.0.0.1", 0))
        port = reserved.getsockname()[1]

    async def main():
        async with AsyncElevator(endpoint=f"localhost:{port}", timeout=60, auto_connect=False) as E:
            connecting = asyncio.ensure_future(E.connect())
            assert await asyncio.to_thread(attempted.wait, SECONDS)
            with serve(Application.in_memory(), f"tcp://127.0.0.1:{port}"):
                await connecting
                return await E.ping()

    assert run(main()) == "PONG"


def test_a_server_that_sends_unexpected_replies_is_not_dialled_repeatedly(run):
    def part(peer):
        peer.sendall(GREETING + READY + b"\x00\x012")
        while peer.recv(1000):
            pass

    async def main(endpoint):
        async with AsyncElevator(endpoint=endpoint, timeout=60):
            pass

    with played(part) as endpoint, pytest.raises(MalformedMessage):
        run(main(endpoint))


def test_much_more_than_the_system_takes_at_once_comes_whole(run):
    values = [chr(ord("a") + number % 26) * 2_000_000 for number in range(40)]

    async def main(server):
        async with client(server) as E:
            await asyncio.gather(*[E.Put(str(number), value) for number, value in enumerate(values)])
            return await asyncio.gather(*[E.Get(str(number)) for number in range(len(values))])

    with serve(Application.in_memory()) as server:
        assert run(main(server)) == values


def test_a_server_that_reads_nothing_delays_no_call_beyond_its_timeout(run):
    async def main(server):
        async with client(server) as E:
            with stopped(server.pid):
                puts = [E.Put(str(number), "v" * 1_000_000, timeout=0.3) for number in range(400)]
                outcomes = await asyncio.gather(*puts, return_exceptions=True)
            await E.Put("k", "v")
            return {isinstance(outcome, RequestTimeout) for outcome in outcomes}, await E.Get("k")

    with ServerProcess() as server:
        assert run(main(server)) == ({True}, "v")


def test_a_connection_left_half_done_by_an_interrupt_times_out(run):
    async def main(server):
        async with client(server) as E:
            await E.Put("k", "v")
            shared_connection_of(E)._is_flush_scheduled = True  # and nothing will ever send
            with pytest.raises(RequestTimeout):
                await E.Get("k", timeout=0.2)
            return await E.Get("k")

    with serve(Application.in_memory()) as server:
        assert run(main(server)) == "v"


def test_what_is_closed_leaves_no_descriptor_behind(run):
    async def main(server):
        before = len(os.listdir("/proc/self/fd"))
        for _ in range(3):
            async with client(server) as E:
                await E.Put("k", "v")
        return len(os.listdir("/proc/self/fd")) - before

    with ServerProcess() as server:
        assert run(main(server)) == 0


def test_a_client_that_is_dropped_open_warns_and_leaves_the_loop_clean(run):
    async def dropped(server):
        for _ in range(3):
            await client(server).Put("k", "v")
            gc.collect()

    async def main(server):
        before = len(os.listdir("/proc/self/fd"))
        with pytest.warns(ResourceWarning, match="was not closed") as warned:
            await dropped(server)
        await asyncio.sleep(0)
        return len(warned), len(os.listdir("/proc/self/fd")) - before

    with ServerProcess() as server:
        assert run(main(server)) == (3, 0)
