"""A DEALER socket of libzmq on an event loop, by its descriptor."""

import asyncio
from collections.abc import Sequence
from typing import Any, Final

import zmq

from pyelevator.deadlines import Deadline
from pyelevator.errors import ConnectTimeout, TransportError
from pyelevator.forks import FORKS
from pyelevator.transports.base import AsyncTransport, Receiver
from pyelevator.transports.libzmq.transport import ZmqTransport

_BURST: Final = 500
"""How many messages are taken in one turn of the loop, so that others get theirs."""


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
