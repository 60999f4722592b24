"""A DEALER of libzmq over TCP and IPC."""

import select
from collections.abc import Sequence
from typing import Any, Final, Self

import zmq

from pyelevator.deadlines import Deadline
from pyelevator.errors import ConnectFailed, ConnectTimeout, RequestTimeout, TransportError
from pyelevator.transports import socket_options
from pyelevator.transports.base import AsyncTransport, Transport, no_answer
from pyelevator.transports.connect_errors import unconnected
from pyelevator.transports.libzmq.context import DealerContext
from pyelevator.transports.readiness import Poll, Select, watching
from pyelevator.transports.zmtp.frames import MAX_MESSAGE

_LONGEST_POLL: Final = 86_400.0  # seconds; longer waits are cut into several, as poll() counts 32 bits of milliseconds


class ZmqTransport(Transport):
    """A DEALER socket. It belongs to the process that opened it: a forked child opens its own.

    Unsent messages are never kept for later: a message goes out over a connection that is up, or not at all
    (ZMQ_IMMEDIATE), and closing drops what is queued (ZMQ_LINGER 0).
    """

    def __init__(self, url: str) -> None:
        self._url = url
        self._socket: zmq.Socket[bytes] | None = None
        self._news: Poll = Select()

    @property
    def url(self) -> str:
        return self._url

    @property
    def is_open(self) -> bool:
        return self._socket is not None

    def sibling(self) -> Self:
        lane = type(self).__new__(type(self))
        ZmqTransport.__init__(lane, self._url)
        return lane

    def asynchronous(self) -> AsyncTransport:
        from pyelevator.transports.libzmq.aio import ZmqConnection

        return ZmqConnection(self.sibling())

    def open_socket(self, received: int = 1000) -> "zmq.Socket[bytes]":
        """A socket that is on its way to the server; ``received`` messages are taken from it ahead.

        Raises:
            TransportError: what can be told at once to be impossible.
        """
        try:
            socket: zmq.Socket[bytes] = DealerContext.instance().socket(zmq.DEALER)
            socket.set(zmq.LINGER, 0)
            socket.set(zmq.RCVHWM, received)
            socket.set(zmq.IMMEDIATE, 1)
            socket.set(zmq.MAXMSGSIZE, MAX_MESSAGE)
            socket.set(zmq.IPV6, "[" in self._url)  # else a name with both addresses is only tried at its IPv6 one
            socket_options.configure_zmq(socket)
            socket.set(zmq.RECONNECT_IVL, 20)
            socket.set(zmq.RECONNECT_IVL_MAX, 500)
            socket.connect(self._url)
        except zmq.ZMQError as error:
            raise ConnectFailed(f"{self._url}: {error.strerror}") from error
        return socket

    def _open(self) -> "zmq.Socket[bytes]":
        socket = self.open_socket()
        self._news = watching(socket.fileno(), select.POLLIN)
        self._socket = socket
        return socket

    def send(self, frames: Sequence[bytes], deadline: Deadline) -> None:
        socket = self._socket or self._open()
        try:
            while not _sent(socket, frames):
                if not self._wait(socket, zmq.POLLOUT, deadline):
                    raise self.unconnected(deadline)
        except zmq.ZMQError as error:
            raise self.failure(error) from error

    def _wait(self, socket: Any, event: int, deadline: Deadline) -> bool:
        """Waits until the socket is ready for ``event``; False if it is not by the deadline.

        ZeroMQ's own timeouts begin anew whenever a signal interrupts them, so a timer could keep a call waiting for
        ever. The socket's descriptor only tells that something has changed since the socket was last asked.
        """
        while not socket.get(zmq.EVENTS) & event:
            left = deadline.remaining()
            if not left:
                return False
            self._news.poll(min(left, _LONGEST_POLL) * 1000)
        return True

    def unconnected(self, deadline: Deadline) -> ConnectTimeout:
        """The error for a message that could not be sent before the deadline."""
        return unconnected(self._url, None, deadline)

    def receive(self, deadline: Deadline) -> Sequence[bytes]:
        socket = self._socket
        if socket is None:
            raise TransportError(f"nothing was sent to {self._url}, so nothing can be received")
        try:
            if self._wait(socket, zmq.POLLIN, deadline):
                return socket.recv_multipart(zmq.NOBLOCK)
        except zmq.ZMQError as error:
            raise self.failure(error) from error
        raise RequestTimeout(no_answer(self._url, deadline))

    def failure(self, error: zmq.ZMQError) -> TransportError:
        """The error that tells of one of ZeroMQ's."""
        return TransportError(f"{self._url}: {error.strerror}")

    def discard(self) -> None:
        self.close()

    def close(self) -> None:
        socket, self._socket = self._socket, None
        if socket is not None:
            socket.close()


def _sent(socket: "zmq.Socket[bytes]", frames: Sequence[bytes]) -> bool:
    """Sends, if the connection is up."""
    try:
        socket.send_multipart(frames, zmq.NOBLOCK)
    except zmq.Again:
        return False
    return True
