"""A client knows how large a message its server takes, and says so before it sends a larger one."""

import asyncio
import logging
from contextlib import ExitStack, contextmanager

import pytest

from pyelevator import (
    AsyncElevator,
    Elevator,
    MessageTooLarge,
    Retry,
    ServerError,
    UsageError,
    WriteBatch,
)
from pyelevator.application import Application
from pyelevator.codec import Limits
from pyelevator.protocol import RequestDecoder
from pyelevator.proxy import Proxy
from pyelevator.server import Server
from pyelevator.transports import FakeTransport

ANY_PORT = "tcp://127.0.0.1:0"
LIMIT = 10_000
ROOMY = Limits()
SMALL = Limits(frame_bytes=LIMIT)


@contextmanager
def served(limits=SMALL):
    with Server(Application.in_memory(), [ANY_PORT], limits=limits) as server:
        yield server.urls[0]


@contextmanager
def proxied(limits, own):
    with served(limits) as upstream, Proxy([ANY_PORT], upstream, limits=own) as proxy:
        yield proxy.urls[0]


@pytest.fixture(params=["server", "proxy before it", "narrower proxy"])
def url(request, caplog):
    ways = {
        "server": served,
        "proxy before it": lambda: proxied(SMALL, ROOMY),
        "narrower proxy": lambda: proxied(ROOMY, SMALL),
    }
    with ways[request.param]() as url, caplog.at_level(logging.INFO, "pyelevator.protocol"):
        yield url
    assert "refused a message" not in caplog.text


TOO_LARGE = r"^a request of 20,\d\d\d bytes is over the server's limit of 10,000, .*--max-message"
LARGE = "v" * 20_000


def test_a_put_over_the_servers_limit_is_refused_unsent(url):
    with Elevator.from_url(url) as E:
        with pytest.raises(UsageError, match=TOO_LARGE) as caught:
            E.Put("k", LARGE)
        assert isinstance(caught.value, MessageTooLarge)
        assert caught.value.limit == LIMIT
        assert 20_000 < caught.value.size < 20_200
        E.Put("k", "small")
        assert E.Get("k") == "small"


def test_every_large_request_is_refused_unsent(url):
    with Elevator.from_url(url) as E:
        calls = [
            lambda: E.Get(LARGE),
            lambda: E.Delete(LARGE),
            lambda: E.Exists(LARGE),
            lambda: E.Range(LARGE, LARGE),
            lambda: E.MGet([LARGE[:10_000], LARGE[:10_001]]),
            lambda: E.Put("k", LARGE, sync=True),
            lambda: list(E.RangeIter(LARGE)),
        ]
        for call in calls:
            with pytest.raises(MessageTooLarge, match="over the server's limit of 10,000"):
                call()
        assert E.ping() == "PONG"


def test_a_batch_over_the_limit_keeps_its_operations(url):
    with Elevator.from_url(url) as E:
        batch = E.WriteBatch()
        for number in range(20):
            batch.Put(f"{number:02}", "v" * 1000)
        with pytest.raises(MessageTooLarge, match=TOO_LARGE):
            batch.Write()
        assert len(batch) == 20
        batch.Clear()
        assert E.Range() == []
    with WriteBatch.from_url(url) as batch:
        batch.Put("own", "connection")
        batch.Write()
        batch.Put("k", LARGE)
        with pytest.raises(MessageTooLarge, match=TOO_LARGE):
            batch.Write()
        batch.Clear()


@pytest.mark.parametrize("retry", [None, Retry()], ids=["plain", "with an interceptor"])
def test_a_pipeline_over_the_limit_is_sent_in_parts(url, retry):
    with Elevator.from_url(url, retry=retry) as E:
        with E.pipeline() as pipeline:
            for number in range(100):
                pipeline.Put(f"{number:02}", "v" * 1000)
        assert [E.Get(f"{number:02}") for number in range(100)] == ["v" * 1000] * 100


@pytest.mark.parametrize("retry", [None, Retry()], ids=["plain", "with an interceptor"])
def test_the_one_large_command_of_a_pipeline_fails_alone(url, retry):
    with Elevator.from_url(url, retry=retry) as E:
        pipeline = E.pipeline()
        puts = [pipeline.Put("a", "1"), pipeline.Put("b", LARGE), pipeline.Put("c", "3" * 9000)]
        with pytest.raises(MessageTooLarge, match=TOO_LARGE):
            pipeline.execute()
        assert [type(put.exception()) for put in puts] == [type(None), MessageTooLarge, type(None)]
        assert E.Range() == [["a", "1"], ["c", "3" * 9000]]


def test_async_calls_over_the_limit_fail_each_alone(url):
    async def main():
        async with AsyncElevator.from_url(url) as E:
            calls = [E.Put(f"{number:02}", "v" * 1000) for number in range(50)]
            done = await asyncio.gather(*calls, E.Put("large", LARGE), E.Get(LARGE), return_exceptions=True)
            assert done[:50] == [None] * 50
            assert [type(error) for error in done[50:]] == [MessageTooLarge] * 2
            batch = E.WriteBatch()
            batch.Put("k", LARGE)
            with pytest.raises(MessageTooLarge, match=TOO_LARGE):
                await batch.Write()
            batch.Clear()
            pipeline = E.pipeline()
            for number in range(50):
                pipeline.Put(f"{number:02}", "w" * 1000)
            await pipeline.execute()
            assert [await E.Get(f"{number:02}") for number in range(50)] == ["w" * 1000] * 50

    asyncio.run(main())


def test_a_request_just_at_the_limit_is_sent_and_answered():
    with served() as url, Elevator.from_url(url) as E:
        with pytest.raises(MessageTooLarge) as caught:
            E.Put("k", "v" * LIMIT)
        room = LIMIT - (caught.value.size - LIMIT)
        E.Put("k", "v" * room)
        assert E.Get("k") == "v" * room
        with pytest.raises(MessageTooLarge, match="a request of 10,001 bytes"):
            E.Put("k", "v" * (room + 1))


def test_a_fake_tells_its_limit_too():
    transport = FakeTransport()
    transport._decoder = RequestDecoder(SMALL)
    transport.clone = lambda: transport  # type: ignore[method-assign]
    with Elevator(transport=transport) as E, pytest.raises(MessageTooLarge, match=TOO_LARGE):
        E.Put("k", LARGE)


@pytest.mark.parametrize("is_async", [False, True], ids=["sync", "async"])
def test_a_raised_limit_is_learned_when_it_matters(tmp_path, is_async):
    path = f"ipc://{tmp_path}/s"

    @contextmanager
    def server(limits):
        application = Application.on_leveldb(str(tmp_path / "data"))
        with Server(application, [path], limits=limits):
            yield

    async def main():
        async with AsyncElevator.from_url(path) as E:
            await E.Put("k", "v")
            with pytest.raises(MessageTooLarge):
                await E.Put("k", LARGE)
            stack.pop_all().close()
            with server(ROOMY):
                await E.Put("k", LARGE)
                assert await E.Get("k") == LARGE

    def main_sync():
        with Elevator.from_url(path) as E:
            with pytest.raises(MessageTooLarge):
                E.Put("k", LARGE)
            stack.pop_all().close()
            with server(ROOMY):
                E.Put("k", LARGE)
                assert E.Get("k") == LARGE

    pytest.importorskip("plyvel")
    with ExitStack() as stack:
        stack.enter_context(server(SMALL))
        if is_async:
            asyncio.run(main())
        else:
            main_sync()


def test_limits_behind_one_proxy_hold_for_their_databases():
    from pyelevator.proxy import Upstream

    with served(SMALL) as small, served(ROOMY) as roomy:
        upstreams = [Upstream(small, ("small-*",), "small"), Upstream(roomy, ("*",), "roomy")]
        with Proxy([ANY_PORT], upstreams) as proxy, Elevator.from_url(proxy.urls[0]) as E:
            E.createdb("small-1")
            E.connect("small-1")
            with pytest.raises(MessageTooLarge):
                E.Put("k", LARGE)
            E.connect("default")
            E.Put("k", LARGE)
            assert E.Get("k") == LARGE


def test_a_dialect_that_tells_no_limit_gets_the_servers_error():
    with served() as url, Elevator.from_url(url, dialect="flat") as E:
        with pytest.raises(ServerError, match="over the limit of 10,000; --max-message"):
            E.Put("k", "v" * 15_000)
