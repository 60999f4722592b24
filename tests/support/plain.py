"""A client that is nothing but a socket: it reads when the test does, and no earlier."""

import socket

from pyelevator.transports.zmtp.handshake import GREETING_SIZE, REVISION, SIGNATURE
from pyelevator.transports.zmtp.mechanism import NULL, encode_ready


def plain_client(url: str) -> socket.socket:
    """A connection over TCP to a server without keys, welcomed; the system reads little ahead on it."""
    host, _, port = url.removeprefix("tcp://").partition(":")
    connection = socket.socket()
    connection.settimeout(20)
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 16)
    connection.connect((host, int(port)))
    connection.sendall(SIGNATURE + bytes((REVISION, 0)) + NULL + bytes(32) + encode_ready(b"DEALER"))
    receive_exactly(connection, GREETING_SIZE + len(encode_ready(b"ROUTER")))
    return connection


def receive_exactly(connection: socket.socket, size: int) -> bytes:
    """So many bytes."""
    chunks = []
    while size:
        chunks.append(connection.recv(min(size, 1 << 20)))
        assert chunks[-1], "the connection ended"
        size -= len(chunks[-1])
    return b"".join(chunks)
