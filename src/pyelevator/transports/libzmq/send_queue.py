"""Outbox: answers on their way to peers that may not read them."""

from collections import deque
from collections.abc import Sequence
from typing import Any, Final

import zmq
from attrs import define, field

LARGE: Final = 8192
"""From so many bytes on a frame is sent without a copy, and known to be unsent until it has left.

Of smaller ones libzmq holds at most ``HIGH_WATER`` for each peer; more wait here.
"""

HIGH_WATER: Final = 500


@define
class _Peer:
    """What has not left to one peer: what waits to be handed to libzmq, and what that has not sent yet."""

    waiting: "deque[Sequence[bytes]]" = field(factory=deque)
    handed: "deque[tuple[zmq.MessageTracker, int]]" = field(factory=deque)
    size: int = 0


class Outbox:
    """Sends answers through a ROUTER socket without ever waiting, and knows who does not read.

    ZeroMQ does not tell what a peer has read, but when a large message has left this process, and when the queue of
    small ones to a peer is full. A peer is ``blocked`` while messages wait for it here, or while more bytes than are
    free of ``most`` are on their way to it: one that does not read can take half of them, a hundred of those a
    hundred and first each, and one that reads always has some left. Who answers should execute nothing more for a
    blocked peer.

    Args:
        socket: the ROUTER.
        most: bytes on their way to all peers together, about.

    Attributes:
        peers: those to whom something was known to be on its way when ``flush`` was last called, or is by now; as
            long as there are any, ``flush`` wants to be called every few milliseconds. One that was blocked stays
            among them until a ``flush`` has found it free, so that who waits for that never misses it.
        unsent: bytes on their way.
    """

    def __init__(self, socket: "zmq.Socket[bytes]", most: int) -> None:
        socket.set(zmq.ROUTER_MANDATORY, 1)
        socket.set(zmq.SNDHWM, HIGH_WATER)
        self._send = socket.send
        self._most = most
        self.unsent = 0
        self.peers: dict[bytes, _Peer] = {}

    def send(self, identity: bytes, frames: Sequence[bytes]) -> bool:
        """Sends a message, or keeps it for ``flush``; whether the peer is blocked now. One who left gets nothing."""
        if len(frames[-1]) < LARGE and identity not in self.peers:
            if self._hand(identity, frames):
                return False
            self._peer(identity).waiting.append(frames)
            self._count(self.peers[identity], _size(frames))
            return True
        peer = self._peer(identity)
        self._count(peer, _size(frames))
        peer.waiting.append(frames)
        self._flush(identity, peer)
        return self.blocked(identity)

    def blocked(self, identity: bytes) -> bool:
        """Whether the peer does not read what it is sent."""
        peer = self.peers.get(identity)
        return peer is not None and (bool(peer.waiting) or peer.size > self._most - self.unsent)

    def flush(self) -> None:
        """Sends what can be sent by now, and strikes off the peers to whom nothing is on its way any more."""
        for identity, peer in list(self.peers.items()):
            self._flush(identity, peer)
            if not peer.waiting and not peer.handed:
                self.forget(identity)

    def forget(self, identity: bytes) -> None:
        """Gives up on a peer: what waits for it is dropped."""
        peer = self.peers.pop(identity, None)
        if peer is not None:
            self._drop(peer)

    def _drop(self, peer: _Peer) -> None:
        peer.waiting.clear()
        peer.handed.clear()
        self._count(peer, -peer.size)

    def _peer(self, identity: bytes) -> _Peer:
        return self.peers.setdefault(identity, _Peer())

    def _count(self, peer: _Peer, size: int) -> None:
        peer.size += size
        self.unsent += size

    def _flush(self, identity: bytes, peer: _Peer) -> None:
        while peer.handed and peer.handed[0][0].done:
            self._count(peer, -peer.handed.popleft()[1])
        while peer.waiting and self._hand(identity, peer.waiting[0]):
            if not peer.waiting:  # it has left
                return
            frames = peer.waiting.popleft()
            if len(frames[-1]) < LARGE:
                self._count(peer, -_size(frames))

    def _hand(self, identity: bytes, frames: Sequence[bytes]) -> bool:
        """Hands a message to libzmq, or drops it because the peer has left; False if the peer's queue is full."""
        send = self._send
        try:
            send(identity, zmq.SNDMORE | zmq.NOBLOCK)
            for frame in frames[:-1]:
                send(frame, zmq.SNDMORE)
            if len(frames[-1]) < LARGE:
                send(frames[-1])
            else:
                self._hand_large(identity, frames)
        except zmq.Again:
            return False
        except zmq.ZMQError as error:
            if error.errno != zmq.EHOSTUNREACH:
                raise
            if identity in self.peers:
                self._drop(self.peers[identity])
        return True

    def _hand_large(self, identity: bytes, frames: Sequence[bytes]) -> None:
        last: Any = zmq.Frame(frames[-1], copy=False, copy_threshold=0, track=True)
        tracker = self._send(last, copy=False, track=True)
        self.peers[identity].handed.append((tracker, _size(frames)))


def _size(frames: Sequence[bytes]) -> int:
    return sum(map(len, frames))
