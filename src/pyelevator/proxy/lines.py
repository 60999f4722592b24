"""The connections of a proxy to its upstreams, in the loop that waits for clients, too."""

import math
import time
from collections.abc import Callable, Mapping
from typing import Any, Final, TypeAlias

from pyelevator.proxy.actions import Forward, Renew, Rest, Resume
from pyelevator.transports.base import HEARTBEAT
from pyelevator.transports.poller import Watch
from pyelevator.transports.sockets.upstream import Outgoing, Road

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
        roads: to the upstreams, by their names.
        watch: what the loop waits with.
        free: tells how many bytes of answers there is room for. What is being read of large ones takes up room as
            well; one is always read, as long as there is any.
    """

    def __init__(self, roads: Mapping[str, Road], watch: Watch, free: Callable[[], int]) -> None:
        self._roads, self._watch, self._free = roads, watch, free
        self._large: dict[Outgoing, float] = {}  # a large answer is being read, since when some of it came last
        self._postponed: dict[Outgoing, Key] = {}  # one has begun, for which there is no room
        self._lines: dict[Key, Outgoing] = {}
        self._at: dict[Any, Key] = {}
        self._more: dict[Key, Outgoing] = {}
        self._dialling: dict[Key, Outgoing] = {}
        self._loaded: dict[Key, Outgoing] = {}
        self._round_at = math.inf

    def stirring(self, ready: Mapping[Any, int], now: float) -> list[tuple[Key, Outgoing, int]]:
        """Those on which something happened, or is due, or waits to be taken."""
        keys = [self._at[at] for at in ready if at in self._at]
        if self._more or self._dialling:
            keys += [key for key, line in (self._more | self._dialling).items() if line.at_hand or line.due <= now]
            keys = list(dict.fromkeys(keys))
        if now >= self._round_at:
            keys = list(dict.fromkeys(keys + [key for key, line in self._lines.items() if line.due <= now]))
            self._round_at = now + _ROUND if self._lines else math.inf
        lines = [(key, self._lines[key]) for key in keys]
        return [(key, line, ready.get(line.watched, 0)) for key, line in lines]

    @property
    def at_hand(self) -> bool:
        """Whether a message has come in already, of which no wait will tell."""
        return any(map(self.reads, self._more.values()))

    @property
    def due(self) -> float:
        """When one of them has something to do, whatever happens."""
        dialling = min([line.due for line in self._dialling.values()], default=math.inf)
        return min(dialling, self._round_at)

    def reads(self, line: Outgoing) -> bool:
        """Whether what comes over it may be taken."""
        return not line.resting and (line not in self._postponed or line.at_hand)

    def has(self, key: Key, line: Outgoing) -> bool:
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

    def _place_answer(self, key: Key, line: Outgoing) -> None:
        """Takes note of whether a large answer has begun, and whether it is being read."""
        if not line.large:
            self._large.pop(line, None)
            self._postponed.pop(line, None)
        elif line in self._large or self._has_room(line):
            self._postponed.pop(line, None)
            self._large[line] = time.monotonic()
        else:
            self._postponed[line] = key

    def _has_room(self, line: Outgoing) -> bool:
        free, since = self._free(), time.monotonic() - _STALLED
        moving = [one for one, at in self._large.items() if at > since]
        if free >= 0 and not moving:
            return True
        stalled = sum([one.unfinished for one, at in self._large.items() if at <= since])
        return free >= stalled + sum([one.expected for one in moving]) + line.expected

    def forward(self, action: Forward) -> None:
        """Lets a message wait for ``send_off``, or sends it, if many do."""
        key = (action.upstream, action.lane)
        line = self._lines.get(key) or self._connect(key)
        if line.put(action.frames, action.until) >= _TOGETHER:
            line.flush(time.monotonic())
        self._loaded[key] = line

    def send_off(self, now: float) -> None:
        """Sends what was forwarded in this turn, all that goes over one connection together."""
        loaded, self._loaded = self._loaded, {}
        for key, line in loaded.items():
            line.flush(now)
            self.attune(key, line)

    def attune(self, key: Key, line: Outgoing) -> None:
        """Waits for what is wanted of a line by now."""
        if self._large or self._postponed or line.large:
            self._place_answer(key, line)
        _keep(self._more, key, line, line.at_hand)
        _keep(self._dialling, key, line, line.due < math.inf and not line.up)
        place = line.place(self.reads(line))
        if place != line.polled:
            at, wanted, dialled = place
            if line.polled[::2] != (at, dialled):
                self._unwatch(line)
            line.polled = place
            if at is not None:
                self._at[at] = key
                self._watch.want(at, wanted)

    def _unwatch(self, line: Outgoing) -> None:
        """Waits no longer where a line was."""
        before, *_ = line.polled
        if before is not None:
            del self._at[before]
            self._watch.want(before, 0)

    def _connect(self, key: Key) -> Outgoing:
        now = time.monotonic()
        line = self._lines[key] = Outgoing(self._roads[key[0]], now)
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
        line.resting = isinstance(action, Rest)
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
