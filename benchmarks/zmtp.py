"""Minimal ZMTP 3.0 peers without a thread between the program and its socket: trials, for both sides.

What became of the client's is transports/sockets/transport.py; these stay as small as the other trials are. They do what a DEALER and a ROUTER need of the protocol (rfc.zeromq.org/spec/23): the greeting with the mechanism NULL,
READY, and message frames. They never answer a PING, know no other command, no CURVE, and do not reconnect.
"""

import select
import socket as sockets
import struct
from collections.abc import Sequence
from typing import Final, Self

_GREETING: Final = b"\xff" + bytes(8) + b"\x7f" + b"\x03\x00" + b"NULL".ljust(20, b"\0") + bytes(32)
_READY: Final = b"\x05READY\x0bSocket-Type\x00\x00\x00\x06%b\x08Identity\x00\x00\x00\x00"
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
        self._socket.sendall(_frame(_READY % b"DEALER", _COMMAND))
        self._read_frame()

    def send(self, frames: Sequence[bytes]) -> None:
        """One message, in one system call."""
        self._socket.sendall(_message(frames))

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

    def settimeout(self, seconds: float | None) -> None:
        """As of a socket."""
        self._socket.settimeout(seconds)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._socket.close()


def _connected(scheme: str, address: str) -> sockets.socket:
    if scheme == "ipc":
        client_connection = sockets.socket(sockets.AF_UNIX)
        client_connection.connect(address)
        return client_connection
    host, _, port = address.rpartition(":")
    client_connection = sockets.create_connection((host, int(port)))
    client_connection.setsockopt(sockets.IPPROTO_TCP, sockets.TCP_NODELAY, 1)
    return client_connection


def _message(frames: Sequence[bytes]) -> bytes:
    last = len(frames) - 1
    return b"".join([_frame(frame, _MORE if i < last else 0) for i, frame in enumerate(frames)])


def _frame(content: bytes, flags: int) -> bytes:
    size = len(content)
    if size > 255:
        return struct.pack(">BQ", flags | _LONG, size) + content
    return bytes((flags, size)) + content


def echo(listener: sockets.socket, reply: Sequence[bytes]) -> None:
    """Answers every message to a listening socket with the same frames, for ever, in this one thread."""
    poll, peers, answer = select.epoll(), {}, _message(reply)
    poll.register(listener, select.EPOLLIN)
    while True:
        for number, _ in poll.poll():
            if number == listener.fileno():
                peer = _Peer(listener.accept()[0], answer)
                peers[peer.socket.fileno()] = peer
                poll.register(peer.socket, select.EPOLLIN)
            elif not peers[number].answered():
                poll.unregister(number)
                peers.pop(number).socket.close()


class _Peer:
    """A connection to such a server. Answers are small and their reader waits for them, so that they never block."""

    def __init__(self, socket: sockets.socket, answer: bytes) -> None:
        self.socket = socket
        if socket.family != sockets.AF_UNIX:
            socket.setsockopt(sockets.IPPROTO_TCP, sockets.TCP_NODELAY, 1)
        socket.sendall(_GREETING + _frame(_READY % b"ROUTER", _COMMAND))
        self._buffer = b""
        self._skip = len(_GREETING)
        self._answer = answer

    def answered(self) -> bool:
        """Reads what is there and answers the messages in it; False once the peer has left."""
        chunk = self.socket.recv(_CHUNK)
        buffer = self._buffer + chunk
        at, answers = min(self._skip, len(buffer)), 0
        self._skip -= at
        while len(buffer) >= at + 2 and len(buffer) >= at + 2 + buffer[at + 1]:
            answers += not buffer[at] & (_MORE | _COMMAND)
            at += 2 + buffer[at + 1]
        self._buffer = buffer[at:]
        if answers:
            self.socket.sendall(self._answer * answers)
        return bool(chunk)
