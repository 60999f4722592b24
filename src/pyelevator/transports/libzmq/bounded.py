"""BoundedListener: a listener whose memory and patience have bounds: where the system has no epoll."""

import math
from collections import deque
from collections.abc import Sequence
from contextlib import suppress
from typing import Final

import zmq

from pyelevator.transports.libzmq.listener import Listener
from pyelevator.transports.libzmq.monitor import Connections, cut
from pyelevator.transports.libzmq.send_queue import Outbox

_ENDED: Final = 1 << 16
"""Connections that have ended and nobody has looked at."""

_RECEIVED: Final = 32
"""Messages of one peer that libzmq receives ahead; further ones stay with the peer."""


class BoundedListener(Listener):
    """A listener that knows who does not read its answers, counts connections, and need not wait for ever.

    Args:
        urls, max_message, ipc_mode: as :class:`Listener`.
        max_unread: bytes of answers on their way to all peers together, see :class:`Outbox`.
        max_connections: peers at once.

    Attributes:
        outbox: the answers that have not left yet.
        ended: the identities of connections that have ended, for whoever keeps something for them to take out.
    """

    def __init__(
        self,
        *urls: str,
        max_message: int = 256 << 20,
        ipc_mode: int = 0o600,
        max_unread: int = 256 << 20,
        max_connections: int = 4096,
    ) -> None:
        self._max_unread, self._max_connections = max_unread, max_connections
        self._timeout: float | None = None
        self._descriptor: int | None = None
        self._identities: dict[int, bytes] = {}
        super().__init__(*urls, max_message=max_message, ipc_mode=ipc_mode)

    def _prepare(self) -> None:
        self.socket.set(zmq.RCVHWM, _RECEIVED)
        self.outbox = Outbox(self.socket, self._max_unread)
        self._notes = True
        self.ended: deque[bytes] = deque(maxlen=_ENDED)
        self._connections = Connections(self.socket, self._max_connections, self._note_end)

    @property
    def timeout(self) -> float | None:
        """Seconds after which ``wait`` returns without a message; None for never."""
        return self._timeout

    @timeout.setter
    def timeout(self, seconds: float | None) -> None:
        if seconds != self._timeout:
            self.socket.set(zmq.RCVTIMEO, -1 if seconds is None else round(seconds * 1000))
            self._timeout = seconds

    @property
    def count(self) -> int:
        """How many are connected."""
        return self._connections.count

    def knows(self, identity: bytes) -> bool:  # noqa: ARG002
        """Whether a sender may still be there, which libzmq tells when he is sent something."""
        return True

    def wait(self) -> tuple[bytes, Sequence[bytes]] | None:
        try:
            return super().wait()
        except zmq.Again:
            return None

    def taken(self) -> tuple[()]:
        """What has come in and was not waited for yet: nothing that is known here."""
        return ()

    @property
    def pollable(self) -> "zmq.Socket[bytes]":
        """What a ``zmq.Poller`` waits for."""
        return self.socket

    at_hand: Final = False
    """Whether a message has come in already, which nothing tells who waits for ``pollable``."""

    due: Final = math.inf
    """When a peer may have been silent for longer than it wanted to be: libzmq sees to that."""

    behind: Final = False
    """Whether there may be further messages of which the same is true."""

    def hand_out(self) -> list[bytes]:
        """Sends the answers that waited for further ones: there are none here."""
        return []

    def answer(self, identity: bytes, frames: Sequence[bytes]) -> bool:
        """Answers a sender without ever waiting; whether it is blocked now, see :class:`Outbox`."""
        return self.outbox.send(identity, frames)

    answer_later = answer

    def cut(self, identity: bytes) -> None:
        """Closes the connection over which the last message came, from a peer that was blocked then."""
        self.outbox.forget(identity)
        if self._descriptor is not None:
            cut(self._descriptor)

    def _note(self, identity: bytes, frame: zmq.Frame) -> None:
        self._descriptor = None
        with suppress(zmq.ZMQError):
            self._descriptor = int(frame.get(zmq.SRCFD))
            self._identities[self._descriptor] = identity

    def _note_end(self, descriptor: int) -> None:
        """A connection has ended; called in another thread."""
        identity = self._identities.pop(descriptor, None)
        if identity is not None:
            self.ended.append(identity)
            self.wake()
