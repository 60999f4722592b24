"""`python -m benchmarks async`: 20,000 awaited Gets with 128 in flight, beside a bare zmq.asyncio window of 128.

The peer is what a user would write without this package: a DEALER of zmq.asyncio that keeps 128 requests in flight, with
the frames of the same Get, and the answers unread; once towards a bare echo, and once towards our own server.
"""

import asyncio
from collections.abc import Awaitable, Callable, Iterator, Sequence
from functools import partial
from itertools import repeat
from typing import Final, TypeAlias

import uvloop
import zmq
import zmq.asyncio

from benchmarks import peers
from benchmarks.bed import PAIRS, Bed
from benchmarks.measure import Goal, Row, compare, rate
from pyelevator import AsyncElevator
from pyelevator.codec import ClassicCodec
from pyelevator.commands import Get
from pyelevator.loadtest.workloads import random_keys
from pyelevator.messages import Request, Response

REQUESTS: Final = 20_000
WINDOW: Final = 128
KEYS: Final = random_keys(PAIRS, 1000)
VALUE: Final = b"v" * 100
GOAL: Final = Goal(1.8, 2.5)
LOOPS: Final = {"asyncio": asyncio.new_event_loop, "uvloop": uvloop.new_event_loop}

Client: TypeAlias = AsyncElevator[bytes]


async def window(url: str, frames: Sequence[bytes]) -> None:
    """Keeps WINDOW requests in flight on a bare socket until all are answered."""
    with zmq.asyncio.Context.instance().socket(zmq.DEALER) as socket:
        socket.connect(url)
        for _ in range(WINDOW):
            await socket.send_multipart(frames)
        for number in range(REQUESTS):
            await socket.recv_multipart()
            if number < REQUESTS - WINDOW:
                await socket.send_multipart(frames)


async def workers(client: Client) -> None:
    """As many tasks as the window is large, each of which awaits one Get after the other."""
    numbers = iter(range(REQUESTS))

    async def work() -> None:
        for number in numbers:
            await client.Get(KEYS[number % len(KEYS)])

    await asyncio.gather(*(work() for _ in repeat(None, WINDOW)))


async def semaphore(client: Client) -> None:
    """A task for each Get, as many of them at once as the window is large."""
    free = asyncio.Semaphore(WINDOW)

    async def one(number: int) -> None:
        async with free:
            await client.Get(KEYS[number % len(KEYS)])

    await asyncio.gather(*(one(number) for number in range(REQUESTS)))


async def collected(client: Client, most: int = REQUESTS) -> None:
    """All Gets at once, or ``most`` at a time."""
    for first in range(0, REQUESTS, most):
        numbers = range(first, min(first + most, REQUESTS))
        await asyncio.gather(*(client.Get(KEYS[number % len(KEYS)]) for number in numbers))


WORKS: Final[dict[str, Callable[[Client], Awaitable[None]]]] = {
    f"{WINDOW} tasks": workers,
    f"a task for each Get, {WINDOW} at once": semaphore,
    f"gather of {REQUESTS:,}": collected,
    f"gathers of {WINDOW}": partial(collected, most=WINDOW),
}


def rows(
    server: str,
    database: str,
    echo: str,
    frames: Sequence[bytes],
    rounds: int,
    loops: Sequence[str] = tuple(LOOPS),
    works: Sequence[str] = tuple(WORKS),
) -> Iterator[Row]:
    """Each loop and each way to write it, beside the window towards the echo and towards our server."""
    for loop_name in loops:
        new_loop = LOOPS[loop_name]
        with asyncio.Runner(loop_factory=new_loop) as runner:
            client = Client(database, endpoint=server.partition("://")[2], encoding=None, timeout=60)
            for name in works:
                ours = partial(rate, lambda work=WORKS[name], client=client: runner.run(work(client)), REQUESTS)
                for peer, url in (("zmq.asyncio, bare echo", echo), ("zmq.asyncio, our server", server)):
                    theirs = partial(rate, lambda url=url: runner.run(window(url, frames)), REQUESTS)
                    yield compare(f"Get on {loop_name}, {name}", peer, ours, theirs, GOAL, rounds)
            runner.run(client.disconnect())


def awaited(bed: Bed) -> Iterator[Row]:
    """The rows with a goal alone: a task for each Get, on asyncio."""
    yield from measured(bed, ["asyncio"], [name for name, work in WORKS.items() if work is semaphore])


def measured(bed: Bed, loops: Sequence[str] = tuple(LOOPS), works: Sequence[str] = tuple(WORKS)) -> Iterator[Row]:
    """The same on the server and the pairs of the goal table."""
    request = Request(Get(random_keys(PAIRS, 1)[0]), bed.reader.db_uid, 1000)
    frames = ClassicCodec().encode_request(request)
    with peers.echo_process(ClassicCodec().encode_response(Response(VALUE, id=1000), request)) as echo:
        yield from rows(bed.server.urls[0], bed.reader.db_name, echo, frames, bed.plan.rounds, loops, works)
