"""The connections of a proxy to its upstreams, in the loop that waits for clients, too."""

import math
import time
from collections.abc import Callable, Mapping
from typing import Any, Final, TypeAlias

from pyelevator.proxy.actions import Forward, Renew, Rest, Resume
from pyelevator.transports.base import HEARTBEAT
from pyelevator.transports.poller import Poller
from pyelevator.transports.sockets.upstream import Dialer, UpstreamConnection

_TOGETHER: Final = 64
"""Requests that go out in one piece: the upstream works on them while further ones are read, and answers likewise."""

_STALLED: Final = 1.0
"""Seconds without a byte after which an answer takes up no more room than what has come of it."""

_ROUND: Final = HEARTBEAT / 4
"""Seconds after which the connections are looked through for those whose servers are to be asked whether they live."""

Key: TypeAlias = tuple[str, int]
"""The name of an upstream, and the number of a lane to it."""


class Lines:
    """One for each lane on which something has gone out since it was new.

    Args:
        dialers: to the upstreams, by their names.
        watch: what the loop waits with.
        free: tells how many bytes of answers there is room for. What is being read of large ones takes up room as
            well; one is always read, as long as there is any.
    """

    def __init__(self, dialers: Mapping[str, Dialer], poller: Poller, free: Callable[[], int]) -> None:
        self._dialers, self._poller, self._free = dialers, poller, free
        self._large: dict[
            UpstreamConnection, float
        ] = {}  # a large answer is being read, since when some of it came last
        self._postponed: dict[UpstreamConnection, Key] = {}  # one has begun, for which there is no room
        self._lines: dict[Key, UpstreamConnection] = {}
        self._at: dict[Any, Key] = {}
        self._more: dict[Key, UpstreamConnection] = {}
        self._dialling: dict[Key, UpstreamConnection] = {}
        self._loaded: dict[Key, UpstreamConnection] = {}
        self._round_at = math.inf

    def stirring(self, ready: Mapping[Any, int], now: float) -> list[tuple[Key, UpstreamConnection, int]]:
        """Those on which something happened, or is due, or waits to be taken."""
        keys = [self._at[at] for at in ready if at in self._at]
        if self._more or self._dialling:
            keys += [
                key
                for key, line in (self._more | self._dialling).items()
                if line.has_message or line.next_timeout <= now
            ]
            keys = list(dict.fromkeys(keys))
        if now >= self._round_at:
            keys = list(dict.fromkeys(keys + [key for key, line in self._lines.items() if line.next_timeout <= now]))
            self._round_at = now + _ROUND if self._lines else math.inf
        lines = [(key, self._lines[key]) for key in keys]
        return [(key, line, ready.get(line.pollable, 0)) for key, line in lines]

    @property
    def at_hand(self) -> bool:
        """Whether a message has come in already, of which no wait will tell."""
        return any(map(self.reads, self._more.values()))

    @property
    def due(self) -> float:
        """When one of them has something to do, whatever happens."""
        dialling = min([line.next_timeout for line in self._dialling.values()], default=math.inf)
        return min(dialling, self._round_at)

    def reads(self, line: UpstreamConnection) -> bool:
        """Whether what comes over it may be taken."""
        return not line.read_paused and (line not in self._postponed or line.has_message)

    def has(self, key: Key, line: UpstreamConnection) -> bool:
        """Whether that is still the one for the lane."""
        return self._lines.get(key) is line

    @property
    def choked(self) -> bool:
        """Whether large answers wait for room; small ones pass all the time."""
        return bool(self._postponed)

    def relieve(self) -> None:
        """Reads the large answers for which there is room by now."""
        for line, key in list(self._postponed.items()):
            if self._has_room(line):
                self.attune(key, line)

    def _place_answer(self, key: Key, line: UpstreamConnection) -> None:
        """Takes note of whether a large answer has begun, and whether it is being read."""
        if not line.next_is_large:
            self._large.pop(line, None)
            self._postponed.pop(line, None)
        elif line in self._large or self._has_room(line):
            self._postponed.pop(line, None)
            self._large[line] = time.monotonic()
        else:
            self._postponed[line] = key

    def _has_room(self, line: UpstreamConnection) -> bool:
        free, since = self._free(), time.monotonic() - _STALLED
        moving = [one for one, at in self._large.items() if at > since]
        if free >= 0 and not moving:
            return True
        stalled = sum([one.buffered_bytes for one, at in self._large.items() if at <= since])
        return free >= stalled + sum([one.expected_bytes for one in moving]) + line.expected_bytes

    def forward(self, action: Forward) -> None:
        """Lets a message wait for ``send_off``, or sends it, if many do."""
        key = (action.upstream, action.lane)
        line = self._lines.get(key) or self._connect(key)
        if line.enqueue(action.frames, action.until) >= _TOGETHER:
            line.flush(time.monotonic())
        self._loaded[key] = line

    def send_off(self, now: float) -> None:
        """Sends what was forwarded in this turn, all that goes over one connection together."""
        loaded, self._loaded = self._loaded, {}
        for key, line in loaded.items():
            line.flush(now)
            self.attune(key, line)

    def attune(self, key: Key, line: UpstreamConnection) -> None:
        """Waits for what is wanted of a line by now."""
        if self._large or self._postponed or line.next_is_large:
            self._place_answer(key, line)
        _keep(self._more, key, line, line.has_message)
        _keep(self._dialling, key, line, line.next_timeout < math.inf and not line.is_connected)
        place = line.poll_key(self.reads(line))
        if place != line.registered:
            at, wanted, dialled = place
            if line.registered[::2] != (at, dialled):
                self._unwatch(line)
            line.registered = place
            if at is not None:
                self._at[at] = key
                self._poller.set_interest(at, wanted)

    def _unwatch(self, line: UpstreamConnection) -> None:
        """Waits no longer where a line was."""
        before, *_ = line.registered
        if before is not None:
            del self._at[before]
            self._poller.set_interest(before, 0)

    def _connect(self, key: Key) -> UpstreamConnection:
        now = time.monotonic()
        line = self._lines[key] = UpstreamConnection(self._dialers[key[0]], now)
        self._round_at = min(self._round_at, now + _ROUND)
        return line

    def renew(self, action: Renew) -> None:
        """Closes the connection; the next message opens another."""
        key = (action.upstream, action.lane)
        line = self._lines.pop(key, None)
        if line is not None:
            for some in (self._loaded, self._more, self._dialling):
                some.pop(key, None)
            self._large.pop(line, None)
            self._postponed.pop(line, None)
            self._unwatch(line)
            line.close()

    def rest(self, action: Rest | Resume) -> None:
        """Reads nothing more from it, or reads again."""
        key = (action.upstream, action.lane)
        line = self._lines.get(key) or self._connect(key)
        line.read_paused = isinstance(action, Rest)
        self.attune(key, line)

    def close(self) -> None:
        """Ends them all."""
        for line in self._lines.values():
            line.close()


def _keep(some: dict[Any, Any], key: Any, value: Any, wanted: bool) -> None:
    """Has ``value`` among ``some`` or not."""
    if wanted:
        some[key] = value
    elif some:
        some.pop(key, None)
