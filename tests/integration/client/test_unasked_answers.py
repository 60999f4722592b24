"""Answers to no request, beside right ones: no call ever takes them for its own."""

import asyncio
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from itertools import pairwise

import pytest

from pyelevator import AsyncElevator, Elevator
from pyelevator.codec import ClassicCodec, FlatCodec
from pyelevator.messages import Response
from pyelevator.protocol import ClientProtocol
from pyelevator.proxy import Proxy, Upstream
from pyelevator.testing.servers import ANY_PORT
from pyelevator.transports.zmtp.frames import encode_message
from support.accepting import Accepting
from support.eventually import SECONDS
from support.routers import shake_hands, taken

WRONG = Response(b"wrong")
CODECS = {"classic": ClassicCodec(), "flat": FlatCodec()}


def under(number, response=WRONG):
    return Response(response.payload, id=number)


ANSWERS = {
    "and under ids to come": lambda number, right: [right, *[under(number + step) for step in (1, 2, 3)]],
    "after those under ids to come": lambda number, right: [*[under(number + step) for step in (1, 2, 3)], right],
    "and under ids that were": lambda number, right: [right, *[under(number - step) for step in (1, 2, 3)]],
    "twice": lambda number, right: [right, right],
    "and one without an id": lambda number, right: [right, under(None)],
    "twice without ids": lambda number, right: [under(None, right), under(None, right)],
}
"""How a server answers a request with an id and a right response."""


class Unasked(Accepting):
    """Answers each GET with its key, and what the table of that name adds, all in one piece."""

    def __init__(self, name, codec):
        super().__init__(self._play)
        self._answers, self._codec, self._has_ids = ANSWERS[name], codec, "without ids" not in name

    @property
    def url(self):
        return f"tcp://{self.endpoint}"

    def _play(self, peer):
        shake_hands(peer)
        try:
            while True:
                flags, size = taken(peer, 2)
                frame = taken(peer, int.from_bytes(taken(peer, 8), "big") if flags & 2 else size)
                if not flags & 4:
                    request = self._codec.decode_request([frame])
                    peer.sendall(b"".join(self._replies(request)))
        except AssertionError:  # the client has left
            return

    def _replies(self, request):
        is_get = request.command.verb == "GET"
        right = Response(request.command.key if is_get else b"uid", id=request.id)
        for response in (
            self._answers(request.id or 0, right) if is_get else [right if self._has_ids else under(None, right)]
        ):
            yield from encode_message(self._codec.encode_response(response, request))


def watching(request, forward):
    """Look at every request, so that a proxy passes none on unread."""
    return (yield from forward(request))


WAYS = ["direct", "passed on", "looked into"]


@contextmanager
def url_of(server, way, dialect):
    if way == "direct":
        yield server.url
        return
    upstream = Upstream(f"{server.url}?dialect={dialect}", max_connections=1)
    with Proxy([ANY_PORT], upstream, [watching] if way == "looked into" else [], timeout=SECONDS) as proxy:
        yield proxy.urls[0]


def keys_of(client):
    return [f"{client}-{number}" for number in range(10)]


def ask_in_turn(url, dialect):
    def ask(client):
        with Elevator.from_url(url, dialect=dialect, timeout=SECONDS) as E:
            return [E.Get(key) for key in keys_of(client)]

    with ThreadPoolExecutor(2) as pool:
        return list(pool.map(ask, "ab"))


def ask_in_a_loop(url, dialect):
    async def ask(client):
        async with AsyncElevator.from_url(url, dialect=dialect, timeout=SECONDS) as E:
            return [await E.Get(key) for key in keys_of(client)]

    async def both():
        return list(await asyncio.gather(ask("a"), ask("b")))

    return asyncio.run(both())


def ask_at_once(url, dialect):
    async def ask(client):
        async with AsyncElevator.from_url(url, dialect=dialect, timeout=SECONDS) as E:
            return list(await asyncio.gather(*[E.Get(key) for key in keys_of(client)]))

    async def both():
        return list(await asyncio.gather(ask("a"), ask("b")))

    return asyncio.run(both())


@pytest.mark.parametrize("ask", [ask_in_turn, ask_in_a_loop, ask_at_once])
@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize(("name", "dialect"), [*[(name, "classic") for name in ANSWERS], ("twice without ids", "flat")])
def test_each_call_gets_the_answer_to_itself(name, dialect, way, ask):
    with Unasked(name, CODECS[dialect]) as server, url_of(server, way, dialect) as url:
        assert ask(url, "classic" if way != "direct" else dialect) == [keys_of("a"), keys_of("b")]


def test_ids_grow_and_leave_gaps_that_nobody_knows():
    two = [ClientProtocol(ClassicCodec()) for _ in range(2)]
    ids = [[protocol.next_id() for _ in range(1000)] for protocol in two]
    gaps = [{after - before for before, after in pairwise(each)} for each in ids]
    assert ids == [sorted(set(each)) for each in ids]
    assert min(map(len, gaps)) > 900
    assert max(map(max, ids)) < 1 << 53  # what peers that count in floating point can tell apart
