"""Servers that do not answer, or slowly: every call ends in time, and afterwards the answers are the right ones."""

import os
import random
import signal
import socket
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path
from typing import Any, Final, TypeAlias

from attrs import define, field

from pyelevator import Elevator, RequestTimeout
from pyelevator.testing.servers import ServerProcess
from torture.report import Findings, count, ms, percentile

PAIRS: Final = 500
THREADS: Final = 4
BOUND: Final = 1.0
"""Seconds over its timeout that a call may take in a test, on whatever machine; the figures say what it took."""

Client: TypeAlias = Elevator[str]


def name(number: int) -> str:
    """The key with that number."""
    return f"key {number:04}"


def value(number: int) -> str:
    """The value that belongs to ``name(number)`` and to no other key."""
    return f"value of {number:04}"


def _batch(client: Client, number: int, timeout: float) -> None:
    batch = client.WriteBatch(timeout=timeout)
    batch.Put(name(number), value(number))
    batch.Write()


COLUMNS: Final = ("server", "calls", "timeouts", "right answers", "worst over timeout", "99 %", "within 50 ms")

CALLS: Final[Mapping[str, tuple[Callable[[Client, int, float], Any], Callable[[int], Any]]]] = {
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
"""Method -> how to call it for a number within a timeout, and the one right result."""


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
        start = time.monotonic()
        try:
            result = call()
        except RequestTimeout:
            self.timeouts += 1
        else:
            self.right += result == expected
            if result != expected:
                self.wrong.append(f"{what} gave {result!r} instead of {expected!r}")
        self.overshoots.append(time.monotonic() - start - timeout)

    def some(self, client: Client, seed: int, calls: int, timeouts: tuple[float, float]) -> None:
        """Makes random calls with random timeouts."""
        choose = random.Random(seed)
        for _ in range(calls):
            what, number, timeout = choose.choice(list(CALLS)), choose.randrange(PAIRS), choose.uniform(*timeouts)
            call, expected = CALLS[what]
            self.make(what, partial(call, client, number, timeout), timeout, expected(number))

    def figures(self) -> tuple[str, ...]:
        """As ``COLUMNS`` say."""
        late = [max(0.0, seconds) for seconds in self.overshoots]
        within = sum(seconds <= 0.05 for seconds in late) / len(late)
        counts = map(count, (len(late), self.timeouts, self.right))
        return *counts, ms(max(late)), ms(percentile(late, 99)), f"{within:.2%}"

    def violations(self, what: str) -> list[str]:
        late = [f"a call ended {ms(max(self.overshoots))} after its timeout"] if max(self.overshoots) > BOUND else []
        return [f"{what}: {wrong}" for wrong in [*self.wrong[:5], *late]]


def in_threads(work: Callable[[Calls, int], None]) -> Calls:
    """Runs the work in several threads, each with its number, and adds up what they counted."""
    parts = [Calls() for _ in range(THREADS)]
    threads = [threading.Thread(target=work, args=(part, i)) for i, part in enumerate(parts)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return Calls(
        [seconds for part in parts for seconds in part.overshoots],
        sum(part.right for part in parts),
        sum(part.timeouts for part in parts),
        [wrong for part in parts for wrong in part.wrong],
    )


@contextmanager
def stopped(pid: int) -> Iterator[None]:
    """The process stands still meanwhile."""
    os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGCONT)


@contextmanager
def stuttering(pid: int, stop: float = 0.06, go: float = 0.02, seed: int = 1) -> Iterator[None]:
    """The process stands still most of the time: up to ``stop`` seconds, then runs up to ``go`` seconds, and so on."""
    over, choose = threading.Event(), random.Random(seed)

    def stutter() -> None:
        while not over.is_set():
            with stopped(pid):
                over.wait(choose.uniform(0, stop))
            over.wait(choose.uniform(0, go))

    thread = threading.Thread(target=stutter)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()


@contextmanager
def silent_listener() -> Iterator[str]:
    """An address where connections are taken and nobody says a word."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        yield f"127.0.0.1:{listener.getsockname()[1]}"


def unused() -> str:
    """An address where nobody listens."""
    with silent_listener() as address:
        return address


def connects(address: str, calls: int, timeout: float) -> Calls:
    """New clients for an address where no server answers."""

    def work(result: Calls, _: int) -> None:
        for _ in range(calls):
            open_client = partial(Elevator, endpoint=address, timeout=timeout)
            result.make("connect", open_client, timeout, "an error")

    return in_threads(work)


def run(folder: Path, *, calls: int, timeout: float = 0.1, seed: int = 1) -> Findings:
    """Makes ``4 * calls`` calls to a frozen, a slow, a killed, a silent and a missing server each.

    Args:
        folder: for the data; empty.
        calls: of each of the four threads; each takes its timeout.
        timeout: seconds of each call.
        seed: which calls with which arguments.
    """
    found: dict[str, Calls] = {}
    with ServerProcess(folder / "data") as server:
        address = server.urls[0].partition("://")[2]
        with Elevator(endpoint=address) as client:
            fill(client)

            def some(calls: int, *timeouts: float) -> Calls:
                return in_threads(lambda part, i: part.some(client, seed + i, calls, (timeouts[0], timeouts[-1])))

            with stopped(server.pid):
                found["frozen (SIGSTOP)"] = some(calls, timeout)
                found["frozen, new clients"] = connects(address, calls, timeout)
            found["after SIGCONT"] = some(10 * calls, 10.0)
            with stuttering(server.pid):
                found["slow (stopped three quarters of the time)"] = some(5 * calls, 0.005, 0.06)
            found["after it"] = some(10 * calls, 10.0)
            server.kill()
            found["killed"] = some(calls, timeout)
    with silent_listener() as address:
        found["takes connections, says nothing"] = connects(address, calls, timeout)
    found["nobody listens"] = connects(unused(), calls, timeout)
    return _findings(found)


def _findings(found: Mapping[str, Calls]) -> Findings:
    violations = [violation for what, calls in found.items() for violation in calls.violations(what)]
    for what in ("after SIGCONT", "after it"):
        if found[what].timeouts:
            violations.append(f"{what}: {found[what].timeouts} calls got no answer within 10 s")
    return Findings(
        "Frozen, slow, dead and silent servers",
        f"{THREADS} threads share one client and make random calls, all kinds of them, while the server process is "
        "stopped (SIGSTOP), again and again for moments, or killed; new clients connect to it, to a listener that "
        "says nothing and to a port where nobody listens. Every key has a value of its own, so that an answer to "
        "another call is seen. Every call must end at its timeout or with the right answer.",
        {what: calls.figures() for what, calls in found.items()},
        violations,
        COLUMNS,
    )
