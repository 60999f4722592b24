"""What is under way in a proxy: requests as jobs, the lanes to an upstream, and what is to be done."""

from collections import deque
from collections.abc import Callable, Sequence
from typing import Any, Final, TypeAlias

from attrs import define, field, frozen

from pyelevator.codec import codec_for
from pyelevator.conversation import Conversation, Exchange
from pyelevator.flows import Flow
from pyelevator.messages import Request, Response
from pyelevator.proxy.routing import Upstream

WINDOW: Final = 1000
"""Requests in flight on a lane to an upstream that echoes ids."""

_OVERHEAD: Final = 1024
"""What a waiting message weighs beside its bytes."""


@frozen
class Reply:
    """Answer a client."""

    identity: bytes
    frames: Sequence[bytes]


@frozen
class Forward:
    """Send to an upstream, on one of its lanes; not after ``until``, when nobody waits for the answer any more."""

    upstream: str
    lane: int
    frames: Sequence[bytes]
    until: float


@frozen
class Renew:
    """Replace the connection of a lane: what still comes over the old one is for nobody."""

    upstream: str
    lane: int


Action: TypeAlias = Reply | Forward | Renew


@define(eq=False)
class Job:
    """One request of a client, on its way through the proxy.

    Attributes:
        turn: grows with every step; a timer that was set at an earlier turn means nothing any more.
        until: when the upstream's time for the request in hand is over.
        leave: takes the job out of where it waits, if it is given up there.
    """

    identity: bytes
    exchange: Exchange
    flow: Flow[Response]
    turn: int = 0
    until: float = 0.0
    leave: Callable[[], None] = lambda: None


@define(eq=False)
class Parked:
    """What a client has sent that has as much under way as it may, or does not read.

    Attributes:
        held: it does not read.
        queue: its messages, and who sent them.
        weight: bytes of memory, about.
    """

    queue: deque[tuple[Sequence[bytes], str | None]] = field(factory=deque)
    weight: int = 0
    held: bool = False

    def put(self, frames: Sequence[bytes], peer: str | None) -> None:
        """Adds a message."""
        self.queue.append((frames, peer))
        self.weight += _OVERHEAD + sum(map(len, frames))

    def take(self) -> tuple[Sequence[bytes], str | None]:
        """Takes the first one out."""
        frames, peer = self.queue.popleft()
        self.weight -= _OVERHEAD + sum(map(len, frames))
        return frames, peer


@define(eq=False)
class Passenger:
    """One request that is passed on unread, and answered likewise.

    Attributes:
        identity, id: who sent it, and its id there.
        size: of its frame.
        lane: that it rides on.
        until: when the upstream's time for it is over.
    """

    identity: bytes
    id: int
    size: int
    lane: "Lane"
    until: float


@define(eq=False)
class Lane:
    """One connection to an upstream and what is in flight on it, by the ids there."""

    number: int
    conversation: Conversation
    jobs: dict[int, Job] = field(factory=dict)
    passengers: dict[int, Passenger] = field(factory=dict)

    @property
    def has_room(self) -> bool:
        """Another request may ride on it."""
        return len(self.jobs) + len(self.passengers) < (WINDOW if self.conversation.tagged else 1)


@define(eq=False)
class Pool:
    """The lanes to one upstream, and who waits for one.

    Attributes:
        heard: an answer has come that could be read.
    """

    upstream: Upstream
    lanes: list[Lane] = field(factory=list)
    waiting: deque[tuple[Job, Request[Any]]] = field(factory=deque)
    heard: bool = False

    def is_old(self) -> bool | None:
        """Whether the server echoes no ids; None while nothing has been heard of it."""
        if not self.heard:
            return None
        return not any(lane.conversation.tagged for lane in self.lanes)

    def free_lane(self) -> Lane | None:
        """A lane with room; a new one if there may be more."""
        lane = next((lane for lane in self.lanes if lane.has_room), None)
        tagged = any(lane.conversation.tagged for lane in self.lanes)
        if lane is None and not tagged and len(self.lanes) < self.upstream.max_lanes:
            lane = Lane(len(self.lanes), Conversation(self.upstream.codec or codec_for(self.upstream.dialect)))
            self.lanes.append(lane)
        return lane
