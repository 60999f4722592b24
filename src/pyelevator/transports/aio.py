"""Transports on an event loop: ZeroMQ sockets by their descriptor, the fake, and any other transport in a thread."""

import asyncio
import threading
from collections.abc import Callable, Sequence
from contextlib import suppress
from functools import partial
from queue import SimpleQueue
from typing import Any, Final

import zmq

from pyelevator.deadlines import Deadline
from pyelevator.errors import ConnectTimeout, RequestTimeout, TransportError
from pyelevator.forks import FORKS
from pyelevator.transports.base import AsyncTransport, Receiver, Transport
from pyelevator.transports.fake import INSIDE, FakeTransport
from pyelevator.transports.zmq import ZmqTransport

_BURST: Final = 500
"""How many messages are taken in one turn of the loop, so that others get theirs."""

_SLICE: Final = 0.05
"""Seconds after which a thread that waits for an answer looks whether it is still wanted."""


class ZmqConnection(AsyncTransport):
    """A DEALER socket that the loop watches by its descriptor.

    The descriptor says that something has changed since the socket was last asked, and no more (ZMQ_FD is edge
    triggered). So messages are taken until none is left, and after a send the socket is asked what has come meanwhile,
    because sending swallows that news.
    """

    def __init__(self, lane: ZmqTransport) -> None:
        self._lane = lane
        self._socket: zmq.Socket[bytes] | None = None
        self._due = False
        self._blocked = False

    @property
    def url(self) -> str:
        return self._lane.url

    @property
    def is_open(self) -> bool:
        return self._socket is not None

    def open(self, receiver: Receiver) -> None:
        self._receiver = receiver
        self._loop = asyncio.get_running_loop()
        self._forks = FORKS.count
        self._socket = self._lane.open_socket()
        self._descriptor = self._socket.fileno()
        self._loop.add_reader(self._descriptor, self._drain)

    def send(self, frames: Sequence[bytes]) -> bool:
        socket = self._socket
        if socket is None:
            raise TransportError(f"the connection to {self.url} is closed")
        try:
            for frame in frames[:-1]:
                socket.send(frame, zmq.NOBLOCK | zmq.SNDMORE)
            socket.send(frames[-1], zmq.NOBLOCK)
            sent = True
        except zmq.Again:
            sent, self._blocked = False, True
        except zmq.ZMQError as error:
            raise self._lane.failure(error) from error
        if not self._due and _events(socket) & self._awaited():
            self._drain_soon()
        return sent

    def _awaited(self) -> int:
        return zmq.POLLIN | zmq.POLLOUT if self._blocked else zmq.POLLIN

    def _drain_soon(self) -> None:
        self._due = True
        self._loop.call_soon(self._drain)

    def _drain(self) -> None:
        self._due = False
        if self._forks != FORKS.count:  # in a child the loop still watches what is the parent's
            return
        try:
            for _ in range(_BURST):
                if self._socket is None:
                    return
                self._receiver.received(_receive(self._socket.recv))
        except zmq.Again:
            self._unblock()
        except zmq.ZMQError as error:
            self._receiver.lost(self._lane.failure(error))
        else:
            self._drain_soon()

    def _unblock(self) -> None:
        if self._blocked and self._socket is not None and _events(self._socket) & zmq.POLLOUT:
            self._blocked = False
            self._receiver.writable()

    def close(self) -> None:
        socket, self._socket = self._socket, None
        if socket is not None:
            self._loop.remove_reader(self._descriptor)
            socket.close()

    def unconnected(self, deadline: Deadline) -> ConnectTimeout:
        return self._lane.unconnected(deadline)


def _events(socket: Any) -> int:
    """What the socket is ready for; asking makes the descriptor tell of the next change."""
    ready: int = socket.getsockopt(zmq.EVENTS)
    return ready


def _receive(receive: Any) -> list[bytes]:
    """The frames of the next message; a Frame knows whether more follow, and asking the socket costs more."""
    frame = receive(zmq.NOBLOCK, copy=False)
    frames = [frame.bytes]
    while frame.more:
        frame = receive(zmq.NOBLOCK, copy=False)
        frames.append(frame.bytes)
    return frames


class FakeConnection(AsyncTransport):
    """The server application in process; it answers in a later turn of the loop, so that awaits interleave."""

    def __init__(self, lane: FakeTransport) -> None:
        self._lane = lane
        self._receiver: Receiver | None = None

    @property
    def url(self) -> str:
        return self._lane.url

    def open(self, receiver: Receiver) -> None:
        self._receiver = receiver
        self._loop = asyncio.get_running_loop()

    def send(self, frames: Sequence[bytes]) -> bool:
        self._loop.call_soon(self._answer, frames)
        return True

    def _answer(self, frames: Sequence[bytes]) -> None:
        thread = threading.get_ident()
        try:
            INSIDE.add(thread)
            answer = self._lane.answer(frames)
        finally:
            INSIDE.discard(thread)
        if self._receiver is not None:
            self._receiver.received(answer)

    def close(self) -> None:
        self._receiver = None
        self._lane.close()


class ThreadLane(AsyncTransport):
    """Any other transport, used by a thread of its own: one message at a time, and its one answer."""

    shared = False

    def __init__(self, lane: Transport) -> None:
        self._lane = lane
        self._closed = threading.Event()
        self._messages: SimpleQueue[Sequence[bytes] | None] = SimpleQueue()
        self._unsent = False

    @property
    def url(self) -> str:
        return self._lane.url

    @property
    def is_open(self) -> bool:
        return not self._closed.is_set()

    def open(self, receiver: Receiver) -> None:
        self._receiver = receiver
        self._loop = asyncio.get_running_loop()
        threading.Thread(target=self._work, name="elevator-lane", daemon=True).start()

    def send(self, frames: Sequence[bytes]) -> bool:
        self._unsent = True
        self._messages.put(frames)
        return True

    def close(self) -> None:
        self._closed.set()
        self._messages.put(None)

    def unanswered(self, deadline: Deadline) -> RequestTimeout:
        return self.unconnected(deadline) if self._unsent else super().unanswered(deadline)

    def _work(self) -> None:
        """What the thread does, until the lane is closed."""
        with self._lane:
            while (frames := self._messages.get()) is not None:
                try:
                    self._insist(partial(self._lane.send, frames))
                    self._unsent = False
                    answer = self._insist(self._lane.receive)
                except Exception as error:  # noqa: BLE001 - whatever it is, it belongs to the caller
                    self._tell(self._receiver.lost, error)
                else:
                    self._tell(self._receiver.received, answer)

    def _insist(self, step: Callable[[Deadline], Any]) -> Any:
        """Does a step of the exchange, for as long as somebody waits for it."""
        while not self._closed.is_set():
            patience = Deadline.after(_SLICE)
            try:
                return step(patience)
            except RequestTimeout:  # a transport that cannot wait says so at once
                self._closed.wait(patience.remaining())
        return None

    def _tell(self, report: Callable[[Any], None], outcome: Any) -> None:
        with suppress(RuntimeError):  # the loop is closed, and nobody waits any more
            self._loop.call_soon_threadsafe(self._told, report, outcome)

    def _told(self, report: Callable[[Any], None], outcome: Any) -> None:
        if not self._closed.is_set():
            report(outcome)
