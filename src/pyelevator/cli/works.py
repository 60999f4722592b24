"""What ``elevator bench`` does with a server, and with which data; `make bench` does the same beside its peers."""

import os
import random
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import cache
from itertools import cycle
from typing import Final, TypeAlias

from attrs import frozen

from pyelevator.cli.crowd import Steps
from pyelevator.client import Elevator

_POOL_BYTES: Final = 1 << 20
_SPREAD: Final = 7919
_PUT_EVERY: Final = 5
_TIMEOUT: Final = 60.0


def key(number: int) -> bytes:
    """The key of a pair: 16 bytes, in the order of the numbers."""
    return b"%016d" % number


@cache
def _pool() -> bytes:
    return random.Random(1).randbytes(_POOL_BYTES)  # noqa: S311 - the same bytes in every run


def value(number: int, size: int = 100) -> bytes:
    """The value of a pair: random bytes, then the same once more, so that half of it can be compressed away."""
    half = (size + 1) // 2
    start = number * _SPREAD % (_POOL_BYTES - half)
    return (_pool()[start : start + half] * 2)[:size]


def pairs(first: int, count: int, size: int = 100) -> list[tuple[bytes, bytes]]:
    """So many pairs, in order."""
    return [(key(number), value(number, size)) for number in range(first, first + count)]


def random_keys(among: int, count: int, seed: int = 1) -> list[bytes]:
    """Keys of the first ``among`` pairs, in no order; none twice while there are enough of them."""
    rng = random.Random(seed)  # noqa: S311 - the same keys in every run
    numbers = range(among)
    return [key(number) for number in (rng.sample(numbers, count) if count <= among else rng.choices(numbers, k=count))]


def opened(url: str, database: str) -> Elevator[bytes]:
    """A client for measuring: bytes, connected to the database, with a long timeout."""
    client: Elevator[bytes] = Elevator[bytes].from_url(url, encoding=None, auto_connect=False)
    client.connect(database)
    client.timeout = _TIMEOUT
    return client


@frozen
class Stock:
    """What the measured database holds.

    Attributes:
        pairs: all of it.
        keys: some keys of it, in no order.
    """

    pairs: Sequence[tuple[bytes, bytes]]
    keys: Sequence[bytes]

    @classmethod
    def of(cls, count: int) -> "Stock":
        """So many pairs, and a tenth of their keys."""
        return cls(pairs(0, count), random_keys(count, max(count // 10, 1)))


def gets(client: Elevator[bytes], stock: Stock) -> Steps:
    """One Get a step."""
    for some in cycle(stock.keys):
        client.Get(some)
        yield 1


def puts(client: Elevator[bytes], stock: Stock) -> Steps:
    """One Put a step."""
    for some, content in cycle(stock.pairs):
        client.Put(some, content)
        yield 1


def batches(client: Elevator[bytes], stock: Stock) -> Steps:
    """A batch of puts a step, building included."""
    while True:
        with client.WriteBatch(timeout=_TIMEOUT) as batch:
            for some, content in stock.pairs:
                batch.Put(some, content)
        yield len(stock.pairs)


def multi_gets(client: Elevator[bytes], stock: Stock) -> Steps:
    """An MGet of random keys a step."""
    while True:
        yield len(client.MGet(stock.keys))


def ranges(client: Elevator[bytes], _stock: Stock) -> Steps:
    """The whole database in one answer a step."""
    while True:
        yield len(client.Range())


def range_iterations(client: Elevator[bytes], _stock: Stock) -> Steps:
    """The whole database page by page a step."""
    while True:
        yield sum(1 for _ in client.RangeIter())


def mixed(client: Elevator[bytes], keys: Sequence[bytes]) -> Steps:
    """Four Gets of random keys, then a Put, one a step."""
    for turn, some in enumerate(cycle(keys)):
        if turn % _PUT_EVERY:
            client.Get(some)
        else:
            client.Put(some, value(turn))
        yield 1


@contextmanager
def mixed_at(url: str, database: str, among: int) -> Iterator[Steps]:
    """The mixed work of one process of a crowd (a crowd.Work): keys of its own among so many pairs."""
    with opened(url, database) as client:
        yield mixed(client, random_keys(among, 10_000, seed=os.getpid()))


Work: TypeAlias = Callable[[Elevator[bytes], Stock], Steps]

WORKS: Final[Mapping[str, Work]] = {
    "Put": puts,
    "Get": gets,
    "WriteBatch of {pairs:,} puts": batches,
    "MGet of {keys:,} random keys": multi_gets,
    "Range of {pairs:,}": ranges,
    "RangeIter over {pairs:,}": range_iterations,
}
"""What is done -> its steps; an operation is a key or a pair."""
