"""What servers keep for the clients of a proxy is given back when these leave."""

import asyncio

import pytest

from pyelevator import AsyncElevator, Elevator
from pyelevator.application import Application, Policy
from pyelevator.codec import ClassicCodec
from pyelevator.commands import Get, Pipeline, Put, Range, Slice
from pyelevator.deadlines import Deadline
from pyelevator.interceptors import RequestLog
from pyelevator.messages import Request
from pyelevator.proxy import Proxy
from pyelevator.testing.servers import ANY_PORT, serve
from pyelevator.transports import TcpTransport
from support.eventually import eventually


@pytest.fixture(params=[(), (RequestLog(),)], ids=["passed on", "with an interceptor"])
def proxied(request, monkeypatch):
    monkeypatch.setattr(
        "pyelevator.application.cursors._RECONNECT_TIME", 600.0
    )  # lest the server gives them back by itself
    monkeypatch.setattr("pyelevator.proxy.upstreams._ROUND", 600.0)  # lest a heartbeat is what wakes the proxy up
    application = Application.in_memory(Policy(max_cursors=3))
    with serve(application) as server, Proxy([ANY_PORT], server.urls[0], request.param) as proxy:
        with Elevator.from_url(proxy.urls[0], timeout=30) as E, E.WriteBatch() as batch:
            for number in range(100):
                batch.Put(f"{number:03}", "v" * 100_000)
        yield application, proxy.urls[0]


def wait_for_count(count, cursors):
    """Wait for far longer than it takes, and less than the transports do something by themselves."""
    eventually(lambda: len(cursors) == count, lambda: f"{count} cursors and not {len(cursors)}", seconds=25)


def test_a_client_that_leaves_a_proxy_gives_its_cursors_back(proxied):
    application, url = proxied
    with Elevator.from_url(url, timeout=30) as other:
        kept = other.RangeIter(consistent=True)
        next(kept)
        leaving = Elevator.from_url(url, timeout=30)
        iterators = [leaving.RangeIter(consistent=True) for _ in range(2)]
        for iterator in iterators:
            next(iterator)
        wait_for_count(3, application.cursors)
        leaving.disconnect()
        wait_for_count(1, application.cursors)
        assert len(list(kept)) == 99
        wait_for_count(0, application.cursors)


def test_an_async_client_that_leaves_a_proxy_gives_its_cursors_back(proxied):
    application, url = proxied

    async def main():
        async with AsyncElevator.from_url(url, timeout=30) as E:
            async for _ in E.RangeIter(consistent=True):
                break
            wait_for_count(1, application.cursors)

    asyncio.run(main())
    wait_for_count(0, application.cursors)


def test_many_clients_that_leave_shut_no_client_out(proxied):
    application, url = proxied
    for _ in range(10):
        with Elevator.from_url(url, timeout=30) as E:
            rows = E.RangeIter(consistent=True)
            next(rows)
            del rows
    wait_for_count(0, application.cursors)


def pipelined(*commands):
    """What opens cursors for a client that does not go on, over a connection to ``url`` that stays; the answers."""

    def ask(url, link):
        codec = ClassicCodec()
        with Elevator.from_url(url, timeout=30) as E:
            request = Request(Pipeline(commands), E.db_uid, 77)
        link.send(codec.encode_request(request), Deadline.after(30))
        return codec.decode_response(link.receive(Deadline.after(30)), request).payload

    return ask


def opening(verb):
    return {
        "SLICE": Slice("0", 2, cursor=True),
        "RANGE": Range("0", "9", max_bytes=1, cursor=True),
    }[verb]


@pytest.mark.parametrize("padding", [0, 1_000_000], ids=["small", "large"])
@pytest.mark.parametrize("verb", ["SLICE", "RANGE"])
def test_cursors_of_a_pipeline_are_given_back_when_its_client_leaves(proxied, verb, padding):
    application, url = proxied
    ask = pipelined(Put("x", "v" * padding), opening(verb), Get("000"), opening(verb))
    link = TcpTransport(url.removeprefix("tcp://"))
    answers = ask(url, link)
    assert [getattr(answer, "cursor", None) is not None for answer in answers] == [False, True, False, True]
    wait_for_count(2, application.cursors)
    link.close()
    wait_for_count(0, application.cursors)


def test_a_cursor_given_back_in_a_pipeline_is_given_back_once(proxied):
    application, url = proxied
    link = TcpTransport(url.removeprefix("tcp://"))
    _, opened = pipelined(Get("000"), opening("SLICE"))(url, link)
    wait_for_count(1, application.cursors)
    pipelined(Get("000"), Slice(cursor=opened.cursor))(url, link)
    wait_for_count(0, application.cursors)
    with Elevator.from_url(url, timeout=30) as other:
        kept = other.RangeIter(consistent=True)
        next(kept)
        link.close()
        assert len(list(kept)) == 99


def test_cursors_of_async_iterators_that_begin_together_are_given_back(proxied):
    application, url = proxied

    async def main():
        async with AsyncElevator.from_url(url, timeout=30) as E:
            await E.Get("000")
            iterators = [E.RangeIter(consistent=True) for _ in range(3)]
            await asyncio.gather(*[anext(iterator) for iterator in iterators])
            wait_for_count(3, application.cursors)

    asyncio.run(main())
    wait_for_count(0, application.cursors)
