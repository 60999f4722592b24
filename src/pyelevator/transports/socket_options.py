"""The options of all TCP connections, of clients and of servers."""

import _socket
import socket as sockets
from collections.abc import Iterable
from typing import Final

KEEPALIVE_IDLE: Final = 60
"""Seconds of silence after which the system probes the connection, which also keeps it known to firewalls."""

KEEPALIVE_INTERVAL: Final = 15
"""Seconds between two probes."""

KEEPALIVE_COUNT: Final = 4
"""Unanswered probes after which the connection has ended."""

_OPTIONS: Final[Iterable[tuple[str, int]]] = (
    ("TCP_NODELAY", 1),
    ("TCP_KEEPIDLE", KEEPALIVE_IDLE),
    ("TCP_KEEPALIVE", KEEPALIVE_IDLE),  # the same in macOS
    ("TCP_KEEPINTVL", KEEPALIVE_INTERVAL),
    ("TCP_KEEPCNT", KEEPALIVE_COUNT),
)


def configure(socket: _socket.socket) -> None:
    """Set the options of a TCP socket: send small messages at once, and detect that its peer is gone.

    Args:
        socket: of any family; others than TCP stay as they are.
    """
    if socket.family not in (sockets.AF_INET, sockets.AF_INET6):
        return
    socket.setsockopt(sockets.SOL_SOCKET, sockets.SO_KEEPALIVE, 1)
    for name, number in _OPTIONS:
        option = getattr(sockets, name, None)
        if option is not None:
            socket.setsockopt(sockets.IPPROTO_TCP, option, number)
