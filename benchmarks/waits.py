"""Ways to wait for the next message on a ZeroMQ socket, for the trials about the hand-over."""

from collections.abc import Callable, Mapping
from time import perf_counter
from typing import Any, Final, TypeAlias

import zmq

First: TypeAlias = Callable[[Callable[..., Any]], Any]
"""Receives the first frame of a message, given the socket's ``recv``."""


def blocking(receive: Callable[..., Any]) -> Any:
    return receive()


def trying(tries: int) -> First:
    """Tries so many times before it blocks, always."""

    def receive(receive: Callable[..., Any]) -> Any:
        for _ in range(tries):
            try:
                return receive(zmq.NOBLOCK)
            except zmq.Again:
                continue
        return receive()

    return receive


class AdaptiveSpin:
    """Receives by trying repeatedly before it blocks, while that pays.

    A blocking receive waits for the I/O thread to hand the message over, which takes a third of a sync client's round
    trip; ``TRIES`` tries take about half of that. Each message found by trying earns a credit, and each run of tries
    without a message costs one. Without credit only one wait in ``PROBE`` tries, so that an idle or slow server uses
    next to no CPU time. (Measured: docs/benchmarks.md.)
    """

    TRIES: Final = 40
    CREDIT: Final = 16
    PROBE: Final = 16

    def __init__(self) -> None:
        self._credit = self.CREDIT
        self._waits = 0

    def receive(self, receive: Callable[..., Any]) -> Any:
        """Return the first frame of the next message.

        Args:
            receive: ``recv`` of the socket.
        """
        if self._credit or self._should_probe():
            for _ in range(self.TRIES):
                try:
                    frame = receive(zmq.NOBLOCK)
                except zmq.Again:
                    continue
                self._credit = min(self._credit + 1, self.CREDIT)
                return frame
            self._credit = max(self._credit - 1, 0)
        return receive()

    def _should_probe(self) -> bool:
        self._waits = (self._waits + 1) % self.PROBE
        return not self._waits


class Measuring:
    """Blocks, or tries before it blocks, whichever brought messages sooner when both were last compared.

    ``AdaptiveSpin`` takes a try that succeeds for a gain. It is one only where blocking would have taken longer: where another
    process keeps the cores awake, a blocked thread is woken in no time, and the tries take the core from those that
    have work to do. So this one looks at the clock: from time to time it measures some messages the usual way, then as
    many the other way, and goes on with the better. A pause of the clients in one of the two misleads it until the
    next comparison.

    Attributes (all of the class):
        TRIES: before it blocks.
        PHASES: messages until the next comparison, then measured the usual way, then the other way.
        GAIN: what trying must save, because it burns the core while nothing comes.
        WORTH: seconds; messages that come less often are not to be found by a few tries.
    """

    TRIES: Final = 40
    PHASES: Final = (1920, 64, 64)
    GAIN: Final = 0.9
    WORTH: Final = 0.0002

    def __init__(self) -> None:
        self._ways: tuple[First, First] = (blocking, trying(self.TRIES))
        self._tries, self._phase, self._baseline = False, 1, 0.0
        self._way, self._left = blocking, self.PHASES[1]
        self._begin = perf_counter()

    def receive(self, receive: Callable[..., Any]) -> Any:
        """The first frame of the next message."""
        self._left -= 1
        if not self._left:
            self._next_phase()
        return self._way(receive)

    def _next_phase(self) -> None:
        now = perf_counter()
        took, self._begin = now - self._begin, now
        self._phase = (self._phase + 1) % 3
        if self._phase == 2:
            self._baseline = took
        elif self._phase == 0:
            tried, blocked = (self._baseline, took) if self._tries else (took, self._baseline)
            self._tries = tried < min(self.GAIN * blocked, self.WORTH * self.PHASES[2])
        self._way = self._ways[self._tries is not (self._phase == 2)]
        self._left = self.PHASES[self._phase]


WAITS: Final[Mapping[str, Callable[[], First]]] = {
    "blocks": lambda: blocking,
    "tries 200 times": lambda: trying(200),
    "adapts": lambda: AdaptiveSpin().receive,
    "measures": lambda: Measuring().receive,
}
"""How one side waits for a message -> what makes the waiting; "adapts" is what the package did while it had a listener of libzmq."""
