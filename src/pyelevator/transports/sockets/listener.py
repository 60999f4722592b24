"""OpenListener: a listener that speaks ZMTP itself, in the thread that answers.

libzmq's own thread hands each message over to the one that answers, and takes each answer back, which costs a server
more than all that it does itself (docs/benchmarks.md); and its bounds are of frames, and not of messages.
"""

import logging
import math
import os
import select
import socket as sockets
import threading
from collections import OrderedDict, deque
from collections.abc import Iterator, Sequence
from itertools import count, islice
from time import monotonic, sleep
from typing import Any, Final

from pyelevator.deadlines import Deadline
from pyelevator.transports import socket_options
from pyelevator.transports.authentication import CurveServer
from pyelevator.transports.sockets.acceptor import Doors
from pyelevator.transports.sockets.memory import Freed
from pyelevator.transports.sockets.peer import READ, WRITE, Backlog, Guest, Left, Unfinished
from pyelevator.transports.sockets.refusal_log import Refusals
from pyelevator.transports.zmtp.frames import Foreign, UnknownKey

_LOG: Final = logging.getLogger("pyelevator.server")

_TOGETHER: Final = 16  # connections that are read from before the messages are answered
_BEHIND: Final = 4  # those of them that had more at hand than their share
_HANDSHAKE: Final = 30.0  # seconds, as ZeroMQ's HANDSHAKE_IVL
_LATE: Final = 1 << 16  # bytes that wait at most for the next answer to the same guest
_UNFINISHED: Final = 1 << 30  # bytes of messages that have not ended
_GOODBYE: Final = 1.0  # seconds at the end for what has not left
_MOMENT: Final = 0.005
_ENDED: Final = 1 << 16  # connections that have ended and nobody has looked at
_BEHIND_SECONDS: Final = 1.0  # until one of which more has come than was taken is looked at again

AVAILABLE: Final = hasattr(select, "epoll") and hasattr(os, "eventfd")
"""Whether the system has what it takes."""


class OpenListener:
    """Takes messages from everybody who comes, in the terms of a ``BoundedListener`` of libzmq.

    What one connection brings at once is answered at once, in one piece, if it is little; if it is much, others have
    their turn in between.

    Args:
        urls: what to bind.
        max_message: bytes; a longer one ends the connection.
        curve: asks everybody who comes over TCP for a key; socket files stay as they are.
        ipc_mode: who may use the socket files.
        max_unread: bytes of answers on their way to all guests together.
        max_connections: guests at once; for each further one the first leaves that has not ended its handshake, or
            else he is closed as soon as he comes.

    Attributes:
        urls: what is bound, with the ports that the system chose.
        peer: who sent the message that came last: a public key, or ``local`` for a socket file; None without ``curve``.
        outbox: the answers that have not left yet.
        ended: the identities of connections that have ended, for whoever keeps something for them to take out.
        timeout: seconds after which ``wait`` returns without a message; None for never.
        due: when (seconds, monotonic) a guest may have been silent for longer than it wanted to be.

    Raises:
        UsageError: a URL cannot be bound.
    """

    def __init__(
        self,
        *urls: str,
        max_message: int = 256 << 20,
        curve: CurveServer | None = None,
        ipc_mode: int = 0o600,
        max_unread: int = 256 << 20,
        max_connections: int = 4096,
        max_unfinished: int | None = None,
    ) -> None:
        self._curve = curve
        if curve is not None:
            curve.check()
        self._doors = Doors(urls, ipc_mode)
        self.urls = self._doors.urls
        self.peer: str | None = None
        self.timeout: float | None = None
        self.outbox = Backlog(max_unread)
        self.ended: deque[bytes] = deque(maxlen=_ENDED)
        self._max_message, self._max_connections = max_message, max_connections
        self._unfinished = Unfinished(max_unfinished or max(_UNFINISHED, 4 * max_message))
        self._told = False
        self._freed = Freed()
        self._refusals = Refusals()
        self._closed = False
        self._names = count()
        self._guests: dict[bytes, Guest] = {}
        self._strangers: OrderedDict[bytes, Guest] = OrderedDict()  # and some whose handshake has ended meanwhile
        self._on: dict[int, Guest] = {}
        self._arrived: deque[tuple[bytes, list[bytes], str | None]] = deque()
        self._behind: dict[bytes, Guest] = {}
        self._late: dict[bytes, Guest] = {}
        self._expiring: dict[bytes, Guest] = {}
        self.due = math.inf
        self._poll = select.epoll()
        self._wakes = threading.RLock()  # reentrant: a signal handler may wake
        self._waker = os.eventfd(0, os.EFD_NONBLOCK | os.EFD_CLOEXEC)
        self._poll.register(self._waker, READ)
        for descriptor in self._doors.at:
            self._poll.register(descriptor, READ)

    # Messages

    @property
    def pollable(self) -> int:
        """A descriptor that is ready when ``wait`` would find something, for who waits for other things, too."""
        return self._poll.fileno()

    @property
    def count(self) -> int:
        """How many are connected."""
        return len(self._guests)

    def knows(self, identity: bytes) -> bool:
        """Whether a sender may still be there for answers."""
        guest = self._guests.get(identity)
        return guest is not None and not guest.lost

    def wait(self) -> tuple[bytes, Sequence[bytes]] | None:
        """The next message and the identity of its sender, waited for; None if something else ended the wait."""
        arrived = self._arrived
        if not arrived:
            self.hand_out()
            if self._look(self.timeout) or not arrived:
                return None
        elif self._late and arrived[0][0] not in self._late:
            self.hand_out()
        identity, frames, self.peer = arrived.popleft()
        return identity, frames

    def receive(self) -> tuple[bytes, Sequence[bytes]] | None:
        """The next message and the identity of its sender; None if there is none right now."""
        if not self._arrived:
            self._look(0)
        if not self._arrived:
            return None
        identity, frames, self.peer = self._arrived.popleft()
        return identity, frames

    @property
    def at_hand(self) -> bool:
        """Whether a message has come in already, which nothing tells who waits for ``pollable``."""
        return bool(self._arrived)

    @property
    def behind(self) -> bool:
        """Whether there may be further messages of which the same is true."""
        return bool(self._behind)

    def _look(self, timeout: float | None) -> bool:
        """Waits until something happens, and sees to it; whether that was a wake."""
        self._freed.give_back()
        woken, behind = False, list(islice(self._behind.values(), _BEHIND))
        if self._expiring:
            timeout = self._until_due(timeout)
        for descriptor, event in self._poll.poll(0 if behind else timeout, _TOGETHER):
            guest = self._on.get(descriptor)
            if guest is not None:
                self._attend(guest, event)
            elif descriptor == self._waker:
                woken = True
                os.eventfd_read(self._waker)
            elif descriptor in self._doors.at:  # else somebody had to leave when a door was seen to
                self._admit(self._doors.at[descriptor])
        for guest in behind:
            if self._behind.pop(guest.identity, None) is not None:
                self._attend(guest, READ)
        if self._expiring and monotonic() >= self.due:
            self._end_silent()
        return woken

    def _until_due(self, timeout: float | None) -> float:
        left = max(0.0, self.due - monotonic())
        return left if timeout is None else min(timeout, left)

    def _end_silent(self) -> None:
        """Gives up the guests that have been silent for longer than they wanted to be (the TTL of a PING).

        What they have sent may not have been read yet, because there was something else to do.
        """
        now = monotonic()
        for guest in [guest for guest in self._expiring.values() if guest.expires <= now]:
            if guest.behind:
                guest.expires = now + _BEHIND_SECONDS
            else:
                self._attend(guest, READ)
            if guest.expires <= now:
                _LOG.info("closed a connection: its peer was silent for longer than the time to live of its PING")
                self._part(guest)
        self.due = min([guest.expires for guest in self._expiring.values()], default=math.inf)

    def _attend(self, guest: Guest, event: int) -> None:
        if event & WRITE:
            guest.flush()
        if event & ~WRITE:
            try:
                messages = guest.take()
            except Left as left:
                if isinstance(left.__cause__, (Foreign, UnknownKey)):
                    self._refusals.tell(_address(guest), str(left.__cause__))
                _LOG.debug("a connection from %s has ended: %s", _address(guest), left.__cause__ or "its peer left")
                self._part(guest)
                return
            identity = guest.identity
            if guest.expires < math.inf:
                self._expiring[identity] = guest
                self.due = min(self.due, guest.expires)
            if messages:
                self._arrived.extend([(identity, message, guest.peer) for message in messages])
                messages.clear()
                if self._unfinished.sizes:
                    self._unfinished.note(identity, 0)
            elif not self._bears(guest):
                return
            if guest.behind:
                self._behind[identity] = guest
        self._note(guest)

    def _bears(self, guest: Guest) -> bool:
        """Whether there is room for what the guest has sent of a message that has not ended; others may have to leave
        for it. (Where a message has come in, no more than one piece of the next one can have.)"""
        self._unfinished.note(guest.identity, guest.unfinished)
        while (heaviest := self._unfinished.too_much()) is not None:
            _LOG.info("cut a connection: too much has come of messages that have not ended, and the most over it")
            self._part(self._guests[heaviest])
        return guest.identity in self._guests

    def taken(self) -> Iterator[tuple[bytes, Sequence[bytes]]]:
        """What has come in and was not waited for yet, at the end."""
        while self._arrived:
            identity, frames, self.peer = self._arrived.popleft()
            yield identity, frames

    def answer(self, identity: bytes, frames: Sequence[bytes]) -> bool:
        """Answers a sender without ever waiting; whether it is blocked now. One who has left gets nothing."""
        if self._arrived and self._arrived[0][0] == identity:
            return self.answer_later(identity, frames)
        guest = self._guests.get(identity)
        if guest is None:
            return False
        guest.answer(frames)
        return self._flush(guest)

    def answer_later(self, identity: bytes, frames: Sequence[bytes]) -> bool:
        """The same, where more may follow to the same guest before ``hand_out``: all that goes out together."""
        guest = self._guests.get(identity)
        if guest is None:
            return False
        guest.answer(frames)
        if guest.size >= _LATE:
            return self._flush(guest)
        self._late[identity] = guest
        return False

    def hand_out(self) -> list[bytes]:
        """Sends the answers that waited for further ones; who is blocked now of those that they were for."""
        late, self._late = self._late, {}
        return [identity for identity, guest in late.items() if self._flush(guest)]

    def _flush(self, guest: Guest) -> bool:
        guest.flush()
        return self._note(guest) and self.outbox.blocked(guest.identity)

    def _note(self, guest: Guest) -> bool:
        """Sees to it that what has not left will, and that no more comes of one who is behind; whether some waits."""
        waits = guest.waits
        if waits:
            self.outbox.peers[guest.identity] = guest
        wanted = (0 if guest.behind else READ) | (WRITE if waits else 0)
        if wanted != guest.watched:
            self._watch(guest, wanted)
        return waits

    def _watch(self, guest: Guest, wanted: int) -> None:
        """Waits for something else; where that is nothing, not even for the end, which cannot be left out."""
        descriptor = guest.socket.fileno()
        if not wanted:
            self._poll.unregister(descriptor)
        elif not guest.watched:
            self._poll.register(descriptor, wanted)
        else:
            self._poll.modify(descriptor, wanted)
        guest.watched = wanted

    # Who comes and goes

    def _admit(self, door: sockets.socket) -> None:
        self._end_slow_handshakes()
        for connection in self._doors.enter(door):
            self._welcome(connection)

    def _welcome(self, connection: Any) -> None:
        if not self._has_room():
            connection.close()
            if not self._told:
                _LOG.warning(
                    "more than %d connections; further ones are closed (--max-connections)", self._max_connections
                )
                self._told = True
            return
        connection.setblocking(False)
        socket_options.configure(connection)
        guest = self._new_guest(connection)
        self._guests[guest.identity] = self._on[connection.fileno()] = self._strangers[guest.identity] = guest
        self._poll.register(connection.fileno(), READ)
        _LOG.debug("a connection from %s has begun", _address(guest))
        self._note(guest)

    def _new_guest(self, connection: Any) -> Guest:
        identity = next(self._names).to_bytes(8, "big")
        welcome = None if self._curve is None else self._curve.welcome(connection)
        return Guest(identity, connection, self.outbox, self._max_message, welcome)

    def _has_room(self) -> bool:
        """Whether one more may come; where all places are taken, a stranger leaves for him: else a few could shut the
        doors by never ending their handshakes."""
        while len(self._guests) >= self._max_connections and self._strangers:
            self._dismiss()
        return len(self._guests) < self._max_connections

    def _end_slow_handshakes(self) -> None:
        since = monotonic() - _HANDSHAKE
        while self._strangers and (next(iter(self._strangers.values())).since or 0.0) < since:
            self._dismiss()

    def _dismiss(self) -> None:
        """Ends the connection of the first stranger, if it still is one."""
        _, guest = self._strangers.popitem(last=False)
        if guest.since is not None:
            self._part(guest)

    def _part(self, guest: Guest) -> None:
        if self._guests.pop(guest.identity, None) is None:
            return
        self.ended.append(guest.identity)
        for some in (self._late, self._behind, self._strangers, self._expiring):
            some.pop(guest.identity, None)
        self._unfinished.note(guest.identity, 0)
        self._freed.add(guest.unfinished + guest.size)
        del self._on[guest.socket.fileno()]
        if guest.watched:
            self._watch(guest, 0)
        guest.close()  # the backlog sees that nothing waits for it any more
        self._told = self._told and len(self._guests) >= self._max_connections

    def cut(self, identity: bytes) -> None:
        """Ends the connection of a guest."""
        self.outbox.forget(identity)
        guest = self._guests.get(identity)
        if guest is not None:
            self._part(guest)

    def wake(self) -> None:
        """Makes ``wait`` return; from any thread, and from signal handlers."""
        with self._wakes:
            if not self._closed:
                os.eventfd_write(self._waker, 1)

    def close(self) -> None:
        """Ends everything; returns when what is queued has gone out, within a second, and the URLs are free."""
        with self._wakes:
            if self._closed:
                return
            self._closed = True
        self._doors.close()
        self._see_off(Deadline.after(_GOODBYE))
        for guest in list(self._guests.values()):
            self._part(guest)
        self._poll.close()
        os.close(self._waker)

    def _see_off(self, deadline: Deadline) -> None:
        self.hand_out()
        self.outbox.flush()
        while self.outbox.peers and not deadline.expired():
            sleep(_MOMENT)
            self.outbox.flush()


def _address(guest: Guest) -> str:
    """Where a guest comes from, for the log."""
    try:
        return str(guest.socket.getpeername()[0]) if guest.socket.family != sockets.AF_UNIX else "a socket file"
    except OSError:  # it has left
        return "an unknown address"
