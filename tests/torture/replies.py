"""Late, doubled and reordered replies: no call ever gets the answer to another one."""

import asyncio
import random
from collections.abc import Mapping
from functools import partial
from typing import Final

from attrs import frozen

from pyelevator import AsyncElevator, Elevator
from pyelevator.client.options import TypedOptions
from torture.calls import PAIRS, Calls, Client, fill, in_tasks, in_threads
from torture.report import Findings, count
from torture.unruly import BEHAVIOURS, Behaviour, Unruly, unruly

OWN: Final = 5
"""Keys of each thread at a time, which only it writes: it must read what it wrote."""

TASKS: Final = 16


@frozen
class Result:
    """The calls to one unruly server, and what it did meanwhile."""

    calls: Calls
    server: Unruly

    def figures(self) -> tuple[str, ...]:
        server, calls = self.server, self.calls
        counts = (len(calls.overshoots), calls.right, calls.timeouts)
        did = (server.replies, server.delayed, server.reordered, server.doubled)
        return *map(count, (*counts, *did)), str(len(calls.wrong))


COLUMNS: Final = (
    *("server", "calls", "right answers", "timeouts"),
    *("replies sent", "late", "out of order", "doubled", "answers of another call"),
)


def work(clients: tuple[Client, Client], calls: int, timeout: float, seed: int, result: Calls, thread: int) -> None:
    """One thread: half of its calls over a client that all share, half over one that two share."""
    choose, known = random.Random(seed * 100 + thread), dict[int, tuple[str, str]]()
    for number in range(calls):
        client, within = clients[thread % 2 * choose.randrange(2)], choose.uniform(0.001, timeout)
        if choose.random() < 0.3:
            _own(client, known, choose.randrange(OWN), f"{thread} {number}", within, result)
        else:
            result.some(client, choose.randrange(1 << 30), 1, (within, within))


def _own(client: Client, known: dict[int, tuple[str, str]], slot: int, word: str, within: float, result: Calls) -> None:
    """Reads a key that no other thread writes, and writes it.

    A write that timed out may be executed after the next one, over another connection: then its key is used no more.
    """
    key, expected = known.pop(slot, (f"own {word}", ""))
    if expected:
        result.make("Get of an own key", partial(client.Get, key, timeout=within), within, expected)
    before = result.timeouts
    result.make("Put of an own key", partial(client.Put, key, word, timeout=within), within, None)
    if result.timeouts == before:
        known[slot] = key, word


def attempt(behaviour: Behaviour, calls: int, seed: int) -> Result:
    """Makes calls to a server that behaves like that; timeouts are as long as its longest delay, or shorter."""
    with unruly(behaviour, seed) as server:
        address = server.url.partition("://")[2]
        options: TypedOptions = {"endpoint": address, "dialect": behaviour.dialect, "timeout": 20.0}
        few: TypedOptions = {**options, "max_connections": 3}
        with Elevator(**few) as shared, Elevator(**options) as other:
            fill(shared)
            made = in_threads(partial(work, (shared, other), calls, behaviour.latest, seed))
    return Result(made, server)


def attempt_async(behaviour: Behaviour, calls: int, seed: int) -> Result:
    """The same with tasks that share one async client; some calls are cancelled."""
    with unruly(behaviour, seed) as server:
        options: TypedOptions = {
            "endpoint": server.url.partition("://")[2],
            "dialect": behaviour.dialect,
            "timeout": 20.0,
        }
        with Elevator(**options) as client:
            fill(client)

        async def tasks() -> Calls:
            async with AsyncElevator(**options) as client:
                await client.ping()
                timeouts = (0.001, behaviour.latest)
                return await in_tasks(lambda part, i: part.some_async(client, seed * 100 + i, calls, timeouts), TASKS)

        made = asyncio.run(tasks())
    return Result(made, server)


def run(*, calls: int, behaviours: Mapping[str, Behaviour] = BEHAVIOURS, seed: int = 1) -> Findings:
    """Makes ``4 * calls`` calls to each of the unruly servers, from threads, and as many from tasks.

    Args:
        calls: of each thread; a task makes a quarter of it.
        behaviours: of each server, by name.
        seed: of the calls, their timeouts, and what the server does to the replies.
    """
    results = {f"{what}, threads": attempt(behaviour, calls, seed) for what, behaviour in behaviours.items()}
    results |= {f"{what}, tasks": attempt_async(behaviour, calls // 4, seed) for what, behaviour in behaviours.items()}
    violations = [wrong for what, result in results.items() for wrong in result.calls.violations(what)]
    violations += [f"{what}: no call got an answer" for what, result in results.items() if not result.calls.right]
    return Findings(
        "Late, reordered and doubled replies",
        "A server on a real socket executes requests at once and answers when it likes: half of the replies at once, "
        "the others up to 100 ms later, in any order, and some twice (with ids: any reply at another moment; flat: "
        "MGET, RANGE and SLICE, as the old flat server does). Threads share clients, and tasks an async one; their "
        "timeouts are between 0 and 100 ms, and some tasks cancel, so that many replies come after their call is gone. "
        f"{PAIRS} keys have a value of their own each; other keys are written by one thread each, which must read what "
        "it wrote.",
        {what: result.figures() for what, result in results.items()},
        violations,
        COLUMNS,
    )
