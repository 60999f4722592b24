"""Sockets of the system that never block."""

import _socket
import errno
import os
import socket as sockets
from collections import deque
from typing import Any, Final, TypeAlias

from pyelevator._closing import Closing
from pyelevator.errors import ConnectFailed
from pyelevator.transports import socket_options
from pyelevator.transports.base import HEARTBEATS

Address: TypeAlias = tuple[int, Any]
"""A family of addresses, and one of them as ``connect`` takes it."""

Buffers: TypeAlias = "deque[bytes | memoryview]"
"""Bytes to be sent one after the other."""

SEND_FLAGS: Final = getattr(sockets, "MSG_NOSIGNAL", 0)
"""Without it, a program with the system's default for SIGPIPE would end with its peer."""

MAX_IOVEC: Final = 256
"""Buffers that are sent in one call."""

HANDSHAKE_TIMEOUT: Final = 30.0
"""Seconds, as ZeroMQ's HANDSHAKE_IVL."""

MIN_PAUSE: Final = 0.02
MAX_PAUSE: Final = 0.5
"""Seconds between two attempts to connect: the first ones, and the last ones."""


def time_to_live(heartbeat: float) -> float:
    """Return the seconds of silence after which a server may close a connection with such heartbeats."""
    return (HEARTBEATS + 1) * heartbeat


class ClientSocket(_socket.socket, Closing):
    """A socket that may be dropped without a warning: Python would warn of each, the session warns once for all.

    It is the system's own, below the class that Python, and eventlet and gevent in its place, make of it: they have
    nothing to add, because it never blocks. Closing it neither sends nor waits. A forked child that drops it closes its
    own descriptor, and the parent's connection stays as it is; so nothing here may ever call ``shutdown``.
    """

    def __del__(self) -> None:
        self.close()


def start_connect(address: Address, url: str) -> ClientSocket:
    """Return a socket that begins to connect to ``address``, with the URL for messages.

    Raises:
        ConnectFailed: there can be no socket.
        OSError: the connection failed at once.
    """
    try:
        socket = ClientSocket(address[0], sockets.SOCK_STREAM)
    except OSError as error:
        raise ConnectFailed(f"{url}: {error.strerror}") from error
    socket.setblocking(False)
    socket_options.configure(socket)
    number = socket.connect_ex(address[1])
    if number in (0, errno.EINPROGRESS):
        return socket
    socket.close()
    raise OSError(number, os.strerror(number))


def finish_connect(socket: ClientSocket) -> None:
    """Check that a socket that is writable now is connected.

    A connection to a port of this machine that no program listens on may be one to itself, if the system happens to
    give its own end the same port; it would keep the server from coming back to that port.

    Raises:
        OSError: why the connection failed.
    """
    number = socket.getsockopt(sockets.SOL_SOCKET, sockets.SO_ERROR)
    if not number and socket.family != sockets.AF_UNIX and socket.getsockname() == socket.getpeername():
        number = errno.ECONNREFUSED
    if number:
        raise OSError(number, os.strerror(number))


def send_some(socket: _socket.socket, buffers: Buffers) -> int:
    """Send what the system takes of the first buffers, and remove it from them; return the number of bytes.

    Raises:
        BlockingIOError: nothing can be sent now.
        OSError: nothing can be sent any more.
    """
    if len(buffers) == 1:  # the quicker call
        sent = socket.send(buffers[0], SEND_FLAGS)
    else:
        sent = socket.sendmsg([buffers[i] for i in range(min(len(buffers), MAX_IOVEC))], (), SEND_FLAGS)
    count = sent
    while count:
        buffer = buffers.popleft()
        if count < len(buffer):
            buffers.appendleft(memoryview(buffer)[count:])
            break
        count -= len(buffer)
    return sent
