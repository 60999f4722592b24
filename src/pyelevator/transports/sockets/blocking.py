"""Line: one connection to a ROUTER, spoken by the thread that uses it."""

import select
from collections.abc import Callable, Sequence
from math import inf
from time import monotonic
from typing import Any, Final

from pyelevator.deadlines import Deadline
from pyelevator.errors import ProtocolError
from pyelevator.transports.base import HEARTBEAT, HEARTBEATS, IDLE, time_to_live
from pyelevator.transports.curve import Curve
from pyelevator.transports.curve import handshake as curve_handshake
from pyelevator.transports.readiness import Poll, watching
from pyelevator.transports.sockets.resolver import Address, LaneSocket, check_connected, opened
from pyelevator.transports.sockets.socket import SEND_FLAGS
from pyelevator.transports.zmtp import frames as zmtp

_LONGEST_POLL: Final = 86_400.0  # seconds; longer waits are cut into several, as poll() counts 32 bits of milliseconds
_HANDSHAKE: Final = 30.0  # seconds, as ZeroMQ's HANDSHAKE_IVL
_CHUNK: Final = zmtp.LARGE
_LOOKS: Final = 16
_FRESH: Final = 0.0002  # seconds; ZeroMQ's own thread needs about as long to notice that a connection has ended


class Lost(Exception):
    """The connection has ended."""


class Late(Exception):
    """The deadline came first."""


class Line:
    """A connection that is up. It ends when it is closed, or dropped.

    The socket never blocks; ``poll`` does, because its timeout is a real one: Python goes on with what is left of it
    after a signal.

    Args:
        socket: it is up.
        handshake: it has ended.
        max_message: bytes; a longer one ends the connection.
        heartbeat: seconds after which the server is asked whether it lives; None for never.

    Attributes:
        begun: whether something of the last message has left.
    """

    def __init__(
        self,
        socket: LaneSocket,
        handshake: zmtp.Handshake,
        max_message: int = zmtp.MAX_MESSAGE,
        heartbeat: float | None = HEARTBEAT,
    ) -> None:
        self.begun = False
        self._heard = self._pinged = monotonic()
        self._unanswered = 0  # PINGs of an idle connection
        self._heartbeat = heartbeat or inf
        self._socket = socket
        self._send, self._receive = socket.send, socket.recv
        self._news = watching(socket, select.POLLIN)
        self._room = watching(socket, select.POLLIN | select.POLLOUT)
        self._encode = handshake.outgoing()
        self._decoder = handshake.incoming(max_message)
        self._ping = None if heartbeat is None else handshake.pinging(time_to_live(heartbeat))
        self._messages = self._decoder.messages
        self._decoder.feed(handshake.rest)

    @classmethod
    def to(
        cls,
        address: Address,
        url: str,
        deadline: Deadline,
        curve: Curve | None = None,
        max_message: int = zmtp.MAX_MESSAGE,
        *,
        heartbeat: float | None = HEARTBEAT,
    ) -> "Line":
        """A new connection, ready for messages; with keys, encrypted or not at all.

        Raises:
            ConnectFailed: there can be no socket.
            Late, Lost, OSError: it did not come up.
            zmtp.Refused, ProtocolError: nobody like us lives there.
        """
        deadline = deadline.earlier(Deadline.after(_HANDSHAKE))
        socket = opened(address, url)
        try:
            return cls(socket, _shaken(socket, curve_handshake(curve), deadline), max_message, heartbeat)
        except BaseException:
            socket.close()
            raise

    def close(self) -> None:
        """Ends the connection, whoever else still refers to it: the traceback of an error, say."""
        self._socket.close()

    def has_ended(self) -> bool:
        """Whether the server is known to have left, so that nothing is lost on a lane that was idle meanwhile.

        One that answered just now is not asked: that costs as much as sending. One that was silent for long may have
        been forgotten by a firewall, of which nothing can be known.
        """
        silent = monotonic() - self._heard
        if silent < _FRESH or silent > IDLE:
            return silent > IDLE
        try:
            self._take_all()
        except (Lost, ProtocolError):
            return True
        return False

    def _take_all(self) -> bool:
        """Reads what is there, within reason; whether there was anything."""
        for looks in range(_LOOKS):
            if not self._take():
                return looks > 0
        return True

    @property
    def has_message(self) -> bool:
        """Whether one has come that nobody has received."""
        return bool(self._messages)

    def keep_alive(self, expecting: bool) -> None:
        """See :meth:`Transport.keep_alive`.

        Raises:
            Lost: the connection has ended, or the server no longer answers, or sends what nobody asked for.
            ProtocolError: what came is no message.
        """
        if self._take_all():
            self._heard = monotonic()
        if self._messages and not expecting:
            raise Lost
        if self._heard > self._pinged:
            self._unanswered = 0
        if self._unanswered >= HEARTBEATS:
            raise Lost
        if self._ping is not None:
            self._unanswered += 1
            self._send_ping(self._ping)

    def _send_ping(self, ping: Callable[[], bytes]) -> None:
        """Asks the server whether it lives, if there is room; half a PING would leave none for anything else.

        Raises:
            Lost: the connection has ended.
        """
        data = ping()
        self._pinged = monotonic()
        if 0 < self._pushed(data) < len(data):
            raise Lost

    def send(self, frames: Sequence[bytes], deadline: Deadline) -> None:
        """Sends a message; the line is of no more use if that fails.

        Raises:
            Late, Lost: it did not leave, or not all of it.
            ProtocolError: what came meanwhile is no message.
        """
        self.begun = False
        for piece in self._encode(frames):
            sent = self._pushed(piece)
            self.begun = self.begun or sent > 0
            if sent < len(piece):
                self._push(memoryview(piece)[sent:], deadline)

    def _pushed(self, data: Any) -> int:
        """How many bytes the system takes now."""
        try:
            return self._send(data, SEND_FLAGS)
        except BlockingIOError:
            return 0
        except OSError as error:
            raise Lost from error

    def _push(self, data: memoryview, deadline: Deadline) -> None:
        """Waits for room, and reads meanwhile: the server may wait for the same on its side.

        Who sends more than a message may have while it takes nothing is no server of ours.
        """
        unread = 0
        while data:
            ((_, events),) = _wait(self._room, deadline)
            if events & select.POLLOUT:
                sent = self._pushed(data)
                self.begun = self.begun or sent > 0
                data = data[sent:]
            elif not (taken := self._take()) or (unread := unread + taken) > zmtp.MAX_MESSAGE:
                raise Lost
            if data and deadline.expired():
                raise Late

    def receive(self, deadline: Deadline) -> Sequence[bytes]:
        """The next message.

        Raises:
            Late, Lost: none came.
            ProtocolError: what came is none.
        """
        messages = self._messages
        while not messages:
            self._await(deadline)
            self._take()
            if not messages:
                if deadline.expired():
                    raise Late
                self._show_life()
        self._heard = monotonic()
        return messages.popleft()

    def _await(self, deadline: Deadline) -> None:
        """Waits until something comes in; a server that is silent for long is asked whether it lives, if it can tell.

        Raises:
            Late: nothing came.
            Lost: the server does not even say that it lives.
        """
        if self._ping is None or deadline.seconds <= self._heartbeat:
            _wait(self._news, deadline)
            return
        for _ in range(HEARTBEATS + 1):
            if self._news.poll(max(0.0, min(deadline.at - monotonic(), self._heartbeat)) * 1000):
                return
            if deadline.expired():
                raise Late
            self._send_ping(self._ping)
        raise Lost

    def _show_life(self) -> None:
        """Has a server whose answer takes its time hear of us, too."""
        if self._ping is not None and monotonic() - self._pinged > self._heartbeat:
            self._send_ping(self._ping)

    def _take(self) -> int:
        """Reads what is there; how many bytes that was."""
        try:
            data = self._receive(self._decoder.wanted)
        except BlockingIOError:
            return 0
        except OSError as error:
            raise Lost from error
        if not data:
            raise Lost
        self._decoder.feed(data)
        if self._decoder.pongs:
            self._answer()
        return len(data)

    def _answer(self) -> None:
        """Tells a peer that asked that we live. One that never reads it will not be told."""
        pongs, self._decoder.pongs = self._decoder.pongs, b""
        if self._pushed(pongs) < len(pongs):
            raise Lost


def _shaken(socket: LaneSocket, handshake: zmtp.Handshake, deadline: Deadline) -> zmtp.Handshake:
    """Shakes hands once the connection is up."""
    _wait(watching(socket, select.POLLOUT), deadline)
    check_connected(socket)
    news = watching(socket, select.POLLIN)
    socket.send(handshake.opening, SEND_FLAGS)
    while not handshake.done:
        _wait(news, deadline)
        data = socket.recv(_CHUNK)
        if not data:
            raise Lost
        reply = handshake.receive(data)
        if reply:
            socket.send(reply, SEND_FLAGS)
    return handshake


def _wait(poll: Poll, deadline: Deadline) -> list[tuple[int, int]]:
    """What happens on the one socket that ``poll`` watches.

    Raises:
        Late: nothing, before the deadline.
    """
    while True:
        left = deadline.remaining()
        events = poll.poll(min(left, _LONGEST_POLL) * 1000)
        if events:
            return events
        if left <= _LONGEST_POLL:
            raise Late
