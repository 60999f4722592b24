"""What is under way in a proxy: requests as jobs, the lanes to an upstream, and what is to be done."""

from collections import deque
from collections.abc import Callable, Sequence
from typing import Any, Final, TypeAlias

from attrs import define, field

from pyelevator.codec import codec_for
from pyelevator.conversation import Conversation, Exchange
from pyelevator.flows import Flow
from pyelevator.messages import Request, Response
from pyelevator.proxy.routing import Upstream
from pyelevator.records import record

_MOST_LANES: Final = 1024
"""Connections to an upstream that echoes ids; from so many clients on that have something under way, some share one."""

OWN_IDS: Final = 1 << 32
"""From here on ids of requests are given by the proxy; lower ones, of clients, are left as they are."""

_OVERHEAD: Final = 1024
"""What a waiting message weighs beside its bytes."""


@record
class Reply:
    """Answer a client."""

    identity: bytes
    frames: Sequence[bytes]


@record
class Forward:
    """Send to an upstream, on one of its lanes; not after ``until``, when nobody waits for the answer any more."""

    upstream: str
    lane: int
    frames: Sequence[bytes]
    until: float


@record
class Renew:
    """Replace the connection of a lane: what still comes over the old one is for nobody."""

    upstream: str
    lane: int


@record
class Rest:
    """Read nothing more from a lane: it is all for one client, who does not read."""

    upstream: str
    lane: int


@record
class Resume:
    """Read from a lane again."""

    upstream: str
    lane: int


Action: TypeAlias = Reply | Forward | Renew | Rest | Resume


@define(eq=False)
class Client:
    """What a client has asked for.

    Attributes:
        identity: whom to answer.
        under_way: requests that are not answered.
        size: bytes of these.
        held: it does not read.
        queue: messages that wait, because it has as much under way as it may, or does not read; and who sent them.
        weight: bytes of memory that these take, about.
        ordered: where it sends no ids, and so is answered in order, requests that wait for the one before them.
    """

    identity: bytes
    under_way: int = 0
    size: int = 0
    held: bool = False
    queue: deque[tuple[Sequence[bytes], str | None]] = field(factory=deque)
    weight: int = 0
    ordered: deque[Exchange] | None = None

    @property
    def idle(self) -> bool:
        """Nothing is known of it that matters."""
        return not (self.under_way or self.queue or self.held)

    def put(self, frames: Sequence[bytes], peer: str | None) -> None:
        """Lets a message wait."""
        self.queue.append((frames, peer))
        self.weight += _OVERHEAD + sum(map(len, frames))

    def take(self) -> tuple[Sequence[bytes], str | None]:
        """Takes the first one out."""
        frames, peer = self.queue.popleft()
        self.weight -= _OVERHEAD + sum(map(len, frames))
        return frames, peer

    def forget(self) -> None:
        """Drops what waits."""
        self.queue.clear()
        self.weight = 0


@define(eq=False)
class Job:
    """One request of a client, on its way through the proxy.

    Attributes:
        turn: grows with every step; a timer that was set at an earlier turn means nothing any more.
        until: when the upstream's time for the request in hand is over.
        leave: takes the job out of where it waits, if it is given up there.
    """

    client: Client
    exchange: Exchange
    flow: Flow[Response]
    turn: int = 0
    until: float = 0.0
    leave: Callable[[], None] = lambda: None


@define(eq=False)
class Passenger:
    """One request that is passed on unread, and answered likewise.

    Attributes:
        client, id: who sent it, and its id there.
        number: its id upstream.
        size: of its frame.
        until: when the upstream's time for it is over.
    """

    client: Client
    id: int
    number: int
    size: int
    until: float


@define(eq=False)
class Lane:
    """One connection to an upstream and what is in flight on it.

    Attributes:
        jobs: by their ids there.
        passengers: by the headers of the answers that they will probably get, in the order in which they came.
        timed: when the first of them is late is looked after.
        riders: how many clients have it as theirs.
        resting: nothing is read from it.
        late: answers may still come that nobody waits for any more.
    """

    number: int
    conversation: Conversation
    jobs: dict[int, Job] = field(factory=dict)
    passengers: dict[bytes, Passenger] = field(factory=dict)
    timed: bool = False
    riders: int = 0
    resting: bool = False
    late: bool = False

    @property
    def empty(self) -> bool:
        """Nothing is in flight on it."""
        return not (self.jobs or self.passengers)


@define(eq=False)
class Pool:
    """The lanes to one upstream, and who waits for one.

    An upstream that echoes ids takes any number of requests on a lane, and each client that has some under way has a
    lane of its own: so the answers of one, who may not read them, never stand before those of another. One that does
    not echo ids takes one at a time on each of a few lanes, whoever it is from.

    Attributes:
        heard: an answer has come that could be read.
        tagged: it had an id.
        waiting: jobs that wait for a lane; none where ids are echoed.
    """

    upstream: Upstream
    lanes: list[Lane] = field(factory=list)
    waiting: deque[tuple[Job, Request[Any]]] = field(factory=deque)
    heard: bool = False
    tagged: bool = False
    _seats: dict[Client, Lane] = field(factory=dict)
    _vacant: list[Lane] = field(factory=list)

    def is_old(self) -> bool | None:
        """Whether the server echoes no ids; None while nothing has been heard of it."""
        return not self.tagged if self.heard else None

    def learn(self, tagged: bool) -> None:
        """An answer has told what the upstream is."""
        self.heard = True
        if tagged and not self.tagged:
            self._vacant = [lane for lane in reversed(self.lanes) if not lane.riders]
        self.tagged = tagged

    def lane_for(self, client: Client) -> Lane | None:
        """The lane that a request of the client may ride on now."""
        return self.seat(client) if self.tagged else self._free_lane()

    def seat(self, client: Client) -> Lane:
        """The client's own lane, where ids are echoed."""
        lane = self._seats.get(client)
        if lane is None:
            lane = self._seats[client] = self._vacant.pop() if self._vacant else self._another()
            lane.riders += 1
        return lane

    def own(self, client: Client) -> Lane | None:
        """The client's lane, if it has one and shares it with nobody."""
        lane = self._seats.get(client)
        return lane if lane is not None and lane.riders == 1 else None

    def leave(self, client: Client) -> Lane | None:
        """Nothing of the client is under way any more; its lane, if it is nobody's now."""
        lane = self._seats.pop(client, None)
        if lane is None:
            return None
        lane.riders -= 1
        if lane.riders:
            return None
        self._vacant.append(lane)
        return lane

    def _another(self) -> Lane:
        if len(self.lanes) < _MOST_LANES:
            return self._open()
        return min(self.lanes, key=lambda lane: (lane.resting, lane.riders))

    def _free_lane(self) -> Lane | None:
        """One of the few with nothing in flight."""
        few = self.lanes[: self.upstream.max_lanes]
        lane = next((lane for lane in few if lane.empty), None)
        return self._open() if lane is None and len(few) < self.upstream.max_lanes else lane

    def _open(self) -> Lane:
        lane = Lane(len(self.lanes), self.conversation())
        self.lanes.append(lane)
        return lane

    def conversation(self) -> Conversation:
        """A new one, with what is known of the upstream."""
        conversation = Conversation(self.upstream.codec or codec_for(self.upstream.dialect), OWN_IDS)
        conversation.tagged = self.tagged
        return conversation
