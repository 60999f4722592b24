"""Histories of concurrent clients against a real server, and whether they are linearizable."""

import multiprocessing
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from random import Random
from typing import Any, Final, TypeAlias

from attrs import frozen

from pyelevator import MISSING, CheckFailed, ConnectFailed, Elevator, KeyNotFound, TransportError
from pyelevator.testing.servers import ServerProcess
from torture.frozen import stuttering
from torture.linearizability import UNKNOWN, Operation, groups, linearizable
from torture.report import Findings, count, ms

THREADS: Final = 4
PROCESSES: Final = 2
SLICE: Final = 0.025
"""Seconds for which all clients work on the same two keys; then come two new ones."""

START: Final = 1.5
"""Seconds for the processes to come up."""

Client: TypeAlias = Elevator[str]
Pair: TypeAlias = tuple[str, str]
Note: TypeAlias = Callable[..., None]
"""Changes fields of the operation that is being made."""


def _get(client: Client, keys: Pair, _: str) -> Mapping[str, str | None]:
    try:
        return {keys[0]: client.Get(keys[0])}
    except KeyNotFound:
        return {keys[0]: None}


def _mget(client: Client, keys: Pair, _: str) -> Mapping[str, str | None]:
    return dict(zip(keys, client.MGet(keys), strict=True))


def _mget_cached(client: Client, keys: Pair, _: str) -> Mapping[str, str | None]:
    return dict(zip(keys, client.MGet(keys, fill_cache=True), strict=True))


def _range(client: Client, keys: Pair, _: str) -> Mapping[str, str | None]:
    return {**dict.fromkeys(keys), **dict(client.Range(min(keys), max(keys)))}


READS: Final[Mapping[str, Callable[[Client, Pair, str], Mapping[str, str | None]]]] = {
    "Get": _get,
    "MGet": _mget,
    "MGet with fill_cache": _mget_cached,
    "Range": _range,
}
"""Method -> what it sees of two keys."""

WRITES: Final[Mapping[str, Callable[[Pair, str], Mapping[str, str | None]]]] = {
    "Put": lambda keys, word: {keys[0]: word},
    "Delete": lambda keys, _: {keys[0]: None},
    "batch of two puts": lambda keys, word: {keys[0]: word, keys[1]: word},
    "batch of a put and a delete": lambda keys, word: {keys[0]: word, keys[1]: None},
}
"""Method -> what it writes to two keys."""


def _state(client: Client, key: str) -> str | None:
    """What a key has, for an update that is likely to succeed; it is no part of the history."""
    return client.Get(key, None)


def _put_if_absent(client: Client, keys: Pair, word: str, note: Note) -> None:
    note(checks={keys[0]: None}, writes={keys[0]: word}, passed=None)
    note(passed=client.PutIfAbsent(keys[0], word))


def _compare_and_set(client: Client, keys: Pair, word: str, note: Note) -> None:
    before = _state(client, keys[0])
    note(checks={keys[0]: before}, writes={keys[0]: word}, passed=None)
    note(passed=client.CompareAndSet(keys[0], MISSING if before is None else before, word))


def _conditional_batch(client: Client, keys: Pair, word: str, note: Note) -> None:
    before = {key: _state(client, key) for key in keys}
    note(checks=before, writes={keys[0]: word, keys[1]: None}, passed=None)
    batch = client.WriteBatch(timeout=client.timeout)
    for key, value in before.items():
        batch.Check(key, MISSING if value is None else value)
    batch.Put(keys[0], word)
    batch.Delete(keys[1])
    try:
        batch.Write()
    except CheckFailed:
        note(passed=False)
    else:
        note(passed=True)
    finally:
        batch.Clear()


def _increment(client: Client, keys: Pair, _: str, note: Note) -> None:
    key = f"n{keys[0]}"  # outside of the ranges between the keys
    note(adds={key: 1})
    number = client.Increment(key)
    note(adds={}, reads={key: str(number - 1) if number > 1 else None}, writes={key: str(number)})


def _get_and_delete(client: Client, keys: Pair, _: str, note: Note) -> None:
    note(writes={keys[0]: None})
    try:
        note(reads={keys[0]: client.GetAndDelete(keys[0])})
    except KeyNotFound:
        note(reads={keys[0]: None}, writes={})


def _delete_range(client: Client, keys: Pair, _: str, note: Note) -> None:
    """Both keys are in one chunk, so that they go at one moment; how many there were is not looked at."""
    note(writes=dict.fromkeys(keys))
    client.DeleteRange(min(keys), max(keys))


def _count(client: Client, keys: Pair, _: str, note: Note) -> None:
    """What says most: that neither is there."""
    if client.Count(min(keys), max(keys)) == 0:
        note(reads=dict.fromkeys(keys))


UPDATES: Final[Mapping[str, Callable[[Client, Pair, str, Note], None]]] = {
    "PutIfAbsent": _put_if_absent,
    "CompareAndSet": _compare_and_set,
    "conditional batch": _conditional_batch,
    "Increment": _increment,
    "GetAndDelete": _get_and_delete,
    "DeleteRange": _delete_range,
    "Count": _count,
}
"""Method -> what makes the call, and notes what it may do before it is made, and what it did afterwards."""

MIX: Final = (
    "Get",
    "Get",
    "Get",
    "MGet",
    "MGet with fill_cache",
    "MGet with fill_cache",
    "Range",
    "Put",
    "Put",
    "Put",
    "Delete",
    *WRITES,
    *UPDATES,
)


def write_pairs(client: Client, writes: Mapping[str, str | None]) -> None:
    batch = client.WriteBatch(timeout=client.timeout)
    for key, value in writes.items():
        if len(writes) > 1:
            batch.Delete(key) if value is None else batch.Put(key, value)
        elif value is None:
            client.Delete(key)
        else:
            client.Put(key, value)
    try:
        batch.Write()
    finally:
        batch.Clear()


def call(client: Client, what: str, keys: Pair, word: str) -> Operation | None:
    """Makes one call and notes it down; None for one that can have had no effect and saw nothing.

    A write without an answer is of unknown outcome; but one of which nothing was sent must never happen, as the error
    says.
    """
    if what in UPDATES:
        return update(client, what, keys, word)
    writes = WRITES[what](keys, word) if what in WRITES else {}
    start = time.monotonic()
    try:
        reads = {} if writes else READS[what](client, keys, word)
        if writes:
            write_pairs(client, writes)
    except ConnectFailed:
        return None
    except TransportError:
        return Operation(start, UNKNOWN, writes=writes) if writes else None
    return Operation(start, time.monotonic(), reads, writes)


def update(client: Client, what: str, keys: Pair, word: str) -> Operation | None:
    """Makes one call that reads and writes, likewise."""
    noted: dict[str, Any] = {}
    start = time.monotonic()
    try:
        UPDATES[what](client, keys, word, noted.update)
    except ConnectFailed:
        return None
    except TransportError:
        return Operation(start, UNKNOWN, **noted) if noted else None
    return Operation(start, time.monotonic(), **noted) if noted else None


def record(client: Client, name: str, begin: float, end: float) -> list[Operation]:
    """Makes random calls from one moment to another, of the clock that all processes share, and one at the least."""
    dice, history, number = Random(name), list[Operation](), 0
    while (now := time.monotonic()) < end or not history:
        number += 1
        group = max(0, int((now - begin) / SLICE))
        keys = dice.sample([f"{group}/a", f"{group}/b"], 2)
        operation = call(client, dice.choice(MIX), (keys[0], keys[1]), f"{name}.{number}")
        if operation:
            history.append(operation)
    return history


def record_alone(address: str, name: str, begin: float, end: float, timeout: float) -> list[Operation]:
    """The same with a client of its own; for a process."""
    with Elevator(endpoint=address, timeout=30, connect_timeout=30) as client:
        client.timeout = timeout
        return record(client, name, begin, end)


def record_all(address: str, seconds: float, timeout: float, seed: int) -> list[Operation]:
    """The history of threads that share one client and of processes with one each."""
    spawn = multiprocessing.get_context("spawn")
    begin = time.monotonic() + START
    end = begin + seconds
    with (
        Elevator(endpoint=address, timeout=30, connect_timeout=30) as client,
        ProcessPoolExecutor(PROCESSES, spawn) as processes,
        ThreadPoolExecutor(THREADS) as threads,
    ):
        client.timeout = timeout
        futures: list[Any] = [
            processes.submit(record_alone, address, f"{seed}p{i}", begin, end, timeout) for i in range(PROCESSES)
        ]
        threading.Event().wait(START)
        futures += [threads.submit(record, client, f"{seed}t{i}", begin, end) for i in range(THREADS)]
        return [operation for future in futures for operation in future.result()]


@contextmanager
def in_peace(_: ServerProcess) -> Iterator[None]:
    """Nothing happens to the server."""
    yield


@contextmanager
def stuttered(server: ServerProcess) -> Iterator[None]:
    """The server stands still most of the time."""
    with stuttering(server.pid):
        yield


@contextmanager
def killed(server: ServerProcess) -> Iterator[None]:
    """The server is killed and started again, for as long as the block."""
    over = threading.Event()

    def kill() -> None:
        while not over.wait(0.4):
            server.restart()

    thread = threading.Thread(target=kill)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()


@frozen
class Weather:
    """What happens to the server meanwhile, and the timeout of the calls in seconds."""

    trouble: Callable[[ServerProcess], Any]
    timeout: float


WEATHERS: Final[Mapping[str, Weather]] = {
    "in peace": Weather(in_peace, 10.0),
    "stopped again and again, short timeouts": Weather(stuttered, 0.02),
    "killed again and again": Weather(killed, 0.2),
}


@frozen
class Result:
    """A history, and which groups of it no order explains."""

    history: Sequence[Operation]
    broken: Sequence[Sequence[Operation]]
    groups: int
    seconds: float

    def figures(self) -> tuple[str, ...]:
        reads = sum(bool(operation.reads) for operation in self.history)
        unknown = sum(operation.end == UNKNOWN for operation in self.history)
        numbers = (len(self.history), reads, unknown, self.groups)
        return *map(count, numbers), f"{self.seconds:.1f} s", str(len(self.broken))


COLUMNS: Final = ("server", "calls", "reads", "of unknown outcome", "histories", "checked in", "not linearizable")


def check(history: Sequence[Operation]) -> Result:
    """Checks a history, key by key as far as its batches allow."""
    start = time.monotonic()
    parts = groups(history)
    broken = [part for part in parts if not linearizable(part)]
    return Result(history, broken, len(parts), time.monotonic() - start)


def shown(history: Sequence[Operation]) -> str:
    """The first calls of a history, for a report."""
    zero = min(operation.start for operation in history)
    some = sorted(history, key=lambda operation: operation.start)[:20]
    return "; ".join(
        f"{ms(o.start - zero)} to {'?' if o.end == UNKNOWN else ms(o.end - zero)} "
        f"{'saw' if o.reads else 'wrote'} {dict(o.reads or o.writes)}"
        for o in some
    )


def attempt(folder: Path, weather: Weather, seconds: float, seed: int) -> Result:
    """Records with a new server, and checks."""
    with ServerProcess(folder) as server, weather.trouble(server):
        history = record_all(server.urls[0].partition("://")[2], seconds, weather.timeout, seed)
    return check(history)


def recorded(folder: Path, weather: Weather, seconds: float, seed: int) -> Result:
    """As ``attempt``; where a busy machine let nothing happen in that time, again with more of it."""
    for more in (1, 4, 16):
        result = attempt(folder / str(more), weather, more * seconds, seed)
        if result.groups:
            break
    return result


def run(folder: Path, *, seconds: float, weathers: Mapping[str, Weather] = WEATHERS, seed: int = 1) -> Findings:
    """Records and checks histories.

    Args:
        folder: for the data; empty.
        seconds: how long each.
        weathers: what happens to the server meanwhile, by name.
        seed: of the calls.
    """
    results = {
        what: recorded(folder / str(i), weather, seconds, seed) for i, (what, weather) in enumerate(weathers.items())
    }
    violations = [f"{what}: {shown(part)}" for what, result in results.items() for part in result.broken[:3]]
    violations += [f"{what}: nothing was recorded" for what, result in results.items() if not result.groups]
    return Findings(
        "Linearizability",
        f"{THREADS} threads with one client and {PROCESSES} processes with their own call Get, MGet, Range, Put, Delete "
        "and batches of two on the same two keys, for 25 ms, then on two others; and PutIfAbsent, CompareAndSet, conditional "
        "batches, Increment, GetAndDelete, DeleteRange and Count. Each call is noted with its beginning, "
        "its end and what it saw; a write without an answer may take effect at any later time or never. For each pair "
        "of keys a checker (Wing and Gong's search) must find one order of the calls that explains what all of them "
        "saw. MGet, Range and batches count as one call on both keys.",
        {what: result.figures() for what, result in results.items()},
        violations,
        COLUMNS,
    )
