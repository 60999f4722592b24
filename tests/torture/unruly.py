"""A server that executes every request rightly and at once, and answers late, out of order and more than once."""

import heapq
import random
import select
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from itertools import count
from typing import Final

from attrs import define, evolve, field, frozen

from pyelevator.application import Application
from pyelevator.codec import Codec, codec_for
from pyelevator.transports.sockets.listener.listener import ZmtpListener


@frozen
class Behaviour:
    """How a server answers.

    Attributes:
        dialect: of its replies.
        echoes: it echoes ids. One that does not cannot send a reply twice, but as the old flat server does.
        latest: the longest delay of a reply, in seconds; most are much shorter.
        twice: the share of the replies that are sent a second time, at another moment.
    """

    dialect: str = "classic"
    echoes: bool = True
    latest: float = 0.1
    twice: float = 0.0


BEHAVIOURS: Final[Mapping[str, Behaviour]] = {
    "classic with ids": Behaviour(twice=0.3),
    "classic without ids": Behaviour(echoes=False),
    "flat": Behaviour("flat", echoes=False),
}


@define
class Unruly:
    """What such a server knows and does; its thread owns all of it.

    Attributes:
        url: where it listens.
        replies, delayed, doubled, reordered: how many it sent; of those, after more than half of ``latest``, a second
            time, and before the reply to an earlier request.
    """

    behaviour: Behaviour
    seed: int
    listener: ZmtpListener = field(factory=lambda: ZmtpListener("tcp://127.0.0.1:0"))
    application: Application = field(factory=Application.in_memory)
    over: threading.Event = field(factory=threading.Event)
    replies: int = 0
    delayed: int = 0
    doubled: int = 0
    reordered: int = 0
    _codec: Codec = field(init=False)
    _random: random.Random = field(init=False)
    _due: list[tuple[float, int, bytes, Sequence[bytes]]] = field(factory=list)
    _numbers: Iterator[int] = field(factory=count)
    _sent: int = -1

    @_codec.default
    def _its_codec(self) -> Codec:
        return codec_for(self.behaviour.dialect)

    @_random.default
    def _its_random(self) -> random.Random:
        return random.Random(self.seed)

    @property
    def url(self) -> str:
        return self.listener.url

    def serve(self) -> None:
        """Serves until ``over`` is set."""
        while not self.over.is_set():
            select.select([self.listener.pollable], [], [], 0.001)
            while message := self.listener.receive():
                self._take(*message)
            self._send_what_is_due()
            self.listener.flush()
        self.listener.close()
        self.application.close()

    def _take(self, identity: bytes, frames: Sequence[bytes]) -> None:
        request = self._codec.decode_request(frames)
        response = self.application(request)
        if not self.behaviour.echoes:
            response = evolve(response, id=None, features=())
        reply = self._codec.encode_response(response, request)
        at = self._later(identity, reply)
        if request.command.verb in self._codec.answered_twice:
            self._push(at, identity, reply)
            self.doubled += 1
        elif self._random.random() < self.behaviour.twice:
            self._later(identity, reply)
            self.doubled += 1

    def _later(self, identity: bytes, reply: Sequence[bytes]) -> float:
        """Keeps the reply for some moment; half of them for the next one."""
        delay = max(0.0, self._random.uniform(-1, 1)) * self.behaviour.latest
        self.delayed += delay > self.behaviour.latest / 2
        self._push(time.monotonic() + delay, identity, reply)
        return time.monotonic() + delay

    def _push(self, at: float, identity: bytes, reply: Sequence[bytes]) -> None:
        heapq.heappush(self._due, (at, next(self._numbers), identity, reply))

    def _send_what_is_due(self) -> None:
        while self._due and self._due[0][0] <= time.monotonic():
            _, number, identity, reply = heapq.heappop(self._due)
            self.listener.send(identity, reply)
            self.replies += 1
            self.reordered += number < self._sent
            self._sent = max(number, self._sent)


@contextmanager
def unruly(behaviour: Behaviour, seed: int = 1) -> Iterator[Unruly]:
    """Such a server in a thread, for as long as the block."""
    server = Unruly(behaviour, seed)
    thread = threading.Thread(target=server.serve)
    thread.start()
    try:
        yield server
    finally:
        server.over.set()
        thread.join()
