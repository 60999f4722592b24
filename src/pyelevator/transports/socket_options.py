"""What every TCP connection of ours is told, on both sides."""

import socket as sockets
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    import zmq

KEEPALIVE_IDLE: Final = 60
"""Seconds of silence after which the system asks whether the other side is still there. Firewalls take note of it."""

KEEPALIVE_INTERVAL: Final = 15
"""Seconds between two such questions."""

KEEPALIVE_COUNT: Final = 4
"""Questions without an answer after which the connection has ended."""

_OPTIONS: Final[Iterable[tuple[str, int]]] = (
    ("TCP_NODELAY", 1),
    ("TCP_KEEPIDLE", KEEPALIVE_IDLE),
    ("TCP_KEEPALIVE", KEEPALIVE_IDLE),  # the same in macOS
    ("TCP_KEEPINTVL", KEEPALIVE_INTERVAL),
    ("TCP_KEEPCNT", KEEPALIVE_COUNT),
)


def configure(socket: Any) -> None:
    """Sets what a TCP socket shall do: send small messages at once, and notice that its peer is gone. Others stay."""
    if socket.family not in (sockets.AF_INET, sockets.AF_INET6):
        return
    socket.setsockopt(sockets.SOL_SOCKET, sockets.SO_KEEPALIVE, 1)
    for name, number in _OPTIONS:
        option = getattr(sockets, name, None)
        if option is not None:
            socket.setsockopt(sockets.IPPROTO_TCP, option, number)


def configure_zmq(socket: "zmq.Socket[bytes]") -> None:
    """Tells a socket of libzmq, for all its connections, what ``configure`` tells one of the system's."""
    import zmq  # clients have no use for it

    socket.set(zmq.TCP_KEEPALIVE, 1)
    socket.set(zmq.TCP_KEEPALIVE_IDLE, KEEPALIVE_IDLE)
    socket.set(zmq.TCP_KEEPALIVE_INTVL, KEEPALIVE_INTERVAL)
    socket.set(zmq.TCP_KEEPALIVE_CNT, KEEPALIVE_COUNT)
