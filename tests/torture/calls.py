"""Calls of every kind, each with one right result that no other call has, and what became of them."""

import asyncio
import threading
import time
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from random import Random
from typing import Any, Final, TypeAlias

from attrs import define, field

from pyelevator import AsyncElevator, AsyncWriteBatch, Elevator, ElevatorError
from torture.report import count, ms, percentile

PAIRS: Final = 500
THREADS: Final = 4
BOUND: Final = 10.0
"""Seconds over its timeout that a call may take in a test, on whatever machine; the figures say what it took."""

Client: TypeAlias = Elevator[str]


def name(number: int) -> str:
    """The key with that number."""
    return f"key {number:04}"


def value(number: int) -> str:
    """The value that belongs to ``name(number)`` and to no other key."""
    return f"value of {number:04}"


def _batch(client: Any, number: int, timeout: float) -> Any:
    batch = client.WriteBatch(timeout=timeout)
    batch.Put(name(number), value(number))
    return _written_async(batch) if isinstance(batch, AsyncWriteBatch) else _written(batch)


def _written(batch: Any) -> None:
    try:
        batch.Write()
    finally:
        batch.Clear()


async def _written_async(batch: Any) -> None:
    try:
        await batch.Write()
    finally:
        batch.Clear()


COLUMNS: Final = ("server", "calls", "timeouts", "right answers", "worst over timeout", "99 %", "within 50 ms")

CALLS: Final[Mapping[str, tuple[Callable[[Any, int, float], Any], Callable[[int], Any]]]] = {
    "Get": (lambda c, n, t: c.Get(name(n), timeout=t), value),
    "Put": (lambda c, n, t: c.Put(name(n), value(n), timeout=t), lambda n: None),
    "Exists": (lambda c, n, t: c.Exists(name(n), timeout=t), lambda n: True),
    "Exists of a missing key": (lambda c, n, t: c.Exists(f"no {name(n)}", timeout=t), lambda n: False),
    "MGet": (
        lambda c, n, t: c.MGet([name(n), "no key", name(0)], timeout=t),
        lambda n: [value(n), None, value(0)],
    ),
    "Range": (
        lambda c, n, t: c.Range(name(n), name(n), timeout=t),
        lambda n: [[name(n), value(n)]],
    ),
    "Slice": (lambda c, n, t: c.Slice(name(n), 1, timeout=t), lambda n: [[name(n), value(n)]]),
    "WriteBatch": (_batch, lambda n: None),
}
"""Method -> how to call it for a number within a timeout, and the one right result; async clients give awaitables."""


def fill(client: Client) -> None:
    """Writes every pair that the calls ask for."""
    with client.WriteBatch() as batch:
        for number in range(PAIRS):
            batch.Put(name(number), value(number))


@define
class Calls:
    """What became of the calls of one or many threads.

    Attributes:
        overshoots: seconds by which each call took longer than its timeout; negative for less.
        right, timeouts: how many ended so.
        wrong: results that are another call's, or no error where none but an error is possible.
    """

    overshoots: list[float] = field(factory=list)
    right: int = 0
    timeouts: int = 0
    wrong: list[str] = field(factory=list)

    def make(self, what: str, call: Callable[[], Any], timeout: float, expected: Any) -> None:
        """Makes one call and notes its end."""
        with self._noting(what, timeout) as results:
            results.append((call(), expected))

    async def make_async(self, what: str, call: Callable[[], Awaitable[Any]], timeout: float, expected: Any) -> None:
        """Makes one call and notes its end."""
        with self._noting(what, timeout) as results:
            results.append((await call(), expected))

    @contextmanager
    def _noting(self, what: str, timeout: float) -> Iterator[list[tuple[Any, Any]]]:
        results: list[tuple[Any, Any]] = []
        start = time.monotonic()
        try:
            yield results
        except TimeoutError:  # which RequestTimeout is, and what asyncio.wait_for raises
            self.timeouts += 1
        except ElevatorError as error:
            self.wrong.append(f"{what} raised {error!r}")
        self.overshoots.append(time.monotonic() - start - timeout)
        for result, expected in results:
            self.right += result == expected
            self.wrong += [] if result == expected else [f"{what} gave {result!r} instead of {expected!r}"]

    def some(self, client: Client, seed: int, calls: int, timeouts: tuple[float, float]) -> None:
        """Makes random calls with random timeouts."""
        for call in random_calls(client, seed, calls, timeouts):
            self.make(*call)

    async def some_async(
        self, client: AsyncElevator[str], seed: int, calls: int, timeouts: tuple[float, float]
    ) -> None:
        """Makes random calls with random timeouts, one after the other; a third of them is cancelled after half."""
        dice = Random(seed)

        async def within(call: Callable[[], Awaitable[Any]], wait_timeout: float | None) -> Any:
            return await asyncio.wait_for(call(), wait_timeout)

        for what, call, timeout, expected in random_calls(client, seed, calls, timeouts):
            wait_timeout = timeout / 2 if dice.random() < 1 / 3 else None
            await self.make_async(what, partial(within, call, wait_timeout), timeout, expected)

    def figures(self) -> tuple[str, ...]:
        """As ``COLUMNS`` say."""
        exceeded = [max(0.0, seconds) for seconds in self.overshoots]
        within = sum(seconds <= 0.05 for seconds in exceeded) / len(exceeded)
        counts = map(count, (len(exceeded), self.timeouts, self.right))
        return *counts, ms(max(exceeded)), ms(percentile(exceeded, 99)), f"{within:.2%}"

    def violations(self, what: str) -> list[str]:
        exceeded = (
            [f"a call ended {ms(max(self.overshoots))} after its timeout"] if max(self.overshoots) > BOUND else []
        )
        return [f"{what}: {wrong}" for wrong in [*self.wrong[:5], *exceeded]]


def random_calls(
    client: Any, seed: int, calls: int, timeouts: tuple[float, float]
) -> Iterator[tuple[str, Callable[[], Any], float, Any]]:
    """What to call, how, its timeout, and what it must give."""
    dice = Random(seed)
    for _ in range(calls):
        what, number, timeout = dice.choice(list(CALLS)), dice.randrange(PAIRS), dice.uniform(*timeouts)
        call, expected = CALLS[what]
        yield what, partial(call, client, number, timeout), timeout, expected(number)


def in_threads(work: Callable[[Calls, int], None]) -> Calls:
    """Runs the work in several threads, each with its number, and adds up what they counted."""
    parts = [Calls() for _ in range(THREADS)]
    threads = [threading.Thread(target=work, args=(part, i)) for i, part in enumerate(parts)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return added(parts)


async def in_tasks(work: Callable[[Calls, int], Awaitable[None]], tasks: int) -> Calls:
    """The same with tasks of one event loop."""
    parts = [Calls() for _ in range(tasks)]
    await asyncio.gather(*(work(part, i) for i, part in enumerate(parts)))
    return added(parts)


def added(parts: Sequence[Calls]) -> Calls:
    """All of them together."""
    return Calls(
        [seconds for part in parts for seconds in part.overshoots],
        sum(part.right for part in parts),
        sum(part.timeouts for part in parts),
        [wrong for part in parts for wrong in part.wrong],
    )
