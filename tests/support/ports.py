"""Ports for programs that have to be told one."""

import socket
from typing import Final

_RESERVED: Final[list[socket.socket]] = []


def reserve_port() -> int:
    """Return a port that the system gives no other socket as long as this process lives; one that asks for it gets it.

    A port that is only looked up and free again is given to any connection meanwhile, and what is started on it fails.
    """
    reserved = socket.socket()
    reserved.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    reserved.bind(("127.0.0.1", 0))
    _RESERVED.append(reserved)
    return int(reserved.getsockname()[1])
