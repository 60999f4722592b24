"""A server that sends the same page for ever is found out at the first page that does not advance."""

import asyncio
from itertools import islice

import pytest

from pyelevator import AsyncElevator, Elevator
from pyelevator.application import Application
from pyelevator.codec import ClassicCodec, Limits
from pyelevator.commands import Range, Slice
from pyelevator.errors import LimitExceeded, ProtocolError
from pyelevator.messages import Response
from pyelevator.server import Server
from pyelevator.testing.servers import ANY_PORT

ROWS = [[b"k1", b"v"], [b"k2", b"v"]]


def same_page(request, forward):
    """An interceptor of the server's: every page is the first one, and there is always more."""
    if not isinstance(request.command, (Range, Slice)):
        return (yield from forward(request))
    cursor = b"cursor" if request.command.cursor is not False else None
    payload = request.gather() if getattr(request, "gather", None) else []
    payload.extend(ROWS if request.command.include_value else [row[0] for row in ROWS])
    return Response(payload, id=request.id, more=True, cursor=cursor)


@pytest.fixture
def endpoint():
    with Server(Application.in_memory(), [ANY_PORT], interceptors=[same_page]) as server:
        yield server.urls[0].removeprefix("tcp://")


CALLS = {
    "iter": lambda E: E.RangeIter(),
    "iter with a prefix": lambda E: E.RangeIter(prefix="k"),
    "iter of keys": lambda E: E.RangeIter(include_value=False),
    "iter of one moment": lambda E: E.RangeIter(consistent=True),
    "range": lambda E: E.Range("k", "l"),
    "range under a prefix": lambda E: E.Range("a", 1000, prefix="k"),
}


@pytest.mark.parametrize("call", CALLS)
def test_sync_ranges_end_with_an_error(endpoint, call):
    with Elevator(endpoint=endpoint) as E:
        with pytest.raises(ProtocolError, match="the range would never end"):
            list(islice(CALLS[call](E), 100))


@pytest.mark.parametrize("call", CALLS)
def test_async_ranges_end_with_an_error(endpoint, call):
    async def session():
        async with AsyncElevator(endpoint=endpoint) as E:
            found = CALLS[call](E)
            if asyncio.iscoroutine(found):
                return await found
            rows = 0
            async for _ in found:
                rows += 1
                assert rows < 100
            return rows

    with pytest.raises(ProtocolError, match="the range would never end"):
        asyncio.run(session())


def test_reverse_ranges_end_with_an_error(endpoint):
    with Elevator(endpoint=endpoint) as E:
        with pytest.raises(ProtocolError, match="the range would never end"):
            list(islice(E.RangeIter(reverse=True), 100))


def test_a_client_s_own_limits_are_given_with_its_dialect():
    with Server(Application.in_memory(), [ANY_PORT]) as server:
        codec = ClassicCodec(Limits(content_bytes=1000))
        with Elevator(endpoint=server.urls[0].removeprefix("tcp://"), dialect=codec) as E:
            E.Put("k", "v" * 2000)
            assert E.Get("k") == "v" * 2000
            with pytest.raises(LimitExceeded, match="over the limit of 1,000"):
                E.Get("k", compression=True)
