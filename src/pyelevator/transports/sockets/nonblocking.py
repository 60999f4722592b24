"""Caller: a connection to a server that never blocks, for who waits for other things, too; ZMTP 3 without libzmq.

What a ``Line`` is to a call that has nothing else to do, this is to a loop: it is told
what happens on its descriptor and what time it is, and says what it waits for.
"""

import math
import socket as sockets
from collections import deque
from collections.abc import Callable, Sequence
from time import monotonic
from typing import Any, Final, TypeAlias

from pyelevator.deadlines import Deadline
from pyelevator.errors import ConnectFailed, ProtocolError
from pyelevator.transports.base import HEARTBEATS, time_to_live
from pyelevator.transports.connect_errors import CONNECT_TIMEOUT, given_up
from pyelevator.transports.curve import Curve, handshake
from pyelevator.transports.poller import READ, WRITE
from pyelevator.transports.sockets.blocking import Lost
from pyelevator.transports.sockets.resolver import Address, Addresses, LaneSocket, check_connected, opened
from pyelevator.transports.sockets.socket import MAX_IOVEC, SEND_FLAGS, send_some
from pyelevator.transports.zmtp import frames as zmtp

__all__ = ["READ", "WRITE", "Caller", "Outbox"]

Outbox: TypeAlias = "deque[tuple[Sequence[bytes], float]]"
"""Messages that wait for their turn, and until when (seconds, monotonic) they are of use."""

_PAUSE: Final = 0.02
_LONGEST_PAUSE: Final = 0.5
_HANDSHAKE: Final = 30.0  # seconds, as ZeroMQ's HANDSHAKE_IVL


_NOBODY: Final = (Lost, OSError, zmtp.Refused, ProtocolError)


class Caller:
    """A connection to a server, dialled again and again while there is none.

    Args:
        url: ``tcp://host:port`` or ``ipc://path``.
        max_message: bytes; a longer one ends the connection.
        before_end: is called before a socket is closed, for a loop that must not watch it any longer then.
        curve: keys, for a server that asks for them.
        connect_timeout: seconds for which a connection that is refused is tried again; None for no end.
        heartbeat: seconds after which the server is asked whether it lives, if it understands that; None for never.

    Attributes:
        pollable: the descriptor to wait for; None while there is none.
        dialled: how many there have been.
        due: when (seconds, monotonic) ``attend`` has something to do, whatever happens.
        failure: why the last attempt failed; None if that is not known, or there was none.
        lost: why a connection that was up has ended, for the owner to take note of and set to None.

    Raises:
        ConnectFailed: there can be nobody.
    """

    def __init__(
        self,
        url: str,
        max_message: int = zmtp.MAX_MESSAGE,
        before_end: Callable[[], None] = lambda: None,
        curve: Curve | None = None,
        connect_timeout: float | None = CONNECT_TIMEOUT,
        *,
        heartbeat: float | None = None,
    ) -> None:
        self._url, self._max_message, self._before_end, self._curve = url, max_message, before_end, curve
        self._addresses = Addresses(url)
        self._untried: deque[Address] = deque()
        self._patience = _HANDSHAKE
        self._pause = _PAUSE
        self._socket: LaneSocket | None = None
        self._step: Callable[[int], None] = self._connected
        self._handshake = handshake(curve)
        self._encode: Callable[[Sequence[bytes]], list[bytes]] = zmtp.encode
        self._up = self._deaf = False
        self._messages: deque[list[bytes]] = deque()
        self._decoder = zmtp.Decoder(max_message)
        self._leaving: deque[Any] = deque()
        self.pollable: int | None = None
        self.dialled = 0
        self.failure: Exception | None = None
        self.lost: Exception | None = None
        self._connect_timeout = connect_timeout
        self._failing_since: float | None = None
        self._heartbeat = heartbeat
        self._ping: Callable[[], bytes] | None = None
        self._unheard = 0  # heartbeats since something came in
        self.due = 0.0

    @property
    def at_hand(self) -> bool:
        """Whether a message has come in already, which nothing tells who waits for ``pollable``."""
        return bool(self._messages)

    @property
    def up(self) -> bool:
        """Whether messages can go either way."""
        return self._up

    def has_ended(self) -> bool:
        """Whether the connection was up, and has ended without anybody having looked."""
        try:
            return self._up and not self._at().recv(1, sockets.MSG_PEEK)
        except BlockingIOError:
            return False
        except OSError:
            return True

    def _has_unread(self) -> bool:
        """Whether something has come in that nobody has read, as it may be where a client of a proxy does not read."""
        try:
            return bool(self._at().recv(1, sockets.MSG_PEEK))
        except (OSError, Lost):
            return False

    @property
    def large(self) -> bool:
        """Whether the message that comes next is a large one."""
        return self._decoder.wanted > zmtp.LARGE

    @property
    def unfinished(self) -> int:
        """Bytes of memory, about, that the message takes whose end has not come."""
        return self._decoder.unfinished

    @property
    def expected(self) -> int:
        """Bytes of memory, about, that it will take once the frame has come that has begun."""
        return self._decoder.expected

    def wanted(self, reading: bool, waits: bool) -> int:
        """What to wait for on ``pollable``: where messages may be read, and where some wait to be sent."""
        if self._up:
            return (READ if reading else 0) | (WRITE if (waits or self._leaving) and not self._deaf else 0)
        return READ if self._step == self._shake else WRITE

    def attend(self, events: int, now: float) -> None:
        """Goes on as far as that goes without waiting, after ``events`` on ``pollable``.

        Raises:
            ConnectFailed: the server does not let us in, or for ``connect_timeout`` there was none.
        """
        if events and self._socket is not None:
            try:
                self._step(events)
            except _NOBODY as error:
                self._hang_up(now, error)
        if self._up and now >= self.due:
            self._beat(now)
        if now >= self.due:
            if self._socket is not None:  # it took too long
                self._hang_up(now, None)
            if now >= self.due:
                self._dial(now)

    def send(self, outbox: Outbox, now: float) -> None:
        """Sends what can be sent of the messages, if the connection is up; those of no use any more are dropped."""
        leaving = self._leaving
        while self._up and not self._deaf:
            while outbox and len(leaving) < MAX_IOVEC:  # of a message among these nobody can say that it has not left
                frames, until = outbox.popleft()
                if until > now:
                    leaving.extend(self._encode(frames))
            if not leaving or not self._pushed(leaving):
                return

    def receive(self) -> Sequence[bytes] | None:
        """The next message that has come in; None if there is none."""
        return self._messages.popleft() if self._messages else None

    def close(self) -> None:
        """Ends the connection; what has not left is dropped."""
        self._end()
        self.due = math.inf

    # To a connection

    def _dial(self, now: float) -> None:
        """Tries the next address that can be tried; after the last one there is a pause."""
        if not self._untried:
            self._untried.extend(self._addresses.find(Deadline.after(0)))
            if self._addresses.failure is not None:
                self._note(self._addresses.failure, now)
            self._patience = _HANDSHAKE / max(1, len(self._untried))
        while self._untried:
            try:
                self._socket = opened(self._untried.popleft(), self._url)
            except (OSError, ConnectFailed) as error:
                self._note(error, now)
                continue
            self.pollable, self._step = self._socket.fileno(), self._connected
            self.dialled += 1
            self.due = now + self._patience
            return
        self._rest(now)

    def _rest(self, now: float) -> None:
        """Waits before the next round, longer each time; for the answer of a resolver it does not wait longer.

        Raises:
            ConnectFailed: another round would be of no use.
        """
        self.due = now + self._pause
        if self.failure is not None and self._failing_since is not None:
            error = given_up(self._url, self.failure, now - self._failing_since, self._connect_timeout, self._curve)
            if error is not None:
                raise error from self.failure
            if self._connect_timeout is not None and isinstance(self.failure, OSError):
                self.due = min(self.due, self._failing_since + self._connect_timeout)
        if not self._addresses.pending:
            self._pause = min(2 * self._pause, _LONGEST_PAUSE)

    def _note(self, failure: Exception | None, now: float) -> None:
        """Takes note of why an attempt failed; that the server wants no such client says more than anything else."""
        if failure is not None and self._failing_since is None:
            self._failing_since = now
        if not isinstance(self.failure, zmtp.Refused):
            self.failure = failure and failure.with_traceback(None)

    def _connected(self, events: int) -> None:
        if events & ~READ:
            socket = self._at()
            check_connected(socket)
            self._handshake = handshake(self._curve)
            socket.send(self._handshake.opening, SEND_FLAGS)
            self._step = self._shake

    def _shake(self, _: int) -> None:
        data = self._taken(zmtp.LARGE)
        reply = self._handshake.receive(data) if data else b""
        if reply:
            self._at().send(reply, SEND_FLAGS)
        if self._handshake.done:
            self._begin(self._handshake)
            self._begin_heartbeats(self._handshake)

    def _begin_heartbeats(self, shaken: zmtp.Handshake) -> None:
        heartbeat = self._heartbeat
        self._unheard = 0
        self._ping = None if heartbeat is None else shaken.pinging(time_to_live(heartbeat))
        self.due = math.inf if heartbeat is None or self._ping is None else monotonic() + heartbeat

    def _begin(self, shaken: zmtp.Handshake) -> None:
        self._up, self._step = True, self._read
        self._pause, self.due = _PAUSE, math.inf
        self.failure = self._failing_since = None
        self._untried.clear()
        self._encode, self._decoder = shaken.outgoing(), shaken.incoming(self._max_message)
        self._decoder.messages = self._messages  # those of a connection before it, too: they had come whole
        self._decoder.feed(shaken.rest)

    def _at(self) -> LaneSocket:
        if self._socket is None:
            raise Lost
        return self._socket

    # On a connection

    def _read(self, events: int) -> None:
        if not events & ~WRITE or self._messages:
            return
        self._decoder.feed(self._taken(self._decoder.wanted))
        if self._decoder.pongs:
            self._answer()

    def _beat(self, now: float) -> None:
        """Asks the server whether it lives, which shows it that we do; ends what stays silent."""
        if self._ping is None or self._heartbeat is None or (self._unheard >= HEARTBEATS and not self._has_unread()):
            self._hang_up(now, None)
            return
        self._leaving.append(self._ping())
        self._unheard += 1
        self.due = now + self._heartbeat

    def _taken(self, most: int) -> bytes:
        """What has come in; nothing if that was for another."""
        try:
            data = self._at().recv(most)
        except BlockingIOError:
            return b""
        if not data:
            raise Lost
        self._unheard = 0
        return data

    def _answer(self) -> None:
        """Tells a server that asked that we live, if it reads what it is sent."""
        pongs, self._decoder.pongs = self._decoder.pongs, b""
        if len(self._leaving) > 2 * MAX_IOVEC:
            raise Lost
        self._leaving.append(pongs)

    def _pushed(self, leaving: "deque[Any]") -> bool:
        """Sends some; whether more can be tried."""
        try:
            send_some(self._at(), leaving)
        except BlockingIOError:
            return False
        except OSError:  # what it has answered before can still be read, and then its end
            self._deaf = True
            leaving.clear()
            return False
        return True

    def _hang_up(self, now: float, failure: Exception | None) -> None:
        was_up = self._up
        self._end()
        if was_up:
            self.lost = failure or Lost()
        else:
            self._note(failure, now)
        if self._untried and not was_up:
            self.due = now
        else:
            self._rest(now)

    def _end(self) -> None:
        socket, self._socket, self.pollable = self._socket, None, None
        self._up = self._deaf = False
        self._leaving.clear()
        if socket is not None:
            self._before_end()
            socket.close()
