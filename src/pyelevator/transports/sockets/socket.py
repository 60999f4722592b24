"""Sending over sockets that never block."""

import socket as sockets
from collections import deque
from typing import Any, Final

SEND_FLAGS: Final = getattr(
    sockets, "MSG_NOSIGNAL", 0
)  # else a program that takes SIGPIPE as the system does would end with its peer
MAX_IOVEC: Final = 256
"""Buffers that are sent in one call."""


def send_some(socket: Any, buffers: "deque[Any]") -> int:
    """Send what the system takes of the first buffers, and remove it from them.

    Args:
        socket: one that never blocks.
        buffers: bytes, or views of such; must not be empty.

    Returns:
        The number of bytes that were sent.

    Raises:
        BlockingIOError: nothing can be sent now.
        OSError: nothing can be sent any more.
    """
    if len(buffers) == 1:  # the quicker call
        sent: int = socket.send(buffers[0], SEND_FLAGS)
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
