"""A minimal ZMTP 3.0 peer on one blocking socket, without a thread between: a trial, not a part of the package.

It does what one DEALER needs of the protocol (rfc.zeromq.org/spec/23): the greeting with the mechanism NULL, READY,
and message frames. It never answers a PING, knows no other command, and does not reconnect.
"""

import socket as sockets
import struct
from collections.abc import Sequence
from typing import Final, Self

_GREETING: Final = b"\xff" + bytes(8) + b"\x7f" + b"\x03\x00" + b"NULL".ljust(20, b"\0") + bytes(32)
_READY: Final = b"\x05READY\x0bSocket-Type\x00\x00\x00\x06DEALER\x08Identity\x00\x00\x00\x00"
_MORE: Final = 1
_LONG: Final = 2
_COMMAND: Final = 4
_CHUNK: Final = 1 << 16


class Direct:
    """One connection to a ROUTER, at a URL of tcp or ipc."""

    def __init__(self, url: str) -> None:
        scheme, _, address = url.partition("://")
        self._socket = _connected(scheme, address)
        self._buffer = bytearray()
        self._socket.sendall(_GREETING)
        self._take(len(_GREETING))
        self._socket.sendall(_frame(_READY, _COMMAND))
        self._read_frame()

    def send(self, frames: Sequence[bytes]) -> None:
        """One message, in one system call."""
        last = len(frames) - 1
        self._socket.sendall(b"".join([_frame(frame, _MORE if i < last else 0) for i, frame in enumerate(frames)]))

    def receive(self) -> list[bytes]:
        """The next message."""
        frames = []
        more = True
        while more:
            more, frame = self._read_frame()
            frames.append(frame)
        return frames

    def _read_frame(self) -> tuple[bool, bytes]:
        flags, size = self._take(2)
        if flags & _LONG:
            (size,) = struct.unpack(">Q", bytes([size]) + self._take(7))
        return bool(flags & _MORE), self._take(size)

    def _take(self, size: int) -> bytes:
        buffer = self._buffer
        while len(buffer) < size:
            chunk = self._socket.recv(_CHUNK)
            if not chunk:
                raise ConnectionError("the server closed the connection")
            buffer += chunk
        taken = bytes(buffer[:size])
        del buffer[:size]
        return taken

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._socket.close()


def _connected(scheme: str, address: str) -> sockets.socket:
    if scheme == "ipc":
        lane = sockets.socket(sockets.AF_UNIX)
        lane.connect(address)
        return lane
    host, _, port = address.rpartition(":")
    lane = sockets.create_connection((host, int(port)))
    lane.setsockopt(sockets.IPPROTO_TCP, sockets.TCP_NODELAY, 1)
    return lane


def _frame(content: bytes, flags: int) -> bytes:
    size = len(content)
    if size > 255:
        return struct.pack(">BQ", flags | _LONG, size) + content
    return bytes((flags, size)) + content
