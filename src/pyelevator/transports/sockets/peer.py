"""Guests: the connections of a listener that speaks ZMTP itself, and what has not left to them."""

import select
import socket as sockets
from collections import deque
from collections.abc import Callable, Sequence
from contextlib import suppress
from math import inf
from time import monotonic
from typing import Any, Final

from pyelevator.errors import ProtocolError
from pyelevator.transports.sockets.socket import push
from pyelevator.transports.zmtp import frames as zmtp
from pyelevator.transports.zmtp.handshake import Welcome

HIGH_WATER: Final = 500
"""ChunkedScan on their way to one guest from which on it is blocked, however small they are."""

READ: Final = getattr(select, "EPOLLIN", 1)
WRITE: Final = getattr(select, "EPOLLOUT", 4)

_AT_ONCE: Final = 64  # messages of one guest that are answered before those of others
_LAST_READS: Final = 64


class Left(Exception):
    """The guest has left, or is of no more use."""


class Backlog:
    """What has not left to all guests together, and who does not read; in the terms of an ``Outbox``.

    Args:
        most: bytes, about.

    Attributes:
        peers: as of an :class:`~pyelevator.transports.libzmq.send_queue.Outbox`.
        unsent: bytes on their way, with what has left of a piece that has not left as a whole.
    """

    def __init__(self, most: int) -> None:
        self._most = most
        self.unsent = 0
        self.peers: dict[bytes, Guest] = {}

    def blocked(self, identity: bytes) -> bool:
        """Whether a guest does not read what it is sent."""
        guest = self.peers.get(identity)
        return guest is not None and (guest.lags or guest.size > self._most - self.unsent)

    def flush(self) -> None:
        """Sends what can be sent by now, and strikes off the guests to whom nothing is on its way any more."""
        for identity, guest in list(self.peers.items()):
            guest.flush()
            if not guest.waits:
                del self.peers[identity]

    def forget(self, identity: bytes) -> None:
        """Gives up on a guest: what waits for it is dropped."""
        guest = self.peers.pop(identity, None)
        if guest is not None:
            guest.drop()


class Unfinished:
    """What all guests together have sent of messages whose ends have not come.

    Args:
        most: bytes, about.

    Attributes:
        sizes: of whom it was more than nothing when it was last noted, how much.
    """

    def __init__(self, most: int) -> None:
        self._most = most
        self._total = 0
        self.sizes: dict[bytes, int] = {}

    def note(self, identity: bytes, size: int) -> None:
        """A guest has sent so much by now."""
        self._total += size - self.sizes.pop(identity, 0)
        if size:
            self.sizes[identity] = size

    def too_much(self) -> bytes | None:
        """Who has sent the most, if it is more than there may be."""
        return max(self.sizes, key=self.sizes.__getitem__) if self._total > self._most else None


class Guest:
    """One connection, from its handshake on. The socket never blocks.

    Args:
        identity: what it is called here.
        socket: it is up.
        backlog: counts what has not left.
        max_message: bytes.
        welcome: the handshake; without keys if None.

    Attributes:
        peer: who it has proved to be; None where nobody asks.
        since: when it came, for who sets an end to handshakes; None once it has been welcomed.
        size: bytes that have not left to it.
        watched: for what its socket is.
        lost: some of what was for it was dropped, and nothing can follow.
        expires: until when (seconds, monotonic) it wants to be heard of, or given up; infinity for no end.
    """

    def __init__(
        self, identity: bytes, socket: Any, backlog: Backlog, max_message: int, welcome: Welcome | None = None
    ) -> None:
        self.identity = identity
        self.peer: str | None = None
        self.since: float | None = monotonic()
        self.size = 0
        self.watched = READ
        self.lost = False
        self.expires = inf
        self._backlog = backlog
        self.socket = socket
        self._receive = socket.recv
        self._max_message = max_message
        self._welcome: Welcome | None = welcome or Welcome()
        self._decoder = zmtp.Decoder(max_message, most=_AT_ONCE)
        self._encode: Callable[[Sequence[bytes]], list[bytes]] = zmtp.encode
        self._queue: deque[Any] = deque()
        self._kept = 0  # what has left of the first piece there, which is kept until all of it has
        self.put([Welcome.opening])

    @property
    def waits(self) -> bool:
        """Whether something has not left to it."""
        return bool(self._queue)

    @property
    def lags(self) -> bool:
        """Whether much has not left to it."""
        return len(self._queue) > HIGH_WATER

    @property
    def behind(self) -> bool:
        """Whether more has been read than was taken; nothing is read from the socket as long as that is so."""
        return self._decoder.behind

    @property
    def unfinished(self) -> int:
        """Bytes of memory, about, that the message takes whose end has not come."""
        return self._decoder.unfinished

    def take(self) -> "deque[list[bytes]]":
        """Reads what is there; the next few messages that are complete now, for the caller to empty.

        Raises:
            Left: nothing comes any more.
        """
        try:
            data = b"" if self._decoder.behind else self._read()  # which may change the decoder
            self._decoder.feed(data)
        except BlockingIOError:
            return self._decoder.messages
        except (OSError, ProtocolError) as error:
            raise Left from error
        except zmtp.Refused as error:
            if error.answer:
                self.put([error.answer])
            raise Left from error
        if self._decoder.ttl or self.expires < inf:
            self.expires = monotonic() + (self._decoder.ttl or inf)
        if self._decoder.pongs:
            pongs, self._decoder.pongs = self._decoder.pongs, b""
            if self.size < zmtp.LARGE:  # else what is on its way already says that we live, if it is read at all
                self.put([pongs])
        return self._decoder.messages

    def _read(self) -> bytes:
        data = self._receive(self._decoder.wanted)
        if not data:
            raise Left
        return data if self._welcome is None else self._shake(self._welcome, data)

    def _shake(self, welcome: Welcome, data: bytes) -> bytes:
        reply = welcome.receive(data)
        if reply:
            self.put([reply])
        if not welcome.done:
            return b""
        self._welcome = self.since = None
        self.peer = welcome.peer
        self._encode = welcome.outgoing()
        self._decoder = welcome.incoming(self._max_message, _AT_ONCE)
        return welcome.rest

    def answer(self, frames: Sequence[bytes]) -> None:
        """Lets a message wait for ``flush``."""
        pieces = self._encode(frames)
        self._queue.extend(pieces)
        size = sum(map(len, pieces))
        self.size += size
        self._backlog.unsent += size

    def _count(self, size: int) -> None:
        self.size += size
        self._backlog.unsent += size

    def put(self, pieces: Sequence[bytes]) -> None:
        """Sends bytes of the protocol, or lets them wait."""
        self._queue.extend(pieces)
        self._count(sum(map(len, pieces)))
        self.flush()

    def flush(self) -> None:
        """Sends what can be sent by now. One who has left is seen when he is read from."""
        queue = self._queue
        try:
            while queue:
                self._count(-push(self.socket, queue))
        except BlockingIOError:
            pass
        except OSError:
            self.drop()
        if queue or self._kept:
            self._keep(queue[0] if queue else b"")

    def _keep(self, first: Any) -> None:
        kept = memoryview(first.obj).nbytes - first.nbytes if type(first) is memoryview else 0
        self._backlog.unsent += kept - self._kept
        self._kept = kept

    def drop(self) -> None:
        """Forgets what has not left. Nothing can follow, as half a frame may have left; so the peer is told the end."""
        if self._queue:
            self._queue.clear()
            self._count(-self.size)
            self._keep(b"")
            self.lost = True
            with suppress(OSError):
                self.socket.shutdown(sockets.SHUT_WR)

    def close(self) -> None:
        """Ends the connection. What it has sent is read first: else the system might take back what it was sent."""
        self.drop()
        try:
            self.socket.shutdown(sockets.SHUT_WR)
            for _ in range(_LAST_READS):
                if not self.socket.recv(zmtp.LARGE):
                    break
        except OSError:
            pass
        self.socket.close()
