"""Connections that a firewall or a NAT has forgotten: what is sent over them vanishes, and neither side hears of it."""

import asyncio
import threading
from contextlib import contextmanager

import pytest

from pyelevator import AsyncElevator, ConnectionLost, Elevator, RequestTimeout, Retry, WriteBatch
from pyelevator.application import Application
from pyelevator.client.aio import session
from pyelevator.deadlines import Deadline
from pyelevator.server import Server
from pyelevator.transports.base import IDLE
from pyelevator.transports.sockets import blocking
from support.connections import async_connections_of, connections_of, idle_connections_of, pool_of
from support.old_servers import OldServerOnSocket
from support.puppets import Relay

COUNT = 12
SHORT, LONG = 0.4, 15.0


@contextmanager
def relayed():
    """A relay to a server whose EXISTS are answered when COUNT of them are there."""
    barrier = threading.Barrier(COUNT)

    def meet(request, forward):
        if request.command.verb == "EXISTS":
            barrier.wait(60)
        return (yield from forward(request))

    server = Server(Application.in_memory(), ["tcp://127.0.0.1:0"], interceptors=[meet], workers=COUNT)
    with server, Relay(server.urls[0].removeprefix("tcp://")) as relay:
        yield relay


def use_many(client):
    """Has the client use COUNT connections at the same time, which are idle afterwards."""
    threads = [threading.Thread(target=client.Exists, args=("k",), kwargs={"timeout": 60}) for _ in range(COUNT)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def wait_timeout(failures):
    """The timeout of a call: short for the one that may be lost, and long for those that must not be."""
    return LONG if failures else SHORT


def failures(call, times=COUNT):
    """How many of so many calls, one after the other, got no answer."""
    count = 0
    for _ in range(times):
        try:
            call(wait_timeout(count))
        except RequestTimeout:
            count += 1
    return count


@pytest.mark.parametrize("forget", [Relay.forget, Relay.cut], ids=["forgotten", "cut"])
def test_of_many_forgotten_connections_one_call_suffers_at_the_most(forget):
    with relayed() as relay, Elevator(endpoint=relay.endpoint, timeout=60) as E:
        E.Put("k", "v")
        use_many(E)
        assert relay.connections == COUNT
        forget(relay)
        assert failures(lambda timeout: E.Get("k", timeout=timeout)) <= 1
        assert E.Get("k") == "v"


def test_a_retry_gets_through_where_all_connections_are_forgotten():
    with relayed() as relay, Elevator(endpoint=relay.endpoint, timeout=60, retry=Retry()) as E:
        use_many(E)
        E.Put("k", "v")
        relay.forget()
        assert E.Get("k", timeout=6) == "v"


def test_a_pipeline_suffers_once_from_forgotten_connections():
    with relayed() as relay, Elevator(endpoint=relay.endpoint, timeout=60) as E:
        use_many(E)
        relay.forget()

        def call(timeout):
            with E.pipeline(timeout=timeout) as p:
                p.Put("a", "1")
                p.Get("a")

        assert failures(call) == 1


def test_a_batch_suffers_once_from_forgotten_connections():
    with relayed() as relay, Elevator(endpoint=relay.endpoint, timeout=60) as E:
        use_many(E)
        relay.forget()

        def call(timeout):
            with E.WriteBatch(timeout=timeout) as batch:
                batch.Put("a", "1")

        assert failures(call) == 1


def test_an_iterator_goes_on_after_one_error_of_forgotten_connections():
    with relayed() as relay, Elevator(endpoint=relay.endpoint, timeout=60) as E:
        for number in range(1000):
            E.Put(f"{number:04}", "x")
        use_many(E)
        rows = E.RangeIter(timeout=2)
        seen = [next(rows)]
        relay.forget()
        errors = 0
        while True:
            try:
                seen += list(rows)
                break
            except RequestTimeout:
                errors += 1
        assert errors <= 1
        assert [key for key, _ in seen][-1] == "0999"


def test_async_calls_suffer_once_from_a_forgotten_connection():
    async def main(endpoint):
        async with AsyncElevator(endpoint=endpoint, timeout=60) as E:
            await E.Put("k", "v")
            relay.forget()
            lost = 0
            for _ in range(COUNT):
                try:
                    await E.Get("k", timeout=wait_timeout(lost))
                except RequestTimeout:
                    lost += 1
            return lost

    with relayed() as relay:
        assert asyncio.run(main(relay.endpoint)) <= 1


def test_async_calls_at_an_old_server_suffer_once_from_forgetting():
    async def main():
        async with AsyncElevator(endpoint=relay.endpoint, timeout=60) as E:
            await E.Put("k", "v")
            await asyncio.gather(*[E.Get("k") for _ in range(200)])
            many = relay.connections
            relay.forget()
            lost = 0
            for _ in range(many):
                try:
                    await E.Get("k", timeout=wait_timeout(lost))
                except RequestTimeout:
                    lost += 1
            return many, lost

    with OldServerOnSocket("0.5") as old, Relay(old.url.removeprefix("tcp://")) as relay:
        many, lost = asyncio.run(main())
        assert many > 2
        assert lost <= 1


def test_the_connection_that_was_used_last_is_used_next():
    with relayed() as relay, Elevator(endpoint=relay.endpoint, timeout=60) as E:
        use_many(E)
        E.Put("k", "v")
        newest = idle_connections_of(E)[-1]
        for _ in range(3):
            E.Get("k")
            assert idle_connections_of(E)[-1] is newest


def test_connections_that_stay_idle_are_closed():
    with relayed() as relay, Elevator(endpoint=relay.endpoint, timeout=60) as E:
        use_many(E)
        for transport in idle_connections_of(E):
            transport.idle_since -= IDLE + 1
        E.Put("k", "v")
        assert sum(transport.is_open for transport in connections_of(E)) == 1


def test_a_connection_that_was_idle_for_long_is_not_used_again(monkeypatch):
    with relayed() as relay, Elevator(endpoint=relay.endpoint, timeout=60) as E:
        E.Put("k", "v")
        relay.forget()
        monkeypatch.setattr(blocking, "IDLE", 0.0)
        monkeypatch.setattr(blocking, "_RECENT", 0.0)
        assert E.Get("k", timeout=60) == "v"


def test_idle_connections_of_an_async_client_at_an_old_server_are_closed(monkeypatch):
    async def main():
        async with AsyncElevator(endpoint=old.url.removeprefix("tcp://"), timeout=60) as E:
            await asyncio.gather(*[E.Put("k", "v") for _ in range(200)])
            monkeypatch.setattr(session, "IDLE", 0.0)
            await E.Put("k", "v")
            return len(async_connections_of(E))

    with OldServerOnSocket("0.5") as old:
        assert asyncio.run(main()) == 1


def test_a_busy_connection_is_not_closed_by_the_timeout_of_another_call():
    """Only what was idle for as long as the connection that gave no answer is closed."""
    with relayed() as relay, Elevator(endpoint=relay.endpoint, timeout=60) as E:
        E.Put("k", "v")
        pool = pool_of(E)
        old, fresh = pool.acquire(Deadline.after(60)), pool.acquire(Deadline.after(60))
        pool.release(fresh)
        E.Get("k")
        pool.close_suspects(old, ConnectionLost("as after a firewall"))
        assert fresh.is_open
        pool.release(old)


def test_a_batch_of_its_own_connections_writes_after_one_error():
    with relayed() as relay:
        batch = WriteBatch(endpoint=relay.endpoint, timeout=LONG)
        batch.Put("a", "1")
        relay.forget()
        assert failures(lambda timeout: batch.Write(timeout=timeout), 2) == 1
        assert len(batch) == 0
        batch.disconnect()
