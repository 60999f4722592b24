"""Processes that do the same at the same time: what many clients of one server are, for measuring."""

import multiprocessing
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, suppress
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from typing import Any, Final, Self, TypeAlias

from attrs import frozen

Steps: TypeAlias = Iterator[int]
"""Work without end: each step does some of it, and gives the number of operations that it was."""

Work: TypeAlias = Callable[..., AbstractContextManager[Steps]]
"""Opens what the steps need, and closes it; a function of a module, so that another process can find it."""

WARM_UP: Final = 0.1
"""Seconds before the measured time in which every process does the work already."""

_PATIENCE: Final = 60.0


@frozen
class Share:
    """What one process did.

    Attributes:
        operations: in the measured time.
        seconds: how long that was.
        latencies: seconds of each step.
    """

    operations: int
    seconds: float
    latencies: list[float]

    @property
    def rate(self) -> float:
        """Operations per second."""
        return self.operations / self.seconds


class Crowd:
    """Some processes that wait for work; ``with`` ends them.

    Args:
        size: how many.
    """

    def __init__(self, size: int) -> None:
        self._members = [_member() for _ in range(size)]

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        for process, pipe in self._members:
            process.kill()
            process.join()
            pipe.close()

    def measure(self, work: Work, *args: Any, seconds: float, size: int | None = None) -> list[Share]:
        """What the first ``size`` processes, by default all, did in the same ``seconds``.

        Raises:
            RuntimeError: a process failed, or does not answer any more; the crowd is of no more use then.
        """
        pipes = [pipe for _, pipe in self._members[:size]]
        for pipe in pipes:
            pipe.send((work, args))
        for pipe in pipes:
            _answer(pipe, _PATIENCE)
        begin = time.perf_counter() + WARM_UP  # the same clock in every process
        for pipe in pipes:
            pipe.send((begin, begin + seconds))
        return [_answer(pipe, seconds + _PATIENCE) for pipe in pipes]


def _member() -> tuple[BaseProcess, Connection]:
    context = multiprocessing.get_context("spawn")  # a fork would take sockets and threads along
    here, there = context.Pipe()
    process = context.Process(target=_live, args=(there,), daemon=True)
    process.start()
    there.close()
    return process, here


def _answer(pipe: Connection, timeout: float) -> Any:
    """What a process says: that it is ready (None), or its share."""
    try:
        answer = pipe.recv() if pipe.poll(timeout) else "it does not answer"
    except EOFError:
        answer = "it ended"
    if answer is None or isinstance(answer, Share):
        return answer
    raise RuntimeError(f"a client process failed: {answer}")


def _live(pipe: Connection) -> None:
    """What a process of the crowd does: one piece of work after the other, until it is killed or left alone."""
    with suppress(EOFError, KeyboardInterrupt):
        while True:
            work, args = pipe.recv()
            try:
                _share(pipe, work, args)
            except Exception as error:  # noqa: BLE001 - whatever it is, the process that measures tells of it
                pipe.send(f"{type(error).__name__}: {error}")


def _share(pipe: Connection, work: Work, args: tuple[Any, ...]) -> None:
    """Opens the work, says so, is told when to begin and to end, and tells its share."""
    clock = time.perf_counter
    with work(*args) as steps:
        pipe.send(None)
        begin, end = pipe.recv()
        while clock() < begin:
            next(steps)
        pipe.send(timed(steps, begin=clock(), end=end))


def timed(steps: Steps, *, begin: float, end: float) -> Share:
    """Takes steps until the clock (``time.perf_counter``) says ``end``, at least one, and times each."""
    clock = time.perf_counter
    latencies: list[float] = []
    operations, before = 0, begin
    while not latencies or before < end:
        operations += next(steps)
        now = clock()
        latencies.append(now - before)
        before = now
    return Share(operations, before - begin, latencies)


def joined(shares: list[Share]) -> Share:
    """What all of them did in the same time."""
    latencies = [latency for share in shares for latency in share.latencies]
    return Share(sum(share.operations for share in shares), max(share.seconds for share in shares), latencies)


def quantile(latencies: list[float], share: float) -> float:
    """The latency that this share of the steps stayed within."""
    return sorted(latencies)[min(int(len(latencies) * share), len(latencies) - 1)]
