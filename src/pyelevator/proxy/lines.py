"""The connections of a proxy to its upstreams, in the loop that waits for clients, too."""

import math
import time
from collections.abc import Mapping
from typing import Any, Final, TypeAlias

from pyelevator.proxy.actions import Forward, Renew, Rest, Resume
from pyelevator.transports.outgoing import Outgoing, Road
from pyelevator.transports.watch import Watch

_TOGETHER: Final = 64
"""Requests that go out in one piece: the upstream works on them while further ones are read, and answers likewise."""

Key: TypeAlias = tuple[str, int]
"""The name of an upstream, and the number of a lane to it."""


class Lines:
    """One for each lane on which something has gone out since it was new.

    Args:
        roads: to the upstreams, by their names.
        watch: what the loop waits with.

    Attributes:
        choked: no large answers are taken.
    """

    def __init__(self, roads: Mapping[str, Road], watch: Watch) -> None:
        self._roads, self._watch = roads, watch
        self.choked = False
        self._lines: dict[Key, Outgoing] = {}
        self._at: dict[Any, Key] = {}
        self._more: dict[Key, Outgoing] = {}
        self._dialling: dict[Key, Outgoing] = {}
        self._loaded: dict[Key, Outgoing] = {}

    def stirring(self, ready: Mapping[Any, int], now: float) -> list[tuple[Key, Outgoing, int]]:
        """Those on which something happened, or is due, or waits to be taken."""
        keys = [self._at[at] for at in ready if at in self._at]
        if self._more or self._dialling:
            keys += [key for key, line in (self._more | self._dialling).items() if line.at_hand or line.due <= now]
            keys = list(dict.fromkeys(keys))
        lines = [(key, self._lines[key]) for key in keys]
        return [(key, line, ready.get(line.watched, 0)) for key, line in lines]

    @property
    def at_hand(self) -> bool:
        """Whether a message has come in already, of which no wait will tell."""
        return any(map(self.reads, self._more.values()))

    @property
    def due(self) -> float:
        """When one of them has something to do, whatever happens."""
        return min([line.due for line in self._dialling.values()], default=math.inf)

    def reads(self, line: Outgoing) -> bool:
        """Whether what comes over it may be taken."""
        return not (line.resting or (self.choked and line.large))

    def has(self, key: Key, line: Outgoing) -> bool:
        """Whether that is still the one for the lane."""
        return self._lines.get(key) is line

    def choke(self, wanted: bool) -> None:
        """Takes no large answers from now on, or all again; small ones pass all the time."""
        self.choked = wanted
        for key, line in self._lines.items():
            self.attune(key, line)

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
        _keep(self._more, key, line, line.at_hand)
        _keep(self._dialling, key, line, line.due < math.inf)
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
        line = self._lines[key] = Outgoing(self._roads[key[0]], time.monotonic())
        return line

    def renew(self, action: Renew) -> None:
        """Closes the connection; the next message opens another."""
        key = (action.upstream, action.lane)
        line = self._lines.pop(key, None)
        if line is not None:
            for some in (self._loaded, self._more, self._dialling):
                some.pop(key, None)
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
