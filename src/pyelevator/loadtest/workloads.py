"""The workloads and data of ``elevator bench`` and of the project's benchmarks."""

import os
import random
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import cache
from itertools import cycle
from typing import Final, TypeAlias

from attrs import frozen

from pyelevator.client import Elevator
from pyelevator.loadtest.processes import Workload

_POOL_BYTES: Final = 1 << 20
_POOL_STRIDE: Final = 7919
_PUT_EVERY: Final = 5
_CALL_TIMEOUT: Final = 60.0


def key(number: int) -> bytes:
    """Return the key of a pair: 16 bytes, in the order of the numbers."""
    return b"%016d" % number


@cache
def _pool() -> bytes:
    return random.Random(1).randbytes(_POOL_BYTES)  # noqa: S311 - the same bytes in every run


def value(number: int, size: int = 100) -> bytes:
    """Return the value of a pair: random bytes, repeated once, so that they compress to a half."""
    half = (size + 1) // 2
    start = number * _POOL_STRIDE % (_POOL_BYTES - half)
    return (_pool()[start : start + half] * 2)[:size]


def pairs(first: int, count: int, size: int = 100) -> list[tuple[bytes, bytes]]:
    """Return consecutive pairs."""
    return [(key(number), value(number, size)) for number in range(first, first + count)]


def random_keys(among: int, count: int, seed: int = 1) -> list[bytes]:
    """Return random keys of the first ``among`` pairs, without repetition if there are enough."""
    rng = random.Random(seed)  # noqa: S311 - the same keys in every run
    numbers = range(among)
    return [key(number) for number in (rng.sample(numbers, count) if count <= among else rng.choices(numbers, k=count))]


def connect(url: str, database: str) -> Elevator[bytes]:
    """Open a client that returns bytes, connected to a database, with a long timeout."""
    client: Elevator[bytes] = Elevator[bytes].from_url(url, encoding=None, auto_connect=False)
    client.connect(database)
    client.timeout = _CALL_TIMEOUT
    return client


@frozen
class Dataset:
    """The content of the measured database, and a random tenth of its keys."""

    pairs: Sequence[tuple[bytes, bytes]]
    keys: Sequence[bytes]

    @classmethod
    def generate(cls, count: int) -> "Dataset":
        """Return a dataset of so many pairs."""
        return cls(pairs(0, count), random_keys(count, max(count // 10, 1)))


def gets(client: Elevator[bytes], dataset: Dataset) -> Workload:
    """Get one key per step."""
    for some in cycle(dataset.keys):
        client.Get(some)
        yield 1


def puts(client: Elevator[bytes], dataset: Dataset) -> Workload:
    """Put one pair per step."""
    for some, content in cycle(dataset.pairs):
        client.Put(some, content)
        yield 1


def batches(client: Elevator[bytes], dataset: Dataset) -> Workload:
    """Build and write one batch per step."""
    while True:
        with client.WriteBatch(timeout=_CALL_TIMEOUT) as batch:
            for some, content in dataset.pairs:
                batch.Put(some, content)
        yield len(dataset.pairs)


def multi_gets(client: Elevator[bytes], dataset: Dataset) -> Workload:
    """Get random keys with one MGet per step."""
    while True:
        yield len(client.MGet(dataset.keys))


def ranges(client: Elevator[bytes], _dataset: Dataset) -> Workload:
    """Read the complete database with one Range per step."""
    while True:
        yield len(client.Range())


def range_iterations(client: Elevator[bytes], _dataset: Dataset) -> Workload:
    """Read the complete database page by page in each step."""
    while True:
        yield sum(1 for _ in client.RangeIter())


def mixed(client: Elevator[bytes], keys: Sequence[bytes]) -> Workload:
    """Get four random keys, then put one; one call per step."""
    for turn, some in enumerate(cycle(keys)):
        if turn % _PUT_EVERY:
            client.Get(some)
        else:
            client.Put(some, value(turn))
        yield 1


@contextmanager
def mixed_workload(url: str, database: str, among: int) -> Iterator[Workload]:
    """Open the mixed workload of one load process, which uses its own random keys among so many pairs."""
    with connect(url, database) as client:
        yield mixed(client, random_keys(among, 10_000, seed=os.getpid()))


MakeWorkload: TypeAlias = Callable[[Elevator[bytes], Dataset], Workload]

WORKLOADS: Final[Mapping[str, MakeWorkload]] = {
    "Put": puts,
    "Get": gets,
    "WriteBatch of {pairs:,} puts": batches,
    "MGet of {keys:,} random keys": multi_gets,
    "Range of {pairs:,}": ranges,
    "RangeIter over {pairs:,}": range_iterations,
}
"""Title -> workload; an operation is a key or a pair."""
