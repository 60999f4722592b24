"""The connections of a proxy to its upstreams, in the loop that waits for clients, too."""

import math
import time
from collections.abc import Callable, Mapping
from typing import Any, Final, TypeAlias

from pyelevator.proxy.actions import PauseReading, ResetConnection, ResumeReading, SendToUpstream
from pyelevator.transports.base import HEARTBEAT
from pyelevator.transports.polling.poller import Poller
from pyelevator.transports.sockets.upstream import UpstreamConnection

_FLUSH_COUNT: Final = 64
"""Requests that go out in one piece: the upstream works on them while further ones are read. So do answers."""

_STALLED: Final = 5.0
"""Seconds without a byte after which an answer takes up no more room than what has come of it."""

_COPIES: Final = 3
"""Copies of an answer in memory at most while it is passed on: as it came, as a value, and packed or encrypted."""

_UNRESERVED: Final = 8
"""An answer of any size is read if this part of the room at most is taken: else slow readers could hold it up."""

_ROUND: Final = HEARTBEAT / 4
"""Seconds after which the connections are searched for those that need a heartbeat."""

Key: TypeAlias = tuple[str, int]
"""Name of an upstream, and the number of a connection to it."""


class UpstreamConnections:
    """Sockets of the pools' connections, each opened by the first message to it.

    There is ``room`` for so many bytes of answers, and for one more; what is being read of large ones takes it up, too.
    ``unsent`` returns how many bytes have been read, and not been sent.
    """

    def __init__(
        self,
        dialers: Mapping[str, Callable[[], UpstreamConnection]],
        poller: Poller,
        room: int,
        unsent: Callable[[], int],
    ) -> None:
        self._dialers, self._poller, self._room, self._unsent = dialers, poller, room, unsent
        # of large answers: those that are being read, and when some of it came last; those that there is no room for
        self._large: dict[UpstreamConnection, float] = {}
        self._postponed: dict[UpstreamConnection, Key] = {}
        self._connections: dict[Key, UpstreamConnection] = {}
        self._by_socket: dict[int, Key] = {}
        self._with_messages: dict[Key, UpstreamConnection] = {}
        self._connecting: dict[Key, UpstreamConnection] = {}
        self._unflushed: dict[Key, UpstreamConnection] = {}
        self._round_at = math.inf

    def counts(self) -> Mapping[str, int]:
        """Return the number of connections to each upstream; from any thread."""
        open_to = [name for name, _ in list(self._connections)]
        return {name: open_to.count(name) for name in self._dialers}

    def ready(self, ready: Mapping[Any, int], now: float) -> list[tuple[Key, UpstreamConnection, int]]:
        """Return the connections with events, timeouts or messages that were read already."""
        keys = [self._by_socket[at] for at in ready if at in self._by_socket]
        candidates = self._with_messages | self._connecting
        if now >= self._round_at:
            candidates, self._round_at = self._connections, now + _ROUND if self._connections else math.inf
        keys += [key for key, one in candidates.items() if one.has_message or one.next_timeout <= now]
        connections = [(key, self._connections[key]) for key in dict.fromkeys(keys)]
        return [(key, connection, ready.get(connection.pollable, 0)) for key, connection in connections]

    @property
    def has_message(self) -> bool:
        """True if a message has been read already, of which no poll tells."""
        return any(map(self.may_read, self._with_messages.values()))

    @property
    def next_timeout(self) -> float:
        """The time (seconds, monotonic) at which ``ready`` has to be called, whatever is polled."""
        connecting = min([connection.next_timeout for connection in self._connecting.values()], default=math.inf)
        return min(connecting, self._round_at)

    def may_read(self, connection: UpstreamConnection) -> bool:
        """Return True if messages may be taken from it."""
        return not connection.read_paused and (connection not in self._postponed or connection.has_message)

    def is_current(self, key: Key, connection: UpstreamConnection) -> bool:
        """Return True if it has not been replaced."""
        return self._connections.get(key) is connection

    @property
    def is_paused(self) -> bool:
        """True if large answers wait for room; small ones pass all the time."""
        return bool(self._postponed)

    def resume_large(self) -> None:
        """Read the large answers for which there is room by now."""
        for connection, key in list(self._postponed.items()):
            if self._has_room(connection):
                self.update_interest(key, connection)

    def _place_answer(self, key: Key, connection: UpstreamConnection) -> None:
        """Record whether a large answer has begun, and whether it is being read."""
        if not connection.next_is_large:
            self._large.pop(connection, None)
            self._postponed.pop(connection, None)
        elif connection in self._large or self._has_room(connection):
            self._postponed.pop(connection, None)
            self._large[connection] = time.monotonic()
        else:
            self._postponed[connection] = key

    def _has_room(self, connection: UpstreamConnection) -> bool:
        now, size, unsent = time.monotonic(), connection.expected_bytes, self._unsent()
        moving = [one.expected_bytes for one, at in self._large.items() if now - at < _STALLED]
        stalled = [one.buffered_bytes for one, at in self._large.items() if now - at >= _STALLED]
        if not moving and unsent <= self._room // _UNRESERVED:
            return True
        copies = (_COPIES - 1) * max(size, *moving, 0)  # only one answer at a time is passed on
        return unsent + sum(moving) + sum(stalled) + size + copies <= self._room + size

    def forward(self, action: SendToUpstream) -> None:
        """Queue a message for ``flush``, or send it, if many wait."""
        key = (action.upstream, action.connection)
        connection = self._connections.get(key) or self._connect(key)
        if action.is_alone and connection.has_unread():
            self.reset(ResetConnection(*key))
            connection = self._connect(key)
        if connection.enqueue(action.frames, action.expires_at) >= _FLUSH_COUNT:
            connection.flush(time.monotonic())
        self._unflushed[key] = connection

    def flush(self, now: float) -> None:
        """Send what was forwarded in this turn, all that goes over one connection together."""
        unflushed, self._unflushed = self._unflushed, {}
        for key, connection in unflushed.items():
            connection.flush(now)
            self.update_interest(key, connection)

    def update_interest(self, key: Key, connection: UpstreamConnection) -> None:
        """Register the events that a connection waits for."""
        if self._large or self._postponed or connection.next_is_large:
            self._place_answer(key, connection)
        _set_membership(self._with_messages, key, connection, connection.has_message)
        _set_membership(
            self._connecting, key, connection, connection.next_timeout < math.inf and not connection.is_connected
        )
        registration = connection.poll_key(self.may_read(connection))
        if registration != connection.registered:
            at, events, connect_count = registration
            if connection.registered[::2] != (at, connect_count):
                self._unregister(connection)
            connection.registered = registration
            if at is not None:
                self._by_socket[at] = key
                self._poller.set_interest(at, events)

    def _unregister(self, connection: UpstreamConnection) -> None:
        """Unregister a connection."""
        before, *_ = connection.registered
        if before is not None:
            del self._by_socket[before]
            self._poller.set_interest(before, 0)

    def _connect(self, key: Key) -> UpstreamConnection:
        now = time.monotonic()
        connection = self._connections[key] = self._dialers[key[0]]()
        connection.on_ready(0, now)
        self._round_at = min(self._round_at, now + _ROUND)
        return connection

    def reset(self, action: ResetConnection) -> None:
        """Close the connection; the next message opens another."""
        key = (action.upstream, action.connection)
        connection = self._connections.pop(key, None)
        if connection is not None:
            for group in (self._unflushed, self._with_messages, self._connecting):
                group.pop(key, None)
            self._large.pop(connection, None)
            self._postponed.pop(connection, None)
            self._unregister(connection)
            connection.close()

    def pause_reading(self, action: PauseReading | ResumeReading) -> None:
        """Pause or resume reading from it."""
        key = (action.upstream, action.connection)
        connection = self._connections.get(key) or self._connect(key)
        connection.read_paused = isinstance(action, PauseReading)
        self.update_interest(key, connection)

    def close(self) -> None:
        """Close all of them."""
        for connection in self._connections.values():
            connection.close()


def _set_membership(group: dict[Key, UpstreamConnection], key: Key, value: UpstreamConnection, is_member: bool) -> None:
    """Add ``value`` to ``group``, or remove it."""
    if is_member:
        group[key] = value
    elif group:
        group.pop(key, None)
