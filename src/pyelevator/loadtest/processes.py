"""Load processes: several processes that run the same workload at the same time, as clients of one server."""

import multiprocessing
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, suppress
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from typing import Any, Final, Self, TypeAlias

from attrs import frozen

Workload: TypeAlias = Iterator[int]
"""An endless iterator: each step does some work and yields the number of operations it was."""

OpenWorkload: TypeAlias = Callable[..., AbstractContextManager[Workload]]
"""Opens what a workload needs, and closes it; a function of a module, so that another process can import it."""

WARM_UP: Final = 0.1
"""Seconds of work in every process before the measurement begins."""

_REPLY_TIMEOUT: Final = 60.0


@frozen
class Measurement:
    """The work of one process: the operations in the measured seconds, and the seconds of each step."""

    operations: int
    seconds: float
    latencies: list[float]

    @property
    def rate(self) -> float:
        """Operations per second."""
        return self.operations / self.seconds


class LoadProcesses:
    """Processes that wait for workloads; leaving the ``with`` block ends them."""

    def __init__(self, size: int) -> None:
        self._processes = [_spawn() for _ in range(size)]

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        for process, pipe in self._processes:
            process.kill()
            process.join()
            pipe.close()

    def measure(self, workload: OpenWorkload, *args: Any, seconds: float, size: int | None = None) -> list[Measurement]:
        """Run a workload in ``size`` processes, or in all, during the same seconds; return a measurement for each.

        Raises:
            RuntimeError: a process failed or stopped answering; the processes cannot be used any more.
        """
        pipes = [pipe for _, pipe in self._processes[:size]]
        for pipe in pipes:
            pipe.send((workload, args))
        for pipe in pipes:
            _receive(pipe, _REPLY_TIMEOUT)
        begin = time.perf_counter() + WARM_UP  # the clock is the same in every process
        for pipe in pipes:
            pipe.send((begin, begin + seconds))
        return [_receive(pipe, seconds + _REPLY_TIMEOUT) for pipe in pipes]


def _spawn() -> tuple[BaseProcess, Connection]:
    context = multiprocessing.get_context("spawn")  # a fork would inherit sockets and threads
    ours, theirs = context.Pipe()
    process = context.Process(target=_run_worker, args=(theirs,), daemon=True)
    process.start()
    theirs.close()
    return process, ours


def _receive(pipe: Connection, timeout: float) -> Any:
    """Receive a process's message: None if it is ready, or its measurement."""
    try:
        message = pipe.recv() if pipe.poll(timeout) else "it does not answer"
    except EOFError:
        message = "it ended"
    if message is None or isinstance(message, Measurement):
        return message
    raise RuntimeError(f"a client process failed: {message}")


def _run_worker(pipe: Connection) -> None:
    """Run workloads in a load process until it is killed or its parent ends."""
    with suppress(EOFError, KeyboardInterrupt):
        while True:
            workload, args = pipe.recv()
            try:
                _run_workload(pipe, workload, args)
            except Exception as error:  # noqa: BLE001 - the measuring process reports it
                pipe.send(f"{type(error).__name__}: {error}")


def _run_workload(pipe: Connection, workload: OpenWorkload, args: tuple[Any, ...]) -> None:
    """Open the workload, report that it is ready, receive the times of begin and end, and send the measurement."""
    clock = time.perf_counter
    with workload(*args) as steps:
        pipe.send(None)
        begin, end = pipe.recv()
        while clock() < begin:
            next(steps)
        pipe.send(measure_steps(steps, begin=clock(), end=end))


def measure_steps(steps: Workload, *, begin: float, end: float) -> Measurement:
    """Take steps until a point in time and measure each; at least one is taken."""
    clock = time.perf_counter
    latencies: list[float] = []
    operations, before = 0, begin
    while not latencies or before < end:
        operations += next(steps)
        now = clock()
        latencies.append(now - before)
        before = now
    return Measurement(operations, before - begin, latencies)


def merge(measurements: list[Measurement]) -> Measurement:
    """Merge the measurements of processes that ran at the same time."""
    return Measurement(
        sum(one.operations for one in measurements),
        max(one.seconds for one in measurements),
        [latency for one in measurements for latency in one.latencies],
    )


def percentile(latencies: list[float], share: float) -> float:
    """Return the latency that a share of the steps (0 to 1) did not exceed."""
    return sorted(latencies)[min(int(len(latencies) * share), len(latencies) - 1)]
