"""Servers that do not answer, or slowly: every call ends in time, and afterwards the answers are the right ones."""

import os
import signal
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path
from random import Random

from pyelevator import Elevator
from pyelevator.testing.servers import ServerProcess
from support.puppets import silent_listener, unused_endpoint
from torture.calls import COLUMNS, THREADS, Calls, fill, in_threads
from torture.report import Findings


def _stands(task: Path) -> bool:
    """Whether a thread is stopped, or gone; a signal reaches those that run on other cores a moment later."""
    with suppress(OSError):
        return (task / "stat").read_text().rpartition(")")[2].split()[0] in "TtZX"
    return True


@contextmanager
def stopped(pid: int) -> Iterator[None]:
    """The process stands still meanwhile, all threads of it."""
    os.kill(pid, signal.SIGSTOP)
    try:
        while not all(_stands(task) for task in Path(f"/proc/{pid}/task").iterdir()):
            time.sleep(0.0001)
        yield
    finally:
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGCONT)


@contextmanager
def stuttering(pid: int, stop: float = 0.06, go: float = 0.02, seed: int = 1) -> Iterator[None]:
    """The process stands still most of the time: up to ``stop`` seconds, then runs up to ``go`` seconds, and so on."""
    over, choose = threading.Event(), Random(seed)

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
        with Elevator(endpoint=address, timeout=60) as client:
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
    found["no listener"] = connects(unused_endpoint(), calls, timeout)
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
        "says nothing and to a port without a listener. Every key has a value of its own, so that an answer to "
        "another call is seen. Every call must end at its timeout or with the right answer.",
        {what: calls.figures() for what, calls in found.items()},
        violations,
        COLUMNS,
    )
