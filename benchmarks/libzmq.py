"""A transport over a DEALER of libzmq, to measure the client's own ZMTP beside."""

import select
from collections.abc import Sequence
from typing import Self

import zmq

from pyelevator.deadlines import Deadline
from pyelevator.errors import ConnectTimeout, RequestTimeout
from pyelevator.transports import Transport, socket_options
from pyelevator.transports.zmtp.frames import MAX_MESSAGE

_MAX_POLL = 86_400.0  # seconds


class ZmqTransport(Transport):
    """One connection, by a socket of libzmq that a thread of its own serves.

    Args:
        url: ``tcp://host:port`` or ``ipc://path``.
    """

    def __init__(self, url: str) -> None:
        self._url = url
        self._socket: zmq.Socket[bytes] | None = None

    @property
    def url(self) -> str:
        return self._url

    @property
    def is_open(self) -> bool:
        return self._socket is not None

    def clone(self) -> Self:
        return type(self)(self._url)

    def _open(self) -> "zmq.Socket[bytes]":
        socket: zmq.Socket[bytes] = zmq.Context.instance().socket(zmq.DEALER)
        socket.set(zmq.LINGER, 0)
        socket.set(zmq.IMMEDIATE, 1)
        socket.set(zmq.MAXMSGSIZE, MAX_MESSAGE)
        socket.set(zmq.TCP_KEEPALIVE, 1)
        socket.set(zmq.TCP_KEEPALIVE_IDLE, socket_options.KEEPALIVE_IDLE)
        socket.set(zmq.TCP_KEEPALIVE_INTVL, socket_options.KEEPALIVE_INTERVAL)
        socket.set(zmq.TCP_KEEPALIVE_CNT, socket_options.KEEPALIVE_COUNT)
        socket.connect(self._url)
        self._poll = select.poll()
        self._poll.register(socket.fileno(), select.POLLIN)
        self._socket = socket
        return socket

    def send(self, frames: Sequence[bytes], deadline: Deadline) -> None:
        socket = self._socket or self._open()
        if not self._wait(socket, zmq.POLLOUT, deadline):
            raise ConnectTimeout(f"no server answered at {self._url} within {deadline}")
        socket.send_multipart(frames, zmq.NOBLOCK)

    def receive(self, deadline: Deadline) -> Sequence[bytes]:
        socket = self._socket or self._open()
        if not self._wait(socket, zmq.POLLIN, deadline):
            raise RequestTimeout(f"no answer came from {self._url} within {deadline}")
        return socket.recv_multipart(zmq.NOBLOCK)

    def _wait(self, socket: "zmq.Socket[bytes]", event: int, deadline: Deadline) -> bool:
        while not int(socket.get(zmq.EVENTS)) & event:
            left = deadline.remaining()
            if not left:
                return False
            self._poll.poll(min(left, _MAX_POLL) * 1000)
        return True

    def reset(self) -> None:
        self.close()

    def close(self) -> None:
        socket, self._socket = self._socket, None
        if socket is not None:
            socket.close()
