"""A client that is nothing but a socket: it reads when the test does, and no earlier."""

import socket

from pyelevator.transports.zmtp import frames as zmtp


def plain_client(url: str) -> socket.socket:
    """A connection over TCP to a server without keys, welcomed; the system reads little ahead on it."""
    host, _, port = url.removeprefix("tcp://").partition(":")
    connection = socket.socket()
    connection.settimeout(20)
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 16)
    connection.connect((host, int(port)))
    connection.sendall(zmtp.SIGNATURE + bytes((zmtp.REVISION, 0)) + zmtp.NULL + bytes(32) + zmtp.ready(b"DEALER"))
    receive_exactly(connection, zmtp.GREETING + len(zmtp.ready(b"ROUTER")))
    return connection


def receive_exactly(connection: socket.socket, size: int) -> bytes:
    """So many bytes."""
    pieces = []
    while size:
        pieces.append(connection.recv(min(size, 1 << 20)))
        assert pieces[-1], "the connection ended"
        size -= len(pieces[-1])
    return b"".join(pieces)
