"""Outgoing: what a loop sends to a server and hears of it."""

from collections import deque
from collections.abc import Sequence
from typing import Any

from pyelevator.errors import ConnectFailed, ElevatorError
from pyelevator.transports.base import HEARTBEAT
from pyelevator.transports.connect_errors import connection_lost_error
from pyelevator.transports.curve import Curve
from pyelevator.transports.sockets.nonblocking import Caller, Outbox
from pyelevator.transports.zmtp.frames import MAX_MESSAGE


class Road:
    """How a server is reached, for all connections to it.

    Args:
        url: ``tcp://host:port`` or ``ipc://path``.
        curve: keys for it.
        max_message: bytes that it may send at once.
    """

    def __init__(self, url: str, curve: Curve | None = None, max_message: int = MAX_MESSAGE) -> None:
        self.url, self._curve, self._max_message = url, curve, max_message

    def caller(self) -> Caller:
        """A new connection."""
        return Caller(self.url, self._max_message, curve=self._curve, heartbeat=HEARTBEAT)


class Outgoing:
    """One connection to a server, and what could not be sent over it yet. Nothing here ever waits.

    Args:
        road: to the server.
        now: seconds, monotonic.

    Attributes:
        polled: where the loop waits for it, for what, and which connection that is.
        resting: nothing shall be read from it.
        failure: why there will be no connection; None as long as there may be one.
    """

    def __init__(self, road: Road, now: float) -> None:
        self._road = road
        self._caller = road.caller()
        self._outbox: Outbox = deque()
        self.polled: tuple[Any, int, int] = (None, 0, 0)
        self.resting = False
        self.failure: ConnectFailed | None = None
        self.attend(0, now)

    @property
    def watched(self) -> Any:
        """What ``attend`` wants to hear of: a descriptor; None while there is none."""
        return self._caller.pollable

    def place(self, reading: bool) -> tuple[Any, int, int]:
        """What ``polled`` should be by now; of messages the loop wants to hear only where they may be read."""
        return self._caller.pollable, self.wanted(reading), self._caller.dialled

    @property
    def due(self) -> float:
        """When ``attend`` has something to do, whatever happens."""
        return self._caller.due

    @property
    def up(self) -> bool:
        """Whether there is a connection: then it is only due to ask whether the server lives."""
        return self._caller.up

    @property
    def at_hand(self) -> bool:
        """Whether a message has come in already, of which the loop will not hear."""
        return self._caller.at_hand

    @property
    def large(self) -> bool:
        """Whether the message that comes next is a large one, or may be."""
        return self._caller.large

    @property
    def unfinished(self) -> int:
        """Bytes of memory, about, that the message takes whose end has not come."""
        return self._caller.unfinished

    @property
    def expected(self) -> int:
        """Bytes of memory, about, that it will take once the frame has come that has begun."""
        return self._caller.expected

    def wanted(self, reading: bool) -> int:
        """What to wait for; of messages only where they may be read."""
        return self._caller.wanted(reading, bool(self._outbox)) if self._caller.pollable is not None else 0

    def put(self, frames: Sequence[bytes], until: float) -> int:
        """Lets a message wait for ``flush``; how many wait. It leaves over a connection that is up, and before
        ``until``, or never."""
        self._outbox.append((frames, until))
        return len(self._outbox)

    def flush(self, now: float) -> None:
        """Sends what can be sent; what nobody waits for any more is dropped."""
        outbox = self._outbox
        while outbox and outbox[0][1] <= now:
            outbox.popleft()
        self._caller.send(outbox, now)

    def attend(self, events: int, now: float) -> None:
        """Sees to what has happened, and to what is due; then ``receive`` may give messages."""
        try:
            self._caller.attend(events, now)
        except ConnectFailed as error:
            self.failure = error
        self.flush(now)

    def take_loss(self) -> ElevatorError | None:
        """Why a connection that was up has ended, once all has been received that came over it; once for each."""
        lost = self._caller.lost
        if lost is None or self._caller.at_hand:
            return None
        self._caller.lost = None
        return lost if isinstance(lost, ElevatorError) else connection_lost_error(self._road.url)

    def receive(self) -> Sequence[bytes] | None:
        """The next message that has come in; None if there is none right now."""
        return self._caller.receive()

    def close(self) -> None:
        """Ends the connection; what has not left is dropped."""
        self._outbox.clear()
        self._caller.close()
