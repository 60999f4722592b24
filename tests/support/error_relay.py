"""A TCP relay to a PostgreSQL that has one error too many arrive, as a statement timeout that fires late does."""

import socket
from collections.abc import Iterator
from contextlib import suppress
from struct import Struct

from support.cutting import CuttingRelay, shut

_HEADER = Struct(">cI")
_READY = b"Z"
_FIELDS = {b"S": b"ERROR", b"V": b"ERROR", b"C": b"57014", b"M": b"canceling statement due to statement timeout"}
_TEXT = b"".join([code + text + b"\0" for code, text in _FIELDS.items()]) + b"\0"


class ErrorRelay(CuttingRelay):
    """Passes bytes between clients and a PostgreSQL, without TLS.

    When it was told to, it adds an error, and that the server is ready again, behind an answer that is complete, when
    the client has sent its next statement. So libpq takes them for the answer of that, and its answer for the answer of
    the one after it.

    Args:
        port: of the server, on loopback.
    """

    def __init__(self, port: int) -> None:
        super().__init__(port)
        self._answers_left = 0
        self._owed: dict[socket.socket, bytes] = {}

    def insert_after(self, answers: int) -> None:
        """Add an error behind so many further complete answers, counted over all connections."""
        self._answers_left = answers

    def stop_inserting(self) -> bool:
        """Return True if the error was added."""
        left, self._answers_left = self._answers_left, 0
        return left == 0

    def _pass_on(self, source: socket.socket, target: socket.socket) -> None:
        with suppress(OSError):
            if source.getpeername()[1] == self._target:
                for message in _messages(source):
                    self._count(message, target)
                    target.sendall(message)
            else:
                while chunk := source.recv(1 << 16):
                    source.sendall(self._owed.pop(source, b""))
                    target.sendall(chunk)
        shut(source, target)

    def _count(self, message: bytes, client: socket.socket) -> None:
        if message[:1] != _READY or not self._answers_left:
            return
        self._answers_left -= 1
        if not self._answers_left:
            state = b"I" if message[5:] == b"I" else b"E"
            self._owed[client] = _HEADER.pack(b"E", len(_TEXT) + 4) + _TEXT + _HEADER.pack(_READY, 5) + state


def _messages(source: socket.socket) -> Iterator[bytes]:
    """Yield the messages of a server, each with its type and length."""
    buffered = b""
    while chunk := source.recv(1 << 16):
        buffered += chunk
        while len(buffered) >= _HEADER.size and len(buffered) > (size := _HEADER.unpack_from(buffered)[1]):
            yield buffered[: size + 1]
            buffered = buffered[size + 1 :]
