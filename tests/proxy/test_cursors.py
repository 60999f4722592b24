"""What servers keep for the clients of a proxy is given back when these leave."""

import asyncio
import time

import pytest

from pyelevator import AsyncElevator, Elevator
from pyelevator.application import Application, Policy
from pyelevator.interceptors import RequestLog
from pyelevator.proxy import Proxy
from pyelevator.testing.servers import ANY_PORT, serve


@pytest.fixture(params=[(), (RequestLog(),)], ids=["passed on", "with an interceptor"])
def proxied(request):
    application = Application.in_memory(Policy(max_cursors=3))
    with serve(application) as server, Proxy([ANY_PORT], server.urls[0], request.param) as proxy:
        with Elevator.from_url(proxy.urls[0], timeout=30) as E, E.WriteBatch() as batch:
            for number in range(100):
                batch.Put(f"{number:03}", "v" * 100_000)
        yield application, proxy.urls[0]


def becomes(count, cursors):
    end = time.monotonic() + 4  # a server gives them back by itself after 5 s
    while len(cursors) != count and time.monotonic() < end:
        time.sleep(0.01)
    return len(cursors) == count


def test_a_client_that_leaves_a_proxy_gives_its_cursors_back(proxied):
    application, url = proxied
    with Elevator.from_url(url, timeout=30) as other:
        kept = other.RangeIter(consistent=True)
        next(kept)
        leaving = Elevator.from_url(url, timeout=30)
        iterators = [leaving.RangeIter(consistent=True) for _ in range(2)]
        for iterator in iterators:
            next(iterator)
        assert becomes(3, application.cursors)
        leaving.disconnect()
        assert becomes(1, application.cursors)
        assert len(list(kept)) == 99
        assert becomes(0, application.cursors)


def test_an_async_client_that_leaves_a_proxy_gives_its_cursors_back(proxied):
    application, url = proxied

    async def main():
        async with AsyncElevator.from_url(url, timeout=30) as E:
            async for _ in E.RangeIter(consistent=True):
                break
            assert becomes(1, application.cursors)

    asyncio.run(main())
    assert becomes(0, application.cursors)


def test_many_clients_that_leave_shut_nobody_out(proxied):
    application, url = proxied
    for _ in range(10):
        with Elevator.from_url(url, timeout=30) as E:
            rows = E.RangeIter(consistent=True)
            next(rows)
            del rows
    assert becomes(0, application.cursors)
