"""ChunkedScan: bytes on their way out over a socket that never blocks."""

import socket as sockets
from collections import deque
from typing import Any, Final

QUIET: Final = getattr(
    sockets, "MSG_NOSIGNAL", 0
)  # else a program that takes SIGPIPE as the system does would end with its peer
VECTOR: Final = 256
"""ChunkedScan that go out in one call."""


def push(socket: Any, pieces: "deque[Any]") -> int:
    """Sends what the system takes of the first pieces, and takes it out of them; how many bytes that was.

    Raises:
        BlockingIOError: nothing can be sent now.
        OSError: nothing can be sent any more.
    """
    if len(pieces) == 1:  # the quicker call
        sent: int = socket.send(pieces[0], QUIET)
    else:
        sent = socket.sendmsg([pieces[i] for i in range(min(len(pieces), VECTOR))], (), QUIET)
    count = sent
    while count:
        piece = pieces.popleft()
        if count < len(piece):
            pieces.appendleft(memoryview(piece)[count:])
            break
        count -= len(piece)
    return sent
