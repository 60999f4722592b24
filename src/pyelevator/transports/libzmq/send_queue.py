"""Send queues over a ROUTER of libzmq."""

from collections import deque
from collections.abc import Sequence
from typing import Any, Final

import zmq
from attrs import define, field

from pyelevator.transports.send_queues import SendQueues

ZERO_COPY_BYTES: Final = 8192
"""Size of a frame in bytes from which on it is sent without a copy, and tracked until it has been sent.

Of smaller ones libzmq holds at most ``HIGH_WATER`` for each peer; more wait here.
"""

HIGH_WATER: Final = 500


@define
class _PeerQueue:
    """Messages to one peer: those that wait for libzmq, and those that libzmq has not sent yet."""

    queued: "deque[Sequence[bytes]]" = field(factory=deque)
    in_libzmq: "deque[tuple[zmq.MessageTracker, int]]" = field(factory=deque)
    unsent_bytes: int = 0

    @property
    def has_unsent(self) -> bool:
        return bool(self.queued or self.in_libzmq)

    @property
    def is_slow(self) -> bool:
        return bool(self.queued)


class ZmqSendQueues(SendQueues):
    """Sends messages through a ROUTER socket without waiting, and knows which peers do not read.

    ZeroMQ does not tell what a peer has read, but it tells when a large message has left this process, and when the
    queue of small ones to a peer is full. A queue is slow while there is something in it here.

    Args:
        socket: the ROUTER.
        max_unsent: bytes on their way to all peers together, about.
    """

    def __init__(self, socket: "zmq.Socket[bytes]", max_unsent: int) -> None:
        socket.set(zmq.ROUTER_MANDATORY, 1)
        socket.set(zmq.SNDHWM, HIGH_WATER)
        self._send_frame = socket.send
        super().__init__(max_unsent)
        self.unsent_bytes = 0

    def send(self, identity: bytes, frames: Sequence[bytes]) -> bool:
        """Send a message, or queue it for ``flush``; drop it if the peer has left.

        Returns:
            True if the peer is blocked now.
        """
        if len(frames[-1]) < ZERO_COPY_BYTES and identity not in self.peers:
            if self._send(identity, frames):
                return False
            self._queue_of(identity).queued.append(frames)
            self._count(self.peers[identity], _size(frames))
            return True
        peer = self._queue_of(identity)
        self._count(peer, _size(frames))
        peer.queued.append(frames)
        self._flush(identity, peer)
        return self.is_blocked(identity)

    def _discard(self, queue: _PeerQueue) -> None:
        queue.queued.clear()
        queue.in_libzmq.clear()
        self._count(queue, -queue.unsent_bytes)

    def _queue_of(self, identity: bytes) -> _PeerQueue:
        queue: _PeerQueue = self.peers.setdefault(identity, _PeerQueue())
        return queue

    def _count(self, peer: _PeerQueue, size: int) -> None:
        peer.unsent_bytes += size
        self.unsent_bytes += size

    def _flush(self, identity: bytes, queue: _PeerQueue) -> None:
        while queue.in_libzmq and queue.in_libzmq[0][0].done:
            self._count(queue, -queue.in_libzmq.popleft()[1])
        while queue.queued and self._send(identity, queue.queued[0]):
            if not queue.queued:  # the peer has left
                return
            frames = queue.queued.popleft()
            if len(frames[-1]) < ZERO_COPY_BYTES:
                self._count(queue, -_size(frames))

    def _send(self, identity: bytes, frames: Sequence[bytes]) -> bool:
        """Pass a message to libzmq, or drop it if the peer has left; False if the peer's queue there is full."""
        send = self._send_frame
        try:
            send(identity, zmq.SNDMORE | zmq.NOBLOCK)
            for frame in frames[:-1]:
                send(frame, zmq.SNDMORE)
            if len(frames[-1]) < ZERO_COPY_BYTES:
                send(frames[-1])
            else:
                self._send_tracked(identity, frames)
        except zmq.Again:
            return False
        except zmq.ZMQError as error:
            if error.errno != zmq.EHOSTUNREACH:
                raise
            if identity in self.peers:
                self._discard(self.peers[identity])
        return True

    def _send_tracked(self, identity: bytes, frames: Sequence[bytes]) -> None:
        last: Any = zmq.Frame(frames[-1], copy=False, copy_threshold=0, track=True)
        tracker = self._send_frame(last, copy=False, track=True)
        self.peers[identity].in_libzmq.append((tracker, _size(frames)))


def _size(frames: Sequence[bytes]) -> int:
    return sum(map(len, frames))
